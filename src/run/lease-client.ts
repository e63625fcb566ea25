// The calls a leader election makes, each ended by the Clock whatever the transport does, and what they say about the
// connection. Knows nothing of who may hold the Lease.
import type { Clock } from "../model/clock.ts";
import type { ApiFailure, ApiOutcome, ApiRequest, ApiTransport } from "../kube/transport.ts";
import { parseLease, type LeaseRecord } from "./lease-record.ts";

export type LeaseAnswer =
  | { readonly kind: "record"; readonly record: LeaseRecord }
  | { readonly kind: "absent" }
  /** The Lease is not as the call assumed; read it. */
  | { readonly kind: "conflict" }
  | { readonly kind: "failed"; readonly failure: ApiFailure };

interface LeaseClientOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly namespace: string;
  readonly leaseName: string;
  /** Deadline of a call while the API server answers promptly. */
  readonly shortestDeadlineMs: number;
  /** Deadline of a call while it is slow. */
  readonly longestDeadlineMs: number;
  readonly onContact: (ok: boolean) => void;
  readonly onStored: (isStored: boolean) => void;
}

/** From this many failed calls in a row, quick 5xx answers count as a replica gone bad, and we dial for another. */
const REDIAL_AFTER_SERVER_ERRORS = 2;

/**
 * Guarantees: every call ends within its deadline, even where the transport never answers. Deadlines follow the API
 * server's pace (twice the last answer's time, and doubled while a stand-by hears nothing), so that one that takes three
 * seconds still gets a leader. After a call without an answer the connections are dialled anew: one that lost its peer
 * would eat the next call, too.
 */
export class LeaseClient {
  readonly #options: LeaseClientOptions;
  readonly #collection: string;
  readonly #stopped = new AbortController();
  #deadlineMs: number;
  #failuresInRow = 0;
  #lastContactMs: number | undefined;
  #lastVersion: string | undefined;

  constructor(options: LeaseClientOptions) {
    this.#options = options;
    this.#deadlineMs = options.shortestDeadlineMs;
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(options.namespace)}/leases`;
  }

  /** Monotonic time of the last answer of any kind. */
  get lastContactMs(): number | undefined {
    return this.#lastContactMs;
  }

  /** `withinMs`, here and below: what is left of a window that further tries must share; the call ends with it. */
  read(withinMs?: number): Promise<LeaseAnswer> {
    return this.#call({ method: "GET", path: this.#path() }, withinMs);
  }

  /** A merge patch that names a resourceVersion. */
  patch(body: Record<string, unknown>, withinMs?: number): Promise<LeaseAnswer> {
    const contentType = "application/merge-patch+json";
    return this.#call({ method: "PATCH", path: this.#path(), body, contentType }, withinMs);
  }

  create(body: Record<string, unknown>, withinMs?: number): Promise<LeaseAnswer> {
    return this.#call({ method: "POST", path: this.#collection, body }, withinMs);
  }

  /** Ends the call under way, if any; it may still take effect at the server. */
  interrupt(): void {
    this.#stopped.abort();
  }

  #path(): string {
    return `${this.#collection}/${encodeURIComponent(this.#options.leaseName)}`;
  }

  async #call(request: ApiRequest, withinMs?: number): Promise<LeaseAnswer> {
    const startedMs = this.#nowMs();
    // A release comes after interrupt(): it must not be born aborted.
    const interrupted = this.#stopped.signal.aborted ? undefined : this.#stopped.signal;
    const deadlineMs = Math.max(1, Math.min(this.#deadlineMs, withinMs ?? this.#deadlineMs));
    const outcome = await this.#within(request, deadlineMs, interrupted);
    this.#learn(outcome, this.#nowMs() - startedMs, withinMs === undefined);
    const answer = answerOf(request, outcome);
    this.#learnOfStore(request, answer);
    return answer;
  }

  async #within(
    request: ApiRequest,
    deadlineMs: number,
    interrupted: AbortSignal | undefined,
  ): Promise<ApiOutcome<unknown>> {
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<ApiOutcome<unknown>>();
    const giveUp = (kind: "timeout" | "aborted", message: string): void => {
      resolve({ ok: false, kind, status: undefined, message });
      controller.abort();
    };
    const cancel = this.#options.clock.schedule(deadlineMs, () =>
      giveUp("timeout", `no answer within ${Math.round(deadlineMs)} ms`),
    );
    const stop = (): void => giveUp("aborted", "the call was given up");
    interrupted?.addEventListener("abort", stop, { once: true });
    const answering = this.#options.transport.request<unknown>({
      ...request,
      deadlineMs: Math.ceil(deadlineMs),
      signal: controller.signal,
    });
    try {
      return await Promise.race([answering, promise]);
    } finally {
      cancel();
      interrupted?.removeEventListener("abort", stop);
    }
  }

  #learn(outcome: ApiOutcome<unknown>, tookMs: number, hadTime: boolean): void {
    const { shortestDeadlineMs, longestDeadlineMs, transport, onContact } = this.#options;
    const contact = contactOf(outcome);
    if (contact === "none") return;
    if (contact === "well") {
      this.#failuresInRow = 0;
      this.#lastContactMs = this.#nowMs();
      this.#deadlineMs = Math.min(longestDeadlineMs, Math.max(shortestDeadlineMs, tookMs * 2));
      onContact(true);
      return;
    }
    this.#failuresInRow += 1;
    if (contact === "silent") {
      // Inside a window silence is taken for a dead connection: several short tries beat one long one.
      if (hadTime && tookMs >= this.#deadlineMs)
        this.#deadlineMs = Math.min(longestDeadlineMs, this.#deadlineMs * 2);
      transport.redial();
    } else if (this.#failuresInRow >= REDIAL_AFTER_SERVER_ERRORS) {
      transport.redial();
    }
    onContact(false);
  }

  /**
   * A server that is full or overwhelmed answers what is read, and stores nothing for anybody. A version that is new to us
   * was stored, whoever wrote it.
   */
  #learnOfStore({ method }: ApiRequest, answer: LeaseAnswer): void {
    if (answer.kind === "record" && answer.record.resourceVersion !== this.#lastVersion) {
      this.#lastVersion = answer.record.resourceVersion;
      this.#options.onStored(true);
    }
    if (method === "GET" || answer.kind !== "failed") return;
    const { kind } = answer.failure;
    if (kind === "serverError" || kind === "throttled") this.#options.onStored(false);
  }

  #nowMs(): number {
    return this.#options.clock.now().monotonicMs;
  }
}

/** `well`: a working server answered, be it with a refusal. `none`: we gave up ourselves, so nothing was learned. */
function contactOf(outcome: ApiOutcome<unknown>): "well" | "silent" | "ill" | "none" {
  if (outcome.ok) return "well";
  switch (outcome.kind) {
    case "timeout":
    case "unreachable":
      return "silent";
    case "serverError":
      return "ill";
    case "aborted":
      return "none";
    case "conflict":
    case "alreadyExists":
    case "notFound":
    case "gone":
    case "invalid":
    case "denied":
    case "throttled":
    case "tooLarge":
    case "unexpected":
      return "well";
  }
}

function answerOf(request: ApiRequest, outcome: ApiOutcome<unknown>): LeaseAnswer {
  if (outcome.ok) {
    const record = parseLease(outcome.value);
    if (record) return { kind: "record", record };
    const message = "the answer is not a Lease";
    return { kind: "failed", failure: { ok: false, kind: "unexpected", status: outcome.status, message } };
  }
  // 404 on create means that the namespace is missing, which waiting for an absent Lease would hide.
  if (outcome.kind === "notFound" && request.method !== "POST") return { kind: "absent" };
  if (outcome.kind === "conflict" || outcome.kind === "alreadyExists") return { kind: "conflict" };
  return { kind: "failed", failure: outcome };
}
