// Times in which no replica watched: bounded, and as one line of text, so that they can ride on the leader's Lease.
import type { Span } from "../model/availability.ts";
import { merged } from "../model/service-time.ts";
import { timestamp, wallMsOf } from "../model/wall-time.ts";

/** Gaps remembered. Beyond that the two nearest become one, so that too much counts as unobserved rather than too little. */
const MAX_GAPS = 48;
/** Older ones are in no window any more. */
const KEPT_MS = 125 * 86_400_000;

/** A growing list of gaps. */
export class ObservationGaps {
  #spans: readonly Span[] = [];

  /** Ascending, not overlapping. */
  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** In whole milliseconds, rounded outwards: what is counted from gaps is an integer in our statuses, or is refused. */
  add(given: Span): void {
    const span = { fromMs: Math.floor(given.fromMs), toMs: Math.ceil(given.toMs) };
    if (span.toMs <= span.fromMs) return;
    const recent = this.#spans.filter(({ toMs }) => toMs > span.toMs - KEPT_MS);
    let spans = merged([...recent, span]);
    while (spans.length > MAX_GAPS) spans = withNearestJoined(spans);
    this.#spans = spans;
  }

  /** Forgets its own and takes those of a text. */
  replace(text: string | undefined): void {
    this.#spans = parseGaps(text);
  }

  /** `from/to` pairs, comma-separated; undefined where there are none. */
  get text(): string | undefined {
    if (this.#spans.length === 0) return undefined;
    return this.#spans.map(({ fromMs, toMs }) => `${timestamp(fromMs)}/${timestamp(toMs)}`).join(",");
  }
}

/** Reads what `text` wrote; anything else in it is left out. */
export function parseGaps(text: string | undefined): readonly Span[] {
  const spans = (text ?? "").split(",").map((pair) => {
    const [from = "", to = ""] = pair.split("/");
    return { fromMs: wallMsOf(from), toMs: wallMsOf(to) };
  });
  return merged(spans.filter(({ fromMs, toMs }) => fromMs > 0 && toMs > 0)).slice(-MAX_GAPS);
}

function withNearestJoined(spans: readonly Span[]): readonly Span[] {
  let at = 1;
  let nearestMs = Number.POSITIVE_INFINITY;
  for (let i = 1; i < spans.length; i += 1) {
    const betweenMs = (spans[i]?.fromMs ?? 0) - (spans[i - 1]?.toMs ?? 0);
    if (betweenMs < nearestMs) [at, nearestMs] = [i, betweenMs];
  }
  const fromMs = spans[at - 1]?.fromMs ?? 0;
  const toMs = spans[at]?.toMs ?? fromMs;
  return [...spans.slice(0, at - 1), { fromMs, toMs }, ...spans.slice(at + 1)];
}
