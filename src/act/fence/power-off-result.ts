// What the power-off procedure is given and what it says in the end. Types and defaults only.
import type { Clock, Instant } from "../../model/clock.ts";
import type {
  DeviceAnswerKind,
  DeviceFailureKind,
  PowerState,
  ReadPower,
  SystemIdentity,
} from "./fence-device.ts";

/** One successful reading with the moment at which it was complete. */
export interface TakenReading {
  readonly state: PowerState;
  readonly identity: SystemIdentity;
  readonly at: Instant;
  readonly fresh: boolean;
}

/** The two readings that together are the evidence; the second was asked for later and over a new connection. */
export type OffReadings = readonly [TakenReading, TakenReading];

/**
 * `PoweredOff`: Off after a request that was, or may have been, carried out. `AlreadyOff`: Off although no request of
 * ours can have done it; believed only of a device that is vouched for (`PowerOffOptions.vouchesForOff`).
 */
export interface OffResult {
  readonly outcome: "off";
  readonly how: "PoweredOff" | "AlreadyOff";
  readonly readings: OffReadings;
  readonly requests: number;
  readonly provenAfterMs: number;
  /** From the call to the first request; undefined where none was needed. */
  readonly firstRequestAfterMs: number | undefined;
  readonly seenOn: boolean;
}

/**
 * `refused`: the device said no and the node is not off. `timeout`: the deadline passed without a trustworthy state.
 * `stillOn`: a request was made and the state stayed other than Off. `abandoned`: the caller said not to shoot, or gave
 * up. `denied`, `misconfigured`: as the device has it; an untrusted certificate is `misconfigured`. `unreachable`: no
 * connection, or nothing but nonsense over it. `doubted`: the device says Off, has not said On in this procedure, and
 * nobody vouches for it.
 */
export type NotOffKind =
  | "refused"
  | "timeout"
  | "unreachable"
  | "denied"
  | "stillOn"
  | "abandoned"
  | "misconfigured"
  | "doubted";

export interface NotOffResult {
  readonly outcome: "notOff";
  readonly kind: NotOffKind;
  readonly message: string;
  /** The last state that was read, however long ago; undefined where none ever was. */
  readonly lastState: PowerState | undefined;
  readonly requests: number;
  /** Whether the node may yet go down because of us: a request was accepted, or was sent and its fate is unknown. */
  readonly mayHaveActed: boolean;
  /** The last state in words, where several devices differed. */
  readonly lastMixed: string | undefined;
  /** Whether the device, or every one of several at once, said On in this procedure. */
  readonly seenOn: boolean;
  readonly firstRequestAfterMs: number | undefined;
}

export type PowerOffResult = OffResult | NotOffResult;

/** One step of the procedure, told while it happens; `afterMs` counts from its start. */
export type PowerOffProgress = { readonly afterMs: number } & (
  | { readonly step: "read"; readonly state: PowerState; readonly fresh: boolean }
  | { readonly step: "readFailed"; readonly kind: DeviceFailureKind; readonly message: string }
  | { readonly step: "requesting"; readonly attempt: number }
  | { readonly step: "answered"; readonly kind: DeviceAnswerKind; readonly message: string }
  | { readonly step: "notAnsweredYet"; readonly waitedMs: number }
);

/** Every pause and bound of the procedure, in milliseconds unless the name says otherwise. */
export interface PowerOffTimings {
  /** Longest single reading, login included; slow BMCs need seconds for it. */
  readonly readDeadlineMs: number;
  /** Readings in a row that may fail before anything was requested; then the next fencing level should have its turn. */
  readonly blindReadsMax: number;
  readonly pollMs: number;
  readonly pollMaxMs: number;
  /** From the first Off to the confirming reading, where a request of ours explains the Off. */
  readonly confirmAfterMs: number;
  /** The same where nothing of ours explains it: a glitch or a restart under way must have time to show. */
  readonly confirmUnexplainedAfterMs: number;
  /** How long a request may go unanswered before we read the state beside it. */
  readonly answerPatienceMs: number;
  /** Longest wait for a request's answer; a wedged guest was measured to take 13 s to cut. */
  readonly requestDeadlineMs: number;
  /** Pause where a busy device names none. */
  readonly busyPauseMs: number;
  /** After a request of unknown fate: how long the node may still read On before another request is made. */
  readonly resendAfterMs: number;
  /** Requests of one procedure, those a busy device turned away included. */
  readonly requestsMax: number;
}

export const POWER_OFF_TIMINGS: PowerOffTimings = {
  readDeadlineMs: 8_000,
  blindReadsMax: 3,
  pollMs: 250,
  pollMaxMs: 2_000,
  confirmAfterMs: 250,
  confirmUnexplainedAfterMs: 1_000,
  answerPatienceMs: 1_000,
  requestDeadlineMs: 20_000,
  busyPauseMs: 1_000,
  resendAfterMs: 5_000,
  requestsMax: 10,
};

export interface PowerOffOptions {
  readonly clock: Clock;
  /** Of the whole procedure. */
  readonly deadlineMs: number;
  /**
   * Asked right before every request, with the newest reading and the request's number from 1. The caller checks that it
   * still leads and that the node is still lost, and writes the attempt down. False: do not shoot.
   */
  readonly beforeRequest: (reading: ReadPower, attempt: number) => Promise<boolean>;
  /** Says why the machine that answers is not the one to cut; such an answer ends the procedure as `misconfigured`. */
  readonly wrongSystem?: (identity: SystemIdentity) => string | undefined;
  /**
   * Asked where the device says Off and has not said On in this procedure: whether something else shows that it speaks of
   * this node. Some devices say Off of whatever they do not know, and the node was alive a moment ago. Left out: the
   * device is believed.
   */
  readonly vouchesForOff?: (reading: TakenReading) => boolean;
  readonly onProgress?: (progress: PowerOffProgress) => void;
  readonly signal?: AbortSignal;
  readonly timings?: Partial<PowerOffTimings>;
}
