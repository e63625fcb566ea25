// A local copy of one list of objects, kept by list and watch. Knows nothing of what the objects mean.
import type { ApiDoor } from "./node-link.ts";
import { type KubernetesObject, keyOf } from "./objects.ts";

interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items?: T[];
}

interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: T;
}

/** What happened to an object; after a gap in the watch, deletions are found by comparing. */
export interface MirrorListener<T> {
  changed(object: T, before: T | undefined): void;
  /** `object` is its last known state. */
  deleted(object: T): void;
  /** The first list is in; `changed` was called for each of its objects before. */
  synced?(): void;
}

export interface MirrorOptions<T> {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly listener: MirrorListener<T>;
  /** Waits before the next attempt after a failure; in a dead process it never returns, and so ends the loop. */
  readonly pause: () => Promise<void>;
}

/** How long the server keeps one watch open; it ends by itself and is opened anew, as client-go does. */
const WATCH_SECONDS = 540;

/** Follows a list until `stop()`. A broken watch goes on from the last resourceVersion seen, or lists again if that is too old. */
export class Mirror<T extends KubernetesObject> {
  readonly #door: ApiDoor;
  readonly #options: MirrorOptions<T>;
  readonly #objects = new Map<string, T>();
  #resourceVersion: string | undefined;
  #stopped = false;
  #closeStream: () => void = () => undefined;
  #synced = false;

  constructor(door: ApiDoor, options: MirrorOptions<T>) {
    this.#door = door;
    this.#options = options;
    void this.#follow();
  }

  get synced(): boolean {
    return this.#synced;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** Takes over the answer to a write of one's own, so that the next look does not see the state before it. */
  learn(object: T): void {
    const known = this.#objects.get(keyOf(object));
    if (known && !isOlder(object, known)) this.#objects.set(keyOf(object), object);
  }

  stop(): void {
    this.#stopped = true;
    this.#closeStream();
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      const listed = this.#resourceVersion !== undefined || (await this.#list());
      const ended = listed ? await this.#watch() : "broken";
      if (ended === "broken" && !this.#stopped) await this.#options.pause();
    }
  }

  async #list(): Promise<boolean> {
    const { path, query, listener } = this.#options;
    const outcome = await this.#door.request<ObjectList<T>>({
      method: "GET",
      path,
      ...(query ? { query } : {}),
    });
    if (!outcome.ok || this.#stopped) return false;
    const items = outcome.value.items ?? [];
    const listedKeys = new Set(items.map(keyOf));
    for (const [key, object] of this.#objects) {
      if (listedKeys.has(key)) continue;
      this.#objects.delete(key);
      listener.deleted(object);
    }
    for (const item of items) this.#set(item);
    this.#resourceVersion = outcome.value.metadata.resourceVersion;
    if (!this.#synced) {
      this.#synced = true;
      listener.synced?.();
    }
    return true;
  }

  async #watch(): Promise<"ended" | "broken"> {
    const { path, query } = this.#options;
    const opened = await this.#door.stream({
      method: "GET",
      path,
      query: {
        ...query,
        watch: true,
        allowWatchBookmarks: true,
        timeoutSeconds: WATCH_SECONDS,
        resourceVersion: this.#resourceVersion,
      },
    });
    if (!opened.ok) {
      if (opened.kind === "gone") this.#resourceVersion = undefined;
      return "broken";
    }
    this.#closeStream = () => opened.value.close();
    if (this.#stopped) opened.value.close();
    try {
      for await (const line of opened.value.lines) {
        if (this.#stopped) break;
        if (!this.#take(line as WatchEvent<T>)) return "broken";
      }
    } catch {
      // A broken stream tells no more than that: the loop opens another from the last resourceVersion.
      return "broken";
    }
    return "ended";
  }

  /** False where the server gave the watch up and the list must be read again. */
  #take(event: WatchEvent<T>): boolean {
    if (event.type === "ERROR") {
      this.#resourceVersion = undefined;
      return false;
    }
    this.#resourceVersion = event.object.metadata.resourceVersion;
    if (event.type === "BOOKMARK") return true;
    if (event.type === "DELETED") {
      this.#objects.delete(keyOf(event.object));
      this.#options.listener.deleted(event.object);
    } else {
      this.#set(event.object);
    }
    return true;
  }

  #set(object: T): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before && before.metadata.uid !== object.metadata.uid) {
      this.#objects.delete(key);
      this.#options.listener.deleted(before);
    } else if (before && isOlder(object, before)) {
      return;
    }
    this.#objects.set(key, object);
    this.#options.listener.changed(object, before?.metadata.uid === object.metadata.uid ? before : undefined);
  }
}

/** Versions of one object are comparable numbers (Kubernetes guarantees it since 1.35). */
function isOlder(object: KubernetesObject, than: KubernetesObject): boolean {
  return (
    object.metadata.uid === than.metadata.uid &&
    Number(object.metadata.resourceVersion) < Number(than.metadata.resourceVersion)
  );
}
