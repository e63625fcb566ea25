// One client's way to the simulated API server: delays, cuts of either direction, outages, lost answers, slow watches.
import { failureOf } from "../../../src/kube/failure.ts";
import {
  type ApiFailure,
  type ApiOutcome,
  type ApiRequest,
  type ApiStream,
  type ApiTransport,
  DEFAULT_DEADLINE_MS,
} from "../../../src/kube/transport.ts";
import type { SimTime } from "../world/sim-time.ts";
import { frozen } from "./json.ts";
import type { SimApiServer } from "./server.ts";
import { type Answer, failure } from "./stored.ts";
import { SimWatch } from "./watch.ts";

/** The state of the way between one client and the API server; faults change it, connections obey it. */
export interface Link {
  /** Requests do not arrive. */
  cutOut: boolean;
  /** Answers and watch events do not come back. */
  cutBack: boolean;
  /** How long one direction takes, drawn anew for each message. */
  delayMs: () => number;
  /** How far watches of that kind lag behind, beyond the delay: an API server replica with a stale cache. */
  watchLagMs: (plural: string) => number;
}

/**
 * What befalls the API server as a whole. `refusing`: no connection; `mute`: connections that say nothing; `erring`: every
 * request fails; `full`: etcd has no space left, so that everything can be read and almost nothing written.
 */
export type ServerState = "well" | "refusing" | "mute" | "erring" | "full";

/** All connections to one API server. */
export interface Backbone {
  readonly time: SimTime;
  readonly server: SimApiServer;
  state: ServerState;
  readonly watches: Set<SimWatch>;
}

/** An answer that came of one request of a client; for traces and checks. */
export interface SentRequest {
  readonly request: ApiRequest;
  readonly answer: Answer;
}

export interface ConnectionOptions {
  readonly backbone: Backbone;
  readonly user: string;
  readonly link: Link;
  /** Told when the server has taken a request, before the answer goes back. */
  readonly onServed?: (sent: SentRequest) => void;
}

/** A way without delays or cuts, for what is no part of the history. */
export function clearLink(): Link {
  return { cutOut: false, cutBack: false, delayMs: () => 0, watchLagMs: () => 0 };
}

export class SimConnection implements ApiTransport {
  readonly #options: ConnectionOptions;
  readonly #streams = new Set<SimWatch>();
  readonly #calls = new Set<() => void>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    // What is sent is fixed at this instant; the sender may go on with its objects.
    const sent = request.body === undefined ? request : { ...request, body: frozen(request.body) };
    return this.#call<ApiOutcome<T>>(sent, async () => {
      const answer = await this.#serve(sent);
      return outcomeOf<T>(sent, answer);
    });
  }

  stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    return this.#call<ApiOutcome<ApiStream>>(request, async () => {
      const { backbone, link } = this.#options;
      if (backbone.state === "erring") return outcomeOf<ApiStream>(request, ERRING);
      const opened = SimWatch.open(request, {
        backbone,
        link,
        onEnd: (watch) => this.#streams.delete(watch),
      });
      if ("status" in opened) return outcomeOf<ApiStream>(request, opened);
      this.#streams.add(opened);
      return { ok: true, status: 200, value: opened };
    });
  }

  redial(): void {
    for (const stream of Array.from(this.#streams)) stream.breakOff("the connection was dialled anew");
    for (const giveUp of Array.from(this.#calls)) giveUp();
  }

  async close(): Promise<void> {
    this.redial();
  }

  async #serve(request: ApiRequest): Promise<Answer> {
    const { backbone, user, onServed } = this.#options;
    if (backbone.state === "erring") return ERRING;
    if (backbone.state === "full" && needsSpace(request)) return NO_SPACE;
    const answer = await backbone.server.handle(request, user);
    onServed?.({ request, answer });
    return answer;
  }

  /** Out, served, back; whichever comes first of the answer, the deadline, the caller's signal and a broken connection. */
  #call<O>(request: ApiRequest, serve: () => Promise<O>): Promise<O | ApiFailure> {
    const { backbone, link } = this.#options;
    const { time } = backbone;
    return new Promise((resolve) => {
      const { signal } = request;
      if (signal?.aborted === true) return resolve(failed("aborted", "the call was given up"));
      const end = (outcome: O | ApiFailure) => {
        cancelDeadline();
        this.#calls.delete(onBroken);
        signal?.removeEventListener("abort", onAbort);
        resolve(outcome);
      };
      const onAbort = () => end(failed("aborted", "the call was given up"));
      const onBroken = () => end(failed("unreachable", "the connection broke"));
      const deadlineMs = request.deadlineMs ?? DEFAULT_DEADLINE_MS;
      const cancelDeadline = time.schedule(deadlineMs, () =>
        end(failed("timeout", `no answer within ${deadlineMs} ms`)),
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#calls.add(onBroken);
      const arrive = async () => {
        if (link.cutOut || backbone.state === "mute") return;
        if (backbone.state === "refusing") return end(failed("unreachable", "connection refused"));
        const outcome = await serve();
        const back = link.delayMs();
        if (back <= 0) {
          if (!link.cutBack) end(outcome);
          return;
        }
        time.schedule(back, () => {
          if (!link.cutBack) end(outcome);
        });
      };
      const out = link.delayMs();
      if (out <= 0) void arrive();
      else time.schedule(out, () => void arrive());
    });
  }
}

const ERRING = failure(500, "InternalError", "etcdserver: request timed out");
const NO_SPACE = failure(500, "InternalError", "etcdserver: mvcc: database space exceeded");

/** etcd still deletes; but a deletion with a grace period, or one that waits for finalizers, is a write. */
function needsSpace({ method, body }: ApiRequest): boolean {
  if (method === "GET") return false;
  return (
    method !== "DELETE" || (body as { gracePeriodSeconds?: number } | undefined)?.gracePeriodSeconds !== 0
  );
}

function failed(kind: "aborted" | "timeout" | "unreachable", message: string): ApiFailure {
  return { ok: false, kind, status: undefined, message };
}

function outcomeOf<T>(request: ApiRequest, answer: Answer): ApiOutcome<T> {
  if (answer.status < 300) return { ok: true, status: answer.status, value: answer.body as T };
  return failureOf(request.method, answer.status, JSON.stringify(answer.body), undefined);
}
