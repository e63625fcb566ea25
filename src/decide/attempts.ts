// Which level of a topology is tried next, and when: levels in order, each with its retries, then from the start again.
import type { FencingFact, FencingLevel } from "../model/fencing.ts";
import type { Turn } from "./turn.ts";

/** Back-off doubles with each round through all levels, up to this. */
const MAX_BACKOFF_MS = 300_000;

/** Levels to fence by: those of the topology it was opened with, or where that is gone, of the one now in charge. */
function levelsOf(turn: Turn, fencing: FencingFact): readonly FencingLevel[] {
  const own = turn.snapshot.topologies.get(fencing.topology ?? "")?.levels ?? [];
  return own.length > 0 ? own : (turn.topologies.get(fencing.nodeName)?.levels ?? []);
}

function attemptsPerRound(levels: readonly FencingLevel[]): number {
  return levels.reduce((sum, level) => sum + level.retries + 1, 0);
}

function finishedAttempts(fencing: FencingFact): number {
  const last = fencing.status.attempts.at(-1);
  if (last === undefined) return 0;
  return last.outcome === "Started" ? last.number - 1 : last.number;
}

/** How often all levels with all their retries have been tried in vain. */
export function roundsFailed(turn: Turn, fencing: FencingFact): number {
  const perRound = attemptsPerRound(levelsOf(turn, fencing));
  return perRound === 0 ? 0 : Math.floor(finishedAttempts(fencing) / perRound);
}

/** The level whose turn it is; undefined where there is none. Never gives up: that would strand the VMs. */
export function nextLevel(turn: Turn, fencing: FencingFact): FencingLevel | undefined {
  const levels = levelsOf(turn, fencing);
  const perRound = attemptsPerRound(levels);
  if (perRound === 0) return undefined;
  let index = finishedAttempts(fencing) % perRound;
  for (const level of levels) {
    if (index <= level.retries) return level;
    index -= level.retries + 1;
  }
  return levels[0];
}

/** Monotonic time from which `level` may be tried; at once where nothing was tried or an attempt was left open. */
export function attemptDueAtMs(turn: Turn, fencing: FencingFact, level: FencingLevel): number {
  const last = fencing.status.attempts.at(-1);
  if (last === undefined || last.outcome === "Started") return 0;
  const perRound = attemptsPerRound(levelsOf(turn, fencing));
  // Escalation does not wait: the next level is another device.
  if (last.level !== level.name && finishedAttempts(fencing) % perRound !== 0) return 0;
  const round = Math.min(roundsFailed(turn, fencing), 10);
  return fencing.changedAtMs + Math.min(MAX_BACKOFF_MS, level.backoffMs * 2 ** round);
}
