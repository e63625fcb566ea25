// A replica that takes part in a leader election in virtual time: it can be cut off, slowed, frozen and killed.
import type { Cancel, Clock } from "../../src/model/clock.ts";
import { DEFAULT_ELECTION_TIMINGS, type ElectionTimings } from "../../src/run/election-timings.ts";
import { createLeaderElection, type LeaderElection } from "../../src/run/leader-election.ts";
import type { Leadership } from "../../src/run/leadership.ts";
import { createLink, type LeaseServer, type Link } from "./lease-server.ts";
import type { Skew, VirtualClock } from "./virtual-clock.ts";

/** A clock whose timers wait while the process is frozen (SIGSTOP, a long pause), though its time goes on. */
export class FreezableClock implements Clock {
  readonly #clock: Clock;
  #frozen = false;
  #held: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): ReturnType<Clock["now"]> {
    return this.#clock.now();
  }

  schedule(delayMs: number, wake: () => void): Cancel {
    let cancelled = false;
    const run = (): void => {
      if (cancelled) return;
      if (this.#frozen) this.#held.push(run);
      else wake();
    };
    const cancel = this.#clock.schedule(delayMs, run);
    return () => {
      cancelled = true;
      cancel();
    };
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    for (const run of this.#held.splice(0)) run();
  }
}

export interface CandidateOptions {
  readonly identity: string;
  readonly skew?: Skew;
  readonly timings?: ElectionTimings;
  readonly link?: Link;
  readonly random?: () => number;
  readonly epochFloor?: () => number;
  readonly onLeading?: (leadership: Leadership) => void;
}

export class Candidate {
  readonly identity: string;
  readonly link: Link;
  readonly clock: FreezableClock;
  readonly transport: ReturnType<LeaseServer["transport"]>;
  readonly election: LeaderElection;
  readonly log: string[] = [];
  readonly leaderships: Leadership[] = [];
  readonly contacts: boolean[] = [];
  readonly stored: boolean[] = [];
  /** The process is gone: whatever it believed no longer counts. */
  dead = false;

  constructor(clock: VirtualClock, server: LeaseServer, options: CandidateOptions) {
    this.identity = options.identity;
    this.link = options.link ?? createLink();
    this.clock = new FreezableClock(clock.skewed(options.skew ?? {}));
    this.transport = server.transport(this.link, this.clock);
    const atSecond = (): string => `${(clock.now().monotonicMs / 1000).toFixed(2)} s`;
    this.election = createLeaderElection({
      transport: this.transport,
      clock: this.clock,
      random: options.random ?? (() => 0.5),
      namespace: "holdfast-system",
      leaseName: "holdfast",
      identity: options.identity,
      timings: options.timings ?? DEFAULT_ELECTION_TIMINGS,
      onLeading: (leadership) => {
        this.leaderships.push(leadership);
        this.log.push(`${atSecond()} leads, epoch ${leadership.epoch}`);
        options.onLeading?.(leadership);
      },
      onLost: (why) => this.log.push(`${atSecond()} lost: ${why}`),
      onContact: (ok) => this.contacts.push(ok),
      onStored: (isStored) => this.stored.push(isStored),
      ...(options.epochFloor ? { epochFloor: options.epochFloor } : {}),
    });
    this.election.start();
  }

  get leadership(): Leadership | undefined {
    return this.leaderships.at(-1);
  }

  get leads(): boolean {
    return !this.dead && this.leadership?.valid() === true;
  }

  /** Power gone: nothing leaves, nothing arrives, nothing runs. */
  kill(): void {
    this.dead = true;
    this.link.requestsLost = true;
    this.clock.freeze();
  }
}
