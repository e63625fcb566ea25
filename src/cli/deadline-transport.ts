// Gives every request of the plugin one deadline and the person's Ctrl-C, so that no command ever hangs.
import type { ApiOutcome, ApiRequest, ApiStream, ApiTransport } from "../kube/transport.ts";

/** Passes requests on. A request never takes longer than the deadline, whatever it asks for itself. */
export class DeadlineTransport implements ApiTransport {
  readonly #inner: ApiTransport;
  readonly #deadlineMs: number;
  readonly #interrupted: AbortSignal;

  constructor(inner: ApiTransport, deadlineMs: number, interrupted: AbortSignal) {
    this.#inner = inner;
    this.#deadlineMs = deadlineMs;
    this.#interrupted = interrupted;
  }

  request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    return this.#inner.request<T>(this.#bounded(request));
  }

  stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    return this.#inner.stream(this.#bounded(request));
  }

  redial(): void {
    this.#inner.redial();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #bounded(request: ApiRequest): ApiRequest {
    const signal =
      request.signal === undefined ? this.#interrupted : AbortSignal.any([request.signal, this.#interrupted]);
    return { ...request, deadlineMs: this.#deadlineMs, signal };
  }
}
