// The only way from act/ to the API server: nothing leaves without leadership, a deadline and the leadership's signal.
import type { ApiFailure, ApiOutcome, ApiRequest, ApiTransport } from "../kube/transport.ts";

/** The right to act, as held by this replica. `run/` implements it. */
interface LeadershipPort {
  /** Grows with every leadership; stamped into every ledger write. */
  readonly epoch: number;
  /** Whether the right is still surely ours. Once false it stays false. */
  valid(): boolean;
  /** Aborts when it ends. */
  readonly signal: AbortSignal;
}

/** What a request needs of its sender. */
export interface Caller {
  readonly transport: ApiTransport;
  readonly leadership: LeadershipPort;
}

/** Nothing was sent, since leadership had ended. */
interface NotLeading {
  readonly ok: false;
  readonly kind: "stale";
  readonly status: undefined;
  readonly message: string;
}

export type EffectFailure = ApiFailure | NotLeading;
export type Effect<T> = { readonly ok: true; readonly value: T } | EffectFailure;

/** How long one request of a step may take. Short enough that a hung API server replica does not hold a step for long. */
const ACT_DEADLINE_MS = 10_000;

const NOT_LEADING: NotLeading = {
  ok: false,
  kind: "stale",
  status: undefined,
  message: "leadership has ended",
};

/** Sends one request while we lead; afterwards it answers `stale` and sends nothing. */
export async function send<T>(caller: Caller, request: ApiRequest): Promise<Effect<T>> {
  if (!caller.leadership.valid()) return NOT_LEADING;
  const outcome: ApiOutcome<T> = await caller.transport.request<T>({
    deadlineMs: ACT_DEADLINE_MS,
    ...request,
    signal: caller.leadership.signal,
  });
  return outcome;
}
