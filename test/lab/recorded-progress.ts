// A progress display for tests: remembers instead of showing.
import type { Measure, Progress } from "../../lab/terminal/progress.ts";

export interface RecordedProgress extends Progress {
  readonly lines: string[];
  readonly shown: { readonly what: string; readonly measure: Measure | undefined }[];
}

/** A display that only records what it was told. */
export function recordProgress(): RecordedProgress {
  const lines: string[] = [];
  const shown: RecordedProgress["shown"] = [];
  return {
    lines,
    shown,
    show: (what, measure) => void shown.push({ what, measure }),
    say: (line) => void lines.push(line),
    end: () => undefined,
  };
}
