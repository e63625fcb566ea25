// What every fencing method must be able to do to one node, and the words in which it answers. Knows no protocol.

/** `Unknown`: the device answered, but not with a state we can vouch for. */
export type PowerState = "On" | "Off" | "PoweringOn" | "PoweringOff" | "Unknown";

/** Limits of one call. Every call ends by `deadlineMs`, all its round trips together, or as soon as `signal` aborts. */
export interface DeviceCall {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

export interface ReadCall extends DeviceCall {
  /**
   * Ask over a new connection, so that neither a proxy's nor a half-dead connection's last answer can vouch for
   * itself. Methods without connections ask anew.
   */
  readonly fresh?: boolean;
}

/** Which machine answered, as far as it says; lets a caller check that it is about to cut the right one. */
export interface SystemIdentity {
  /** Where at the device the machine was found, for instance `/redfish/v1/Systems/1` or an outlet number. */
  readonly path: string;
  /** SMBIOS UUID, as the device writes it; compare with `compareSystemUUID`. */
  readonly uuid?: string;
  readonly serialNumber?: string;
  readonly hostName?: string;
  readonly model?: string;
  /** Of several devices some do not tell which machine they speak of. */
  readonly isPartial?: boolean;
}

/**
 * Why a device could not be asked. `timeout`: our deadline passed. `unreachable`: no connection. `untrusted`: TLS (its
 * certificate, or a protocol we refuse). `denied`: credentials or rights. `misconfigured`: a person must change the
 * settings. `busy`: it asks us to come back. `faulty`: it failed by its own account or answered nonsense.
 * `aborted`: the caller's signal.
 */
export type DeviceFailureKind =
  | "timeout"
  | "unreachable"
  | "untrusted"
  | "denied"
  | "misconfigured"
  | "busy"
  | "faulty"
  | "aborted";

export interface DeviceFailure {
  readonly ok: false;
  readonly kind: DeviceFailureKind;
  /** At most `MAX_MESSAGE_CHARS`; never a secret. */
  readonly message: string;
  readonly retryAfterMs?: number;
}

export interface ReadPower {
  readonly ok: true;
  readonly state: PowerState;
  readonly identity: SystemIdentity;
  /** Why `requestOff` would be useless although the state can be read; absent where nothing speaks against it. */
  readonly obstacle?: string;
  /** The states of several devices, where they differ; `state` is then the one furthest from Off. */
  readonly mixed?: string;
}

export type PowerReading = ReadPower | DeviceFailure;

/**
 * What became of one request. It proves nothing about power. `accepted`: the device says it will. `refused`: it says it
 * did nothing. `noAnswer`: sent, then silence or a broken connection: it may have acted. `faulty`: an error of its own
 * or nonsense: it may have acted. All other kinds: the request was not carried out, in most cases not even sent.
 */
export type DeviceAnswerKind =
  | "accepted"
  | "refused"
  | "noAnswer"
  | "faulty"
  | "busy"
  | "unreachable"
  | "untrusted"
  | "denied"
  | "misconfigured";

export interface DeviceAnswer {
  readonly kind: DeviceAnswerKind;
  /** What the device said, or what we saw; at most `MAX_MESSAGE_CHARS`, never a secret. */
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** Longest message of a device that is kept. */
export const MAX_MESSAGE_CHARS = 300;

/**
 * One device that can cut one node.
 *
 * Guarantees: every call obeys its deadline and signal; expected failures are values; messages and `JSON.stringify` of
 * the device show no secret; `readPower` may be called while a request is still unanswered.
 * Caveats: no call ever reports success from an answer: what a device has done is known only from a state read back.
 */
export interface FenceDevice {
  /** For people: method and place, for instance `Redfish https://10.0.0.7`. */
  readonly label: string;
  /** Harmless: reads the state. */
  readPower(call: ReadCall): Promise<PowerReading>;
  /** Sends one request to cut power at once, without asking the operating system. */
  requestOff(call: DeviceCall): Promise<DeviceAnswer>;
  requestOn(call: DeviceCall): Promise<DeviceAnswer>;
  /** Gives back what the calls opened (sessions, connections) in bounded time; never fails. The device stays usable. */
  close(): Promise<void>;
}
