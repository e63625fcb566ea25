// Decides which replica acts. Knows the Lease and its rules; knows nothing of what a leader does.
import assert from "node:assert/strict";
import type { Clock, Random } from "../model/clock.ts";
import type { ApiFailure, ApiTransport } from "../kube/transport.ts";
import { type ElectionTimings, electionTimingsProblem } from "./election-timings.ts";
import { HeldLeadership, type Leadership, type LostReason } from "./leadership.ts";
import { type LeaseAnswer, LeaseClient } from "./lease-client.ts";
import { LeaseClaims, type Term } from "./lease-claims.ts";
import { LeaseObserver, type Observation } from "./lease-observer.ts";
import type { LeaseRecord } from "./lease-record.ts";

export interface LeaderElectionOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly namespace: string;
  readonly leaseName: string;
  /** Names this process, not this replica: two lives of one pod must differ. */
  readonly identity: string;
  readonly timings: ElectionTimings;
  readonly onLeading: (leadership: Leadership) => void;
  readonly onLost: (why: LostReason) => void;
  /** Told after each call whether a working API server answered: the Lease is the probe of the connection. */
  readonly onContact?: (ok: boolean) => void;
  /** Told when the Lease is seen to have been written by anybody, and when a write of ours fails without fault of ours. */
  readonly onStored?: (isStored: boolean) => void;
  /** Highest epoch known from elsewhere (the fencing ledger), so that a deleted Lease does not start them over. */
  readonly epochFloor?: () => number;
  /** What is to be kept on the Lease about gaps in the watch while leading. */
  readonly unobserved?: () => string | undefined;
  /** Told before `onLeading` what the Lease said when it was taken. */
  readonly onTaken?: (before: LeaseRecord | undefined) => void;
}

export interface ElectionState {
  readonly role: "idle" | "standby" | "leading";
  /** Ours while leading, else the highest seen; 0 where none was. */
  readonly epoch: number;
  /** Who holds the Lease as far as we know; empty where nobody does. */
  readonly holder: string;
  /** Monotonic time of the API server's last answer. */
  readonly lastContactMs: number | undefined;
  /** Why the last attempt failed; undefined after a success. */
  readonly lastFailure: ApiFailure | undefined;
}

export interface LeaderElection {
  start(): void;
  /** Ends leadership, then lets the Lease go so that the next takes over at once. What it guarded should have ended before. */
  stop(): Promise<void>;
  state(): ElectionState;
}

/** Tries within one renewal: somebody's edit between two of ours is no reason to give up. */
const MAX_TRIES_IN_A_ROW = 4;

/**
 * Guarantees: at most one candidate's `valid()` is true at any instant; epochs rise from one leadership to the next; a
 * candidate that can reach the API server leads within lease duration + half a retry period of the leader's last renewal.
 * Assumptions: a follower's clock gains less on the leader's than lease duration over renew deadline, and no process's
 * monotonic clock stands still while it can act (a paused machine is caught by the epoch in every write instead).
 * Caveats: a Lease that is missing or has no holder is not thereby free: it is waited out like any other, so the first
 * leader of a new installation comes one lease duration late. Somebody who edits the Lease all the time keeps others from
 * taking it over. Somebody who forges the mark of a release is believed.
 */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const problem = electionTimingsProblem(options.timings);
  assert(problem === undefined, `leader election: ${problem}`);
  return new Elector(options);
}

class Elector implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #client: LeaseClient;
  readonly #claims: LeaseClaims;
  readonly #seen: LeaseObserver;
  #loop: Promise<void> | undefined;
  #stopping = false;
  #wake: () => void = () => {};
  #leadership: HeldLeadership | undefined;
  #lastFailure: ApiFailure | undefined;

  constructor(options: LeaderElectionOptions) {
    const { transport, clock, namespace, leaseName, identity, timings } = options;
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = timings;
    this.#options = options;
    this.#seen = new LeaseObserver(clock, timings);
    const client = new LeaseClient({
      transport,
      clock,
      namespace,
      leaseName,
      shortestDeadlineMs: retryPeriodMs,
      longestDeadlineMs: Math.max(retryPeriodMs, renewDeadlineMs - retryPeriodMs),
      onContact: options.onContact ?? (() => {}),
      onStored: options.onStored ?? (() => {}),
    });
    this.#client = client;
    this.#claims = new LeaseClaims({
      client,
      clock,
      namespace,
      leaseName,
      identity,
      leaseDurationMs,
      unobserved: options.unobserved ?? (() => undefined),
    });
  }

  start(): void {
    assert(this.#loop === undefined, "a leader election starts once");
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#leadership?.end("released");
      this.#client.interrupt();
      this.#wake();
      this.#loop = this.#loop?.then(() => this.#claims.release());
    }
    await this.#loop;
  }

  state(): ElectionState {
    const leading = this.#leadership?.valid() === true;
    const running = this.#loop !== undefined && !this.#stopping;
    return {
      role: running ? (leading ? "leading" : "standby") : "idle",
      epoch: leading ? (this.#leadership?.epoch ?? 0) : this.#seen.highestEpoch,
      holder: this.#seen.record?.holder ?? "",
      lastContactMs: this.#client.lastContactMs,
      lastFailure: this.#lastFailure,
    };
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const held = this.#leadership;
      await this.#sleepUntil(held ? await this.#renew(held) : await this.#campaign());
    }
  }

  /** One renewal, following conflicts while the Lease is still ours. Returns when to try next. */
  async #renew(held: HeldLeadership): Promise<number> {
    for (let tries = 0; tries < MAX_TRIES_IN_A_ROW && held.valid(); tries += 1) {
      const sentAtMs = this.#nowMs();
      const before = this.#seen.record;
      const answer = await this.#claims.write(before, held, held.leftMs, true);
      if (answer.kind === "failed") return this.#failed(answer.failure);
      // A patch that changed nothing is no sign of life to those who watch the resourceVersion.
      if (answer.kind === "record" && answer.record.resourceVersion !== before?.resourceVersion) {
        this.#succeeded(answer.record);
        held.extend(sentAtMs);
        return sentAtMs + this.#options.timings.retryPeriodMs;
      }
      const seen = await this.#client.read(held.leftMs);
      if (seen.kind === "failed") return this.#failed(seen.failure);
      const { record } = this.#observe(seen);
      // Without a holder (emptied, or deleted and made anew) it is written in our name again: while we are valid, and
      // guarded by its version, nobody else can have taken it.
      if (record && record.holder !== "" && !this.#claims.isOurs(record, held)) held.end("takenOver");
    }
    if (held.valid()) return this.#nowMs() + this.#shortPauseMs();
    held.end("renewDeadlinePassed");
    return this.#nowMs();
  }

  /** One look at the Lease, and an attempt to take it where the rules allow. Returns when to look next. */
  async #campaign(): Promise<number> {
    const seen = await this.#client.read();
    if (seen.kind === "failed") return this.#failed(seen.failure);
    const observation = this.#observe(seen);
    const sentAtMs = this.#nowMs();
    const soonMs = sentAtMs + this.#shortPauseMs();
    if (this.#stopping) return soonMs;
    if (!observation.record) return this.#createUnheld(soonMs);
    const freeAtMs = this.#seen.freeAtMs(observation);
    if (freeAtMs > sentAtMs) return Math.min(freeAtMs, soonMs);

    const term = this.#claims.newTerm(this.#lastEpoch() + 1);
    const { renewDeadlineMs, retryPeriodMs } = this.#options.timings;
    const answer = await this.#claims.write(observation.record, term);
    if (answer.kind === "failed") return this.#failed(answer.failure);
    if (answer.kind !== "record") return soonMs;
    this.#succeeded(answer.record);
    // Heard of too late to be of use (the process was paused): take it again, it is still ours.
    if (this.#stopping || this.#nowMs() >= sentAtMs + renewDeadlineMs) return this.#nowMs();
    this.#options.onTaken?.(observation.record);
    this.#lead(term, sentAtMs);
    return sentAtMs + retryPeriodMs;
  }

  /** Gives a missing Lease a version to wait on; a leader that is alive writes itself into it meanwhile. */
  async #createUnheld(soonMs: number): Promise<number> {
    const answer = await this.#claims.createUnheld(this.#lastEpoch());
    if (answer.kind === "failed") return this.#failed(answer.failure);
    if (answer.kind === "record") this.#observe(answer);
    return soonMs;
  }

  #lastEpoch(): number {
    return Math.max(this.#seen.highestEpoch, this.#options.epochFloor?.() ?? 0);
  }

  #lead(term: Term, sentAtMs: number): void {
    const held = new HeldLeadership({
      ...term,
      clock: this.#options.clock,
      renewDeadlineMs: this.#options.timings.renewDeadlineMs,
      sentAtMs,
      onEnd: (why) => {
        this.#leadership = undefined;
        this.#options.onLost(why);
        this.#wake();
      },
    });
    this.#leadership = held;
    this.#options.onLeading(held);
  }

  #succeeded(record: LeaseRecord): void {
    this.#lastFailure = undefined;
    this.#seen.observeOwn(record);
  }

  #observe(answer: Exclude<LeaseAnswer, { kind: "failed" }>): Observation {
    this.#lastFailure = undefined;
    return this.#seen.observe(answer.kind === "record" ? answer.record : undefined);
  }

  /** When to try again. A call that used up its deadline has paused almost enough. */
  #failed(failure: ApiFailure): number {
    this.#lastFailure = failure;
    return this.#nowMs() + this.#shortPauseMs() / (failure.kind === "timeout" ? 10 : 1);
  }

  /** Half a retry period at most: a stand-by's look at the Lease costs little and its delay adds to every take-over. */
  #shortPauseMs(): number {
    return (this.#options.timings.retryPeriodMs / 2) * (0.8 + 0.2 * this.#options.random());
  }

  #nowMs(): number {
    return this.#options.clock.now().monotonicMs;
  }

  async #sleepUntil(untilMs: number): Promise<void> {
    if (this.#stopping) return;
    await new Promise<void>((resolve) => {
      const delayMs = Math.ceil(Math.max(0, untilMs - this.#nowMs()));
      const cancel = this.#options.clock.schedule(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
