// ApiTransport over HTTP/1.1 with undici and the credentials of a KubeConfig. One socket per watch, a pool for the rest.
import { Agent, type Dispatcher, request as undiciRequest } from "undici";
import type { KubeConfig } from "@kubernetes/client-node";
import {
  type ApiOutcome,
  type ApiRequest,
  type ApiStream,
  type ApiTransport,
  DEFAULT_DEADLINE_MS,
  MAX_BODY_BYTES,
  StreamBroken,
} from "./transport.ts";
import { BodyTooLarge, failureOf, failureOfThrown } from "./failure.ts";

/** Told of every finished request; for metrics. */
export type RequestObserver = (done: {
  readonly method: string;
  readonly path: string;
  readonly outcome: string;
  readonly durationMs: number;
}) => void;

/** How long dialling (TCP and TLS) may take; shorter than any deadline so that a dead address is noticed as such. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Longest single line of a watch; an object larger than etcd's own limit cannot exist. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

interface Credentials {
  readonly headers: Record<string, string>;
  readonly agent: Agent;
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
  #agent: Agent | undefined;
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
      const response = await this.#send(request, signal, deadlineMs);
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
      const response = await this.#send(request, signal, 0);
      clearTimeout(timer);
      if (response.statusCode !== 200) {
        return failureOf(
          request.method,
          response.statusCode,
          await readBody(response),
          retryAfterMs(response),
        );
      }
      return { ok: true, status: 200, value: lineStream(response.body) };
    } catch (error) {
      clearTimeout(timer);
      return failureOfThrown(error, {
        deadlineMs,
        timedOut: connecting.signal.aborted,
        aborted: request.signal?.aborted === true,
      });
    }
  }

  redial(): void {
    const old = this.#agent;
    this.#agent = undefined;
    this.#identity = "";
    if (old) void old.destroy();
  }

  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.destroy();
  }

  async #send(
    request: ApiRequest,
    signal: AbortSignal,
    bodyTimeoutMs: number,
  ): Promise<Dispatcher.ResponseData> {
    const { headers, agent } = await this.#credentials();
    const url = new URL(this.#server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    return undiciRequest(url, {
      method: request.method,
      dispatcher: agent,
      signal,
      headersTimeout: 0,
      bodyTimeout: bodyTimeoutMs,
      headers: {
        ...headers,
        // Plain `application/json` is refused with 406 by KubeVirt's start and restart subresources (measured).
        accept: "application/json, */*",
        "user-agent": this.#userAgent,
        ...(request.body === undefined ? {} : { "content-type": request.contentType ?? "application/json" }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
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
    if (!this.#agent || identity !== this.#identity) {
      const old = this.#agent;
      this.#agent = new Agent({
        connections: null,
        pipelining: 1,
        keepAliveTimeout: 30_000,
        connect: {
          timeout: CONNECT_TIMEOUT_MS,
          ...(options.ca === undefined ? {} : { ca: options.ca }),
          ...(options.cert === undefined ? {} : { cert: options.cert }),
          ...(options.key === undefined ? {} : { key: options.key }),
          ...(options.servername === undefined ? {} : { servername: options.servername }),
          ...(options.rejectUnauthorized === undefined
            ? {}
            : { rejectUnauthorized: options.rejectUnauthorized }),
        },
      });
      this.#identity = identity;
      // The old pool drains: a certificate rotation must not break the calls under way.
      if (old) void old.close();
    }
    const headers = { ...options.headers };
    if (options.auth) headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    return { headers, agent: this.#agent };
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

function lineStream(body: Dispatcher.ResponseData["body"]): ApiStream {
  let closed = false;
  async function* lines(): AsyncGenerator {
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    try {
      for await (const raw of body) {
        let chunk = raw as Buffer;
        for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10)) {
          const head = chunk.subarray(0, end);
          chunk = chunk.subarray(end + 1);
          const line = pending.length === 0 ? head : Buffer.concat([...pending, head]);
          pending = [];
          pendingBytes = 0;
          if (line.length > 0) yield JSON.parse(line.toString("utf8"));
        }
        if (chunk.length > 0) {
          pending.push(chunk);
          pendingBytes += chunk.length;
          if (pendingBytes > MAX_LINE_BYTES)
            throw new StreamBroken(`a line is longer than ${MAX_LINE_BYTES} bytes`);
        }
      }
    } catch (error) {
      if (closed) return;
      throw error instanceof StreamBroken ? error : new StreamBroken(String(error), { cause: error });
    } finally {
      body.destroy();
    }
  }
  return {
    lines: lines(),
    close: () => {
      closed = true;
      body.destroy();
    },
  };
}
