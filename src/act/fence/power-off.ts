// The procedure that cuts one node through one device and believes nothing but states read back. Knows no protocol.
import { CallDeadline, pause, unlessAborted } from "./call-deadline.ts";
import type {
  DeviceAnswer,
  DeviceFailure,
  FenceDevice,
  PowerReading,
  PowerState,
  ReadPower,
} from "./fence-device.ts";
import { GuardedDevice, type RequestUnderWay } from "./guarded-device.ts";
import { OffWitness, type Testimony } from "./off-witness.ts";
import {
  type NotOffKind,
  type NotOffResult,
  POWER_OFF_TIMINGS,
  type PowerOffOptions,
  type PowerOffProgress,
  type PowerOffResult,
  type PowerOffTimings,
} from "./power-off-result.ts";

/** Each poll's pause is this much longer than the one before. */
const POLL_GROWTH = 1.5;

const DOUBT =
  "it says Off, but was never seen to say On of this node and does not identify it, so it may speak of another machine, or of none";

/**
 * Cuts the node's power and reads it back.
 *
 * Guarantees: `off` only after two readings of Off over two connections, of one machine, with no other state between;
 * no request without `beforeRequest` having said yes right before it; ends by the deadline whatever the device does;
 * expected failures are values; it rejects only where `beforeRequest` does.
 * Assumptions: the device speaks of the node meant (`wrongSystem` checks it), and only one procedure at a time runs on it.
 * Caveats: `notOff` does not mean on: see `mayHaveActed`. A device that has said On, or is vouched for, and then says Off
 * again and again while the node runs is believed. The device is not closed: record the proof first, then close it.
 */
export function powerOff(device: FenceDevice, options: PowerOffOptions): Promise<PowerOffResult> {
  return new PowerOffProcedure(device, options).run();
}

/** `look`: what is the state, before a request. `shoot`: make one. `watch`: wait for Off after one. */
type Stage = "look" | "shoot" | "watch";

class PowerOffProcedure {
  #device: GuardedDevice;
  #options: PowerOffOptions;
  #timings: PowerOffTimings;
  #deadline: CallDeadline;
  #witness: OffWitness;
  #startedMs: number;
  #requests = 0;
  #firstRequestAfterMs: number | undefined;
  #lastRequestMs = 0;
  /** An answer that was not there when our patience ended; it may still come. */
  #unanswered: RequestUnderWay | undefined;
  #acted = false;
  #seenOn = false;
  /** The newest request's fate is unknown, so it may have to be repeated. */
  #fateUnknown = false;
  #refusal: string | undefined;
  #blindReads = 0;
  #pollMs: number;
  #newest: ReadPower | undefined;
  #newestMs = 0;
  #lastFailure: DeviceFailure | undefined;

  constructor(device: FenceDevice, options: PowerOffOptions) {
    this.#options = options;
    this.#timings = { ...POWER_OFF_TIMINGS, ...options.timings };
    this.#deadline = new CallDeadline(options.clock, options);
    this.#device = new GuardedDevice(device, options.clock, this.#deadline);
    this.#witness = new OffWitness(options.wrongSystem);
    this.#startedMs = options.clock.now().monotonicMs;
    this.#pollMs = this.#timings.pollMs;
  }

  async run(): Promise<PowerOffResult> {
    try {
      let next: Stage | PowerOffResult = "look";
      while (typeof next === "string") {
        if (this.#deadline.signal.aborted) return this.#outOfTime();
        next = await this.#take(next);
      }
      return next;
    } finally {
      this.#deadline.end();
    }
  }

  #take(stage: Stage): Promise<Stage | PowerOffResult> {
    if (stage === "look") return this.#look();
    return stage === "shoot" ? this.#shoot() : this.#watch();
  }

  async #look(): Promise<Stage | PowerOffResult> {
    const reading = await this.#read();
    if (!reading.ok) return this.#lookAgainAfter(reading);
    this.#blindReads = 0;
    const testimony = this.#hear(reading);
    if (testimony.kind === "unconfirmed") return this.#pauseThen("look", this.#confirmAfterMs());
    if (testimony.kind !== "notOff") return this.#concluded(testimony);
    if (this.#refusal === undefined) return "shoot";
    // Refused, yet on its way down: somebody else's doing, or a BMC that refuses what is already under way.
    if (reading.state === "PoweringOff") return this.#pauseThen("look", this.#nextPollMs());
    return this.#notOff("refused", this.#refusal);
  }

  async #lookAgainAfter(failure: DeviceFailure): Promise<Stage | PowerOffResult> {
    const hopeless = this.#hopeless(failure);
    if (hopeless) return hopeless;
    if (failure.kind === "busy") return this.#waitForBusy(failure);
    this.#blindReads++;
    if (this.#blindReads >= this.#timings.blindReadsMax) {
      return this.#notOff(silenceKind(failure), failure.message);
    }
    return this.#pauseThen("look", this.#nextPollMs());
  }

  async #shoot(): Promise<Stage | PowerOffResult> {
    const reading = this.#newest;
    if (reading === undefined) return "look";
    if (reading.obstacle !== undefined) return this.#notOff("misconfigured", reading.obstacle);
    const attempt = this.#requests + 1;
    const allowed = await unlessAborted(
      this.#options.beforeRequest(reading, attempt),
      this.#deadline.signal,
      undefined,
    );
    if (allowed === undefined || this.#deadline.signal.aborted) return this.#outOfTime();
    if (!allowed) return this.#notOff("abandoned", "the caller withdrew before a request was made");
    this.#requests = attempt;
    this.#lastRequestMs = this.#options.clock.now().monotonicMs;
    this.#firstRequestAfterMs ??= this.#afterMs();
    this.#tell({ step: "requesting", attempt });
    this.#refusal = undefined;
    this.#fateUnknown = false;
    this.#pollMs = this.#timings.pollMs;
    const underWay = await this.#device.requestOff({
      patienceMs: this.#timings.answerPatienceMs,
      deadlineMs: this.#timings.requestDeadlineMs,
    });
    if (underWay.answer !== undefined) return this.#weigh(underWay.answer);
    this.#unanswered = underWay;
    this.#tell({ step: "notAnsweredYet", waitedMs: this.#timings.answerPatienceMs });
    return "watch";
  }

  async #weigh(answer: DeviceAnswer): Promise<Stage | PowerOffResult> {
    this.#tell({ step: "answered", kind: answer.kind, message: answer.message });
    const { kind } = answer;
    if (kind === "accepted" || kind === "noAnswer" || kind === "faulty") {
      this.#acted = true;
      this.#fateUnknown = kind !== "accepted";
      return "watch";
    }
    if (kind === "refused") {
      this.#refusal = answer.message;
      return "look";
    }
    if (this.#requests >= this.#timings.requestsMax) {
      const message = `${this.#requests} requests were not carried out: ${answer.message}`;
      return this.#notOff("timeout", message);
    }
    return this.#lookAgainAfter({ ...answer, kind, ok: false });
  }

  async #watch(): Promise<Stage | PowerOffResult> {
    const answer = this.#unanswered?.answer;
    if (answer !== undefined) {
      this.#unanswered = undefined;
      const next = await this.#weigh(answer);
      if (next !== "watch") return next;
    }
    const reading = await this.#read();
    if (!reading.ok) return this.#hopeless(reading) ?? this.#pauseThen("watch", this.#pauseAfter(reading));
    const testimony = this.#hear(reading);
    if (testimony.kind === "unconfirmed") return this.#pauseThen("watch", this.#confirmAfterMs());
    if (testimony.kind !== "notOff") return this.#concluded(testimony);
    return this.#pauseThen(this.#mustRepeat(reading.state) ? "shoot" : "watch", this.#nextPollMs());
  }

  #mustRepeat(state: PowerState): boolean {
    const sinceRequestMs = this.#options.clock.now().monotonicMs - this.#lastRequestMs;
    return (
      this.#fateUnknown &&
      state !== "PoweringOff" &&
      sinceRequestMs >= this.#timings.resendAfterMs &&
      this.#requests < this.#timings.requestsMax
    );
  }

  async #read(): Promise<PowerReading> {
    const fresh = this.#witness.awaitsConfirmation;
    const begunMs = this.#afterMs();
    const reading = await this.#device.read(this.#timings.readDeadlineMs, fresh);
    if (reading.ok) {
      this.#newest = reading;
      this.#newestMs = this.#options.clock.now().monotonicMs;
      this.#lastFailure = undefined;
      if (reading.state === "On" && reading.mixed === undefined) this.#seenOn = true;
      this.#tell({ step: "read", state: reading.state, fresh });
      return reading;
    }
    // Cut short by our own deadline, a reading says nothing against one that came since the request, unless it had kept
    // us waiting already.
    const hasSpokenSince = this.#newestMs > this.#lastRequestMs;
    const wasBrief = this.#afterMs() - begunMs < this.#timings.pollMaxMs;
    const cutShort = this.#deadline.signal.aborted && hasSpokenSince && wasBrief;
    if (!cutShort) this.#lastFailure = reading;
    this.#tell({ step: "readFailed", kind: reading.kind, message: reading.message });
    return reading;
  }

  #hear(reading: ReadPower): Testimony {
    return this.#witness.hear({
      state: reading.state,
      identity: reading.identity,
      at: this.#options.clock.now(),
      fresh: this.#witness.awaitsConfirmation,
    });
  }

  #concluded(testimony: Extract<Testimony, { kind: "proven" | "wrongSystem" }>): PowerOffResult {
    if (testimony.kind === "wrongSystem") return this.#notOff("misconfigured", testimony.message);
    const [, confirming] = testimony.readings;
    if (!this.#seenOn && this.#options.vouchesForOff?.(confirming) === false) {
      return this.#notOff("doubted", DOUBT);
    }
    return {
      outcome: "off",
      how: this.#explained() ? "PoweredOff" : "AlreadyOff",
      readings: testimony.readings,
      requests: this.#requests,
      provenAfterMs: this.#afterMs(),
      firstRequestAfterMs: this.#firstRequestAfterMs,
      seenOn: this.#seenOn,
    };
  }

  #explained(): boolean {
    return this.#acted || this.#unanswered !== undefined;
  }

  /** What no further try of ours can mend, and what would lock the account: trying again with the same password. */
  #hopeless(failure: DeviceFailure): NotOffResult | undefined {
    if (failure.kind === "denied") return this.#notOff("denied", failure.message);
    const needsAPerson = failure.kind === "misconfigured" || failure.kind === "untrusted";
    return needsAPerson ? this.#notOff("misconfigured", failure.message) : undefined;
  }

  #waitForBusy(failure: DeviceFailure): Promise<Stage> | PowerOffResult {
    const waitMs = Math.max(failure.retryAfterMs ?? 0, this.#timings.busyPauseMs);
    if (waitMs >= this.#deadline.remainingMs()) {
      return this.#notOff("timeout", `busy for longer than the time left: ${failure.message}`);
    }
    return this.#pauseThen("look", waitMs);
  }

  #pauseAfter(failure: DeviceFailure): number {
    return failure.kind === "busy" ? this.#timings.busyPauseMs : this.#nextPollMs();
  }

  #nextPollMs(): number {
    const now = this.#pollMs;
    this.#pollMs = Math.min(this.#timings.pollMaxMs, now * POLL_GROWTH);
    return now;
  }

  #confirmAfterMs(): number {
    return this.#explained() ? this.#timings.confirmAfterMs : this.#timings.confirmUnexplainedAfterMs;
  }

  async #pauseThen(stage: Stage, delayMs: number): Promise<Stage> {
    await pause(this.#options.clock, delayMs, this.#deadline.signal);
    return stage;
  }

  #outOfTime(): NotOffResult {
    if (this.#options.signal?.aborted === true) return this.#notOff("abandoned", "the caller gave up");
    const within = `within ${this.#deadline.deadlineMs} ms`;
    if (this.#refusal !== undefined) return this.#notOff("refused", this.#refusal);
    if (this.#lastFailure !== undefined) {
      return this.#notOff(
        silenceKind(this.#lastFailure),
        `no proof ${within}; last: ${this.#lastFailure.message}`,
      );
    }
    const state = this.#newest?.state;
    if (this.#requests > 0 && state !== undefined && state !== "Off" && state !== "Unknown") {
      return this.#notOff("stillOn", `the power state is still ${state} ${within} of the start`);
    }
    return this.#notOff("timeout", `no proof ${within}; last state read: ${state ?? "none"}`);
  }

  #notOff(kind: NotOffKind, message: string): NotOffResult {
    return {
      outcome: "notOff",
      kind,
      message,
      lastState: this.#newest?.state,
      requests: this.#requests,
      mayHaveActed: this.#explained(),
      lastMixed: this.#newest?.mixed,
      seenOn: this.#seenOn,
      firstRequestAfterMs: this.#firstRequestAfterMs,
    };
  }

  #afterMs(): number {
    return this.#options.clock.now().monotonicMs - this.#startedMs;
  }

  #tell(
    progress: PowerOffProgress extends infer P ? (P extends unknown ? Omit<P, "afterMs"> : never) : never,
  ): void {
    this.#options.onProgress?.({ ...progress, afterMs: this.#afterMs() });
  }
}

/** A device that answers nonsense is as good as not there. */
function silenceKind(failure: DeviceFailure): "unreachable" | "timeout" {
  return failure.kind === "unreachable" || failure.kind === "faulty" ? "unreachable" : "timeout";
}
