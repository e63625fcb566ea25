// How a failover's outage divides into phases, from the times its record holds; sums and means over many. Pure arithmetic.
import type { Span } from "./availability.ts";
import { wallMsOf } from "./wall-time.ts";

/** In the order in which they follow each other, from the last moment known good to ready. */
export const OUTAGE_PHASES = ["detect", "fence", "release", "schedule", "boot", "ready"] as const;
export type OutagePhase = (typeof OUTAGE_PHASES)[number];

/** When each phase began or ended, as timestamps; those that are unknown, or not yet, are left out. */
export interface OutageMarks {
  readonly lastGoodAt: string;
  readonly lostAt: string;
  readonly provedAt?: string;
  readonly releasedAt?: string;
  readonly scheduledAt?: string;
  readonly runningAt?: string;
  readonly readyAt?: string;
}

/** Phases of several failovers together; those that none of them had are left out. */
export interface PhaseSum {
  readonly phase: OutagePhase;
  readonly ms: number;
  /** In how many failovers both its ends are known. */
  readonly failovers: number;
}

/** Lengths of the phases whose both ends are known; a phase that ended before it began took no time. */
export function phaseLengths(outage: OutageMarks): readonly (readonly [phase: OutagePhase, ms: number])[] {
  const { lastGoodAt, lostAt, provedAt, releasedAt, scheduledAt, runningAt, readyAt } = outage;
  const marks = [lastGoodAt, lostAt, provedAt, releasedAt, scheduledAt, runningAt, readyAt];
  return OUTAGE_PHASES.flatMap((phase, i) => {
    const [from, to] = [marks[i], marks[i + 1]];
    return from === undefined || to === undefined
      ? []
      : [[phase, Math.max(0, wallMsOf(to) - wallMsOf(from))] as const];
  });
}

/** The phases of the failovers that ended in the window: MTTR taken apart is what `meanMs` makes of them. */
export function sumPhases(outages: readonly OutageMarks[], window: Span): readonly PhaseSum[] {
  const ended = outages.filter(({ readyAt }) => {
    const atMs = readyAt === undefined ? Number.NaN : wallMsOf(readyAt);
    return atMs >= window.fromMs && atMs < window.toMs;
  });
  return addPhases(
    ended.map((outage) => phaseLengths(outage).map(([phase, ms]) => ({ phase, ms, failovers: 1 }))),
  );
}

/** Sums as one, in the order of the phases. */
export function addPhases(all: readonly (readonly PhaseSum[])[]): readonly PhaseSum[] {
  const sums = new Map<OutagePhase, PhaseSum>();
  for (const { phase, ms, failovers } of all.flat()) {
    const before = sums.get(phase);
    sums.set(phase, {
      phase,
      ms: ms + (before?.ms ?? 0),
      failovers: failovers + (before?.failovers ?? 0),
    });
  }
  return OUTAGE_PHASES.flatMap((phase) => sums.get(phase) ?? []);
}

/** The mean time of a phase, in whole milliseconds. */
export function meanMs({ ms, failovers }: PhaseSum): number {
  return Math.round(ms / failovers);
}
