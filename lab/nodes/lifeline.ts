// The thread of life of a machine or a process on it: timers that stop when it freezes and are gone when it ends.
import { labTime } from "../lab-time.ts";

/** Takes back what it was returned for; a second call does nothing. */
export type Cancel = () => void;

interface Timer {
  readonly dueMs: number;
  readonly wake: () => void;
  disarm: Cancel | undefined;
}

/**
 * Guarantees: after `end()` no code that waits on this life ever runs again (its promises stay pending for good, its
 * timers are gone), so that nothing a dead process had in mind can still happen. While frozen nothing is resumed; on
 * `thaw()` everything overdue runs in the order it fell due. Children end, freeze and thaw with their parent.
 */
export class Lifeline {
  #alive = true;
  #frozen = false;
  readonly #timers = new Set<Timer>();
  readonly #children = new Set<Lifeline>();
  readonly #atEnd = new Set<() => void>();
  #atThaw: (() => void)[] = [];

  get alive(): boolean {
    return this.#alive;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** A life within this one, for instance a process on a machine. */
  child(): Lifeline {
    const child = new Lifeline();
    if (!this.#alive) child.end();
    if (this.#frozen) child.freeze();
    this.#children.add(child);
    child.atEnd(() => this.#children.delete(child));
    return child;
  }

  /** Calls `wake` after `delayMs`, unless this life ends first; a frozen life is woken late. */
  after(delayMs: number, wake: () => void): Cancel {
    if (!this.#alive) return () => undefined;
    const timer: Timer = { dueMs: labTime.nowMs() + delayMs, wake, disarm: undefined };
    this.#timers.add(timer);
    if (!this.#frozen) this.#arm(timer);
    return () => this.#drop(timer);
  }

  /** Settles after `delayMs`; never, once this life has ended. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Settles as soon as this life is not frozen; never, once it has ended. */
  thawed(): Promise<void> {
    if (!this.#alive) return new Promise(() => undefined);
    if (!this.#frozen) return Promise.resolve();
    return new Promise((resolve) => this.#atThaw.push(resolve));
  }

  /** Calls `action` when this life ends, synchronously; at once if it has. */
  atEnd(action: () => void): Cancel {
    if (!this.#alive) {
      action();
      return () => undefined;
    }
    this.#atEnd.add(action);
    return () => this.#atEnd.delete(action);
  }

  freeze(): void {
    if (this.#frozen || !this.#alive) return;
    this.#frozen = true;
    for (const timer of this.#timers) timer.disarm?.();
    for (const child of this.#children) child.freeze();
  }

  thaw(): void {
    if (!this.#frozen || !this.#alive) return;
    this.#frozen = false;
    for (const child of this.#children) child.thaw();
    const waiting = this.#atThaw;
    this.#atThaw = [];
    for (const resume of waiting) resume();
    for (const timer of [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)) this.#arm(timer);
  }

  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const timer of this.#timers) timer.disarm?.();
    this.#timers.clear();
    this.#atThaw = [];
    for (const child of this.#children) child.end();
    for (const action of this.#atEnd) action();
    this.#atEnd.clear();
  }

  #arm(timer: Timer): void {
    timer.disarm = labTime.after(Math.max(0, timer.dueMs - labTime.nowMs()), () => {
      this.#timers.delete(timer);
      timer.wake();
    });
  }

  #drop(timer: Timer): void {
    timer.disarm?.();
    this.#timers.delete(timer);
  }
}
