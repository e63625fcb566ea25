// One attempt to fence one node with one device: on record before the device is asked, and its end on record after.
//
//   intent       ledger: attempt n, Started, our epoch      compare-and-swap; nothing is asked of the device before
//   effect       read, look for life, request, read back    powerOff(); no request without a fresh look at the node
//   confirmation ledger: the end of attempt n, and the proof compare-and-swap; repeated, for a proof must not be lost
//
// Guarantees: whatever stops us between two requests, no power request was made that is not on record, and no proof
// stands that two readings of Off did not make. Assumptions: only one step at a time works on a node (the queue's key).
import { isClosed, isExternal, type PowerLevel } from "../model/fencing.ts";
import type { FenceStep } from "../model/plan.ts";
import { timestampOf } from "./wall-time.ts";
import type { ActContext } from "./context.ts";
import { readAccess, wrongSystem } from "./device-access.ts";
import { addressDigests } from "./device-addresses.ts";
import { recordEnd } from "./attempt-record.ts";
import type { FenceDevice, SystemIdentity } from "./fence/fence-device.ts";
import type { NotOffKind, OffResult, PowerOffResult } from "./fence/power-off-result.ts";
import { powerOff } from "./fence/power-off.ts";
import { tryExternal } from "./external-attempt.ts";
import {
  abandonAttempt,
  type AttemptEnd,
  endAttempt,
  MAX_DETAIL_CHARS,
  nextNumber,
  openAttempt,
  startAttempt,
} from "./fencing-attempt.ts";
import { type Ledger, ledgerOf, olderThan, readLedger, writeLedger } from "./fencing-ledger.ts";
import type { FreshNode } from "./fresh-nodes.ts";
import { timingsOf } from "./level-timings.ts";
import { confirmAfterMs, whyDoubted } from "./off-voucher.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { lookForIncarnation, lookForLife, lookForSilence, lookPatiently } from "./sign-of-life.ts";

/** What came of asking the device. `stale`: we no longer lead, so nothing may be written either. */
type Trial =
  | { readonly kind: "ended"; readonly end: AttemptEnd }
  | { readonly kind: "stale"; readonly why: string };

/** `done` where a proof now stands; `refused`, with the reason, where the attempt ended without one and is on record so. */
export async function performFence(step: FenceStep, context: ActContext): Promise<PerformedStep> {
  const { fencing } = step;
  const refusal = olderThan(ledgerOf(fencing), context);
  if (refusal !== undefined) return refusal;
  if (isClosed(fencing)) return ended("unchanged", `the ledger is closed: ${fencing.status.phase}`);
  if (fencing.status.proof !== undefined) return ended("unchanged", "a proof stands already");
  return step.mayPowerOff ? attempt(step, context) : look(step, context);
}

async function attempt(step: FenceStep, context: ActContext): Promise<PerformedStep> {
  const before = ledgerOf(step.fencing);
  const number = nextNumber(before.status);
  const start = { level: step.level, epoch: context.leadership.epoch, at: now(context) };
  const started = await writeLedger(context, before, startAttempt(before.status, start));
  if (!started.ok) return outcomeOf(started);
  return withTrial(step, context, (trial) => recordEnd(context, started.value, { number, end: trial }));
}

/**
 * Only reads the state. Nothing goes on record unless it is proven off, or an attempt was left open by somebody who went
 * away: that is then closed, since nobody else would.
 */
async function look(step: FenceStep, context: ActContext): Promise<PerformedStep> {
  const before = ledgerOf(step.fencing);
  return withTrial(step, context, async (end) => {
    const status =
      end.proof === undefined ? closedByLook(before, end, context) : provenByLook(step, end, context);
    if (status === undefined) return ended("unchanged", `${end.outcome}: ${end.answer}`);
    const written = await writeLedger(context, before, status);
    if (!written.ok) return outcomeOf(written);
    return end.proof === undefined ? ended("refused", `${end.outcome}: ${end.answer}`) : DONE;
  });
}

function closedByLook(before: Ledger, end: AttemptEnd, context: ActContext) {
  if (openAttempt(before.status) === undefined) return undefined;
  return abandonAttempt(before.status, `left open; then: ${end.answer}`, now(context));
}

function provenByLook(step: FenceStep, end: AttemptEnd, context: ActContext) {
  const { status } = step.fencing;
  const start = { level: step.level, epoch: context.leadership.epoch, at: now(context) };
  return endAttempt(startAttempt(status, start), nextNumber(status), end, now(context));
}

/** Asks the device and hands the end over; the device is given back only after that, since a proof has no time to lose. */
async function withTrial(
  step: FenceStep,
  context: ActContext,
  record: (end: AttemptEnd) => Promise<PerformedStep>,
): Promise<PerformedStep> {
  const { level } = step;
  if (isExternal(level)) {
    const trial = await tryExternal({ ...step, level }, () => whySpared(step, context), context);
    return trial.kind === "stale" ? ended("stale", trial.why) : record(trial.end);
  }
  const readied = await readAccess(context, level, step.fencing.nodeName);
  if (!readied.ok) {
    const { failure } = readied;
    if (failure?.kind === "stale" || failure?.kind === "aborted") return ended("stale", failure.message);
    return record(readied.end);
  }
  const device = context.openDevice(readied.access, context.clock);
  try {
    const target = { device, node: readied.node, addresses: addressDigests(readied.access) };
    const trial = await tryDevice({ ...step, level }, target, context);
    return trial.kind === "stale" ? ended("stale", trial.why) : await record(trial.end);
  } finally {
    // Bounded and never failing by contract; the next step does not wait for a session's deletion.
    void device.close();
  }
}

/** One opened device and the node that it is to cut. */
interface Target {
  readonly device: FenceDevice;
  readonly node: FreshNode;
  readonly addresses: readonly string[];
}

async function tryDevice(
  step: FenceStep & { readonly level: PowerLevel },
  target: Target,
  context: ActContext,
): Promise<Trial> {
  const { fencing, level } = step;
  let spared: string | undefined;
  let doubt: string | undefined;
  const waitMs = confirmAfterMs(target.node, level);
  const result = await powerOff(target.device, {
    clock: context.clock,
    deadlineMs: level.timeoutMs,
    signal: context.leadership.signal,
    timings: { ...timingsOf(level), ...(waitMs === undefined ? {} : { confirmUnexplainedAfterMs: waitMs }) },
    wrongSystem: (identity) => wrongSystem(identity, target.node),
    vouchesForOff: ({ identity }) => {
      doubt = whyDoubted(identity, { step, ...target });
      return doubt === undefined;
    },
    beforeRequest: async () => {
      spared = step.mayPowerOff ? await whySpared(step, context) : "only the state was to be read";
      return spared === undefined;
    },
    onProgress: (progress) => {
      context.log.info({ node: fencing.nodeName, level: level.name, ...progress }, "fence device");
    },
  });
  return result.outcome === "off"
    ? confirm(step, { result, label: target.device.label }, context)
    : { kind: "ended", end: endWithoutProof(result, doubt ?? spared, target.addresses) };
}

/**
 * Asked right before each request: whether the node lives after all, whether somebody has disarmed fencing meanwhile, and
 * whether the attempt is still on record: who deletes or closes the ledger calls it off.
 */
async function whySpared(step: FenceStep, context: ActContext): Promise<string | undefined> {
  const [offRecord, found, disarm] = await Promise.all([
    whyOffRecord(step, context),
    step.fencing.requested === true
      ? lookForIncarnation(step.fencing, context)
      : lookForLife(step.fencing, context),
    context.facts.disarmedBy(step.fencing.nodeName),
  ]);
  if (!disarm.ok) return `whether fencing is disarmed could not be read: ${disarm.message}`;
  if (disarm.value !== undefined) return disarm.value;
  if (offRecord !== undefined) return offRecord;
  switch (found.kind) {
    case "silent":
      return undefined;
    case "gone":
      return `the Node object of ${step.fencing.nodeName} is gone, so its machine may be another's by now`;
    case "alive":
    case "unread":
    case "stale":
      return found.why;
  }
}

async function whyOffRecord({ fencing }: FenceStep, context: ActContext): Promise<string | undefined> {
  const about = `NodeFencing ${fencing.name}`;
  const read = await readLedger(context, fencing.name);
  if (!read.ok)
    return read.kind === "notFound"
      ? `${about} was deleted, and with it the record of this attempt`
      : `${about} could not be read: ${read.message}`;
  const { uid, status } = read.value;
  if (uid !== fencing.uid) return `${about} was deleted and made anew`;
  if (status.phase === "Returned" || status.phase === "Aborted")
    return `${about} was closed: ${status.phase}`;
  return openAttempt(status)?.epoch === context.leadership.epoch
    ? undefined
    : `${about} says nothing of an attempt of ours that is under way`;
}

/**
 * The device says Off; what does the cluster say? An incarnation that was heard of meanwhile is not proven dead by a
 * device that may be another machine's. A look that keeps failing leaves no proof either: the next attempt reads Off again.
 */
async function confirm(
  step: FenceStep,
  off: { readonly result: OffResult; readonly label: string },
  context: ActContext,
): Promise<Trial> {
  let found = await lookPatiently(step.fencing, context);
  // It was asked for while the node lived: that it was heard a moment ago is no surprise, but it must fall silent now.
  if (found.kind === "alive" && step.fencing.requested === true)
    found = await lookForSilence(step.fencing, off.result.readings[0].at.monotonicMs, context);
  if (found.kind === "stale") return { kind: "stale", why: found.why };
  if (found.kind === "alive" || found.kind === "unread") {
    const answer = `the device says Off, yet ${found.why}`;
    return { kind: "ended", end: { outcome: "Abandoned", answer, powerState: "Off" } };
  }
  const { result, label } = off;
  const [first, second] = result.readings;
  const detail = `${label}: power state Off, read twice (${timestampOf(first.at.wallMs)}, ${timestampOf(second.at.wallMs)}); ${identityText(second.identity)}`;
  return {
    kind: "ended",
    end: {
      outcome: result.how,
      answer: `Off, read twice; ${result.requests} requests`,
      powerState: "Off",
      seenOn: result.seenOn,
      proof: {
        type: "PowerOff",
        bootID: step.fencing.bootID,
        observedAt: timestampOf(second.at.wallMs),
        detail: detail.slice(0, MAX_DETAIL_CHARS),
      },
    },
  };
}

const END_OF: Readonly<Record<NotOffKind, AttemptEnd["outcome"]>> = {
  refused: "Refused",
  timeout: "TimedOut",
  unreachable: "Unreachable",
  denied: "Denied",
  stillOn: "StillOn",
  abandoned: "Abandoned",
  misconfigured: "Misconfigured",
  doubted: "Doubted",
};

function endWithoutProof(
  result: Exclude<PowerOffResult, OffResult>,
  why: string | undefined,
  addresses: readonly string[],
): AttemptEnd {
  const isOurs = result.kind === "abandoned" || result.kind === "doubted";
  return {
    outcome: END_OF[result.kind],
    answer: isOurs && why !== undefined ? why : result.message,
    ...(result.lastState === undefined ? {} : { powerState: result.lastMixed ?? result.lastState }),
    seenOn: result.seenOn,
    ...(result.kind === "doubted" ? { addresses } : {}),
  };
}

/** Which machine it was that answered, for whoever doubts the wiring later. */
function identityText(identity: SystemIdentity): string {
  const known = [
    `system ${identity.path}`,
    identity.hostName && `host name ${identity.hostName}`,
    identity.uuid && `UUID ${identity.uuid}`,
    identity.serialNumber && `serial number ${identity.serialNumber}`,
  ];
  return known.filter(Boolean).join(", ");
}

function now(context: ActContext): string {
  return timestampOf(context.clock.now().wallMs);
}
