// A small API server in virtual time that knows one thing: Leases, with resourceVersions, merge patches and a bad network.
import type { ApiFailureKind, ApiOutcome, ApiRequest, ApiTransport } from "../../src/kube/transport.ts";
import type { Clock } from "../../src/model/clock.ts";
import type { VirtualClock } from "./virtual-clock.ts";

interface StoredLease {
  metadata: { name: string; resourceVersion: string; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

/** One candidate's way to the server; a test changes it at will. */
export interface Link {
  /** Until the server acts on a request. */
  requestMs: number;
  /** From then until its answer is heard. */
  answerMs: number;
  /** Requests vanish without a word (power gone, silent drop). */
  requestsLost: boolean;
  /** Requests are acted upon, but answers vanish. */
  answersLost: boolean;
  /** Answers at once with this instead of acting. */
  failWith: ApiFailureKind | undefined;
  /** The transport ignores deadlines and signals altogether. */
  stuck: boolean;
}

export function createLink(overrides: Partial<Link> = {}): Link {
  return {
    requestMs: 5,
    answerMs: 5,
    requestsLost: false,
    answersLost: false,
    failWith: undefined,
    stuck: false,
    ...overrides,
  };
}

const STATUS: Partial<Record<ApiFailureKind, number>> = {
  conflict: 409,
  alreadyExists: 409,
  notFound: 404,
  denied: 403,
  throttled: 429,
  serverError: 500,
};

function failure(kind: ApiFailureKind): ApiOutcome<never> {
  return { ok: false, kind, status: STATUS[kind], message: kind };
}

export class LeaseServer {
  readonly #clock: VirtualClock;
  #version = 0;
  lease: StoredLease | undefined;
  /** Told before each write is judged, so that a test can slip an edit in between. */
  beforeWrite: () => void = () => {};
  readonly writes: { atMs: number; method: string; status: "ok" | ApiFailureKind }[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** Somebody edits the Lease by hand, unconditionally. */
  edit(change: (lease: StoredLease) => void): void {
    if (!this.lease) return;
    const lease = structuredClone(this.lease);
    change(lease);
    lease.metadata.resourceVersion = String(++this.#version);
    this.lease = lease;
  }

  /** `local` is the caller's own clock: while the caller is frozen, answers and deadlines wait for it. */
  transport(link: Link, local: Clock): ApiTransport & { redials: number } {
    return {
      redials: 0,
      request: <T>(request: ApiRequest) => this.#over(link, local, request) as Promise<ApiOutcome<T>>,
      stream: async () => failure("unexpected"),
      redial() {
        this.redials += 1;
      },
      close: async () => {},
    };
  }

  async #over(link: Link, local: Clock, request: ApiRequest): Promise<ApiOutcome<unknown>> {
    const { promise, resolve } = Promise.withResolvers<ApiOutcome<unknown>>();
    if (!link.stuck) {
      local.schedule(request.deadlineMs ?? 10_000, () => resolve(failure("timeout")));
      request.signal?.addEventListener("abort", () => resolve(failure("aborted")), { once: true });
    }
    const lost = link.requestsLost || link.stuck;
    const { failWith } = link;
    const answerMs = link.answerMs;
    this.#clock.schedule(link.requestMs, () => {
      if (lost) return;
      const outcome = failWith === undefined ? this.#answer(request) : failure(failWith);
      local.schedule(answerMs, () => {
        if (!link.answersLost && !link.requestsLost) resolve(outcome);
      });
    });
    return promise;
  }

  #answer(request: ApiRequest): ApiOutcome<unknown> {
    if (request.method === "GET") return this.lease ? this.#ok() : failure("notFound");
    this.beforeWrite();
    const outcome = request.method === "POST" ? this.#create(request) : this.#patch(request);
    const status = outcome.ok ? "ok" : outcome.kind;
    this.writes.push({ atMs: this.#clock.now().monotonicMs, method: request.method, status });
    return outcome;
  }

  #create(request: ApiRequest): ApiOutcome<unknown> {
    if (this.lease) return failure("alreadyExists");
    const body = structuredClone(request.body) as StoredLease;
    body.metadata.resourceVersion = String(++this.#version);
    this.lease = body;
    return this.#ok();
  }

  #patch(request: ApiRequest): ApiOutcome<unknown> {
    if (!this.lease) return failure("notFound");
    const patch = request.body as {
      metadata: { resourceVersion: string; annotations: Record<string, string | null> };
      spec: Record<string, unknown>;
    };
    if (patch.metadata.resourceVersion !== this.lease.metadata.resourceVersion) return failure("conflict");
    const next = structuredClone(this.lease);
    for (const [key, value] of Object.entries(patch.spec)) {
      if (value === null) delete next.spec[key];
      else next.spec[key] = value;
    }
    const annotations: Record<string, string> = { ...next.metadata.annotations };
    for (const [key, value] of Object.entries(patch.metadata.annotations)) {
      if (value === null) delete annotations[key];
      else annotations[key] = value;
    }
    next.metadata.annotations = annotations;
    // Like the real one: a write that changes nothing makes no new version.
    if (JSON.stringify(next.spec) !== JSON.stringify(this.lease.spec))
      next.metadata.resourceVersion = String(++this.#version);
    this.lease = next;
    return this.#ok();
  }

  #ok(): ApiOutcome<unknown> {
    return { ok: true, status: 200, value: structuredClone(this.lease) };
  }
}
