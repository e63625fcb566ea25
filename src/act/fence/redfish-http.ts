// Requests to one origin over HTTPS with undici: bounded bodies, redirects that stay at home, failures told apart.
import { Client, type Dispatcher } from "undici";
import { type CallDeadline, unlessAborted } from "./call-deadline.ts";
import { type RedfishAccess, pathWithin } from "./redfish-access.ts";

/** Longest body read from a BMC; a ComputerSystem is a few KiB, a large collection some hundred. */
export const MAX_BODY_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;
/** TCP and TLS together; below a reading's deadline, so that a dead address is told from a slow service. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Below the idle time after which BMCs hang up, so that a request rarely meets a connection just closed. */
const KEEP_ALIVE_MS = 4_000;
/** A second connection lets the state be read while a request is still unanswered; more are for stragglers. */
const LANES_MAX = 4;

export interface RedfishRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface RedfishAnswer {
  readonly ok: true;
  readonly status: number;
  readonly text: string;
  readonly location: string | undefined;
  readonly token: string | undefined;
  readonly retryAfterMs: number | undefined;
}

/**
 * `timeout`, `aborted`: by the deadline or its signal. `unreachable`: no connection, nothing was sent. `untrusted`: TLS
 * was refused, nothing was sent. `broken`: the connection ended without an answer. `tooLarge`: the answer was cut off.
 * `misdirected`: a redirect that we do not follow.
 */
export interface RedfishHttpFailure {
  readonly ok: false;
  readonly kind: "timeout" | "aborted" | "unreachable" | "untrusted" | "broken" | "tooLarge" | "misdirected";
  /** Not yet free of secrets. */
  readonly message: string;
}

class BodyTooLarge extends Error {}

/**
 * One kept connection with the requests we have on it. undici's own pool counts a client as busy for a moment after its
 * answer has been read and so dials a second time for sequential requests, which costs a BMC a handshake.
 */
interface Lane {
  readonly client: Client;
  underWay: number;
}

/** A keep-alive conversation with one origin. Knows nothing of sessions or resources. */
export class RedfishHttp {
  #origin: string;
  #access: RedfishAccess;
  #lanes: Lane[] = [];
  #replaced: Lane[] = [];

  constructor(origin: string, access: RedfishAccess) {
    this.#origin = origin;
    this.#access = access;
  }

  get origin(): string {
    return this.#origin;
  }

  /** Sends one request; a GET whose kept connection turns out to be dead is repeated once on a new one. */
  async send(request: RedfishRequest, deadline: CallDeadline): Promise<RedfishAnswer | RedfishHttpFailure> {
    const outcome = await this.#follow(request, deadline);
    const repeatable = request.method === "GET" && !outcome.ok && outcome.kind === "broken";
    return repeatable && !deadline.signal.aborted ? this.#follow(request, deadline) : outcome;
  }

  /** Later requests use new connections; those under way finish on the old ones. */
  redial(): void {
    for (const lane of this.#lanes.splice(0)) {
      // BMCs have few connections to give: an idle one is handed back at once.
      if (lane.underWay === 0) void lane.client.destroy();
      else this.#replaced.push(lane);
    }
  }

  /** Breaks all connections. The next request dials anew. */
  async close(): Promise<void> {
    this.redial();
    await Promise.all(this.#replaced.splice(0).map((lane) => lane.client.destroy()));
  }

  async #follow(
    request: RedfishRequest,
    deadline: CallDeadline,
  ): Promise<RedfishAnswer | RedfishHttpFailure> {
    let path = request.path;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const outcome = await this.#once({ ...request, path }, deadline);
      if (!outcome.ok || outcome.location === undefined || !follows(request.method, outcome.status))
        return outcome;
      const next = pathWithin(this.#origin, outcome.location, path);
      if (next === undefined) {
        return misdirected(`${request.method} ${path} redirects to another origin, which is not followed`);
      }
      path = next;
    }
    return misdirected(`${request.method} ${request.path} redirects more than ${MAX_REDIRECTS} times`);
  }

  async #once(request: RedfishRequest, deadline: CallDeadline): Promise<RedfishAnswer | RedfishHttpFailure> {
    const what = `${request.method} ${request.path}`;
    const lane = this.#idleLane();
    lane.underWay++;
    const exchanged = exchange(lane.client, request, deadline.signal).catch((error: unknown) =>
      failureOf(error, deadline, what),
    );
    // undici lets go of a request that is still waiting for its connection only when that comes or fails.
    const outcome = await unlessAborted(exchanged, deadline.signal, undefined);
    lane.underWay--;
    if (deadline.signal.aborted) this.#drop(lane);
    return outcome ?? failureOf(undefined, deadline, what);
  }

  /** A connection on which an answer is overdue is of no use to anybody else. */
  #drop(lane: Lane): void {
    if (lane.underWay > 0) return;
    this.#lanes = this.#lanes.filter((other) => other !== lane);
    void lane.client.destroy();
  }

  #idleLane(): Lane {
    const byLoad = [...this.#lanes].sort((one, other) => one.underWay - other.underWay);
    const [leastBusy] = byLoad;
    if (leastBusy !== undefined && (leastBusy.underWay === 0 || this.#lanes.length >= LANES_MAX)) {
      return leastBusy;
    }
    const lane = { client: this.#dial(), underWay: 0 };
    this.#lanes.push(lane);
    return lane;
  }

  #dial(): Client {
    return new Client(this.#origin, {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: {
        timeout: CONNECT_TIMEOUT_MS,
        minVersion: "TLSv1.2",
        rejectUnauthorized: this.#access.insecureSkipVerify !== true,
        ...(this.#access.caPem === undefined ? {} : { ca: this.#access.caPem }),
      },
    });
  }
}

async function exchange(
  client: Client,
  request: RedfishRequest,
  signal: AbortSignal,
): Promise<RedfishAnswer> {
  const hasBody = request.body !== undefined;
  const response = await client.request({
    method: request.method,
    path: request.path,
    signal,
    // The deadline alone limits a call: undici's own timers would give other, coarser answers.
    headersTimeout: 0,
    bodyTimeout: 0,
    headers: {
      accept: "application/json",
      "odata-version": "4.0",
      "user-agent": "holdfast",
      ...(hasBody ? { "content-type": "application/json" } : {}),
      ...request.headers,
    },
    ...(hasBody ? { body: JSON.stringify(request.body) } : {}),
  });
  const retryAfterS = Number(headerOf(response, "retry-after"));
  return {
    ok: true,
    status: response.statusCode,
    text: await readBounded(response),
    location: headerOf(response, "location"),
    token: headerOf(response, "x-auth-token"),
    retryAfterMs: Number.isFinite(retryAfterS) && retryAfterS > 0 ? retryAfterS * 1000 : undefined,
  };
}

/** GETs follow any redirect; a POST only those that keep it a POST, so that it is never carried out as something else. */
function follows(method: string, status: number): boolean {
  return method === "GET" ? [301, 302, 303, 307, 308].includes(status) : status === 307 || status === 308;
}

function misdirected(message: string): RedfishHttpFailure {
  return { ok: false, kind: "misdirected", message };
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function readBounded(response: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > MAX_BODY_BYTES) throw new BodyTooLarge(`the answer is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const NOT_CONNECTED = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** OpenSSL's verification results as Node names them, and its own and Node's TLS errors. */
const TLS_CODE =
  /^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO$|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|ERROR_IN_CERT|PATH_LENGTH)/;

function failureOf(error: unknown, deadline: CallDeadline, what: string): RedfishHttpFailure {
  const fail = (kind: RedfishHttpFailure["kind"], message: string): RedfishHttpFailure => ({
    ok: false,
    kind,
    message,
  });
  if (deadline.expired) return fail("timeout", `no answer to ${what} within ${deadline.deadlineMs} ms`);
  if (deadline.signal.aborted) return fail("aborted", `${what} was given up`);
  if (error instanceof BodyTooLarge) return fail("tooLarge", `${what}: ${error.message}`);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "UND_ERR_DESTROYED" || code === "UND_ERR_CLOSED")
    return fail("aborted", `${what} was given up`);
  const said = error instanceof Error && error.message !== "" ? error.message : code || String(error);
  if (TLS_CODE.test(code)) return fail("untrusted", `TLS: ${said} (${code})`);
  if (NOT_CONNECTED.has(code)) return fail("unreachable", `no connection: ${said} (${code})`);
  return fail("broken", `the connection ended before the answer to ${what}: ${said}`);
}
