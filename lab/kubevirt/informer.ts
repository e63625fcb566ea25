// A local copy of one resource in all namespaces, kept by list and watch, with the answers to one's own writes mixed in.
import { type ApiStream, type ApiTransport, StreamBroken } from "../../src/kube/transport.ts";
import { sleep } from "../lab-time.ts";
import { type KubeObject, keyOf } from "./objects.ts";

/** Pause before listing again after a failure; client-go starts at 0.8 s. */
const RETRY_MS = 500;
/** How long one watch is asked for; the server ends it and it is opened anew. */
const WATCH_SECONDS = 290;
/** Objects whose deletion was seen are remembered, so that a late answer does not bring them back. */
const MAX_REMEMBERED_DELETIONS = 10_000;

/** What changed; `after` is undefined for a deletion, `before` for an addition. */
export type ChangeListener<T> = (after: T | undefined, before: T | undefined) => void;

interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: KubeObject;
}

interface InformerOptions<T> {
  /** Path of the list over all namespaces. */
  readonly path: string;
  /** Fills in what an object may lack, on a copy. */
  readonly complete?: (object: T) => T;
  /** Objects can be asked for by this value of theirs, for instance the UID of their controller. */
  readonly indexBy?: (object: T) => string | undefined;
}

/** Holds the objects and tells listeners of every change. Objects handed out must not be changed: copy them first. */
export class Informer<T extends KubeObject> {
  readonly #api: ApiTransport;
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #index = new Map<string, Set<string>>();
  readonly #listeners: ChangeListener<T>[] = [];
  readonly #deletedUids = new Set<string>();
  #stopped = false;
  #stream: ApiStream | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(api: ApiTransport, options: InformerOptions<T>) {
    this.#api = api;
    this.#options = options;
  }

  /** Lists once, then follows in the background until `stop()`. Resolves when the first list is in. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#loop = this.#follow(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stream?.close();
    await this.#loop;
  }

  onChange(listener: ChangeListener<T>): void {
    this.#listeners.push(listener);
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** The objects whose index value is `value`. */
  indexed(value: string): T[] {
    const keys = this.#index.get(value) ?? [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /**
   * Takes over the server's answer to one's own write, so that no decision is made on the state before it. This stands
   * in for KubeVirt's expectations.
   */
  absorb(object: T): void {
    if (this.#deletedUids.has(object.metadata.uid)) return;
    this.#set(object);
  }

  async #follow(synced: () => void): Promise<void> {
    while (!this.#stopped) {
      const version = await this.#list();
      if (version !== undefined) {
        synced();
        await this.#watch(version);
      }
      if (!this.#stopped) await sleep(RETRY_MS);
    }
  }

  async #list(): Promise<string | undefined> {
    const outcome = await this.#api.request<{ metadata: { resourceVersion: string }; items?: T[] }>({
      method: "GET",
      path: this.#options.path,
    });
    if (!outcome.ok || this.#stopped) return undefined;
    const items = outcome.value.items ?? [];
    const uids = new Set(items.map((item) => item.metadata.uid));
    for (const object of this.list()) if (!uids.has(object.metadata.uid)) this.#remove(object);
    for (const item of items) this.#set(item);
    return outcome.value.metadata.resourceVersion;
  }

  /** Follows from `version` until the server gives the position up, or two watches in a row bring nothing. */
  async #watch(version: string): Promise<void> {
    let position = version;
    for (let barren = 0; barren < 2 && !this.#stopped; barren++) {
      const opened = await this.#api.stream({
        method: "GET",
        path: this.#options.path,
        query: {
          watch: true,
          allowWatchBookmarks: true,
          timeoutSeconds: WATCH_SECONDS,
          resourceVersion: position,
        },
      });
      if (!opened.ok) return;
      this.#stream = opened.value;
      if (this.#stopped) opened.value.close();
      try {
        for await (const line of opened.value.lines) {
          const event = line as WatchEvent;
          if (this.#stopped || event.type === "ERROR") return;
          position = event.object.metadata.resourceVersion;
          barren = -1;
          if (event.type === "DELETED") this.#remove(event.object as T);
          else if (event.type !== "BOOKMARK") this.#set(event.object as T);
        }
      } catch (error) {
        // A broken connection tells no more than that: the next watch goes on from the last position.
        if (!(error instanceof StreamBroken)) throw error;
      }
    }
  }

  #set(given: T): void {
    const object = this.#options.complete?.(given) ?? given;
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before && before.metadata.uid !== object.metadata.uid) {
      this.#remove(before);
    } else if (before && Number(before.metadata.resourceVersion) >= Number(object.metadata.resourceVersion)) {
      // Versions of one object are comparable numbers (Kubernetes guarantees it since 1.35).
      return;
    }
    this.#objects.set(key, object);
    this.#reindex(key, before, object);
    for (const listener of this.#listeners) {
      listener(object, before?.metadata.uid === object.metadata.uid ? before : undefined);
    }
  }

  #remove(object: T): void {
    const key = keyOf(object);
    if (this.#deletedUids.size >= MAX_REMEMBERED_DELETIONS) this.#deletedUids.clear();
    this.#deletedUids.add(object.metadata.uid);
    const before = this.#objects.get(key);
    if (before?.metadata.uid !== object.metadata.uid) return;
    this.#objects.delete(key);
    this.#reindex(key, before, undefined);
    for (const listener of this.#listeners) listener(undefined, before);
  }

  #reindex(key: string, before: T | undefined, after: T | undefined): void {
    const { indexBy } = this.#options;
    if (!indexBy) return;
    const old = before && indexBy(before);
    const current = after && indexBy(after);
    if (old === current) return;
    if (old !== undefined) {
      const keys = this.#index.get(old);
      keys?.delete(key);
      if (keys?.size === 0) this.#index.delete(old);
    }
    if (current !== undefined) {
      const keys = this.#index.get(current) ?? new Set();
      this.#index.set(current, keys.add(key));
    }
  }
}
