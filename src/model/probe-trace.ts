// Folds a probe's answers, in the order in which they were asked for, into facts of bounded size. Pure.
import {
  periodMsOf,
  type ProbeFacts,
  type ProbeOutage,
  type ServiceProbe,
  type TraceSlice,
} from "./service-probe.ts";

/** Outages kept of one trace; the totals count the others too. */
export const MAX_OUTAGES_KEPT = 20;

/** Slices kept of one trace, and how short they are at first: ten UDP packets at the lowest rate take four of them. */
export const MAX_SLICES = 240;
export const FIRST_SLICE_MS = 250;

/** One question and what became of it, in milliseconds since the trace began. */
export interface ProbeSample {
  readonly sentAtMs: number;
  /** Undefined where it was lost. */
  readonly latencyMs: number | undefined;
}

interface Slice {
  sent: number;
  lost: number;
  latencySumMs: number;
}

interface OpenOutage {
  readonly startMs: number;
  lost: number;
  lastLostMs: number;
  /** Questions were skipped since the last lost one: whether it lasted through them is not known. */
  unwatched: boolean;
}

/** A trace being written. Memory is bounded whatever is added. */
export class ProbeTrace {
  readonly #probe: ServiceProbe;
  readonly #startedAtMs: number;
  #lost = 0;
  #skipped = 0;
  #answered = 0;
  #latencySumMs = 0;
  #maxLatencyMs = 0;
  #outages: ProbeOutage[] = [];
  #outageCount = 0;
  #outageMs = 0;
  #longestOutageMs = 0;
  #open: OpenOutage | undefined;
  #sliceMs = FIRST_SLICE_MS;
  #slices: Slice[] = [];

  constructor(probe: ServiceProbe, startedAtMs: number) {
    this.#probe = probe;
    this.#startedAtMs = startedAtMs;
  }

  /** Adds the next question. They must come in the order of `sentAtMs`. */
  add(sample: ProbeSample): void {
    const { sentAtMs, latencyMs } = sample;
    const slice = this.#sliceAt(sentAtMs);
    slice.sent += 1;
    if (latencyMs === undefined) {
      slice.lost += 1;
      this.#lost += 1;
      this.#open ??= { startMs: sentAtMs, lost: 0, lastLostMs: sentAtMs, unwatched: false };
      this.#open.lost += 1;
      this.#open.lastLostMs = sentAtMs;
      // Lost before and lost after: it was down in between, whoever looked.
      this.#open.unwatched = false;
      return;
    }
    slice.latencySumMs += latencyMs;
    this.#answered += 1;
    this.#latencySumMs += latencyMs;
    this.#maxLatencyMs = Math.max(this.#maxLatencyMs, latencyMs);
    if (this.#open !== undefined) {
      const { startMs, lost, lastLostMs, unwatched } = this.#open;
      const endMs = unwatched ? Math.min(sentAtMs, lastLostMs + periodMsOf(this.#probe)) : sentAtMs;
      this.#close({ startMs, lost, endMs, ended: true });
      this.#open = undefined;
    }
  }

  /**
   * Notes questions that were due and that we did not send. They end no outage and begin none; one that is over when we
   * ask again counts as having ended when we ceased to.
   */
  skip(count: number): void {
    this.#skipped += count;
    if (this.#open !== undefined) this.#open.unwatched = true;
  }

  /** What has come of it up to `nowMs` since its beginning. The trace may go on. */
  facts(nowMs: number): ProbeFacts {
    const answered = this.#answered;
    const open = this.#open;
    const last: ProbeOutage | undefined =
      open === undefined
        ? undefined
        : {
            startMs: open.startMs,
            lost: open.lost,
            endMs: Math.max(open.startMs, nowMs),
            ended: false,
          };
    const lastMs = last === undefined ? 0 : last.endMs - last.startMs;
    return {
      probe: this.#probe,
      startedAtMs: this.#startedAtMs,
      observedMs: nowMs,
      sent: answered + this.#lost,
      answered,
      lost: this.#lost,
      skipped: this.#skipped,
      meanLatencyMs: answered === 0 ? undefined : this.#latencySumMs / answered,
      maxLatencyMs: answered === 0 ? undefined : this.#maxLatencyMs,
      outages: last === undefined ? [...this.#outages] : longest([...this.#outages, last]),
      outageCount: this.#outageCount + (last === undefined ? 0 : 1),
      outageMs: this.#outageMs + lastMs,
      longestOutageMs: Math.max(this.#longestOutageMs, lastMs),
      sliceMs: this.#sliceMs,
      slices: this.#slices.map((slice, index) => sliceFact(slice, index * this.#sliceMs)),
    };
  }

  #close(outage: ProbeOutage): void {
    const lengthMs = outage.endMs - outage.startMs;
    this.#outageCount += 1;
    this.#outageMs += lengthMs;
    this.#longestOutageMs = Math.max(this.#longestOutageMs, lengthMs);
    this.#outages = longest([...this.#outages, outage]);
  }

  #sliceAt(atMs: number): Slice {
    while (Math.floor(atMs / this.#sliceMs) >= MAX_SLICES) this.#coarsen();
    const index = Math.floor(atMs / this.#sliceMs);
    while (this.#slices.length <= index) this.#slices.push({ sent: 0, lost: 0, latencySumMs: 0 });
    const slice = this.#slices[index];
    if (slice === undefined) throw new Error(`no slice ${index}: a sample at ${atMs} ms, before the trace`);
    return slice;
  }

  #coarsen(): void {
    const halved: Slice[] = [];
    this.#slices.forEach((slice, index) => {
      const into = halved[Math.floor(index / 2)];
      if (into === undefined) halved.push(slice);
      else {
        into.sent += slice.sent;
        into.lost += slice.lost;
        into.latencySumMs += slice.latencySumMs;
      }
    });
    this.#slices = halved;
    this.#sliceMs *= 2;
  }
}

function longest(outages: readonly ProbeOutage[]): ProbeOutage[] {
  const lengthMs = (outage: ProbeOutage): number => outage.endMs - outage.startMs;
  return outages
    .toSorted((a, b) => lengthMs(b) - lengthMs(a))
    .slice(0, MAX_OUTAGES_KEPT)
    .toSorted((a, b) => a.startMs - b.startMs);
}

function sliceFact(slice: Slice, startMs: number): TraceSlice {
  const { sent, lost, latencySumMs } = slice;
  return { startMs, sent, lost, meanLatencyMs: sent > lost ? latencySumMs / (sent - lost) : undefined };
}
