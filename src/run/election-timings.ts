// The three durations of a leader election, and the relations between them that its safety rests on.

export interface ElectionTimings {
  /** How long a stand-by must see the Lease unchanged before it may take it. */
  readonly leaseDurationMs: number;
  /** How long a leader stays leader after the last renewal that it knows to have succeeded. */
  readonly renewDeadlineMs: number;
  /** How often a leader renews; also how long one call may take at first. */
  readonly retryPeriodMs: number;
}

/** Take-over after a crash within 11 s (10 s plus one look of a stand-by), three tries to renew before giving up. */
export const DEFAULT_ELECTION_TIMINGS: ElectionTimings = {
  leaseDurationMs: 10_000,
  renewDeadlineMs: 7_000,
  retryPeriodMs: 2_000,
};

/** A renewal may come this much later than its period, so the renew deadline must leave more room than that. */
export const RETRY_JITTER = 1.2;

/** A Lease that asks for more than this is not believed: a mistaken edit must not leave the cluster without a leader. */
export const MAX_LEASE_DURATION_MS = 300_000;

/** Returns what is wrong with the timings, or undefined. The lease outliving the renew deadline is what keeps two leaders apart. */
export function electionTimingsProblem(timings: ElectionTimings): string | undefined {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = timings;
  if (retryPeriodMs <= 0) return "the retry period must be longer than 0";
  if (renewDeadlineMs <= retryPeriodMs * RETRY_JITTER)
    return `the renew deadline (${renewDeadlineMs} ms) must be longer than ${RETRY_JITTER} retry periods (${retryPeriodMs} ms each)`;
  if (leaseDurationMs <= renewDeadlineMs)
    return `the lease duration (${leaseDurationMs} ms) must be longer than the renew deadline (${renewDeadlineMs} ms)`;
  if (leaseDurationMs > MAX_LEASE_DURATION_MS)
    return `the lease duration (${leaseDurationMs} ms) must be at most ${MAX_LEASE_DURATION_MS} ms`;
  return undefined;
}
