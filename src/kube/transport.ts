// The one door to the API server: what a request and its outcome look like. No retries live here; the turn is the retry.

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type PatchType =
  | "application/merge-patch+json"
  | "application/apply-patch+yaml"
  | "application/json-patch+json";

export interface ApiRequest {
  readonly method: Method;
  /** Path below the server's root, for instance `/api/v1/nodes/node-1`. */
  readonly path: string;
  /** Query parameters; undefined values are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** Content type of the body; `application/json` unless said. */
  readonly contentType?: PatchType | "application/json";
  /** Deadline of the whole call; `DEFAULT_DEADLINE_MS` unless said. */
  readonly deadlineMs?: number;
  /** Ends the call early; the outcome is then `aborted`. */
  readonly signal?: AbortSignal;
}

/** How long a call may take where the caller names nothing else. */
export const DEFAULT_DEADLINE_MS = 10_000;

/** Longest answer body read from the API server for one request; a larger one fails as `tooLarge`. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * Why a call did not do what was asked. `conflict`: 409 on a precondition (resourceVersion, UID). `alreadyExists`: 409 on
 * create. `gone`: 410, the resourceVersion is too old. `invalid`: 400 or 422. `denied`: 401 or 403. `throttled`: 429.
 * `timeout`: our deadline passed, so the server may or may not have acted. `unreachable`: no connection.
 * `aborted`: the caller's signal. `serverError`: any other 5xx. `unexpected`: anything else.
 */
export type ApiFailureKind =
  | "conflict"
  | "alreadyExists"
  | "notFound"
  | "gone"
  | "invalid"
  | "denied"
  | "throttled"
  | "timeout"
  | "unreachable"
  | "aborted"
  | "serverError"
  | "tooLarge"
  | "unexpected";

export interface ApiFailure {
  readonly ok: false;
  readonly kind: ApiFailureKind;
  /** HTTP status, or undefined where no answer came. */
  readonly status: number | undefined;
  /** The server's own words (`Status.message`), or ours; never a secret, at most 1,000 characters. */
  readonly message: string;
  /** Seconds the server asks us to wait (`Retry-After`), in milliseconds. */
  readonly retryAfterMs?: number;
}

export interface ApiSuccess<T> {
  readonly ok: true;
  readonly status: number;
  readonly value: T;
}

export type ApiOutcome<T> = ApiSuccess<T> | ApiFailure;

/** A stream of parsed JSON lines, as a watch sends them. */
export interface ApiStream {
  /**
   * Yields every complete line, parsed. Ends when the server closes cleanly; throws `StreamBroken` when the connection
   * breaks or a line cannot be parsed. Stopping the iteration closes the connection.
   */
  readonly lines: AsyncIterable<unknown>;
  /** Closes the connection; the iteration then ends. */
  close(): void;
}

/** The connection of a stream broke, or what it sent was not JSON. */
export class StreamBroken extends Error {}

/**
 * Speaks to one API server as one identity. Guarantees: every call ends by its deadline; an expected failure is a
 * value, never an exception; secrets never appear in messages. Implemented by `http-transport.ts` and by the simulated world.
 */
export interface ApiTransport {
  request<T>(request: ApiRequest): Promise<ApiOutcome<T>>;
  /** Opens a watch. Connecting obeys `deadlineMs`; the stream afterwards lives until it is closed or broken. */
  stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>>;
  /** Breaks all pooled connections, so that the next call dials anew. Open streams break too. */
  redial(): void;
  close(): Promise<void>;
}
