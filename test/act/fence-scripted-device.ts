// A fence device that plays a script in virtual time, and a runner for the power-off procedure on it.
import { pause } from "../../src/act/fence/call-deadline.ts";
import type {
  DeviceAnswer,
  DeviceAnswerKind,
  DeviceCall,
  DeviceFailureKind,
  FenceDevice,
  PowerReading,
  PowerState,
  ReadCall,
  SystemIdentity,
} from "../../src/act/fence/fence-device.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import type {
  PowerOffOptions,
  PowerOffProgress,
  PowerOffResult,
} from "../../src/act/fence/power-off-result.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

export const THIS_SYSTEM: SystemIdentity = {
  path: "/systems/1",
  uuid: "4c4c4544-0042-3510-8052-b4c04f4d3232",
};

/** A reading to play: a state or a failure at once, or with details. `hang` never answers, whatever the signal says. */
export type ReadStep =
  | PowerState
  | DeviceFailureKind
  | "hang"
  | "throw"
  | {
      readonly state: PowerState;
      readonly identity?: SystemIdentity;
      readonly obstacle?: string;
      readonly lastsMs?: number;
    }
  | { readonly fails: DeviceFailureKind; readonly retryAfterMs?: number; readonly lastsMs?: number };

/** An answer to play. `hang` ignores deadline and signal. */
export type AnswerStep =
  | DeviceAnswerKind
  | "hang"
  | "throw"
  | { readonly kind: DeviceAnswerKind; readonly retryAfterMs?: number; readonly lastsMs?: number };

const STATES: ReadonlySet<string> = new Set(["On", "Off", "PoweringOn", "PoweringOff", "Unknown"]);
/** How long a step takes where it does not say. */
const STEP_MS = 10;

export interface SeenCall {
  readonly call: "read" | "requestOff" | "requestOn";
  readonly atMs: number;
  readonly fresh?: boolean;
  readonly deadlineMs: number;
}

/** Plays its steps in order; the last one repeats. */
export class ScriptedDevice implements FenceDevice {
  readonly label = "scripted";
  readonly seen: SeenCall[] = [];
  signalsAborted = 0;
  #clock: VirtualClock;
  #reads: readonly ReadStep[];
  #answers: readonly AnswerStep[];
  #readCount = 0;
  #answerCount = 0;

  constructor(clock: VirtualClock, script: { reads: readonly ReadStep[]; answers?: readonly AnswerStep[] }) {
    this.#clock = clock;
    this.#reads = script.reads;
    this.#answers = script.answers ?? ["accepted"];
  }

  get requests(): number {
    return this.seen.filter((seen) => seen.call === "requestOff").length;
  }

  async readPower(call: ReadCall): Promise<PowerReading> {
    this.#see("read", call);
    const step = this.#reads[Math.min(this.#readCount++, this.#reads.length - 1)] ?? "Unknown";
    if (step === "hang") return forever();
    if (step === "throw") throw new TypeError("a secret: s3cret");
    const detailed: Exclude<ReadStep, string> =
      typeof step !== "string"
        ? step
        : STATES.has(step)
          ? { state: step as PowerState }
          : { fails: step as DeviceFailureKind };
    await this.#last(detailed.lastsMs, call);
    if ("fails" in detailed) {
      const retry = detailed.retryAfterMs === undefined ? {} : { retryAfterMs: detailed.retryAfterMs };
      return { ok: false, kind: detailed.fails, message: `scripted ${detailed.fails}`, ...retry };
    }
    return {
      ok: true,
      state: detailed.state,
      identity: detailed.identity ?? THIS_SYSTEM,
      ...(detailed.obstacle === undefined ? {} : { obstacle: detailed.obstacle }),
    };
  }

  async requestOff(call: DeviceCall): Promise<DeviceAnswer> {
    this.#see("requestOff", call);
    const step = this.#answers[Math.min(this.#answerCount++, this.#answers.length - 1)] ?? "accepted";
    if (step === "hang") return forever();
    if (step === "throw") throw new TypeError("a secret: s3cret");
    const detailed = typeof step === "string" ? { kind: step } : step;
    await this.#last("lastsMs" in detailed ? detailed.lastsMs : undefined, call);
    return { message: `scripted ${detailed.kind}`, ...detailed };
  }

  async requestOn(call: DeviceCall): Promise<DeviceAnswer> {
    this.#see("requestOn", call);
    return { kind: "accepted", message: "scripted" };
  }

  async close(): Promise<void> {}

  #see(call: SeenCall["call"], options: ReadCall): void {
    options.signal?.addEventListener("abort", () => this.signalsAborted++, { once: true });
    this.seen.push({
      call,
      atMs: this.#clock.now().monotonicMs,
      deadlineMs: options.deadlineMs,
      ...(call === "read" ? { fresh: options.fresh === true } : {}),
    });
  }

  #last(lastsMs: number | undefined, call: DeviceCall): Promise<void> {
    const signal = call.signal ?? new AbortController().signal;
    return pause(this.#clock, Math.min(lastsMs ?? STEP_MS, call.deadlineMs), signal);
  }
}

function forever(): Promise<never> {
  return new Promise(() => undefined);
}

export interface Played {
  readonly result: PowerOffResult;
  readonly device: ScriptedDevice;
  readonly clock: VirtualClock;
  readonly progress: readonly PowerOffProgress[];
  /** Attempt numbers for which leave was asked. */
  readonly asked: readonly number[];
  readonly lastedMs: number;
}

/** Runs the procedure on a script until it ends; fails where virtual time runs far past the deadline. */
export async function play(
  script: { reads: readonly ReadStep[]; answers?: readonly AnswerStep[] },
  options: Partial<Omit<PowerOffOptions, "clock" | "onProgress">> = {},
): Promise<Played> {
  const clock = new VirtualClock();
  const device = new ScriptedDevice(clock, script);
  const progress: PowerOffProgress[] = [];
  const asked: number[] = [];
  const deadlineMs = options.deadlineMs ?? 30_000;
  const end: { outcome?: { result: PowerOffResult } | { error: unknown } } = {};
  void powerOff(device, {
    ...options,
    clock,
    deadlineMs,
    beforeRequest: async (reading, attempt) => {
      asked.push(attempt);
      return options.beforeRequest === undefined || options.beforeRequest(reading, attempt);
    },
    onProgress: (step) => progress.push(step),
  }).then(
    (result) => (end.outcome = { result }),
    (error: unknown) => (end.outcome = { error }),
  );
  const stepMs = 5;
  for (let spentMs = 0; end.outcome === undefined && spentMs <= deadlineMs + 1_000; spentMs += stepMs) {
    await clock.advance(stepMs);
  }
  const { outcome } = end;
  if (outcome === undefined) throw new Error("the procedure did not end by its deadline");
  if ("error" in outcome) throw outcome.error;
  return { result: outcome.result, device, clock, progress, asked, lastedMs: clock.now().monotonicMs };
}
