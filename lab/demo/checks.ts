// What the demo claims, and whether it held: exit code and report follow from these and from nothing else.
import type { Timeline } from "./timeline.ts";

export interface Check {
  readonly what: string;
  readonly held: boolean;
  readonly detail: string;
}

/** Collects claims; a failed one is told at once. */
export class Checks {
  readonly all: Check[] = [];
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  get ok(): boolean {
    return this.all.length > 0 && this.all.every((check) => check.held);
  }

  claim(what: string, held: boolean, detail = ""): void {
    this.all.push({ what, held, detail });
    this.#timeline.tell(
      held ? "✓" : "✗ FAILED",
      detail === "" ? what : `${what} (${detail})`,
      held ? "good" : "bad",
    );
  }

  /** A claim that becomes true in time, or fails with what was seen instead. */
  async becomes(what: string, waiting: Promise<unknown>): Promise<void> {
    try {
      await waiting;
      this.claim(what, true);
    } catch (error) {
      this.claim(what, false, error instanceof Error ? error.message : String(error));
    }
  }
}
