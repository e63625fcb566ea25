// Puts the end of an attempt on record. Others may write the ledger meanwhile, so it insists; but only while the attempt
// is still ours to end.
import { timestampOf } from "./wall-time.ts";
import type { FencingStatus } from "../model/fencing.ts";
import type { ActContext } from "./context.ts";
import { pause } from "./fence/call-deadline.ts";
import { type AttemptEnd, endAttempt } from "./fencing-attempt.ts";
import { type Ledger, olderThan, readLedger, writeLedger } from "./fencing-ledger.ts";
import type { EffectFailure } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";

/** How often the end is written before it is left to the next turn, which then reads the device again. */
const MAX_RECORD_TRIES = 5;
/** Pause before the next try where the API server did not answer well; doubles each time. */
const RECORD_PAUSE_MS = 200;

export interface AttemptResult {
  readonly number: number;
  readonly end: AttemptEnd;
}

/** Writes the end onto the newest ledger, again where a write was lost or came too late; never over a newer leader's. */
export async function recordEnd(
  context: ActContext,
  started: Ledger,
  result: AttemptResult,
): Promise<PerformedStep> {
  const at = timestampOf(context.clock.now().wallMs);
  let ledger = started;
  let last: EffectFailure | undefined;
  for (let tries = 0; tries < MAX_RECORD_TRIES; tries++) {
    if (last !== undefined) {
      if (last.kind !== "conflict") await pauseBefore(tries, context);
      const fresh = await readLedger(context, started.name);
      if (!fresh.ok) {
        if (!worthAnother(fresh)) return outcomeOf(fresh);
        last = fresh;
        continue;
      }
      const verdict = stillOurs(fresh.value, started, result, context);
      if (verdict !== undefined) return verdict;
      ledger = fresh.value;
    }
    const written = await writeLedger(
      context,
      ledger,
      endAttempt(ledger.status, result.number, result.end, at),
    );
    if (written.ok) return recorded(result, written.value.status);
    if (!worthAnother(written)) return outcomeOf(written);
    last = written;
  }
  return last === undefined ? DONE : outcomeOf(last);
}

/** Why the attempt is no longer ours to end; undefined while it is. */
function stillOurs(
  fresh: Ledger,
  started: Ledger,
  result: AttemptResult,
  context: ActContext,
): PerformedStep | undefined {
  const refusal = olderThan(fresh, context);
  if (refusal !== undefined) return refusal;
  if (fresh.uid !== started.uid) return ended("conflict", "the ledger was deleted and made anew");
  const { phase } = fresh.status;
  if (phase === "Returned" || phase === "Aborted")
    return ended("conflict", `the ledger was closed: ${phase}`);
  const attempt = fresh.status.attempts.find((one) => one.number === result.number);
  if (attempt === undefined) return ended("conflict", `attempt ${result.number} is no longer on record`);
  if (attempt.epoch !== context.leadership.epoch) return ended("conflict", "the attempt is another leader's");
  // An earlier write of ours arrived although its answer did not.
  return attempt.outcome === "Started" ? undefined : recorded(result, fresh.status);
}

function recorded(result: AttemptResult, status: FencingStatus): PerformedStep {
  if (status.proof?.attempt === result.number) return DONE;
  return ended("refused", `${result.end.outcome}: ${result.end.answer}`);
}

/** Whether the same write may yet succeed: somebody was faster, or the server was not heard. */
function worthAnother(failure: EffectFailure): boolean {
  const { outcome } = outcomeOf(failure);
  return failure.kind === "conflict" || outcome === "retry";
}

function pauseBefore(tries: number, context: ActContext): Promise<void> {
  const delayMs = RECORD_PAUSE_MS * 2 ** (tries - 1);
  return pause(context.clock, delayMs, context.leadership.signal);
}
