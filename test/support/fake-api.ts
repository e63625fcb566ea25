// An API server in memory, behind the real ApiTransport port: real compare-and-swap, and a place to interfere.
import { failureOf } from "../../src/kube/failure.ts";
import type {
  ApiFailureKind,
  ApiOutcome,
  ApiRequest,
  ApiStream,
  ApiTransport,
} from "../../src/kube/transport.ts";
import { type FakeAnswer, FakeObjects, refusal } from "./fake-objects.ts";

/** A request as it arrived, with its body as JSON would carry it. */
export interface SeenRequest extends ApiRequest {
  /** `PATCH /api/v1/nodes/worker-1`, for short expectations. */
  readonly line: string;
}

/** Answers in the server's place, or undefined to let it answer. */
export type Interceptor = (
  request: SeenRequest,
) => ApiOutcome<unknown> | Promise<ApiOutcome<unknown>> | undefined;

/** A failure without an answer of the server's, or the server's own where `status` says so. */
export function failing(kind: ApiFailureKind, message = `scripted: ${kind}`): ApiOutcome<never> {
  return { ok: false, kind, status: undefined, message };
}

/** A refusal as KubeVirt or the server words it. */
export function refusing(
  method: string,
  status: number,
  parts: { readonly reason?: string; readonly message: string },
): ApiOutcome<never> {
  const { body } = refusal(status, parts.reason ?? "", parts.message);
  const text = JSON.stringify(parts.reason === undefined ? { message: parts.message } : body);
  return failureOf(method, status, text, undefined);
}

/**
 * Guarantees: requests are answered in the order in which they were sent, each after a turn of the microtask queue; what
 * is given out or taken in is a copy. Watches are not served.
 */
export class FakeApi implements ApiTransport {
  readonly objects = new FakeObjects();
  /** Every request that arrived, in order. */
  readonly seen: SeenRequest[] = [];
  /** Tests set it to answer, delay or count requests before the server does. */
  intercept: Interceptor = () => undefined;

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    const seen: SeenRequest = {
      ...request,
      line: `${request.method} ${request.path}`,
      ...(request.body === undefined ? {} : { body: JSON.parse(JSON.stringify(request.body)) as unknown }),
    };
    this.seen.push(seen);
    if (request.signal?.aborted === true) return failing("aborted");
    await Promise.resolve();
    const scripted = await this.intercept(seen);
    return (scripted ?? this.answer(seen)) as ApiOutcome<T>;
  }

  /** What the server itself says; an interceptor may call it to let a request arrive and its answer be lost. */
  answer(request: SeenRequest): ApiOutcome<unknown> {
    const { status, body } = this.#handle(request);
    if (status < 300) return { ok: true, status, value: body };
    return failureOf(request.method, status, JSON.stringify(body), undefined);
  }

  /** `METHOD path` of everything that changed something, in order. */
  get writes(): readonly string[] {
    return this.seen.filter((request) => request.method !== "GET").map((request) => request.line);
  }

  async stream(): Promise<ApiOutcome<ApiStream>> {
    return failing("unreachable", "the fake API server serves no watches");
  }

  redial(): void {}

  async close(): Promise<void> {}

  #handle(request: SeenRequest): FakeAnswer {
    const body = (request.body ?? {}) as Record<string, unknown>;
    const onStatus = request.path.endsWith("/status");
    const path = onStatus ? request.path.slice(0, -"/status".length) : request.path;
    const subresource = onStatus ? "status" : undefined;
    switch (request.method) {
      case "GET":
        return (
          this.objects.items(path, request.query?.["labelSelector"]?.toString()) ?? this.objects.get(path)
        );
      case "POST":
        return this.objects.create(path, body);
      case "DELETE":
        return this.objects.remove(path, body);
      case "PATCH":
        return request.contentType === "application/apply-patch+yaml"
          ? this.objects.apply(path, body, subresource)
          : this.objects.merge(path, body, subresource);
      case "PUT":
        return refusal(
          405,
          "MethodNotAllowed",
          "the fake API server answers PUT only where a test intercepts it",
        );
    }
  }
}
