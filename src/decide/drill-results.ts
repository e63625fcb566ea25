// What a run of a drill came to: the VMs' own accounts and the probes as measures, and whether they keep the promise.
import {
  ACCOUNT_MEASURE,
  type DrillFact,
  type DrillMean,
  type DrillOutcome,
  type DrillProbing,
  type DrillRun,
  type DrillRunResult,
  type DrillStatistics,
  type NamedMeasure,
} from "../model/drill.ts";
import {
  drillSummary,
  judgeRuns,
  type MeasuredRun,
  measuredRun,
  type Summary,
} from "../model/drill-statistics.ts";
import { protectionOf, type Turn } from "./turn.ts";
import { wallMsOf } from "./text.ts";

/** All measures of a run: the accounts first, then each probe. Of several VMs the worst counts. */
export function measuresOf(
  turn: Turn,
  drill: DrillFact,
  { run, probing }: { readonly run: DrillRun; readonly probing: DrillProbing | undefined },
): readonly NamedMeasure[] {
  const measures = [named(ACCOUNT_MEASURE, accountMeasure(turn, run))];
  const { actedAt } = run;
  if (actedAt === undefined || probing?.results === undefined) return measures;
  const actedAtMs = turn.now.monotonicMs - (turn.now.wallMs - wallMsOf(actedAt));
  for (const { name } of drill.probes) {
    const ofVMs = probing.results
      .filter((one) => one.name === name)
      .map(({ facts }) => measuredRun(facts, actedAtMs - facts.startedAtMs));
    const worst = worstOf(ofVMs);
    if (worst !== undefined) measures.push(named(name, worst));
  }
  return measures;
}

function named(name: string, measured: MeasuredRun): NamedMeasure {
  const { convergenceMs, outageMs, longestOutageMs, ...rest } = measured;
  return {
    name,
    ...rest,
    outageMs: Math.round(outageMs),
    longestOutageMs: Math.round(longestOutageMs),
    ...(convergenceMs === undefined ? {} : { convergenceMs: Math.round(convergenceMs) }),
  };
}

/** By the outages in the VMs' accounts since the disturbance: what users of Kubernetes see. */
function accountMeasure(turn: Turn, run: DrillRun): MeasuredRun {
  const actedAtMs = wallMsOf(run.actedAt ?? run.startedAt);
  const ofVMs = run.virtualMachines.map(({ namespace, name }): MeasuredRun => {
    const account = protectionOf(turn.snapshot, `${namespace}/${name}`)?.status.availability;
    const lengths = (account?.recent ?? [])
      .map(({ since, until }) => wallMsOf(until) - Math.max(wallMsOf(since), actedAtMs))
      .filter((lengthMs) => lengthMs > 0);
    if (account?.open !== undefined)
      lengths.push(turn.now.wallMs - Math.max(wallMsOf(account.open.since), actedAtMs));
    return {
      sent: 0,
      lost: 0,
      skipped: 0,
      answeredBefore: true,
      outageMs: lengths.reduce((sum, lengthMs) => sum + lengthMs, 0),
      longestOutageMs: Math.max(0, ...lengths),
      convergenceMs: run.settledAt === undefined ? undefined : wallMsOf(run.settledAt) - actedAtMs,
      restored: account?.open === undefined && run.settledAt !== undefined,
    };
  });
  return (
    worstOf(ofVMs) ?? {
      sent: 0,
      lost: 0,
      skipped: 0,
      outageMs: 0,
      longestOutageMs: 0,
      convergenceMs: undefined,
      answeredBefore: true,
      restored: true,
    }
  );
}

/** Packets added up, and of every other figure the worst; undefined of none. */
function worstOf(all: readonly MeasuredRun[]): MeasuredRun | undefined {
  if (all.length === 0) return undefined;
  const sum = (of: (one: MeasuredRun) => number): number => all.reduce((total, one) => total + of(one), 0);
  const converged = all.flatMap(({ convergenceMs }) => convergenceMs ?? []);
  return {
    sent: sum(({ sent }) => sent),
    lost: sum(({ lost }) => lost),
    skipped: sum(({ skipped }) => skipped),
    outageMs: Math.max(...all.map(({ outageMs }) => outageMs)),
    longestOutageMs: Math.max(...all.map(({ longestOutageMs }) => longestOutageMs)),
    convergenceMs: converged.length < all.length ? undefined : Math.max(...converged),
    answeredBefore: all.every(({ answeredBefore }) => answeredBefore),
    restored: all.every(({ restored }) => restored),
  };
}

interface RunVerdict {
  readonly outcome: DrillOutcome;
  readonly reason: "PromiseKept" | "PromiseBroken" | "NotMeasured";
  readonly message: string;
}

const REASONS = {
  Passed: "PromiseKept",
  Failed: "PromiseBroken",
  Inconclusive: "NotMeasured",
} as const satisfies Partial<Record<DrillOutcome, RunVerdict["reason"]>>;

/** Whether one run kept the promise, by every measure. */
export function judgeRun(drill: DrillFact, measures: readonly NamedMeasure[]): RunVerdict {
  const verdicts = measures.map((measure) => ({
    name: measure.name,
    ...judgeRuns([unnamed(measure)], drill.promise),
  }));
  const worst =
    verdicts.find(({ result }) => result === "Failed") ??
    verdicts.find(({ result }) => result === "Inconclusive") ??
    verdicts.at(-1);
  if (worst === undefined)
    return { outcome: "Inconclusive", reason: "NotMeasured", message: "nothing was measured" };
  const { result, name, why } = worst;
  return { outcome: result, reason: REASONS[result], message: `by ${name}: ${why}` };
}

function unnamed({ name: _name, ...measure }: NamedMeasure): MeasuredRun {
  return { ...measure, convergenceMs: measure.convergenceMs };
}

/** Each measure over all runs in which it was taken. */
export function statisticsOf(runs: readonly DrillRunResult[]): readonly DrillStatistics[] {
  const byName = new Map<string, MeasuredRun[]>();
  for (const { measures } of runs) {
    for (const measure of measures) {
      const list = byName.get(measure.name) ?? [];
      byName.set(measure.name, list);
      list.push(unnamed(measure));
    }
  }
  return [...byName].flatMap(([name, measured]) => {
    const summary = drillSummary(measured);
    if (summary === undefined) return [];
    const { convergenceMs } = summary;
    return [
      {
        name,
        runs: summary.runs,
        sent: summary.sent,
        lost: summary.lost,
        outage: meanOf(summary.outageMs),
        longestOutageMs: Math.round(summary.longestOutageMs),
        ...(convergenceMs === undefined ? {} : { convergence: meanOf(convergenceMs) }),
        converged: summary.converged,
      },
    ];
  });
}

function meanOf({ mean, standardDeviation, confidence95 }: Summary): DrillMean {
  return {
    meanMs: Math.round(mean),
    ...(standardDeviation === undefined ? {} : { standardDeviationMs: Math.round(standardDeviation) }),
    ...(confidence95 === undefined
      ? {}
      : { lowMs: Math.round(confidence95.low), highMs: Math.round(confidence95.high) }),
  };
}
