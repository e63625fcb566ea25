// How many VMs may be on their way up at once: few at first, so that the most important have KubeVirt to themselves, and one
// more with each that came through, so that the last is no later than all at once. A VM that cannot come up leaves the
// window, and never holds up the others; one that cannot even be let go is overtaken, since the window widens with time too.
import type { FencingFact } from "../model/fencing.ts";
import type { FailoverRecord, ProtectionFact } from "../model/protection.ts";
import { isFinal } from "../model/virtual-machine.ts";
import { willRestart } from "./run-strategy.ts";
import { protectionOf, type Turn } from "./turn.ts";

/** The window widens by its own size each time so many slot times have passed since the proof. */
const SLOT_TIMES_TO_WIDEN = 6;

/** The free places in the window of one turn, shared by all nodes that release. */
export class RestartSlots {
  readonly #turn: Turn;
  #free: number;
  /** Monotonic time at which a place becomes free by time alone. */
  #nextFreeAtMs: number;

  constructor(turn: Turn, fencings: readonly FencingFact[]) {
    this.#turn = turn;
    const { maxRestartsInFlight, restartSlotMs } = turn.policy;
    const nowMs = turn.now.monotonicMs;
    const sinceMs = Math.min(...fencings.map((fencing) => fencing.provenAtMs ?? nowMs));
    const widenMs = restartSlotMs * SLOT_TIMES_TO_WIDEN;
    const widened = Math.max(0, Math.floor((nowMs - sinceMs) / widenMs));
    this.#nextFreeAtMs = sinceMs + (widened + 1) * widenMs;
    const window = maxRestartsInFlight * (1 + widened) + this.#cameThrough(fencings);
    this.#free = window - this.#restartsInFlight();
  }

  /** Takes a place; false when none is free, and then asks for a turn at the moment one will be. */
  take(): boolean {
    if (this.#free <= 0) {
      this.#turn.plan.lookAgain(this.#nextFreeAtMs);
      return false;
    }
    this.#free -= 1;
    return true;
  }

  /** VMs that we saw leave these nodes since the proof, and that have been placed. A new leader has seen none. */
  #cameThrough(fencings: readonly FencingFact[]): number {
    const { index, vmis } = this.#turn.snapshot;
    let count = 0;
    for (const [vmKey, { node, at }] of index.podsGone) {
      const from = fencings.find((fencing) => fencing.nodeName === node);
      if (from?.provenAtMs === undefined || at.monotonicMs < from.provenAtMs) continue;
      const vmi = vmis.get(vmKey);
      if (vmi?.nodeName !== undefined && vmi.nodeName !== node && !isFinal(vmi)) count += 1;
    }
    return count;
  }

  /** VMs let go whose replacement has not been placed yet. */
  #restartsInFlight(): number {
    const { snapshot } = this.#turn;
    let count = 0;
    for (const key of snapshot.index.unsettled) {
      const protection = snapshot.protections.get(key);
      const record = protection?.status.failover;
      if (protection === undefined || record === undefined) continue;
      if (protectionOf(snapshot, protection.vmKey) !== protection) continue;
      if (!willRestart(this.#turn, protection)) continue;
      const leavesAtMs = this.#leavesAtMs(protection, record);
      if (leavesAtMs === undefined || leavesAtMs <= this.#turn.now.monotonicMs) continue;
      this.#nextFreeAtMs = Math.min(this.#nextFreeAtMs, leavesAtMs);
      count += 1;
    }
    return count;
  }

  /** When a VM leaves the window by time alone; undefined where it is not in it. */
  #leavesAtMs(protection: ProtectionFact, record: FailoverRecord): number | undefined {
    const { index, pods, vmis } = this.#turn.snapshot;
    const vmi = vmis.get(protection.vmKey);
    let unschedulable = false;
    for (const key of index.podsByVM.get(protection.vmKey) ?? []) {
      const pod = pods.get(key);
      if (pod?.nodeName === record.fromNode && !pod.finished) return undefined;
      if (pod?.vmiUID === vmi?.uid && pod?.unschedulable !== undefined) unschedulable = true;
    }
    const { restartSlotMs } = this.#turn.policy;
    if (vmi === undefined || vmi.uid === record.vmiUID) {
      const gone = index.podsGone.get(protection.vmKey);
      return gone?.node === record.fromNode ? gone.at.monotonicMs + restartSlotMs : undefined;
    }
    if (unschedulable || (vmi.phase !== "Pending" && vmi.phase !== "Scheduling")) return undefined;
    return vmi.firstSeenMs + restartSlotMs;
  }
}
