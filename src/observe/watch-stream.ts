// One open watch: its lines one by one, and how it ended. Adds what TCP lacks: a connection that says nothing is broken.
import type { ApiStream } from "../kube/transport.ts";
import type { Cancel, Clock } from "../model/clock.ts";

/** `clean`: the server ended it. `broken`: the connection or a line. `idle`: silent for too long. `closed`: by us. */
export type StreamEnd = "clean" | "broken" | "idle" | "closed";

export type Heard =
  | { readonly kind: "line"; readonly line: unknown }
  | { readonly kind: "end"; readonly end: StreamEnd; readonly message: string };

/**
 * Reads a stream line by line; `next` is called again only after it has answered. Guarantees: ends `idleLimitMs` after
 * the last line at the latest, even where closing the connection does not end the transport's iteration; nothing is
 * left open or scheduled after an end.
 */
export class WatchStream {
  readonly openedAtMs: number;
  /** Lines heard so far. */
  heard = 0;
  #stream: ApiStream;
  #lines: AsyncIterator<unknown>;
  #clock: Clock;
  #idleLimitMs: number;
  #heardAtMs: number;
  #cancelIdle: Cancel;
  #end: Heard | undefined;
  #answer: ((heard: Heard) => void) | undefined;

  constructor(stream: ApiStream, clock: Clock, idleLimitMs: number) {
    this.#stream = stream;
    this.#lines = stream.lines[Symbol.asyncIterator]();
    this.#clock = clock;
    this.#idleLimitMs = idleLimitMs;
    this.openedAtMs = clock.now().monotonicMs;
    this.#heardAtMs = this.openedAtMs;
    this.#cancelIdle = clock.schedule(idleLimitMs, () => this.#checkIdle());
  }

  /** The next line, or how the stream ended; after an end always that end. */
  next(): Promise<Heard> {
    if (this.#end) return Promise.resolve(this.#end);
    return new Promise((resolve) => {
      this.#answer = resolve;
      void this.#pull();
    });
  }

  close(): void {
    this.#finish("closed", "closed by us");
  }

  async #pull(): Promise<void> {
    try {
      const { done, value } = await this.#lines.next();
      if (done === true) return this.#finish("clean", "the server ended the watch");
      if (this.#end) return;
      this.#heardAtMs = this.#clock.now().monotonicMs;
      this.heard++;
      this.#settle({ kind: "line", line: value });
    } catch (error) {
      this.#finish("broken", error instanceof Error ? error.message : String(error));
    }
  }

  /** One timer for the whole stream, not one per line: it looks again when the silence could be long enough. */
  #checkIdle(): void {
    const silentMs = this.#clock.now().monotonicMs - this.#heardAtMs;
    if (silentMs >= this.#idleLimitMs) return this.#finish("idle", `nothing heard for ${silentMs} ms`);
    // At least 1 ms: a remainder lost in rounding must not make this a busy loop.
    const remainingMs = Math.max(1, this.#idleLimitMs - silentMs);
    this.#cancelIdle = this.#clock.schedule(remainingMs, () => this.#checkIdle());
  }

  #finish(end: StreamEnd, message: string): void {
    if (this.#end) return;
    this.#end = { kind: "end", end, message };
    this.#cancelIdle();
    this.#stream.close();
    this.#settle(this.#end);
  }

  #settle(heard: Heard): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(heard);
  }
}
