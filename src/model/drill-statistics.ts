// The arithmetic of drills: what one run's probe comes to, the mean of several with its confidence interval, and whether a
// promise held. Pure; knows neither how a probe was sent nor what disturbed the VM.
import type { ProbeFacts, TraceSlice } from "./service-probe.ts";

/** Several measurements of one thing. */
export interface Summary {
  readonly count: number;
  readonly mean: number;
  /** Of the sample (n - 1); undefined for fewer than two. */
  readonly standardDeviation: number | undefined;
  /** In which the true mean lies with 95 % confidence, by Student's t; undefined for fewer than two. */
  readonly confidence95: { readonly low: number; readonly high: number } | undefined;
}

/** Mean, deviation and interval; undefined of nothing. The interval of a duration may reach below 0: it is not clipped. */
export function summaryOf(values: readonly number[]): Summary | undefined {
  const count = values.length;
  if (count === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { count, mean, standardDeviation: undefined, confidence95: undefined };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const standardDeviation = Math.sqrt(variance);
  const half = (studentT95(count - 1) * standardDeviation) / Math.sqrt(count);
  return { count, mean, standardDeviation, confidence95: { low: mean - half, high: mean + half } };
}

/** 97.5 % quantiles of Student's t for 1 to 10 degrees of freedom, where the series below is not yet exact enough. */
const STUDENT_T: readonly number[] = [
  12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814,
];
const NORMAL_975 = 1.959963985;

/** The factor of a two-sided 95 % interval; four decimals are right. */
export function studentT95(degreesOfFreedom: number): number {
  const tabled = STUDENT_T[degreesOfFreedom - 1];
  if (tabled !== undefined) return tabled;
  // The expansion of the quantile around the normal one (Abramowitz and Stegun 26.7.5).
  const z = NORMAL_975;
  const n = degreesOfFreedom;
  return (
    z +
    (z ** 3 + z) / (4 * n) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * n ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * n ** 3)
  );
}

/** How long a VM must have been undisturbed for its state to count as stable. */
export const STABLE_FOR_MS = 2_000;

/** Latency may rise by this much above the undisturbed before it counts as disturbed: less is the jitter of a busy machine. */
export const LATENCY_BAND_MS = 50;

/** How many of the undisturbed slices' standard deviations are still within the band. */
const BAND_DEVIATIONS = 3;

/** What one run of a drill comes to, for one probe. Times in milliseconds. */
export interface MeasuredRun {
  readonly sent: number;
  readonly lost: number;
  readonly skipped: number;
  /** Time without the service after the disturbance, all outages together. */
  readonly outageMs: number;
  readonly longestOutageMs: number;
  /** From the disturbance until nothing was lost any more and latency was back in its band; undefined where neither is known to have come. */
  readonly convergenceMs: number | undefined;
  /** The service answered before the disturbance, so that silence afterwards means something. */
  readonly answeredBefore: boolean;
  /** It answers at the end. */
  readonly restored: boolean;
}

/** Reads one run from its trace; `disturbedAtMs` counts from the beginning of the trace, as all its times do. */
export function measuredRun(facts: ProbeFacts, disturbedAtMs: number): MeasuredRun {
  const lengths = facts.outages
    .map(({ startMs, endMs }) => endMs - Math.max(startMs, disturbedAtMs))
    .filter((lengthMs) => lengthMs > 0);
  const before = facts.slices.filter(({ startMs }) => startMs + facts.sliceMs <= disturbedAtMs);
  const received = (facts.transfer?.receivedBytes ?? 0) > 0;
  return {
    sent: facts.sent,
    lost: facts.lost,
    skipped: facts.skipped,
    outageMs: lengths.reduce((sum, lengthMs) => sum + lengthMs, 0),
    longestOutageMs: Math.max(0, ...lengths),
    convergenceMs: convergenceMs(facts, disturbedAtMs),
    answeredBefore: received || before.some(({ sent, lost }) => sent > lost),
    restored: facts.answered > 0 && facts.outages.every(({ ended }) => ended),
  };
}

/**
 * From the disturbance to the end of the last slice in which a question was lost, or in which latency was above the band
 * that the slices before the disturbance span. 0 where nothing was. Undefined where the trace ends sooner than
 * `STABLE_FOR_MS` after that: whether the state is stable is then not known.
 */
export function convergenceMs(facts: ProbeFacts, disturbedAtMs: number): number | undefined {
  const { slices, sliceMs, observedMs } = facts;
  const limitMs = latencyLimitMs(slices.filter(({ startMs }) => startMs + sliceMs <= disturbedAtMs));
  const unsettled = slices.findLast(
    ({ startMs, lost, meanLatencyMs }) =>
      startMs + sliceMs > disturbedAtMs && (lost > 0 || (meanLatencyMs ?? 0) > limitMs),
  );
  const lastOutageEndMs = Math.max(0, ...facts.outages.map(({ endMs }) => endMs));
  const sliceEndMs = unsettled === undefined ? 0 : Math.min(unsettled.startMs + sliceMs, observedMs);
  const settledAtMs = Math.max(disturbedAtMs, sliceEndMs, lastOutageEndMs);
  return observedMs - settledAtMs >= STABLE_FOR_MS ? settledAtMs - disturbedAtMs : undefined;
}

function latencyLimitMs(undisturbed: readonly TraceSlice[]): number {
  const usual = summaryOf(undisturbed.flatMap(({ meanLatencyMs }) => meanLatencyMs ?? []));
  if (usual === undefined) return Number.POSITIVE_INFINITY;
  return usual.mean + Math.max(LATENCY_BAND_MS, BAND_DEVIATIONS * (usual.standardDeviation ?? 0));
}

/** What was promised; what is left out is not asked for. */
export interface DrillPromise {
  /** Time without the service that one run may cost, all its outages together. */
  readonly outageBudgetMs?: number;
  /** Longest time after which the service must be back: no single outage may be longer. */
  readonly recoveryTimeMs?: number;
}

/** Several runs of one drill with one probe. */
export interface DrillSummary {
  readonly runs: number;
  readonly sent: number;
  readonly lost: number;
  /** Lost questions of a run. */
  readonly lostPerRun: Summary;
  readonly outageMs: Summary;
  readonly longestOutageMs: number;
  /** Of the runs that converged; undefined where none did. */
  readonly convergenceMs: Summary | undefined;
  readonly converged: number;
}

/** The runs together; undefined of none. */
export function drillSummary(runs: readonly MeasuredRun[]): DrillSummary | undefined {
  const lostPerRun = summaryOf(runs.map(({ lost }) => lost));
  const outageMs = summaryOf(runs.map((run) => run.outageMs));
  if (lostPerRun === undefined || outageMs === undefined) return undefined;
  const convergences = runs.flatMap((run) => run.convergenceMs ?? []);
  return {
    runs: runs.length,
    sent: runs.reduce((sum, { sent }) => sum + sent, 0),
    lost: runs.reduce((sum, { lost }) => sum + lost, 0),
    lostPerRun,
    outageMs,
    longestOutageMs: Math.max(...runs.map((run) => run.longestOutageMs)),
    convergenceMs: summaryOf(convergences),
    converged: convergences.length,
  };
}

/** `Inconclusive`: nothing broke the promise, yet not every run can be relied on to have kept it. `why` gives the numbers. */
export interface DrillVerdict {
  readonly result: "Passed" | "Failed" | "Inconclusive";
  readonly why: string;
}

/** Share of a run's questions that we may fail to send; with more, its silence may be our own. */
export const MAX_SKIPPED_SHARE = 0.1;

/**
 * Whether every run kept the promise. Not the mean: who was promised a minute is not helped by the others' seconds. A run
 * whose VM had not come back when the trace ended fails once its outage is longer than promised, and shows nothing before.
 * Without a promise all that is asked is that the service came back each time.
 */
export function judgeRuns(runs: readonly MeasuredRun[], promise: DrillPromise): DrillVerdict {
  const { outageBudgetMs, recoveryTimeMs } = promise;
  const promised = outageBudgetMs !== undefined || recoveryTimeMs !== undefined;
  const asked = runs.filter(({ answeredBefore }) => answeredBefore);
  const inRuns = (some: readonly MeasuredRun[]): string =>
    runs.length === 1 ? "" : `in ${some.length} of ${runs.length} runs `;
  const at = (ms: number): string => (runs.length === 1 ? `${ms} ms` : `at worst ${ms} ms`);
  const worstMs = Math.round(Math.max(0, ...asked.map(({ outageMs }) => outageMs)));
  const longestMs = Math.round(Math.max(0, ...asked.map((run) => run.longestOutageMs)));

  const overBudget = asked.filter(({ outageMs }) => outageMs > (outageBudgetMs ?? Number.POSITIVE_INFINITY));
  if (overBudget.length > 0)
    return {
      result: "Failed",
      why: `${inRuns(overBudget)}the service was away for more than ${outageBudgetMs} ms: ${at(worstMs)}`,
    };
  const late = asked.filter((run) => run.longestOutageMs > (recoveryTimeMs ?? Number.POSITIVE_INFINITY));
  if (late.length > 0)
    return {
      result: "Failed",
      why: `${inRuns(late)}the service needed more than ${recoveryTimeMs} ms to come back: ${at(longestMs)}`,
    };
  const gone = asked.filter(({ restored }) => !restored);
  if (gone.length > 0)
    return {
      result: promised ? "Inconclusive" : "Failed",
      why: `${inRuns(gone)}the service had not come back when probing ended`,
    };
  if (runs.length === 0) return { result: "Inconclusive", why: "no run was measured" };
  const silent = runs.filter(({ answeredBefore }) => !answeredBefore);
  if (silent.length > 0)
    return {
      result: "Inconclusive",
      why: `${inRuns(silent)}the service did not answer even before the disturbance`,
    };
  const blind = runs.filter(({ sent, skipped }) => skipped > (sent + skipped) * MAX_SKIPPED_SHARE);
  if (blind.length > 0)
    return {
      result: "Inconclusive",
      why: `${inRuns(blind)}more than ${MAX_SKIPPED_SHARE * 100} % of the questions could not be sent in time`,
    };
  return {
    result: "Passed",
    why: `the service was away for ${at(worstMs)}${runs.length === 1 ? "" : ` in ${runs.length} runs`}`,
  };
}
