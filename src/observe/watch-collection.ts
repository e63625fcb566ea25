// Requests about one collection: list it, watch it, read one of its objects. Knows paths, queries and deadlines only.
import type { ApiOutcome, ApiStream, ApiTransport } from "../kube/transport.ts";

/** Deadline of one page of a list, and of a read of one object. */
const PAGE_DEADLINE_MS = 30_000;
/** Deadline of a list without paging, which is as large as the collection. */
const FULL_LIST_DEADLINE_MS = 60_000;
const READ_DEADLINE_MS = 5_000;
/** Deadline of opening a watch: short, since it decides how fast a mute server is noticed. */
const OPEN_DEADLINE_MS = 10_000;

/** Which objects: a collection path such as `/api/v1/nodes`, and selectors. */
export interface CollectionScope {
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** One page to ask for; no limit asks for everything at once. */
export interface PageRequest {
  readonly limit: number | undefined;
  readonly continueToken: string | undefined;
}

/** The requests of one collection. Lists carry no resourceVersion: they are consistent reads, never a stale cache. */
export class WatchCollection {
  /** Without selectors a plain GET tells whether an object belongs to the collection. */
  readonly isSelective: boolean;
  #transport: ApiTransport;
  #scope: CollectionScope;

  constructor(transport: ApiTransport, scope: CollectionScope) {
    this.#transport = transport;
    this.#scope = scope;
    this.isSelective = scope.labelSelector !== undefined || scope.fieldSelector !== undefined;
  }

  list(page: PageRequest, signal: AbortSignal): Promise<ApiOutcome<unknown>> {
    return this.#transport.request({
      method: "GET",
      path: this.#scope.path,
      query: { ...this.#selectors(), limit: page.limit, continue: page.continueToken },
      deadlineMs: page.limit === undefined ? FULL_LIST_DEADLINE_MS : PAGE_DEADLINE_MS,
      signal,
    });
  }

  watch(
    from: { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): Promise<ApiOutcome<ApiStream>> {
    return this.#transport.stream({
      method: "GET",
      path: this.#scope.path,
      query: {
        ...this.#selectors(),
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: from.resourceVersion,
        timeoutSeconds: from.timeoutSeconds,
      },
      deadlineMs: OPEN_DEADLINE_MS,
      signal,
    });
  }

  /** A quorum read of one object by key. */
  read(key: string, signal: AbortSignal): Promise<ApiOutcome<unknown>> {
    const { path, name } = this.#locate(key);
    const request = { method: "GET", path: `${path}/${name}`, deadlineMs: READ_DEADLINE_MS, signal } as const;
    return this.#transport.request(request);
  }

  /** The same as a list of at most one object: answers for the selectors too, and says as of when there is none. */
  listOne(key: string, signal: AbortSignal): Promise<ApiOutcome<unknown>> {
    const { path, name } = this.#locate(key);
    const { labelSelector, fieldSelector } = this.#scope;
    const byName = `metadata.name=${name}`;
    return this.#transport.request({
      method: "GET",
      path,
      query: {
        labelSelector,
        fieldSelector: fieldSelector === undefined ? byName : `${byName},${fieldSelector}`,
      },
      deadlineMs: READ_DEADLINE_MS,
      signal,
    });
  }

  #selectors(): { labelSelector: string | undefined; fieldSelector: string | undefined } {
    return { labelSelector: this.#scope.labelSelector, fieldSelector: this.#scope.fieldSelector };
  }

  /** The collection an object lies in, which is the namespace's own where ours spans all of them. */
  #locate(key: string): { readonly path: string; readonly name: string } {
    const { path } = this.#scope;
    const slash = key.indexOf("/");
    if (slash < 0) return { path, name: key };
    const name = key.slice(slash + 1);
    if (path.includes("/namespaces/")) return { path, name };
    const resource = path.lastIndexOf("/");
    const namespaced = `${path.slice(0, resource)}/namespaces/${key.slice(0, slash)}${path.slice(resource)}`;
    return { path: namespaced, name };
  }
}
