// Questions that were asked and what is known of them, written into the trace in the order in which they were asked.
import type { ProbeTrace } from "../../model/probe-trace.ts";
import { ANSWER_WITHIN_MS } from "../../model/service-probe.ts";

interface Question {
  readonly sentAtMs: number;
  /** For how long nobody could have heard its answer. */
  heldUpMs: number;
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
    this.#questions.set(number, { sentAtMs, heldUpMs: 0, latencyMs: undefined, failed: false });
  }

  /** This process stood still for so long: that is no latency, and nobody's silence. */
  heldUp(heldUpMs: number): void {
    for (const question of this.#questions.values()) question.heldUpMs += heldUpMs;
  }

  /** The first answer counts; one that came too late does not. */
  answered(number: number, atMs: number): void {
    const question = this.#questions.get(number);
    if (question === undefined || question.failed || question.latencyMs !== undefined) return;
    const latencyMs = Math.max(0, atMs - question.sentAtMs - question.heldUpMs);
    if (latencyMs <= ANSWER_WITHIN_MS) question.latencyMs = latencyMs;
    else question.failed = true;
  }

  failed(number: number): void {
    const question = this.#questions.get(number);
    if (question !== undefined && question.latencyMs === undefined) question.failed = true;
  }

  /** Writes down every question whose fate, and that of all before it, is known now. */
  settle(nowMs: number): void {
    for (const [number, { sentAtMs, heldUpMs, latencyMs, failed }] of this.#questions) {
      const waitedMs = nowMs - sentAtMs - heldUpMs;
      if (latencyMs === undefined && !failed && waitedMs <= ANSWER_WITHIN_MS) return;
      this.#trace.add({ sentAtMs, latencyMs });
      this.#questions.delete(number);
    }
  }
}
