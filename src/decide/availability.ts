// Keeps each VM's account: opens an outage at its beginning, closes it when the VM is really up, and works out the figures.
// Written when an outage begins, changes or ends, and at most once a day while one is in the window; never because time passed.
import { closeOutage, type Counting, countUntil, newAccount, openOutage } from "../model/account.ts";
import type { Account, OpenOutage } from "../model/availability.ts";
import type { AvailabilityStatus, OutageRecord, ProtectionFact } from "../model/protection.ts";
import type { VMIFact } from "../model/virtual-machine.ts";
import type { Records } from "./records.ts";
import { isInCharge, type Subject } from "./subject.ts";
import { shortHash, timestamp, wallMsOf } from "./text.ts";
import { type Down, type UpState, upStateOf } from "./up-state.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Over how many hours of a day the daily write of all VMs is spread. */
const SPREAD_HOURS = 20;
/** The daily write counts up to this long ago, since an outage may turn out to have begun before it was noticed. */
const SETTLED_AFTER_MS = HOUR_MS;

/** The account as it should stand now; the same object where nothing is new. */
export function nextAccount(subject: Subject, records: Records): AvailabilityStatus | undefined {
  const before = subject.protection.status.availability ?? inherited(subject);
  if (!isInCharge(subject)) return before;
  const { turn } = subject;
  const counting = countingOf(subject);
  const state = upStateOf(subject, records.failover);
  const begun = before ?? { ...newAccount(turn.now.wallMs) };
  const followed =
    state.kind === "up"
      ? whileUp(subject, begun, { records, state, counting })
      : whileDown(subject, begun, { state, counting });
  return isDaily(subject.protection, before, turn.now.wallMs)
    ? countUntil(followed, turn.now.wallMs - SETTLED_AFTER_MS, counting)
    : followed;
}

/** How this VM's time is counted. */
export function countingOf({ turn, protection }: Subject): Counting {
  return { rule: protection.availability, unobserved: turn.snapshot.unobserved };
}

/** The account of another HAVirtualMachine of the same VM that was in charge before: its history is the VM's. */
function inherited({ turn, protection }: Subject): AvailabilityStatus | undefined {
  for (const key of turn.snapshot.index.protectionsByVM.get(protection.vmKey) ?? []) {
    const account = turn.snapshot.protections.get(key)?.status.availability;
    if (account !== undefined) return account;
  }
  return undefined;
}

function whileDown(
  subject: Subject,
  account: Account,
  { state, counting }: { readonly state: Down; readonly counting: Counting },
): Account {
  const { open } = account;
  if (open === undefined) return openOutage(account, outageOf(subject, state));
  if (!state.certain || state.cause === open.cause) return account;
  // The loss of a node explains what was noticed of it before; anything else that is of the same kind is a detail.
  if (state.class === open.class)
    return state.cause === "NodeLost" ? { ...account, open: { ...open, cause: "NodeLost" } } : account;
  // A wish of somebody's does not end a failure before the VM was given up: Stopped, paused.
  const changes =
    state.cause === "Restarted" || state.cause === "Evacuation" ? open.class !== "Unplanned" : true;
  if (!changes) return account;
  // Only of a node do we learn late; a wish counts from when it is seen.
  const late = state.cause === "NodeLost" || state.cause === "NodeIsolated";
  const sinceMs = late ? state.sinceMs : subject.turn.now.wallMs;
  const closed = closeOutage(account, { atMs: sinceMs }, counting);
  return openOutage(closed, outageOf(subject, { ...state, sinceMs }));
}

function outageOf({ turn, protection, vmi }: Subject, state: Down): OpenOutage {
  const { status } = protection;
  const node = vmi?.nodeName ?? status.node;
  const vmiUID = status.failover?.vmiUID ?? vmi?.uid ?? status.vmiUID;
  return {
    cause: state.cause,
    class: state.class,
    since: timestamp(Math.min(state.sinceMs, turn.now.wallMs)),
    noticedAt: timestamp(turn.now.wallMs),
    ...(node === undefined ? {} : { node }),
    ...(vmiUID === undefined ? {} : { vmiUID }),
  };
}

function whileUp(
  subject: Subject,
  account: Account,
  {
    records,
    state,
    counting,
  }: {
    readonly records: Records;
    readonly state: Extract<UpState, { kind: "up" }>;
    readonly counting: Counting;
  },
): Account {
  const { open } = account;
  if (open === undefined) return missedRestart(subject, account, counting);
  const failedOver = newestFailover(subject.protection, records.outages);
  if (failedOver !== undefined) {
    const { readyAt } = failedOver;
    const byReady = subject.protection.availability.upWhen === "Ready" && readyAt !== undefined;
    const nowMs = subject.turn.now.wallMs;
    const atMs = byReady ? wallMsOf(readyAt) : endOf(wallMsOf(open.since), state, nowMs);
    return closeOutage(account, open.cause === "Drill" ? { atMs } : { atMs, cause: "NodeLost" }, counting);
  }
  const { vmi, turn } = subject;
  // Taken for lost, and the same guest still runs: nobody can say whether it was to be reached meanwhile.
  const survived = open.cause === "NodeLost" && vmi?.uid === open.vmiUID;
  const atMs = endOf(wallMsOf(open.since), state, turn.now.wallMs);
  return closeOutage(account, survived ? { atMs, class: "Unobserved" } : { atMs }, counting);
}

/** The facts' own moment where it lies in the outage, else now. */
function endOf(sinceMs: number, state: Extract<UpState, { kind: "up" }>, nowMs: number): number {
  return state.sinceMs > sinceMs && state.sinceMs <= nowMs ? state.sinceMs : nowMs;
}

/** The failover that has just ended with a restart. */
function newestFailover(
  { status }: ProtectionFact,
  outages: readonly OutageRecord[],
): OutageRecord | undefined {
  return outages[0] === status.outages[0] ? undefined : outages[0];
}

/** Another instance than the one we knew, and nobody saw the change: it was down at least while the new one came up. */
function missedRestart({ protection, vmi, turn }: Subject, account: Account, counting: Counting): Account {
  const known = protection.status.vmiUID;
  if (vmi === undefined || known === undefined || known === vmi.uid) return account;
  const fromMs = vmi.createdAtWallMs;
  const toMs = upFirstAtMs(protection, vmi);
  if (fromMs === undefined || toMs === undefined || fromMs < wallMsOf(account.until)) return account;
  const opened = openOutage(account, {
    cause: "Other",
    class: "Unplanned",
    since: timestamp(fromMs),
    noticedAt: timestamp(turn.now.wallMs),
    ...(protection.status.node === undefined ? {} : { node: protection.status.node }),
    vmiUID: known,
  });
  return closeOutage(opened, { atMs: toMs }, counting);
}

/** When an instance first was what the rule calls up; undefined where nobody knows. */
function upFirstAtMs({ availability }: ProtectionFact, vmi: VMIFact): number | undefined {
  const { readyAtWallMs, agentChangedAtWallMs } = vmi;
  if (availability.upWhen === "Ready" || readyAtWallMs === undefined) return readyAtWallMs;
  return agentChangedAtWallMs === undefined ? undefined : Math.max(readyAtWallMs, agentChangedAtWallMs);
}

/**
 * Whether the daily write is due: at an hour of the day that follows from the name, so that not all VMs are written at
 * midnight, and only for those that were ever down.
 */
export function isDaily(
  protection: ProtectionFact,
  account: AvailabilityStatus | undefined,
  nowMs: number,
): boolean {
  if (account?.figures === undefined || account.days.length === 0) return false;
  const hour = Number.parseInt(shortHash(protection.key).slice(-4), 16) % SPREAD_HOURS;
  const dueMs = (Math.floor(wallMsOf(account.figures.asOf) / DAY_MS) + 1) * DAY_MS + hour * HOUR_MS;
  return nowMs >= dueMs;
}
