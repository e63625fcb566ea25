// Serves a synthetic cluster as an API server would, as far as Holdfast asks: paged lists, watches with bookmarks, reads, its
// own writes. Kubelets renew their Leases and virt-handlers beat, so that nobody looks dead.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Collection, HEARTBEATS, ordinalIn, RENEWALS, type StoredObject } from "./synthetic-cluster.ts";

const BOOKMARK_MS = 30_000;
/** Signs of life go out in slices, as from nodes that know nothing of each other. */
const TICK_MS = 100;
/** Above every captured resourceVersion. */
const FIRST_VERSION = 10_000_000;

interface Served {
  readonly collection: Collection;
  /** Objects that have been written since, by ordinal. */
  readonly written: Map<number, StoredObject>;
  readonly watchers: Set<ServerResponse>;
}

export class ListWatchServer {
  /** Writes of anything but a replica's Lease. */
  writes = 0;
  readonly #served: ReadonlyMap<string, Served>;
  /** Leases of replicas, by path. */
  readonly #leases = new Map<string, StoredObject>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #timers: NodeJS.Timeout[] = [];
  #version = FIRST_VERSION;

  /** `leases`: by path, such as the released one that an installation brings. */
  constructor(collections: readonly Collection[], leases: Readonly<Record<string, object>> = {}) {
    for (const [path, lease] of Object.entries(leases)) this.#write(path, lease);
    this.#served = new Map(
      collections.map((collection) => [
        collection.path,
        { collection, written: new Map(), watchers: new Set() },
      ]),
    );
  }

  /** `http://127.0.0.1:PORT`. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.#timers.push(setInterval(() => this.#bookmark(), BOOKMARK_MS));
    for (const sign of [RENEWALS, HEARTBEATS]) {
      const beat = this.#beater(sign);
      this.#timers.push(setInterval(beat, TICK_MS));
    }
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const served = this.#served.get(pathname);
    if (request.method !== "GET") send(response, this.#write(pathname, await bodyOf(request)));
    else if (served === undefined) send(response, this.#leases.get(pathname) ?? this.#read(pathname));
    else if (searchParams.get("watch") === "true") watch(served, response);
    else this.#list(served, searchParams, response);
  }

  #list(served: Served, query: URLSearchParams, response: ServerResponse): void {
    const { apiVersion, kind, count } = served.collection;
    const name = /^metadata\.name=([^,]+)/.exec(query.get("fieldSelector") ?? "")?.[1];
    const only = name === undefined ? undefined : ordinalIn(served.collection, name);
    const from = only ?? Number(query.get("continue") ?? 0);
    const to = only === undefined ? Math.min(count, from + Number(query.get("limit") ?? count)) : only + 1;
    const more = only === undefined && to < count ? { continue: String(to) } : {};
    const metadata = { resourceVersion: String(this.#version), ...more };
    const head = JSON.stringify({ apiVersion, kind: `${kind}List`, metadata });
    const items: string[] = [];
    for (let i = from; i < to; i++) {
      const written = served.written.get(i);
      items.push(written === undefined ? served.collection.text(i) : JSON.stringify(written));
    }
    response.setHeader("content-type", "application/json");
    response.end(`${head.slice(0, -1)},"items":[${items.join(",")}]}`);
  }

  #read(pathname: string): StoredObject | undefined {
    const found = this.#find(pathname);
    return found && objectAt(found.served, found.ordinal);
  }

  /** The object of the cluster that a path names, if any. */
  #find(pathname: string): { readonly served: Served; readonly ordinal: number } | undefined {
    const slash = pathname.lastIndexOf("/");
    const collection = pathname.slice(0, slash);
    const served =
      this.#served.get(collection) ?? this.#served.get(collection.replace(/\/namespaces\/[^/]+\//, "/"));
    const ordinal = served && ordinalIn(served.collection, pathname.slice(slash + 1));
    return served === undefined || ordinal === undefined ? undefined : { served, ordinal };
  }

  /** Statuses of the cluster's objects, and replicas' Leases; everything else, such as an Event, is taken and forgotten. */
  #write(pathname: string, body: Partial<StoredObject>): unknown {
    this.#version += 1;
    const resourceVersion = String(this.#version);
    if (pathname.includes("/leases")) {
      const name = body.metadata?.name;
      const path = name === undefined || pathname.endsWith(name) ? pathname : `${pathname}/${name}`;
      const lease = merged(this.#leases.get(path), body) as unknown as StoredObject;
      lease.metadata.resourceVersion = resourceVersion;
      this.#leases.set(path, lease);
      return lease;
    }
    this.writes += 1;
    const found = this.#find(pathname.replace(/\/status$/, ""));
    if (found === undefined) return { ...body, metadata: { ...body.metadata, resourceVersion } };
    return this.#change(found.served, found.ordinal, (object) => {
      if (body.status !== undefined) object.status = body.status;
    });
  }

  #change(served: Served, ordinal: number, change: (object: StoredObject) => void): StoredObject {
    const object = objectAt(served, ordinal);
    change(object);
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    served.written.set(ordinal, object);
    tell(served, "MODIFIED", object);
    return object;
  }

  /** Speaks, tick by tick, for the nodes whose turn has come. */
  #beater(sign: typeof RENEWALS): () => void {
    const served = this.#served.get(sign.path);
    const startedMs = performance.now();
    let spoken = 0;
    return () => {
      if (served === undefined) return;
      const { count } = served.collection;
      const due = ((performance.now() - startedMs) / sign.periodMs) * count;
      for (; spoken < due; spoken++) this.#change(served, spoken % count, sign.change);
    };
  }

  #bookmark(): void {
    const metadata = { resourceVersion: String(this.#version) };
    for (const served of this.#served.values()) {
      const { apiVersion, kind } = served.collection;
      tell(served, "BOOKMARK", { apiVersion, kind, metadata });
    }
  }
}

function objectAt({ written, collection }: Served, ordinal: number): StoredObject {
  return written.get(ordinal) ?? (JSON.parse(collection.text(ordinal)) as StoredObject);
}

function watch({ watchers }: Served, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  watchers.add(response);
  response.once("close", () => watchers.delete(response));
}

function tell({ watchers }: Served, type: string, object: unknown): void {
  if (watchers.size === 0) return;
  const line = `${JSON.stringify({ type, object })}\n`;
  for (const watcher of watchers) watcher.write(line);
}

/** Undefined is a 404. */
function send(response: ServerResponse, body: unknown): void {
  response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
  response.end(
    JSON.stringify(body ?? { kind: "Status", status: "Failure", code: 404, message: "not found" }),
  );
}

/** A JSON merge patch (RFC 7396): null takes a member away. */
function merged(target: unknown, patch: unknown): Record<string, unknown> {
  const result = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(isObject(patch) ? patch : {})) {
    if (value === null) delete result[key];
    else result[key] = isObject(value) ? merged(result[key], value) : value;
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function bodyOf(request: IncomingMessage): Promise<Partial<StoredObject>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  return (text === "" ? {} : JSON.parse(text)) as Partial<StoredObject>;
}
