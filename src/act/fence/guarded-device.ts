// Stands between the power-off procedure and a device it does not trust: no late, thrown or endless answer gets through.
import type { Clock } from "../../model/clock.ts";
import { CallDeadline, pause, unlessAborted } from "./call-deadline.ts";
import type { DeviceAnswer, DeviceCall, DeviceFailure, FenceDevice, PowerReading } from "./fence-device.ts";

/** What a device may be late by its own deadline before we stop waiting for it, in milliseconds. */
const DEVICE_GRACE_MS = 250;

/** One request under way; `answer` appears when it comes, at the latest when the procedure ends. */
export interface RequestUnderWay {
  answer?: DeviceAnswer;
}

export class GuardedDevice {
  #device: FenceDevice;
  #clock: Clock;
  #whole: CallDeadline;

  /** `whole` bounds everything; its end aborts what is still under way. */
  constructor(device: FenceDevice, clock: Clock, whole: CallDeadline) {
    this.#device = device;
    this.#clock = clock;
    this.#whole = whole;
  }

  /** A device that throws counts as one that answers nonsense: fencing must go on to the next level, not crash. */
  read(deadlineMs: number, fresh: boolean): Promise<PowerReading> {
    const late: DeviceFailure = { ok: false, kind: "timeout", message: "no answer to a reading in time" };
    return this.#call<PowerReading>(deadlineMs, late, (call) =>
      this.#device.readPower({ ...call, fresh }),
    ).catch((error: unknown): DeviceFailure => ({ ok: false, kind: "faulty", message: thrown(error) }));
  }

  /**
   * Sends the request to cut power and waits `patienceMs` for its answer; the answer itself may take `deadlineMs`. Some
   * BMCs answer only when the machine is down, others act and never answer, and both can be read meanwhile.
   */
  async requestOff(limits: { patienceMs: number; deadlineMs: number }): Promise<RequestUnderWay> {
    const underWay: RequestUnderWay = {};
    const answered = this.#answerInto(underWay, limits.deadlineMs);
    const patience = new CallDeadline(this.#clock, {
      deadlineMs: limits.patienceMs,
      signal: this.#whole.signal,
    });
    await Promise.race([answered, pause(this.#clock, limits.patienceMs, patience.signal)]);
    patience.end();
    return underWay;
  }

  async #answerInto(underWay: RequestUnderWay, deadlineMs: number): Promise<void> {
    const late: DeviceAnswer = { kind: "noAnswer", message: "no answer to the request in time" };
    try {
      underWay.answer = await this.#call(deadlineMs, late, (call) => this.#device.requestOff(call));
    } catch (error) {
      underWay.answer = { kind: "faulty", message: thrown(error) };
    }
  }

  async #call<T>(deadlineMs: number, late: T, start: (call: DeviceCall) => Promise<T>): Promise<T> {
    const ownMs = Math.min(deadlineMs, this.#whole.remainingMs());
    const guard = new CallDeadline(this.#clock, {
      deadlineMs: ownMs + DEVICE_GRACE_MS,
      signal: this.#whole.signal,
    });
    try {
      return await unlessAborted(start({ deadlineMs: ownMs, signal: guard.signal }), guard.signal, late);
    } finally {
      guard.end();
    }
  }
}

function thrown(error: unknown): string {
  // The message alone could hold what the method was given; its class says enough to find the bug.
  return `the fencing method itself failed: ${error instanceof Error ? error.name : typeof error}`;
}
