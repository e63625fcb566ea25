// Whether a VM is up now, and if not, since when and why: from facts alone. Knows nothing of accounts.
import type { OutageCause, OutageClass } from "../model/availability.ts";
import type { FailoverRecord, ProtectionStatus } from "../model/protection.ts";
import { isFinal, type VMIFact } from "../model/virtual-machine.ts";
import { isToBeEmptied } from "./evacuation.ts";
import { lastHeardWallMs } from "./judge-node.ts";
import type { Subject } from "./subject.ts";
import { wallMsOf } from "./text.ts";

export interface Down {
  readonly kind: "down";
  readonly cause: OutageCause;
  readonly class: OutageClass;
  /** Wall time of the last moment at which it was known to be up, as far as the facts tell. */
  readonly sinceMs: number;
  /**
   * Whether the facts name the cause by themselves. Where not (it is on its way up, or simply not there), an outage that
   * is under way goes on with its own.
   */
  readonly certain: boolean;
}

export type UpState = { readonly kind: "up"; readonly sinceMs: number } | Down;

/** KubeVirt's own short pause in a live migration is part of the migration. */
const PAUSED_BY_MIGRATION = "PausedByMigrationMonitor";

/**
 * Up: its instance runs, is ready, is not paused, and its node is not lost; `failover` is the record as it now stands.
 * What takes it down while a drill disturbs it counts as the drill's doing: nobody could tell the two apart.
 */
export function upStateOf(subject: Subject, failover: FailoverRecord | undefined): UpState {
  const state = withoutDrill(subject, failover);
  const isDrilled = subject.turn.drilled.has(subject.protection.vmKey);
  return state.kind === "down" && state.class === "Unplanned" && isDrilled
    ? { ...state, cause: "Drill", class: "Planned" }
    : state;
}

function withoutDrill(subject: Subject, failover: FailoverRecord | undefined): UpState {
  const { turn, vm, vmi } = subject;
  const nowMs = turn.now.wallMs;
  if (failover !== undefined) return down("NodeLost", "Unplanned", wallMsOf(failover.lastGoodAt));
  if (vm === undefined || vm.deleting) return down("Stopped", "Planned", nowMs);
  if (vmi === undefined || isFinal(vmi)) return notThere(subject);
  const silent = nodeTrouble(subject, vmi);
  if (silent !== undefined) return silent;
  if (vmi.paused !== undefined && vmi.paused !== PAUSED_BY_MIGRATION) {
    const byUser = vmi.paused === "PausedByUser";
    return byUser ? down("PausedByUser", "Planned", nowMs) : down("PausedByError", "Unplanned", nowMs);
  }
  const guest = guestOf(subject, vmi);
  if (vmi.phase === "Running" && guest.up) return { kind: "up", sinceMs: guest.sinceMs ?? nowMs };
  const sinceMs = guest.sinceMs ?? nowMs;
  if (isEvacuated(subject)) return down("Evacuation", "Planned", sinceMs);
  if (vm.runStrategy === "Halted") return down("Stopped", "Planned", sinceMs);
  if (vmi.deleting) return down("Restarted", "Planned", sinceMs);
  return { ...down("NotReady", "Unplanned", sinceMs), certain: false };
}

function down(cause: OutageCause, kind: OutageClass, sinceMs: number): Down {
  return { kind: "down", cause, class: kind, sinceMs, certain: true };
}

/**
 * Whether the guest does what the rule asks of it, and since when: up since the last of its signs came, down since the first
 * of those that are missing went. A readiness probe is part of Ready.
 */
function guestOf(
  { protection }: Subject,
  vmi: VMIFact,
): { readonly up: boolean; readonly sinceMs: number | undefined } {
  const { ready, readyChangedAtWallMs, readyAtWallMs, agentConnected, agentChangedAtWallMs } = vmi;
  if (protection.availability.upWhen === "Ready")
    return { up: ready, sinceMs: ready ? (readyChangedAtWallMs ?? readyAtWallMs) : readyChangedAtWallMs };
  const known = (times: readonly (number | undefined)[]): number[] => times.flatMap((ms) => ms ?? []);
  if (ready && agentConnected) {
    const came = known([readyChangedAtWallMs ?? readyAtWallMs, agentChangedAtWallMs]);
    return { up: true, sinceMs: came.length === 0 ? undefined : Math.max(...came) };
  }
  const went = known([
    ready ? undefined : readyChangedAtWallMs,
    agentConnected ? undefined : agentChangedAtWallMs,
  ]);
  return { up: false, sinceMs: went.length === 0 ? undefined : Math.min(...went) };
}

function nodeTrouble({ turn }: Subject, { nodeName }: VMIFact): Down | undefined {
  if (nodeName === undefined) return undefined;
  const verdict = turn.verdicts.get(nodeName)?.kind;
  const heardMs = lastHeardWallMs(turn.snapshot, nodeName, turn.now);
  if (verdict === "lost" || verdict === "returning") return down("NodeLost", "Unplanned", heardMs);
  // Its guests may well run: whoever calls them down or up would only guess.
  if (verdict === "isolated" || verdict === undefined || verdict === "unknown")
    return down("NodeIsolated", "Unobserved", heardMs);
  return undefined;
}

/** There is no instance, or one that has ended. */
function notThere(subject: Subject): Down {
  const { turn, vm, vmi } = subject;
  const nowMs = turn.now.wallMs;
  if (isEvacuated(subject)) return down("Evacuation", "Planned", nowMs);
  if (vm?.runStrategy === "Halted") return down("Stopped", "Planned", nowMs);
  const always = vm?.runStrategy === "Always";
  const uncertain = (cause: OutageCause, kind: OutageClass): Down => ({
    ...down(cause, kind, nowMs),
    certain: false,
  });
  if (vmi?.phase === "Failed") return uncertain("GuestFailed", "Unplanned");
  if (vmi?.phase === "Succeeded")
    return always ? uncertain("GuestShutdown", "Unplanned") : uncertain("Stopped", "Planned");
  // Where nothing else is known: KubeVirt keeps an instance for Always, and for the others somebody has to ask for one.
  return always ? uncertain("Other", "Unplanned") : uncertain("Stopped", "Planned");
}

/** It goes down because its node is being emptied. */
function isEvacuated({ turn, protection, vmi }: Subject): boolean {
  const { evacuation, node }: ProtectionStatus = protection.status;
  const name = vmi?.nodeName ?? evacuation?.fromNode ?? node;
  const fact = name === undefined ? undefined : turn.snapshot.nodes.get(name);
  if (fact === undefined || !isToBeEmptied(turn, fact)) return false;
  return evacuation?.phase === "Restarting" || vmi === undefined || vmi.deleting || isFinal(vmi);
}
