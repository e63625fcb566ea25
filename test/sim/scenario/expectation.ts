// timeline.expect: recorded where it is missing, compared where it is there. Knows text only.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const EXPECTATION_FILE = "timeline.expect";
/** Unchanged lines shown around a change. */
const CONTEXT = 2;

export type Comparison =
  | { readonly kind: "same" | "recorded" | "updated" | "missing" }
  | { readonly kind: "different"; readonly diff: readonly string[] };

/** `mayRecord: false`: what breaks a rule is not what anybody should expect. */
export function compared(
  folder: string,
  timeline: string,
  { update, mayRecord }: { readonly update: boolean; readonly mayRecord: boolean },
): Comparison {
  const path = join(folder, EXPECTATION_FILE);
  const expected = existsSync(path) ? readFileSync(path, "utf8") : undefined;
  if (expected === timeline) return { kind: "same" };
  if (mayRecord && (expected === undefined || update)) {
    writeFileSync(path, timeline);
    return { kind: expected === undefined ? "recorded" : "updated" };
  }
  if (expected === undefined) return { kind: "missing" };
  return { kind: "different", diff: diffOf(expected.split("\n"), timeline.split("\n")) };
}

/** Lines that went (`-`) and came (`+`), with some around them. */
export function diffOf(before: readonly string[], after: readonly string[]): string[] {
  const lengths = commonLengths(before, after);
  const lines: string[] = [];
  let [at, to] = [0, 0];
  while (at < before.length || to < after.length) {
    if (at < before.length && to < after.length && before[at] === after[to]) {
      lines.push(` ${before[at]}`);
      at += 1;
      to += 1;
    } else if (
      to >= after.length ||
      (at < before.length && (lengths[at + 1]?.[to] ?? 0) >= (lengths[at]?.[to + 1] ?? 0))
    ) {
      lines.push(`-${before[at]}`);
      at += 1;
    } else {
      lines.push(`+${after[to]}`);
      to += 1;
    }
  }
  return nearChanges(lines);
}

/** Length of the longest common rest from each pair of places. */
function commonLengths(before: readonly string[], after: readonly string[]): number[][] {
  const lengths = Array.from({ length: before.length + 1 }, () => Array<number>(after.length + 1).fill(0));
  for (let at = before.length - 1; at >= 0; at -= 1) {
    for (let to = after.length - 1; to >= 0; to -= 1) {
      const row = lengths[at] ?? [];
      row[to] =
        before[at] === after[to]
          ? 1 + (lengths[at + 1]?.[to + 1] ?? 0)
          : Math.max(lengths[at + 1]?.[to] ?? 0, row[to + 1] ?? 0);
    }
  }
  return lengths;
}

function nearChanges(lines: readonly string[]): string[] {
  const shown = lines.map((_, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some((line) => !line.startsWith(" ")),
  );
  return lines.flatMap((line, at) => {
    if (shown[at]) return [line];
    return shown[at - 1] ? ["  …"] : [];
  });
}
