// What every rule of one turn shares: the snapshot, the policy, the time, and the plan being written.
import type { DecisionPolicy } from "../model/decision-policy.ts";
import type { DisarmFact } from "../model/disarm.ts";
import type { DrillFact } from "../model/drill.ts";
import type { FencingFact, FencingTopologyFact } from "../model/fencing.ts";
import type { Instant } from "../model/clock.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { OpenFencingStep, Refusal, Step } from "../model/plan.ts";
import type { ProtectionFact } from "../model/protection.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { RefusalReason } from "../api/reasons.ts";

/** Collects the plan. Order of steps is the order in which they were concluded; the queue orders by priority. */
export class PlanDraft {
  readonly steps: Step[] = [];
  readonly refusals: Refusal[] = [];
  lookAgainAtMs: number | undefined;
  readonly #openings = new Map<string, OpenFencingStep>();
  readonly #reasonsAbout = new Map<string, RefusalReason[]>();

  add(step: Step): void {
    this.steps.push(step);
    if (step.kind === "OpenFencing") this.#openings.set(step.node, step);
  }

  refuse(about: string, reason: RefusalReason, message: string): void {
    this.refusals.push({ about, reason, message });
    const reasons = this.#reasonsAbout.get(about);
    if (reasons === undefined) this.#reasonsAbout.set(about, [reason]);
    else reasons.push(reason);
  }

  /** The fencings that this plan opens, by node. */
  get openings(): ReadonlyMap<string, OpenFencingStep> {
    return this.#openings;
  }

  /** Why something about it was refused in this plan, in the order in which it was. */
  reasonsAbout(about: string): readonly RefusalReason[] {
    return this.#reasonsAbout.get(about) ?? [];
  }

  /** Asks for a turn at a monotonic time, because then time alone may change the outcome. */
  lookAgain(atMs: number): void {
    if (this.lookAgainAtMs === undefined || atMs < this.lookAgainAtMs) this.lookAgainAtMs = atMs;
  }
}

export interface Turn {
  readonly snapshot: Snapshot;
  readonly policy: DecisionPolicy;
  readonly now: Instant;
  readonly plan: PlanDraft;
  readonly verdicts: ReadonlyMap<string, NodeVerdict>;
  /** The open (not closed) fencing of each node. */
  readonly openFencings: ReadonlyMap<string, FencingFact>;
  /** The FencingDisarm that keeps each node from being fenced, of several the one that lasts longest. */
  readonly disarms: ReadonlyMap<string, DisarmFact>;
  /** The drill that is disturbing each of these VMs now. */
  readonly drilled: ReadonlyMap<string, DrillFact>;
  /** The topology in charge of each node. */
  readonly topologies: ReadonlyMap<string, FencingTopologyFact>;
  /** Nodes that a VM could be started on now, judged without regard to any one VM. */
  readonly hosts: ReadonlyMap<string, boolean>;
  /** Nodes that can host VMs with the constraints of that key, as many as are ever counted and one more. */
  readonly candidates: ReadonlyMap<string, readonly string[]>;
  /** Set where more nodes are lost at once than the policy allows: what to say about it. */
  readonly storm: string | undefined;
  /** How many more nodes could be lost before that is a storm; negative in one. */
  readonly stormRoom: number;
}

/**
 * The HAVirtualMachine in charge of a VM: one that a person wrote before one that a policy had made, then the oldest,
 * then by name, so that every replica picks the same.
 */
export function protectionOf(snapshot: Snapshot, vmKey: string): ProtectionFact | undefined {
  const keys = snapshot.index.protectionsByVM.get(vmKey);
  if (keys === undefined) return undefined;
  let chosen: ProtectionFact | undefined;
  for (const key of keys) {
    const candidate = snapshot.protections.get(key);
    if (candidate === undefined || candidate.deleting) continue;
    if (chosen === undefined || comesBefore(candidate, chosen)) chosen = candidate;
  }
  return chosen;
}

function comesBefore(a: ProtectionFact, b: ProtectionFact): boolean {
  const aMade = a.madeByPolicy !== undefined;
  const bMade = b.madeByPolicy !== undefined;
  if (aMade !== bMade) return !aMade;
  if (a.createdAtWallMs !== b.createdAtWallMs) return a.createdAtWallMs < b.createdAtWallMs;
  return a.key < b.key;
}

/** The VMs in our care whose instance is on the node, the most important first. */
export function protectedOn(turn: Turn, node: string): readonly ProtectionFact[] {
  const found: ProtectionFact[] = [];
  for (const vmKey of turn.snapshot.index.vmisByNode.get(node) ?? []) {
    const protection = protectionOf(turn.snapshot, vmKey);
    if (protection !== undefined) found.push(protection);
  }
  return found.sort(byImportance);
}

/** Higher priority first, then by name. */
export function byImportance(a: ProtectionFact, b: ProtectionFact): number {
  return b.priority - a.priority || (a.key < b.key ? -1 : 1);
}
