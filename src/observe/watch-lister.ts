// Takes a consistent list, page by page, into a store. Says what comes next; never waits and never retries by itself.
import type { ApiFailure } from "../kube/transport.ts";
import type { Clock } from "../model/clock.ts";
import type { WatchCollection } from "./watch-collection.ts";
import { type ListPage, readListPage } from "./watch-event.ts";
import type { WatchStore } from "./watch-store.ts";

/** Objects asked for per page: small answers, parsed as they arrive. */
const PAGE_LIMIT = 500;
/**
 * How long stale lists are refused before they count as the truth. A consistent read is never stale, unless etcd was
 * restored from a backup; holding out for ever would be blindness that only a restart cures.
 */
const STALE_LISTS_REFUSED_MS = 60_000;

/** A list under way. */
export interface Listing {
  /** Objects per page; undefined asks for all at once. */
  readonly limit: number | undefined;
  readonly continueToken: string | undefined;
  /** Pages taken so far. */
  readonly pages: number;
  readonly resourceVersion: string | undefined;
  /** When the first page was asked for: the list shows nothing older than that. */
  readonly startedAtMs: number;
}

/** What one page led to. `expired`: the pages already taken belong to a list that cannot go on. */
export type ListStep =
  | { readonly kind: "page"; readonly listing: Listing }
  | { readonly kind: "done"; readonly startedAtMs: number }
  | {
      readonly kind: "failed";
      readonly listing: Listing;
      readonly expired: boolean;
      readonly failure: ApiFailure;
    };

/** A list from its beginning. */
export function newListing(): Listing {
  return {
    limit: PAGE_LIMIT,
    continueToken: undefined,
    pages: 0,
    resourceVersion: undefined,
    startedAtMs: 0,
  };
}

/** Fills a store with a consistent list of a collection. */
export class WatchLister<F> {
  #collection: WatchCollection;
  #store: WatchStore<F>;
  #clock: Clock;
  /** When the first of an unbroken row of stale lists came. */
  #staleSinceMs: number | undefined;

  constructor(collection: WatchCollection, store: WatchStore<F>, clock: Clock) {
    this.#collection = collection;
    this.#store = store;
    this.#clock = clock;
  }

  /** Asks for the next page and takes it into the store. After an abort the store is left alone. */
  async step(listing: Listing, signal: AbortSignal): Promise<ListStep> {
    const isFirst = listing.continueToken === undefined;
    const startedAtMs = isFirst ? this.#clock.now().monotonicMs : listing.startedAtMs;
    if (isFirst) this.#store.beginList();
    const outcome = await this.#collection.list(listing, signal);
    if (signal.aborted) return failed(listing, refusal("aborted", "the list was given up"));
    if (!outcome.ok) return this.#afterFailure(listing, outcome);
    const page = readListPage(outcome.value);
    if (page === undefined) return failed(listing, refusal("unexpected", "the answer is not a list"));
    const resourceVersion = listing.resourceVersion ?? page.resourceVersion;
    if (isFirst && this.#isRefused(page)) {
      const message = `a list at ${page.resourceVersion} is older than what was seen before it was asked for`;
      return failed(listing, refusal("unexpected", message));
    }
    const seenAtMs = this.#clock.now().monotonicMs;
    for (const raw of page.items) this.#store.put(raw, "list", seenAtMs);
    if (page.continueToken !== undefined) {
      const { limit, pages } = listing;
      const { continueToken } = page;
      return {
        kind: "page",
        listing: { limit, continueToken, pages: pages + 1, resourceVersion, startedAtMs },
      };
    }
    this.#store.finishList(resourceVersion);
    return { kind: "done", startedAtMs };
  }

  #isRefused(page: ListPage): boolean {
    if (!this.#store.isStaleList(page.resourceVersion)) {
      this.#staleSinceMs = undefined;
      return false;
    }
    const nowMs = this.#clock.now().monotonicMs;
    this.#staleSinceMs ??= nowMs;
    if (nowMs - this.#staleSinceMs < STALE_LISTS_REFUSED_MS) return true;
    this.#staleSinceMs = undefined;
    this.#store.forgetOrder();
    return false;
  }

  #afterFailure(listing: Listing, failure: ApiFailure): ListStep {
    const { limit, continueToken } = listing;
    // The state the pages show has been compacted away, or the token means nothing to this server.
    if (continueToken !== undefined && (failure.kind === "gone" || failure.kind === "invalid"))
      return { kind: "failed", listing: { ...newListing(), limit: undefined }, expired: true, failure };
    if (limit === undefined && (failure.kind === "tooLarge" || failure.kind === "timeout"))
      return { kind: "failed", listing: newListing(), expired: true, failure };
    if (limit !== undefined && limit > 1 && failure.kind === "tooLarge")
      return failed({ ...listing, limit: Math.ceil(limit / 2) }, failure);
    return failed(listing, failure);
  }
}

function failed(listing: Listing, failure: ApiFailure): ListStep {
  return { kind: "failed", listing, expired: false, failure };
}

function refusal(kind: ApiFailure["kind"], message: string): ApiFailure {
  return { ok: false, kind, status: undefined, message };
}
