// Spares the API server the reading of Secrets that have not changed, for checks only: a fencing always reads them anew.
import type { ApiOutcome, ApiRequest, ApiTransport } from "../../kube/transport.ts";

/** Answers kept at most; the one longest unused goes first. */
const MAX_KEPT = 2_000;
const SECRET_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/secrets\/([^/]+)$/;

interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

interface Kept {
  readonly revision: string;
  readonly outcome: ApiOutcome<unknown>;
}

/**
 * Guarantees: an answer is used again only while the watch says that the Secret still has the revision the answer
 * carried; without a watch on it, each reading is a request. Nothing is kept of a failure.
 */
export class SecretShelf {
  readonly #revisionOf: (namespace: string, name: string) => string | undefined;
  readonly #kept = new Map<string, Kept>();

  /** `revisionOf`: the Secret's resourceVersion as watched now; undefined where it is not watched, or not there. */
  constructor(revisionOf: (namespace: string, name: string) => string | undefined) {
    this.#revisionOf = revisionOf;
  }

  /** The same transport, with Secrets from the shelf. */
  over(transport: ApiTransport): ApiTransport {
    return {
      request: <T>(request: ApiRequest) => {
        const secret = request.method === "GET" ? secretOf(request.path) : undefined;
        if (secret === undefined) return transport.request<T>(request);
        return this.#read<T>(transport, request, secret);
      },
      stream: (request) => transport.stream(request),
      redial: () => transport.redial(),
      close: () => transport.close(),
    };
  }

  async #read<T>(
    transport: ApiTransport,
    request: ApiRequest,
    { namespace, name }: SecretName,
  ): Promise<ApiOutcome<T>> {
    const revision = this.#revisionOf(namespace, name);
    const kept = this.#kept.get(request.path);
    if (kept !== undefined && kept.revision === revision) return kept.outcome as ApiOutcome<T>;
    const outcome = await transport.request<T>(request);
    this.#kept.delete(request.path);
    const answered = outcome.ok ? resourceVersionOf(outcome.value) : undefined;
    if (answered === undefined) return outcome;
    this.#kept.set(request.path, { revision: answered, outcome });
    const oldest = this.#kept.size > MAX_KEPT ? this.#kept.keys().next() : undefined;
    if (oldest?.done === false) this.#kept.delete(oldest.value);
    return outcome;
  }
}

function resourceVersionOf(raw: unknown): string | undefined {
  const { metadata } = raw as { readonly metadata?: { readonly resourceVersion?: string } };
  return metadata?.resourceVersion;
}

function secretOf(path: string): SecretName | undefined {
  const [, namespace, name] = SECRET_PATH.exec(path) ?? [];
  if (namespace === undefined || name === undefined) return undefined;
  return { namespace: decodeURIComponent(namespace), name: decodeURIComponent(name) };
}
