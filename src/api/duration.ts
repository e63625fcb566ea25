// Spans of time as people write them in our objects ("90s", "1m30s"), and their length in milliseconds.
import assert from "node:assert/strict";
import { z } from "zod";
import { celString, withRule } from "./rule.ts";

/** A subset of what Go's `time.ParseDuration` and so CEL's `duration()` read: whole numbers, no sign, no fractions. */
const PATTERN = /^([0-9]+(ms|s|m|h))+$/;

/** Longer texts are no clearer ("168h", "1h30m", "604800000ms" all fit). */
const MAX_LENGTH = 16;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a text like "1m30s", or undefined where it is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!PATTERN.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+)(ms|s|m|h)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
  }
  return totalMs;
}

/** Milliseconds of a duration that has passed its schema; anything else is our own bug, and throws. */
export function durationMs(text: string): number {
  const ms = parseDurationMs(text);
  assert(ms !== undefined, `not a duration: ${text}`);
  return ms;
}

/** A duration from `min` to `max`, both inclusive and themselves durations. */
export function duration(bounds: { readonly min: string; readonly max: string }) {
  const { min, max } = bounds;
  const minMs = durationMs(min);
  const maxMs = durationMs(max);
  return withRule(z.string().max(MAX_LENGTH), {
    cel: `self.matches(${celString(PATTERN.source)}) && duration(self) >= duration(${celString(min)}) && duration(self) <= duration(${celString(max)})`,
    message: `must be a duration from ${min} to ${max}, like 90s, 5m or 1h30m (units ms, s, m, h)`,
    holds: (text) => {
      const ms = parseDurationMs(text);
      return ms !== undefined && ms >= minMs && ms <= maxMs;
    },
  });
}
