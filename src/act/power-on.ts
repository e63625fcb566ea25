// Switches a fenced node on again, once its VMs are released. Writes nothing: the request is on record already.
import { isClosed } from "../model/fencing.ts";
import type { PowerOnStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { readAccess, wrongSystem } from "./device-access.ts";
import { CallDeadline, pause } from "./fence/call-deadline.ts";
import type { FenceDevice, PowerReading } from "./fence/fence-device.ts";
import { ledgerOf, olderThan } from "./fencing-ledger.ts";
import type { FreshNode } from "./fresh-nodes.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";

/** Between two looks at a machine that is starting. */
const POLL_MS = 1_000;
/** Longest single reading or request, within the level's own timeout. */
const CALL_DEADLINE_MS = 10_000;

/** Asks for power only where the state read back is Off; anything else is somebody else's doing and is left alone. */
export async function performPowerOn(step: PowerOnStep, context: ActContext): Promise<PerformedStep> {
  const { fencing, level } = step;
  const refusal = olderThan(ledgerOf(fencing), context);
  if (refusal !== undefined) return refusal;
  if (isClosed(fencing)) return ended("unchanged", `the ledger is closed: ${fencing.status.phase}`);
  const readied = await readAccess(context, level, fencing.nodeName);
  if (!readied.ok) {
    return readied.failure === undefined ? ended("refused", readied.end.answer) : outcomeOf(readied.failure);
  }
  const device = context.openDevice(readied.access, context.clock);
  const deadline = new CallDeadline(context.clock, {
    deadlineMs: level.timeoutMs,
    signal: context.leadership.signal,
  });
  try {
    return await switchOn({ device, deadline, node: readied.node }, context);
  } finally {
    deadline.end();
    void device.close();
  }
}

interface Target {
  readonly device: FenceDevice;
  readonly deadline: CallDeadline;
  readonly node: FreshNode;
}

async function switchOn(target: Target, context: ActContext): Promise<PerformedStep> {
  const before = await readState(target);
  if (!before.ok) return ended("refused", before.message);
  const wrong = wrongSystem(before.identity, target.node);
  if (wrong !== undefined) return ended("refused", wrong);
  if (before.state !== "Off") return ended("unchanged", `the device says ${before.mixed ?? before.state}`);
  if (!context.leadership.valid()) return ended("stale", "leadership has ended");
  const answer = await target.device.requestOn(callOf(target));
  context.log.info(
    { node: target.node.name, answer: answer.kind, message: answer.message },
    "asked to power on",
  );
  return untilOn(target, answer.message, context);
}

/** Whatever the device answered, only the state read back counts. */
async function untilOn(target: Target, said: string, context: ActContext): Promise<PerformedStep> {
  let last = said;
  while (!target.deadline.signal.aborted) {
    const reading = await readState(target);
    if (reading.ok && reading.state === "On" && reading.mixed === undefined) return DONE;
    last = reading.ok ? `the device says ${reading.mixed ?? reading.state}` : reading.message;
    await pause(context.clock, POLL_MS, target.deadline.signal);
  }
  if (!context.leadership.valid()) return ended("stale", "leadership has ended");
  return ended("refused", `not on within ${target.deadline.deadlineMs} ms: ${last}`);
}

function readState(target: Target): Promise<PowerReading> {
  return target.device.readPower(callOf(target));
}

function callOf(target: Target) {
  const deadlineMs = Math.min(CALL_DEADLINE_MS, target.deadline.remainingMs());
  return { deadlineMs, signal: target.deadline.signal };
}
