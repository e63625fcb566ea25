// What a status remembers of an evacuation: written when it begins to move, and cleared when it has left.
import type { DisplacedFrom, EvacuationRecord } from "../model/protection.ts";
import { isFinal } from "../model/virtual-machine.ts";
import { evacuationState, isToBeEmptied } from "./evacuation.ts";
import { isInCharge, type Subject } from "./subject.ts";
import { timestamp } from "./text.ts";

export interface EvacuationStep {
  readonly record: EvacuationRecord | undefined;
  /** Set when the VM has just arrived elsewhere. */
  readonly left: DisplacedFrom | undefined;
}

const NONE: EvacuationStep = { record: undefined, left: undefined };

/** The record as it should stand now. */
export function nextEvacuation(subject: Subject): EvacuationStep {
  const { turn, protection, vmi } = subject;
  const before = protection.status.evacuation;
  if (vmi?.nodeName === undefined || vmi.deleting || isFinal(vmi)) return whileDown(subject, before);
  if (before !== undefined && before.fromNode !== vmi.nodeName) {
    const since = timestamp(turn.now.wallMs);
    return { record: undefined, left: { node: before.fromNode, cause: "Evacuation", since } };
  }
  const node = turn.snapshot.nodes.get(vmi.nodeName);
  if (node === undefined || !isToBeEmptied(turn, node) || !isInCharge(subject)) return NONE;
  const state = evacuationState(turn, protection, vmi);
  const record = (phase: EvacuationRecord["phase"], message: string, migration?: string): EvacuationStep => ({
    record: {
      fromNode: node.name,
      startedAt: before?.startedAt ?? timestamp(turn.now.wallMs),
      phase,
      message,
      ...(migration === undefined ? {} : { migration }),
    },
    left: undefined,
  });
  switch (state.kind) {
    case "migrating":
      return record("Migrating", "", state.migration.name);
    case "restartDue":
      return record("Restarting", "it cannot be live-migrated, so it is restarted elsewhere");
    case "refused":
      return record("Refused", state.why);
    case "waiting":
      return record("Waiting", state.why);
    case "ending":
    case "due":
      // Its turn comes with a free slot; nothing worth a write yet.
      return { record: before, left: undefined };
  }
}

/** Without a running instance: kept while the VM is on its way to another node, dropped where somebody has stopped it. */
function whileDown({ turn, vm }: Subject, before: EvacuationRecord | undefined): EvacuationStep {
  if (before === undefined || vm === undefined || vm.deleting) return NONE;
  const node = turn.snapshot.nodes.get(before.fromNode);
  if (node === undefined || !isToBeEmptied(turn, node)) return NONE;
  const comesBack =
    vm.runStrategy === "Always" ||
    (before.phase === "Restarting" && (vm.runStrategy === "RerunOnFailure" || vm.runStrategy === "Manual"));
  return comesBack ? { record: before, left: undefined } : NONE;
}
