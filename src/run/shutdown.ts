// Ends the process in order: on a signal, or at once on a bug. Knows closers and exit codes; knows nothing of what they close.
import type { Cancel, Clock } from "../model/clock.ts";

/** What the process's exit code tells whoever started it. */
export const EXIT_CODES = {
  /** Everything was closed in time. */
  clean: 0,
  /** A closer failed or missed its deadline; the rest was closed. */
  unclean: 1,
  /** The configuration is wrong (EX_USAGE). */
  usage: 64,
  /** Our own bug (EX_SOFTWARE): nothing was closed, since nothing can be trusted; the Lease runs out by itself. */
  bug: 70,
} as const;

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
export type StopSignal = keyof typeof SIGNAL_NUMBERS;

/** A shell's way of saying that a signal ended the process: what a second signal exits with. */
const SIGNAL_EXIT_BASE = 128;

/** One thing to close. */
export interface Closer {
  readonly name: string;
  /** After this it is given up and the next one is closed. */
  readonly deadlineMs: number;
  readonly close: () => Promise<unknown> | void;
}

export type ShutdownEvent =
  | { readonly kind: "began"; readonly reason: string }
  | { readonly kind: "closed"; readonly name: string; readonly tookMs: number }
  | { readonly kind: "failed"; readonly name: string; readonly error: unknown }
  | { readonly kind: "deadlineMissed"; readonly name: string; readonly deadlineMs: number }
  | { readonly kind: "bug"; readonly error: unknown };

/** The part of `process` that is needed. */
export interface ProcessEvents {
  on(event: StopSignal, listener: () => void): unknown;
  on(event: "uncaughtException", listener: (error: unknown) => void): unknown;
}

export interface ShutdownOptions {
  readonly clock: Clock;
  /** The Clock's timers do not keep the process alive; without this it would end before a slow closer's deadline. */
  readonly keepAlive: () => Cancel;
  readonly exit: (code: number) => void;
  readonly report: (event: ShutdownEvent) => void;
}

/**
 * Guarantees: what was opened last is closed first, each within its deadline; a failing closer does not keep the next from
 * being closed; a second signal exits at once, for whoever is tired of waiting.
 */
export class Shutdown {
  readonly #options: ShutdownOptions;
  readonly #closers: Closer[] = [];
  #ending: Promise<void> | undefined;

  constructor(options: ShutdownOptions) {
    this.#options = options;
  }

  /** Listens to SIGTERM and SIGINT, and to exceptions that nobody caught (unhandled rejections are raised as such). */
  listen(events: ProcessEvents): void {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      events.on(signal, () => {
        if (this.#ending) this.#options.exit(SIGNAL_EXIT_BASE + SIGNAL_NUMBERS[signal]);
        else void this.begin(signal);
      });
    }
    events.on("uncaughtException", (error) => this.crash(error));
  }

  /** What is added last is closed first: it may need what was there before it. */
  add(closer: Closer): void {
    this.#closers.push(closer);
  }

  /** Closes everything and exits. Further calls wait for the first. */
  begin(reason: string, code: number = EXIT_CODES.clean): Promise<void> {
    this.#ending ??= this.#end(reason, code);
    return this.#ending;
  }

  /** Exits at once after reporting: after a bug, waiting or writing could only do harm. */
  crash(error: unknown): void {
    this.#options.report({ kind: "bug", error });
    this.#options.exit(EXIT_CODES.bug);
  }

  async #end(reason: string, code: number): Promise<void> {
    const release = this.#options.keepAlive();
    this.#options.report({ kind: "began", reason });
    let exitCode = code;
    for (let closer = this.#closers.pop(); closer; closer = this.#closers.pop()) {
      const event = await this.#close(closer);
      this.#options.report(event);
      if (event.kind !== "closed" && exitCode === EXIT_CODES.clean) exitCode = EXIT_CODES.unclean;
    }
    release();
    this.#options.exit(exitCode);
  }

  async #close({ name, deadlineMs, close }: Closer): Promise<ShutdownEvent> {
    const { clock } = this.#options;
    const startedMs = clock.now().monotonicMs;
    const { promise, resolve } = Promise.withResolvers<ShutdownEvent>();
    const cancel = clock.schedule(deadlineMs, () => resolve({ kind: "deadlineMissed", name, deadlineMs }));
    const closing = async (): Promise<ShutdownEvent> => {
      try {
        await close();
        return { kind: "closed", name, tookMs: clock.now().monotonicMs - startedMs };
      } catch (error) {
        return { kind: "failed", name, error };
      }
    };
    const event = await Promise.race([closing(), promise]);
    cancel();
    return event;
  }
}
