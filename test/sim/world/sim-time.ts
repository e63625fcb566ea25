// Virtual time: nothing happens but timers, one after the other, and between two of them every promise that can settle
// does. One thread, no machine clock: a run depends on its inputs alone.
import type { LabTime } from "../../../lab/lab-time.ts";
import type { Cancel, Clock } from "../../../src/model/clock.ts";
import type { Chance } from "./random.ts";

interface Timer {
  readonly dueMs: number;
  readonly sequence: number;
  wake: (() => void) | undefined;
}

/** How another machine's clocks differ from the true one; `rate`: its seconds per true second. */
export interface ClockSkew {
  readonly rate: number;
  readonly monotonicOffsetMs: number;
  readonly wallOffsetMs: number;
}

/** Real event-loop turns are let in this often, so that a test runner stays responsive. */
const STEPS_PER_BREATH = 20_000;

/** Where every history begins: 22 November 2026, 00:00 UTC. */
export const BEGAN_WALL_MS = Date.UTC(2026, 10, 22);

/** Timers fire in order of due time, then of scheduling. */
export class SimTime {
  #nowMs = 0;
  #sequence = 0;
  readonly #heap: Timer[] = [];
  /** Timers fired so far. */
  steps = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, wake: () => void): Cancel {
    const dueMs = this.#nowMs + Math.max(0, delayMs);
    const timer: Timer = { dueMs, sequence: this.#sequence++, wake };
    this.#push(timer);
    return () => {
      timer.wake = undefined;
    };
  }

  /** Fires timers until `untilMs`, or until `done` says so after one of them. */
  run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const goOn = (): void => {
        try {
          if (!this.#fire(untilMs)) {
            this.#nowMs = Math.max(this.#nowMs, untilMs);
            resolve();
          } else whenSettled(judge);
        } catch (error) {
          reject(error);
        }
      };
      const judge = (): void => {
        try {
          if (done()) resolve();
          else if (this.steps % STEPS_PER_BREATH === 0) setImmediate(goOn);
          else goOn();
        } catch (error) {
          reject(error);
        }
      };
      whenSettled(goOn);
    });
  }

  /** Fires the next timer due by then; false where there is none. */
  #fire(untilMs: number): boolean {
    for (let timer = this.#heap[0]; timer !== undefined && timer.dueMs <= untilMs; timer = this.#heap[0]) {
      this.#pop();
      const { wake } = timer;
      if (wake === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      this.steps += 1;
      wake();
      return true;
    }
    return false;
  }

  /** Forgets every timer: what was simulated ends here. */
  end(): void {
    this.#heap.length = 0;
  }

  /** The clocks of a machine. Its timers run at its own rate. */
  clock(skew: ClockSkew): Clock {
    return {
      now: () => ({
        monotonicMs: skew.monotonicOffsetMs + this.#nowMs * skew.rate,
        // Whole milliseconds, as Date.now() gives them.
        wallMs: Math.floor(BEGAN_WALL_MS + skew.wallOffsetMs + this.#nowMs * skew.rate),
      }),
      schedule: (delayMs, wake) => this.schedule(delayMs / skew.rate, wake),
    };
  }

  /** Time and chance for everything that lives in the lab. */
  labTime(chance: Chance): LabTime {
    return {
      nowMs: () => BEGAN_WALL_MS + this.#nowMs,
      wallMs: () => BEGAN_WALL_MS + this.#nowMs,
      after: (delayMs, wake) => this.schedule(delayMs, wake),
      random: chance.next,
      uuid: () => chance.uuid(),
    };
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Timer;
      if (!isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Timer)) below += 1;
      const child = heap[below] as Timer;
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.sequence < other.sequence);
}

/** A tick asked for from a microtask comes when no microtask is left: a full drain without a turn of the event loop. */
function whenSettled(next: () => void): void {
  queueMicrotask(() => process.nextTick(next));
}
