// A scripted API server in virtual time: one collection, every fault a reflector must survive. No sockets.
import type {
  ApiFailureKind,
  ApiOutcome,
  ApiRequest,
  ApiStream,
  ApiTransport,
} from "../../src/kube/transport.ts";
import { StreamBroken } from "../../src/kube/transport.ts";
import type { Clock } from "../../src/model/clock.ts";

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly value: number;
}

interface Change {
  readonly rv: number;
  readonly line: { readonly type: string; readonly object: FakeObject };
}

/** How requests are answered: as they should be, with a failure, or never (until the deadline). */
export type Weather = "fair" | "silent" | ApiFailureKind;

const BOOKMARK_PERIOD_MS = 60_000;

export class FakeServer implements ApiTransport {
  weather: Weather = "fair";
  /** Failures for the next requests only, whatever the weather. */
  readonly nextFailures: { kind: ApiFailureKind; retryAfterMs?: number }[] = [];
  latencyMs = 5;
  bookmarks = true;
  /** How long an event is on its way; never overtaken by a later one. */
  eventLagMs = 0;
  /** How many changes ago the next list was true: what a stale cache or a rolled-back etcd member answers. */
  nextListLagsBy = 0;
  /** Only lists from before this resourceVersion may come out stale. */
  staleBelow: () => number = () => Number.POSITIVE_INFINITY;
  /** Whether a request is evaluated when it arrives and its answer takes long, or the other way round. */
  readsEarly = false;
  /** Whether a watch that begins too far back is told so by HTTP status or within the stream. */
  goneInStream = true;
  readonly requests: ApiRequest[] = [];
  readonly objects = new Map<string, FakeObject>();
  readonly streams = new Set<FakeStream>();
  #clock: Clock;
  #rv = 1_000;
  #log: Change[] = [];
  #compactedAt = 0;
  #uids = 0;
  #states: { rv: number; objects: FakeObject[] }[] = [];
  #snapshots = new Map<string, { rv: number; rest: FakeObject[] }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get rv(): number {
    return this.#rv;
  }

  /** Requests of one sort so far. */
  count(sort: "list" | "watch" | "get"): number {
    return this.requests.filter((request) => sortOf(request) === sort).length;
  }

  /** Creates or updates; answers with what a client that wrote it would get. */
  put(name: string, value: number): FakeObject {
    const old = this.objects.get(name);
    const uid = old?.metadata.uid ?? `uid-${++this.#uids}`;
    const object = { metadata: { ...split(name), uid, resourceVersion: String(++this.#rv) }, value };
    this.objects.set(name, object);
    this.#publish({ type: old ? "MODIFIED" : "ADDED", object });
    return object;
  }

  delete(name: string): FakeObject | undefined {
    const old = this.objects.get(name);
    if (!old) return undefined;
    this.objects.delete(name);
    const object = { ...old, metadata: { ...old.metadata, resourceVersion: String(++this.#rv) } };
    this.#publish({ type: "DELETED", object });
    return old;
  }

  /** Other kinds' writes, which move the version on too. */
  tick(by = 1): void {
    this.#rv += by;
  }

  /** Forgets the history: older watches and continue tokens are gone. */
  compact(): void {
    this.#compactedAt = this.#rv;
    this.#snapshots.clear();
  }

  /** Goes back in time, as after an etcd restored from a backup. */
  restore(objects: ReadonlyMap<string, FakeObject>, rv: number): void {
    this.#rv = rv;
    this.#log = [];
    this.#compactedAt = 0;
    this.objects.clear();
    for (const [name, object] of objects) this.objects.set(name, object);
  }

  endStreams(how: "clean" | "broken" | "mute"): void {
    for (const stream of this.streams) {
      if (how === "mute") stream.muted = true;
      else stream.end(how);
    }
  }

  /** Sends a line as it is to every open watch. */
  say(line: unknown): void {
    for (const stream of this.streams) stream.push(line);
  }

  /** Sends an event of the past once more, behind those under way. */
  repeat(n: number): void {
    const change = this.#log[n % this.#log.length];
    if (change) for (const stream of this.streams) this.#send(stream, change.line);
  }

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    this.requests.push(request);
    const early = this.readsEarly ? this.#answer(request) : undefined;
    const failure = await this.#delay(request);
    if (failure) return failure;
    return (early ?? this.#answer(request)) as ApiOutcome<T>;
  }

  async stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    this.requests.push(request);
    const failure = await this.#delay(request);
    if (failure) return failure;
    const from = Number(request.query?.["resourceVersion"]);
    const gone = from < this.#compactedAt;
    if (gone && !this.goneInStream) return fail("gone", 410);
    const stream = new FakeStream((closed) => this.streams.delete(closed));
    this.streams.add(stream);
    if (gone) {
      stream.push({
        type: "ERROR",
        object: { kind: "Status", code: 410, message: "too old resource version" },
      });
      stream.end("clean");
    }
    for (const change of this.#log) if (change.rv > from) this.#send(stream, change.line);
    this.#bookmarkLater(stream);
    const timeoutMs = Number(request.query?.["timeoutSeconds"]) * 1000;
    stream.timers.push(this.#clock.schedule(timeoutMs, () => stream.end("clean")));
    return { ok: true, status: 200, value: stream };
  }

  redial(): void {
    this.endStreams("broken");
  }

  async close(): Promise<void> {
    this.redial();
  }

  #publish(line: Change["line"]): void {
    this.#log.push({ rv: this.#rv, line });
    this.#states.push({ rv: this.#rv, objects: [...this.objects.values()] });
    for (const stream of this.streams) this.#send(stream, line);
  }

  #send(stream: FakeStream, line: unknown): void {
    if (this.eventLagMs === 0) stream.push(line);
    else stream.timers.push(this.#clock.schedule(this.eventLagMs, () => stream.push(line)));
  }

  #bookmarkLater(stream: FakeStream): void {
    const cancel = this.#clock.schedule(BOOKMARK_PERIOD_MS, () => {
      if (this.bookmarks)
        this.#send(stream, { type: "BOOKMARK", object: { metadata: { resourceVersion: String(this.#rv) } } });
      this.#bookmarkLater(stream);
    });
    stream.timers.push(cancel);
  }

  #answer(request: ApiRequest): ApiOutcome<unknown> {
    const name = request.path.split("/things/")[1];
    if (name !== undefined) {
      const namespace = /namespaces\/([^/]+)\//.exec(request.path)?.[1];
      const object = this.objects.get(namespace === undefined ? name : `${namespace}/${name}`);
      return object ? { ok: true, status: 200, value: object } : fail("notFound", 404);
    }
    const { limit, continue: token, fieldSelector } = request.query ?? {};
    let page = { rv: this.#rv, rest: [...this.objects.values()] };
    const stale = this.nextListLagsBy === 0 ? undefined : this.#states.at(-1 - this.nextListLagsBy);
    this.nextListLagsBy = 0;
    if (stale && stale.rv < this.staleBelow()) page = { rv: stale.rv, rest: [...stale.objects] };
    if (typeof token === "string") {
      const snapshot = this.#snapshots.get(token);
      if (!snapshot) return fail("gone", 410);
      page = snapshot;
    }
    if (typeof fieldSelector === "string" && fieldSelector.startsWith("metadata.name="))
      page.rest = page.rest.filter((object) =>
        fieldSelector.includes(`metadata.name=${object.metadata.name}`),
      );
    const items = limit === undefined ? page.rest : page.rest.slice(0, Number(limit));
    const rest = page.rest.slice(items.length);
    const next = rest.length === 0 ? {} : { continue: `${page.rv}-${rest.length}` };
    if (next.continue !== undefined) this.#snapshots.set(next.continue, { rv: page.rv, rest });
    return {
      ok: true,
      status: 200,
      value: { metadata: { resourceVersion: String(page.rv), ...next }, items },
    };
  }

  /** Waits as the network would; answers with a failure where the weather is bad when the request arrives. */
  #delay(request: ApiRequest): Promise<ReturnType<typeof fail> | undefined> {
    const next = this.nextFailures.shift();
    const weather = next?.kind ?? this.weather;
    const waitMs = weather === "silent" ? (request.deadlineMs ?? 10_000) : this.latencyMs;
    return new Promise((resolve) => {
      const cancel = this.#clock.schedule(waitMs, () => {
        request.signal?.removeEventListener("abort", onAbort);
        if (weather === "fair") resolve(undefined);
        else if (weather === "silent") resolve(fail("timeout"));
        else resolve(fail(weather, undefined, next?.retryAfterMs));
      });
      const onAbort = () => {
        cancel();
        resolve(fail("aborted"));
      };
      if (request.signal?.aborted) onAbort();
      else request.signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

/** The server's side of one watch. */
export class FakeStream implements ApiStream {
  readonly timers: (() => void)[] = [];
  /** Half-open: nothing that is sent arrives, and nobody is told. */
  muted = false;
  #queue: unknown[] = [];
  #ended: "clean" | "broken" | undefined;
  #wake: (() => void) | undefined;
  #onClose: (stream: FakeStream) => void;
  readonly lines: AsyncIterable<unknown>;

  constructor(onClose: (stream: FakeStream) => void) {
    this.#onClose = onClose;
    this.lines = this.#read();
  }

  push(line: unknown): void {
    if (this.#ended || this.muted) return;
    this.#queue.push(line);
    this.#wake?.();
  }

  end(how: "clean" | "broken"): void {
    if (this.muted) return;
    this.#ended ??= how;
    this.#wake?.();
  }

  close(): void {
    this.#ended = "clean";
    this.#queue = [];
    for (const cancel of this.timers.splice(0)) cancel();
    this.#onClose(this);
    this.#wake?.();
  }

  async *#read(): AsyncGenerator {
    for (;;) {
      while (this.#queue.length > 0) yield this.#queue.shift();
      if (this.#ended === "broken") throw new StreamBroken("connection reset");
      if (this.#ended === "clean") return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

function split(name: string): { namespace?: string; name: string } {
  const slash = name.indexOf("/");
  return slash < 0 ? { name } : { namespace: name.slice(0, slash), name: name.slice(slash + 1) };
}

function sortOf(request: ApiRequest): "list" | "watch" | "get" {
  if (request.query?.["watch"] === true) return "watch";
  return request.path.endsWith("/things") ? "list" : "get";
}

function fail(kind: ApiFailureKind, status?: number, retryAfterMs?: number) {
  return {
    ok: false as const,
    kind,
    status,
    message: `scripted ${kind}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}
