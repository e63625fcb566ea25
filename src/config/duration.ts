// Durations as people write them, Go's way: 500ms, 15s, 1m30s, 2h. Milliseconds inside.

const UNITS_MS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** A number with a unit, one or more times, largest unit first; each unit at most once. */
const DURATION =
  /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;

/** Returns milliseconds, or undefined where the text is no duration. A bare number is none: its unit would be a guess. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const match = DURATION.exec(text);
  if (!match || text === "") return undefined;
  const [, hours, minutes, seconds, milliseconds] = match;
  const totalMs =
    Number(hours ?? 0) * UNITS_MS.h +
    Number(minutes ?? 0) * UNITS_MS.m +
    Number(seconds ?? 0) * UNITS_MS.s +
    Number(milliseconds ?? 0) * UNITS_MS.ms;
  return Math.round(totalMs);
}

/** The shortest way to write it that `parseDuration` reads back. */
export function formatDuration(durationMs: number): string {
  let restMs = durationMs;
  let text = "";
  for (const [unit, unitMs] of Object.entries(UNITS_MS)) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  return text === "" ? "0s" : text;
}
