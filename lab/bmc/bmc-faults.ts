// What can be made wrong with a lab BMC while it runs. Data only.

/** Faults of one BMC; all off unless said. They add up: the first that applies decides. */
export interface BmcFaults {
  /** Refuses connections, and breaks those that are open. */
  readonly down: boolean;
  /** Accepts connections and never answers. */
  readonly silent: boolean;
  /** The BMC has no supply of its own: it is silent while its machine is off. */
  readonly deadWithHost: boolean;
  /** Every answer is late by so much. */
  readonly delayMs: number;
  /** So many of the next requests are never answered. */
  readonly hangNext: number;
  /** Every request is answered 503. */
  readonly busy: boolean;
  /** So many of the next resets are answered 503; nothing is done. */
  readonly busyResets: number;
  readonly retryAfterS: number;
  /** Rejects all credentials, sessions included. */
  readonly wrongPassword: boolean;
  /** Answers 200 with a body that is cut off. */
  readonly garbage: boolean;
  /** Offers no session service, as small BMCs do. */
  readonly noSessions: boolean;
  /** Says Off whatever is true: always, or for so many readings. */
  readonly lieOff: boolean | number;
  /** Acts so much after it answered. */
  readonly slowOffMs: number;
  /** Answers 204 to a reset and does nothing. */
  readonly ignore: boolean;
  /** Answers 409 to a reset and does nothing. */
  readonly refuse: boolean;
  /** Acts on a reset, then drops the connection without an answer. */
  readonly loseReply: boolean;
  /** Acts on a reset and never answers. */
  readonly noReply: boolean;
  /** Answers 204 to what is already so, where others answer 409. */
  readonly acceptRepeated: boolean;
}

export const NO_FAULTS: BmcFaults = {
  down: false,
  silent: false,
  deadWithHost: false,
  delayMs: 0,
  hangNext: 0,
  busy: false,
  busyResets: 0,
  retryAfterS: 1,
  wrongPassword: false,
  garbage: false,
  noSessions: false,
  lieOff: false,
  slowOffMs: 0,
  ignore: false,
  refuse: false,
  loseReply: false,
  noReply: false,
  acceptRepeated: false,
};

/** The switchboard of one BMC's faults. */
export interface FaultSwitches {
  current(): BmcFaults;
  /** Changes the named faults; settled once they are in force. */
  set(change: Partial<BmcFaults>): Promise<void>;
  /** Heals everything. */
  clear(): Promise<void>;
}
