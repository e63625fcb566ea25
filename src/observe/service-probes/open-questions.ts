// Questions that were asked and what is known of them, written into the trace in the order in which they were asked.
import type { ProbeTrace } from "../../model/probe-trace.ts";
import { ANSWER_WITHIN_MS } from "../../model/service-probe.ts";

interface Question {
  readonly sentAtMs: number;
  latencyMs: number | undefined;
  failed: boolean;
}

/** Times in milliseconds since the trace began. An answer to what was never asked, or was settled, is ignored. */
export class OpenQuestions {
  readonly #trace: ProbeTrace;
  /** By number; a Map keeps the order of asking. */
  readonly #questions = new Map<number, Question>();

  constructor(trace: ProbeTrace) {
    this.#trace = trace;
  }

  get count(): number {
    return this.#questions.size;
  }

  /** When the oldest one was asked that is still open. */
  get oldestMs(): number | undefined {
    for (const { sentAtMs } of this.#questions.values()) return sentAtMs;
    return undefined;
  }

  asked(number: number, sentAtMs: number): void {
    this.#questions.set(number, { sentAtMs, latencyMs: undefined, failed: false });
  }

  /** The first answer counts; one that came too late does not. */
  answered(number: number, atMs: number): void {
    const question = this.#questions.get(number);
    if (question === undefined || question.failed || question.latencyMs !== undefined) return;
    const latencyMs = atMs - question.sentAtMs;
    if (latencyMs <= ANSWER_WITHIN_MS) question.latencyMs = latencyMs;
    else question.failed = true;
  }

  failed(number: number): void {
    const question = this.#questions.get(number);
    if (question !== undefined && question.latencyMs === undefined) question.failed = true;
  }

  /** Writes down every question whose fate, and that of all before it, is known now. */
  settle(nowMs: number): void {
    for (const [number, { sentAtMs, latencyMs, failed }] of this.#questions) {
      if (latencyMs === undefined && !failed && nowMs - sentAtMs <= ANSWER_WITHIN_MS) return;
      this.#trace.add({ sentAtMs, latencyMs });
      this.#questions.delete(number);
    }
  }
}
