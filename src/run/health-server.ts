// Answers the kubelet's probes and Prometheus. Knows checks by name and a registry; knows nothing of what they mean.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** One thing that must hold. Returns what is wrong, in words fit for strangers, or undefined. Must not block. */
export interface HealthCheck {
  readonly name: string;
  readonly check: () => string | undefined;
}

/** The part of a prom-client registry that is needed. */
export interface MetricsSource {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/** The part of a ring of decisions that is needed; both answer JSON. */
export interface DecisionSource {
  list(): string;
  read(id: number): string | undefined;
}

export interface HealthServerOptions {
  /** Undefined listens on all addresses. */
  readonly host: string | undefined;
  /** 0 takes any free port. */
  readonly port: number;
  /** Whether the process should live on: what no restart would mend does not belong here. */
  readonly alive: readonly HealthCheck[];
  /** Whether it has what it needs to judge. */
  readonly ready: readonly HealthCheck[];
  readonly metrics: MetricsSource;
  /** Decisions kept for replay; without them `/decisions` is not there. */
  readonly decisions?: DecisionSource;
  /** A check or the registry threw: our own bug. The caller is answered with a bare 500. */
  readonly onBug: (error: unknown) => void;
}

export type ListenOutcome =
  | { readonly ok: true; readonly port: number }
  | { readonly ok: false; readonly message: string };

export interface HealthServer {
  listen(): Promise<ListenOutcome>;
  /** Ends all connections. */
  close(): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** How often Node looks for requests that are too slow. */
const TIMEOUT_CHECK_MS = 1_000;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_HEADERS = 50;
/** Probes and a few scrapers; whoever opens more is turned away. */
const MAX_CONNECTIONS = 64;

const TEXT = "text/plain; charset=utf-8";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `/healthz`, `/readyz` (`?verbose` lists every check), `/metrics` and `/decisions`; nothing else, and no words of an exception. */
export function createHealthServer(options: HealthServerOptions): HealthServer {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => void respond(options, request, response),
  );
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = MAX_CONNECTIONS;
  return { listen: () => listen(server, options), close: () => close(server) };
}

function listen(server: Server, { host, port }: HealthServerOptions): Promise<ListenOutcome> {
  const { promise, resolve } = Promise.withResolvers<ListenOutcome>();
  const failed = (error: Error): void => resolve({ ok: false, message: error.message });
  server.once("error", failed);
  server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
    server.off("error", failed);
    const address = server.address();
    resolve({ ok: true, port: typeof address === "object" && address ? address.port : port });
  });
  return promise;
}

function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  return promise;
}

async function respond(
  options: HealthServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerTo(options, request);
  response.writeHead(answer.status, {
    "content-type": answer.contentType ?? TEXT,
    "content-length": Buffer.byteLength(answer.body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...answer.headers,
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

async function answerTo(options: HealthServerOptions, request: IncomingMessage): Promise<Answer> {
  const [path, query] = (request.url ?? "/").split("?", 2);
  const routes: Readonly<Record<string, () => Answer | Promise<Answer>>> = {
    "/healthz": () => report("healthz", options.alive, isVerbose(query)),
    "/readyz": () => report("readyz", options.ready, isVerbose(query)),
    "/metrics": async () => ({
      status: 200,
      body: await options.metrics.metrics(),
      contentType: options.metrics.contentType,
    }),
    "/decisions": () => decisionAnswer(options.decisions, query),
  };
  const route = path !== undefined && Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) return { status: 404, body: "not found\n" };
  if (request.method !== "GET" && request.method !== "HEAD")
    return { status: 405, body: "method not allowed\n", headers: { allow: "GET, HEAD" } };
  try {
    return await route();
  } catch (error) {
    options.onBug(error);
    return { status: 500, body: "internal error\n" };
  }
}

/** `/decisions` lists what is kept; `/decisions?id=N` is one of them. */
function decisionAnswer(decisions: DecisionSource | undefined, query: string | undefined): Answer {
  const id = new URLSearchParams(query).get("id");
  const body = id === null ? decisions?.list() : decisions?.read(Number(id));
  return body === undefined
    ? { status: 404, body: "not found\n" }
    : { status: 200, body, contentType: "application/json" };
}

function isVerbose(query: string | undefined): boolean {
  return new URLSearchParams(query).has("verbose");
}

/** Failing checks are always named; `verbose` names the passing ones, too. The format is the API server's own. */
function report(endpoint: string, checks: readonly HealthCheck[], verbose: boolean): Answer {
  const results = checks.map(({ name, check }) => ({ name, problem: check() }));
  const healthy = results.every(({ problem }) => problem === undefined);
  if (healthy && !verbose) return { status: 200, body: "ok\n" };
  const lines = results
    .filter(({ problem }) => verbose || problem !== undefined)
    .map(({ name, problem }) => (problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`));
  lines.push(`${endpoint} check ${healthy ? "passed" : "failed"}`);
  return { status: healthy ? 200 : 503, body: `${lines.join("\n")}\n` };
}
