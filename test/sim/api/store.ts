// What etcd and the watch cache are to a real API server: objects by key, one global version, and the recent changes that
// watches go on from. Knows no requests.
import type { Json, JsonObject } from "./json.ts";
import { frozen } from "./json.ts";
import type { Resource } from "./resources.ts";
import { type Entry, keyOf, type StoredObject } from "./stored.ts";

/** One change of one object; `before` is undefined where it was created. */
export interface Change {
  readonly version: number;
  readonly resource: Resource;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
  readonly before: StoredObject | undefined;
  /** As a watch without a selector tells it. */
  readonly line: JsonObject;
  /** Who caused it, as user name. */
  readonly by: string;
}

/** Changes kept per collection for watches to go on from. */
const MAX_HISTORY = 500;

class Collection {
  readonly entries = new Map<string, Entry>();
  /** Its objects by key; undefined since something changed. */
  sorted: readonly StoredObject[] | undefined;
  readonly history: Change[] = [];
  readonly listeners = new Set<(change: Change) => void>();
  /** A watch from before this version is told 410. */
  compactedTo = 0;
}

/** Guarantees: every change has a version of its own, higher than all before; objects given out are frozen. */
export class Store {
  readonly #collections = new Map<Resource, Collection>();
  readonly #everything = new Set<(change: Change) => void>();
  #version = 1_000;

  get version(): number {
    return this.#version;
  }

  get(resource: Resource, namespace: string | undefined, name: string): Entry | undefined {
    return this.#of(resource).entries.get(keyOf(namespace, name));
  }

  list(resource: Resource, namespace?: string): readonly StoredObject[] {
    const collection = this.#of(resource);
    // etcd lists by key.
    collection.sorted ??= Object.freeze(
      [...collection.entries]
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([, { object }]) => object),
    );
    const all = collection.sorted;
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata["namespace"] === namespace);
  }

  put(resource: Resource, value: JsonObject, parts: Pick<Entry, "applied"> & { by: string }): StoredObject {
    const collection = this.#of(resource);
    this.#version += 1;
    const metadata = { ...(value["metadata"] as JsonObject), resourceVersion: String(this.#version) };
    const object = frozen({ ...value, metadata }) as StoredObject;
    const key = keyOfObject(object);
    const before = collection.entries.get(key)?.object;
    collection.entries.set(key, { object, applied: parts.applied });
    const type = before === undefined ? "ADDED" : "MODIFIED";
    const line = Object.freeze({ type, object });
    this.#record(collection, { version: this.#version, resource, type, object, before, line, by: parts.by });
    return object;
  }

  remove(resource: Resource, standing: StoredObject, by: string): StoredObject {
    const collection = this.#of(resource);
    this.#version += 1;
    const metadata = { ...standing.metadata, resourceVersion: String(this.#version) };
    const object = frozen({ ...standing, metadata }) as StoredObject;
    const before = collection.entries.get(keyOfObject(standing))?.object;
    collection.entries.delete(keyOfObject(standing));
    const line = Object.freeze({ type: "DELETED", object } as const);
    this.#record(collection, { version: this.#version, resource, type: "DELETED", object, before, line, by });
    return object;
  }

  /** Changes of a collection after a version; undefined where they have been forgotten. */
  since(resource: Resource, version: number): readonly Change[] | undefined {
    const { history, compactedTo } = this.#of(resource);
    if (version < compactedTo) return undefined;
    return history.filter((change) => change.version > version);
  }

  /** Forgets what watches could go on from: those that come back are told 410. */
  compact(): void {
    for (const collection of this.#collections.values()) {
      collection.history.length = 0;
      collection.compactedTo = this.#version;
    }
  }

  onChange(resource: Resource, listener: (change: Change) => void): () => void {
    const { listeners } = this.#of(resource);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Told of every change of every collection, at the instant it happens. */
  onEveryChange(listener: (change: Change) => void): void {
    this.#everything.add(listener);
  }

  #record(collection: Collection, change: Change): void {
    collection.sorted = undefined;
    collection.history.push(change);
    if (collection.history.length > MAX_HISTORY) {
      const dropped = collection.history.splice(0, MAX_HISTORY / 2);
      collection.compactedTo = dropped.at(-1)?.version ?? collection.compactedTo;
    }
    for (const listener of this.#everything) listener(change);
    for (const listener of collection.listeners) listener(change);
  }

  #of(resource: Resource): Collection {
    let collection = this.#collections.get(resource);
    if (collection === undefined) {
      collection = new Collection();
      this.#collections.set(resource, collection);
    }
    return collection;
  }
}

function keyOfObject({ metadata }: StoredObject): string {
  return keyOf(metadata["namespace"] as string | undefined, metadata.name);
}

/** The list a server answers with. */
export function listBody(resource: Resource, items: readonly StoredObject[], version: number): Json {
  return Object.freeze({
    apiVersion: resource.apiVersion,
    kind: `${resource.kind}List`,
    metadata: Object.freeze({ resourceVersion: String(version) }),
    items: Object.freeze(items),
  });
}
