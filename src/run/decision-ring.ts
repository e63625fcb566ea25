// Keeps the last decisions that did something, with what they rested on, for whoever asks afterwards why.
import type { Instant } from "../model/clock.ts";
import type { DecisionPolicy } from "../model/decision-policy.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { type DecisionRecord, recordDecision, writeDecision } from "../observe/decision-record.ts";

/** Steps that only read, or only tell: no reason to keep a decision. */
const TRIVIAL: readonly Step["kind"][] = ["RefreshNode", "WriteProtection", "WriteSummary", "WriteFencing"];

interface Kept {
  readonly id: number;
  readonly headline: string;
  readonly record: DecisionRecord;
}

/** A bounded ring: the oldest decision goes first. A decision that says the same as the one before is not kept again. */
export class DecisionRing {
  readonly #limit: number;
  readonly #kept: Kept[] = [];
  #lastSaid = "";
  #id = 0;

  readonly #version: string | undefined;

  /** `limit` 0 keeps nothing. `version`: of the operator, so that a replay knows whether it is the same. */
  constructor(limit: number, version?: string) {
    this.#limit = limit;
    this.#version = version;
  }

  /** Keeps the decision if it does something new. Call it within the turn: the snapshot's maps are live. */
  consider(
    snapshot: Snapshot,
    plan: Plan,
    circumstances: { readonly policy: DecisionPolicy; readonly now: Instant },
  ): void {
    if (this.#limit === 0) return;
    const deeds = plan.steps.filter(({ kind }) => !TRIVIAL.includes(kind)).map((step) => deedOf(step));
    const said = [...deeds, ...plan.refusals.map(({ about, reason }) => `${reason} ${about}`)]
      .sort()
      .join("\n");
    const isNew = said !== this.#lastSaid && said !== "";
    this.#lastSaid = said;
    if (!isNew) return;
    this.#id += 1;
    const headline = headlineOf(deeds, plan);
    const record = recordDecision(snapshot, plan, { ...circumstances, version: this.#version });
    this.#kept.push({ id: this.#id, headline, record });
    if (this.#kept.length > this.#limit) this.#kept.shift();
  }

  /** What is kept, as JSON: number, time and headline of each, the oldest first. */
  list(): string {
    const decisions = this.#kept.map(({ id, headline, record }) => ({
      id,
      at: new Date(record.now.wallMs).toISOString(),
      headline,
    }));
    return `${JSON.stringify({ decisions }, undefined, 2)}\n`;
  }

  /** One decision as JSON, for `kubectl holdfast simulate --replay`; undefined where it is kept no more. */
  read(id: number): string | undefined {
    const kept = this.#kept.find((one) => one.id === id);
    return kept === undefined ? undefined : `${writeDecision(kept.record)}\n`;
  }
}

function deedOf(step: Step): string {
  if ("vmKey" in step) return `${step.kind} ${step.vmKey}`;
  if ("node" in step) return `${step.kind} ${step.node}`;
  if ("fencing" in step) return `${step.kind} ${step.fencing.nodeName}`;
  return "name" in step ? `${step.kind} ${step.name}` : step.kind;
}

function headlineOf(deeds: readonly string[], plan: Plan): string {
  const shown =
    deeds.length > 0 ? deeds : plan.refusals.map(({ about, reason }) => `refused ${reason} ${about}`);
  const more = shown.length > 3 ? ` and ${shown.length - 3} more` : "";
  return `${shown.slice(0, 3).join(", ")}${more}`;
}
