// Conditions that keep their transition time while their status stays, as Kubernetes' API conventions ask.
import type { Condition } from "../model/protection.ts";
import type { ConditionReason } from "../api/reasons.ts";
import { timestamp } from "./text.ts";

export interface Judgement {
  readonly type: string;
  readonly status: Condition["status"];
  readonly reason: ConditionReason;
  readonly message: string;
}

/** Renders judgements as conditions; `lastTransitionTime` moves only where `status` differs from what stood before. */
export function conditionsOf(
  judgements: readonly Judgement[],
  before: readonly Condition[],
  wallMs: number,
  generation: number,
): readonly Condition[] {
  return judgements.map((judgement) => {
    const previous = before.find((condition) => condition.type === judgement.type);
    // The same object where nothing is new: comparing tens of thousands of statuses is then a look at identities.
    if (previous !== undefined && saysTheSame(previous, judgement, generation)) return previous;
    return {
      ...judgement,
      lastTransitionTime:
        previous?.status === judgement.status ? previous.lastTransitionTime : timestamp(wallMs),
      observedGeneration: generation,
    };
  });
}

function saysTheSame(previous: Condition, judgement: Judgement, generation: number): boolean {
  return (
    previous.status === judgement.status &&
    previous.reason === judgement.reason &&
    previous.message === judgement.message &&
    previous.observedGeneration === generation
  );
}
