// What one attempt changes in a ledger. Pure: a status goes in, the next status comes out.
import {
  type AttemptOutcome,
  type FencingAttempt,
  type FencingLevel,
  type FencingStatus,
  MAX_FENCING_ATTEMPTS,
} from "../model/fencing.ts";
import type { RecordedProof } from "../model/proof.ts";

/** How an attempt ended, as it goes on record. */
export interface AttemptEnd {
  readonly outcome: Exclude<AttemptOutcome, "Started">;
  /** What the device said or we saw, short and without secrets. */
  readonly answer: string;
  readonly powerState?: string;
  readonly seenOn?: boolean;
  readonly addresses?: readonly string[];
  /** Only with an observation that proves the incarnation over, or that the level accepts as if it did. */
  readonly proof?: Omit<RecordedProof, "attempt">;
}

export interface AttemptStart {
  readonly level: FencingLevel;
  readonly epoch: number;
  /** RFC 3339. */
  readonly at: string;
}

/** Longest answer kept; the CRD refuses one longer than 512 characters. */
const MAX_ANSWER_CHARS = 300;
/** Longest power state kept, for the same reason; several devices tell theirs in one. */
const MAX_POWER_STATE_CHARS = 250;
/** Longest detail of a proof kept, for the same reason. */
export const MAX_DETAIL_CHARS = 500;

const LEADER_CHANGED = "the leader changed before it knew the outcome";
const REPLACED = "given up before its outcome was known";

/** The number of the attempt that is still open, undefined where none is. Only the newest can be. */
export function openAttempt(status: FencingStatus): FencingAttempt | undefined {
  const last = status.attempts.at(-1);
  return last?.outcome === "Started" ? last : undefined;
}

/** Number of the next attempt. */
export function nextNumber(status: FencingStatus): number {
  return (status.attempts.at(-1)?.number ?? 0) + 1;
}

/** Puts a new attempt on record as started; one left open is closed as abandoned in the same write. */
export function startAttempt(status: FencingStatus, start: AttemptStart): FencingStatus {
  const attempt: FencingAttempt = {
    number: nextNumber(status),
    level: start.level.name,
    method: start.level.method,
    epoch: start.epoch,
    startedAt: start.at,
    outcome: "Started",
    ...remediationOf(start.level),
  };
  const attempts = [...abandonOpen(status, start.epoch, start.at), attempt];
  // What this attempt has made by others is to be undone again, whatever was undone before.
  const { remediationsLiftedAt: _lifted, storageUnfencedAt: _unfenced, ...standing } = status;
  return { ...standing, phase: "Fencing", attempts: attempts.slice(-MAX_FENCING_ATTEMPTS) };
}

function remediationOf(level: FencingLevel): Pick<FencingAttempt, "remediation"> {
  if (level.method !== "Remediation") return {};
  const { apiVersion, kind, namespace } = level.remediation.template;
  const made = { apiVersion, kind: kind.replace(/Template$/, "") };
  return { remediation: namespace === undefined ? made : { ...made, namespace } };
}

/** Writes the end of attempt `number` down and, where it proved the node off, the proof with it. A proof that stands stays. */
export function endAttempt(
  status: FencingStatus,
  number: number,
  end: AttemptEnd,
  at: string,
): FencingStatus {
  const attempts = status.attempts.map((attempt) =>
    attempt.number === number ? { ...attempt, ...endFields(end, at) } : attempt,
  );
  const closed = { ...status, attempts };
  if (end.proof === undefined || status.proof !== undefined) return closed;
  return { ...closed, phase: "Fenced", proof: { ...end.proof, attempt: number } };
}

/** Closes an attempt that nobody will finish any more, without making a new one. */
export function abandonAttempt(status: FencingStatus, answer: string, at: string): FencingStatus {
  const open = openAttempt(status);
  return open === undefined ? status : endAttempt(status, open.number, { outcome: "Abandoned", answer }, at);
}

function abandonOpen(status: FencingStatus, epoch: number, at: string): readonly FencingAttempt[] {
  const open = openAttempt(status);
  if (open === undefined) return status.attempts;
  return abandonAttempt(status, open.epoch < epoch ? LEADER_CHANGED : REPLACED, at).attempts;
}

function endFields(end: AttemptEnd, at: string): Partial<FencingAttempt> & Pick<FencingAttempt, "outcome"> {
  return {
    outcome: end.outcome,
    endedAt: at,
    answer: end.answer.slice(0, MAX_ANSWER_CHARS),
    ...(end.powerState === undefined ? {} : { powerState: end.powerState.slice(0, MAX_POWER_STATE_CHARS) }),
    ...(end.seenOn === true ? { seenOn: true } : {}),
    ...(end.addresses === undefined ? {} : { addresses: end.addresses }),
  };
}
