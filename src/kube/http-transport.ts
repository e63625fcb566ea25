// ApiTransport over HTTP/1.1 with undici and the credentials of a KubeConfig. One fresh socket per watch, a pool for the rest.
import { Agent, type Dispatcher, request as undiciRequest } from "undici";
import type { KubeConfig } from "@kubernetes/client-node";
import {
  type ApiOutcome,
  type ApiRequest,
  type ApiStream,
  type ApiTransport,
  DEFAULT_DEADLINE_MS,
  MAX_BODY_BYTES,
} from "./transport.ts";
import { BodyTooLarge, failureOf, failureOfThrown } from "./failure.ts";
import { lineStream } from "./line-stream.ts";

/** Told of every finished request; for metrics. */
export type RequestObserver = (done: {
  readonly method: string;
  readonly path: string;
  readonly outcome: string;
  readonly durationMs: number;
}) => void;

/** How long dialling (TCP and TLS) may take; shorter than any deadline so that a dead address is noticed as such. */
const CONNECT_TIMEOUT_MS = 5_000;
interface Pools {
  readonly requests: Agent;
  /** Apart from the pool: a watch never inherits a socket that may have gone mute, and gives none back. */
  readonly streams: Agent;
}

interface Credentials {
  readonly headers: Record<string, string>;
  readonly pools: Pools;
}

interface Exchange {
  readonly purpose: keyof Pools;
  readonly signal: AbortSignal;
  readonly bodyTimeoutMs: number;
}

/**
 * Makes a transport from a loaded KubeConfig's current context. Tokens and client certificates are read anew for each
 * call (client-node refreshes mounted and exec tokens); a changed certificate or CA gets a new connection pool.
 * Errors: throws when the KubeConfig has no current cluster.
 */
export function createHttpTransport(
  kubeConfig: KubeConfig,
  options: { readonly userAgent?: string; readonly onRequest?: RequestObserver } = {},
): ApiTransport {
  const cluster = kubeConfig.getCurrentCluster();
  if (!cluster) throw new Error("the kubeconfig has no current context with a cluster: set current-context");
  return new HttpTransport(kubeConfig, cluster.server.replace(/\/+$/, ""), options);
}

class HttpTransport implements ApiTransport {
  #kubeConfig: KubeConfig;
  #server: string;
  #userAgent: string;
  #onRequest: RequestObserver | undefined;
  #pools: Pools | undefined;
  #identity = "";

  constructor(
    kubeConfig: KubeConfig,
    server: string,
    options: { readonly userAgent?: string; readonly onRequest?: RequestObserver },
  ) {
    this.#kubeConfig = kubeConfig;
    this.#server = server;
    this.#userAgent = options.userAgent ?? "holdfast";
    this.#onRequest = options.onRequest;
  }

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    const startedMs = performance.now();
    const outcome = await this.#request<T>(request);
    this.#onRequest?.({
      method: request.method,
      path: request.path,
      outcome: outcome.ok ? "ok" : outcome.kind,
      durationMs: performance.now() - startedMs,
    });
    return outcome;
  }

  async #request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    const deadlineMs = request.deadlineMs ?? DEFAULT_DEADLINE_MS;
    const deadline = AbortSignal.timeout(deadlineMs);
    const signal = request.signal ? AbortSignal.any([deadline, request.signal]) : deadline;
    try {
      const response = await this.#send(request, { purpose: "requests", signal, bodyTimeoutMs: deadlineMs });
      const text = await readBody(response);
      if (response.statusCode >= 200 && response.statusCode < 300) {
        return {
          ok: true,
          status: response.statusCode,
          value: (text === "" ? undefined : JSON.parse(text)) as T,
        };
      }
      return failureOf(request.method, response.statusCode, text, retryAfterMs(response));
    } catch (error) {
      return failureOfThrown(error, {
        deadlineMs,
        timedOut: deadline.aborted,
        aborted: request.signal?.aborted === true,
      });
    }
  }

  async stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    const deadlineMs = request.deadlineMs ?? DEFAULT_DEADLINE_MS;
    const connecting = new AbortController();
    const timer = setTimeout(() => connecting.abort(), deadlineMs);
    const signal = request.signal ? AbortSignal.any([connecting.signal, request.signal]) : connecting.signal;
    try {
      const response = await this.#send(request, { purpose: "streams", signal, bodyTimeoutMs: 0 });
      if (response.statusCode === 200) return { ok: true, status: 200, value: lineStream(response.body) };
      const text = await readBody(response);
      return failureOf(request.method, response.statusCode, text, retryAfterMs(response));
    } catch (error) {
      return failureOfThrown(error, {
        deadlineMs,
        timedOut: connecting.signal.aborted,
        aborted: request.signal?.aborted === true,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  redial(): void {
    void this.close();
  }

  async close(): Promise<void> {
    const pools = this.#pools;
    this.#pools = undefined;
    await Promise.all([pools?.requests.destroy(), pools?.streams.destroy()]);
  }

  async #send(request: ApiRequest, exchange: Exchange): Promise<Dispatcher.ResponseData> {
    // An exec plugin or an identity provider may hang: obtaining credentials counts against the deadline too.
    const { headers, pools } = await orAborted(this.#credentials(), exchange.signal);
    const url = new URL(this.#server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const response = undiciRequest(url, {
      method: request.method,
      dispatcher: pools[exchange.purpose],
      signal: exchange.signal,
      reset: exchange.purpose === "streams",
      headersTimeout: 0,
      bodyTimeout: exchange.bodyTimeoutMs,
      headers: {
        ...headers,
        // Plain `application/json` is refused with 406 by KubeVirt's start and restart subresources (measured).
        accept: "application/json, */*",
        "user-agent": this.#userAgent,
        ...(request.body === undefined ? {} : { "content-type": request.contentType ?? "application/json" }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    // undici itself heeds the signal only once a connection stands.
    return orAborted(response, exchange.signal);
  }

  async #credentials(): Promise<Credentials> {
    const options: {
      headers?: Record<string, string>;
      ca?: string | Buffer;
      cert?: string | Buffer;
      key?: string | Buffer;
      servername?: string;
      rejectUnauthorized?: boolean;
      auth?: string;
    } = {};
    await this.#kubeConfig.applyToHTTPSOptions(options);
    const identity = JSON.stringify([String(options.ca), String(options.cert), options.servername]);
    if (!this.#pools || identity !== this.#identity) {
      const old = this.#pools;
      const { ca, cert, key, servername, rejectUnauthorized } = options;
      const tls = { ca, cert, key, servername, rejectUnauthorized };
      this.#pools = { requests: newAgent(tls), streams: newAgent(tls) };
      this.#identity = identity;
      // The old pools drain: a certificate rotation must not break the calls under way.
      if (old) void Promise.all([old.requests.close(), old.streams.close()]);
    }
    const headers = { ...options.headers };
    if (options.auth) headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    return { headers, pools: this.#pools };
  }
}

function newAgent(tls: Readonly<Record<string, unknown>>): Agent {
  return new Agent({
    connections: null,
    pipelining: 1,
    // HTTP/2 would put every call and every watch on one socket: one lost packet, or one mute peer, and all stand still.
    allowH2: false,
    keepAliveTimeout: 30_000,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      ...Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
    },
  });
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new Error("given up"));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function retryAfterMs(response: Dispatcher.ResponseData): number | undefined {
  const seconds = Number(response.headers["retry-after"]);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

async function readBody(response: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > MAX_BODY_BYTES) throw new BodyTooLarge(`the answer is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}
