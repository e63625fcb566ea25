// How a performed step ends, and the one place where a failed request becomes such an end.
import type { EffectFailure } from "./guarded-request.ts";

/**
 * `done`: it took effect. `unchanged`: the world was already so. `conflict`: the facts it was decided on are out of date,
 * the next turn decides anew. `retry`: nothing speaks against it, try the same step again. `refused`: somebody said no
 * (the server, or one of our own guards); trying the same again would get the same answer. `stale`: we do not lead.
 */
export type PerformedOutcome = "done" | "unchanged" | "conflict" | "retry" | "refused" | "stale";

export interface PerformedStep {
  readonly outcome: PerformedOutcome;
  /** Why, for people; the server's own words where it refused. */
  readonly detail?: string;
  /** Only with `retry`: not before this many milliseconds. */
  readonly retryAfterMs?: number;
}

/** Pause before a step is tried again where the server asked for none. */
export const RETRY_AFTER_MS = 1_000;

export const DONE: PerformedStep = { outcome: "done" };

/** An end with its reason. */
export function ended(outcome: Exclude<PerformedOutcome, "retry">, detail: string): PerformedStep {
  return { outcome, detail };
}

/** The retry policy of all steps: what a failed request means for the step that sent it. */
export function outcomeOf(failure: EffectFailure): PerformedStep {
  const detail = failure.message;
  switch (failure.kind) {
    case "conflict":
    // What the step was about is gone: the facts it was decided on are out of date.
    case "notFound":
      return ended("conflict", detail);
    case "alreadyExists":
      return ended("unchanged", detail);
    case "throttled":
    case "timeout":
    case "unreachable":
    case "serverError":
    case "gone":
      return retry(failure, detail);
    case "denied":
      // 401 heals by itself once the token is renewed; 403 needs a person.
      return failure.status === 401 ? retry(failure, detail) : ended("refused", detail);
    case "invalid":
    case "tooLarge":
    case "unexpected":
      return ended("refused", detail);
    case "aborted":
    case "stale":
      return ended("stale", detail);
  }
}

function retry(failure: EffectFailure, detail: string): PerformedStep {
  const askedMs = "retryAfterMs" in failure ? failure.retryAfterMs : undefined;
  return { outcome: "retry", detail, retryAfterMs: askedMs ?? RETRY_AFTER_MS };
}
