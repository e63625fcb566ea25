// Whether a process runs: while it stands still nothing wakes it, when it has ended nothing ever does.
import type { Cancel, Clock } from "../../../src/model/clock.ts";
import type { SimTime } from "./sim-time.ts";

export interface ProcessGate {
  readonly ended: boolean;
  /** Neither timers nor answers get through. */
  readonly closed: boolean;
  /** Settles at once while the process runs, when it goes on, or never. */
  open(): Promise<void>;
  /** Runs a timer's wake now, when the process goes on, or never. */
  run(wake: () => void): void;
  freeze(): void;
  thaw(): void;
  end(): void;
}

/** A gate that stands open. After a pause timers fire before answers are read, as an event loop does it. */
export function frozenGate(time: SimTime): ProcessGate {
  let frozen = false;
  let ended = false;
  let timers: (() => void)[] = [];
  let answers: (() => void)[] = [];
  return {
    get ended() {
      return ended;
    },
    get closed() {
      return frozen || ended;
    },
    open: () => {
      if (ended) return new Promise(() => undefined);
      if (!frozen) return Promise.resolve();
      return new Promise((resolve) => answers.push(resolve));
    },
    run: (wake) => {
      if (ended) return;
      if (frozen) timers.push(wake);
      else wake();
    },
    freeze: () => {
      frozen = true;
    },
    thaw: () => {
      if (!frozen || ended) return;
      frozen = false;
      const wakes = timers;
      timers = [];
      const heard = answers;
      answers = [];
      for (const wake of wakes) time.schedule(0, () => (ended ? undefined : wake()));
      for (const hear of heard) time.schedule(0, hear);
    },
    end: () => {
      ended = true;
      timers = [];
      answers = [];
    },
  };
}

/** A process's timer. What was due while it stood still, and is called off when it goes on, does not happen, as with real ones. */
export function scheduleBehind(
  gate: ProcessGate,
  clock: Pick<Clock, "schedule">,
  { delayMs, wake }: { readonly delayMs: number; readonly wake: () => void },
): Cancel {
  let isCalledOff = false;
  const cancel = clock.schedule(delayMs, () =>
    gate.run(() => {
      if (!isCalledOff) wake();
    }),
  );
  return () => {
    isCalledOff = true;
    cancel();
  };
}
