// One open watch on the simulated API server: events in order, late as its link has it, bookmarks, an end in good order,
// 410 where it cannot go on.
import { type ApiRequest, type ApiStream, StreamBroken } from "../../../src/kube/transport.ts";
import type { Backbone, Link } from "./connection.ts";
import { frozen, type Json } from "./json.ts";
import { type Target, targetOf } from "./resources.ts";
import { type Matches, selectorOf } from "./selector.ts";
import type { Change } from "./store.ts";
import { type Answer, failure } from "./stored.ts";

/** A real server's interval. */
const BOOKMARK_MS = 60_000;
const DEFAULT_TIMEOUT_SECONDS = 1_800;

interface WatchPorts {
  readonly backbone: Backbone;
  readonly link: Link;
  readonly onEnd: (watch: SimWatch) => void;
}

type End = "open" | "clean" | StreamBroken;

export class SimWatch implements ApiStream {
  readonly lines: AsyncIterable<unknown>;
  readonly #ports: WatchPorts;
  readonly #target: Target;
  readonly #matches: Matches | undefined;
  readonly #queue: Json[] = [];
  readonly #cancels: (() => void)[] = [];
  #end: End = "open";
  #waiting: (() => void) | undefined;
  /** Version of the last change that was put on its way. */
  #sentVersion: number;
  /** When the last line arrives: later ones do not overtake it. */
  #lastDueMs = 0;

  /** Opens a watch, or answers why not. */
  static open(request: ApiRequest, ports: WatchPorts): SimWatch | Answer {
    const target = targetOf(request.path);
    if (target === undefined)
      return failure(404, "NotFound", "the server could not find the requested resource");
    return new SimWatch(request, target, ports);
  }

  private constructor(request: ApiRequest, target: Target, ports: WatchPorts) {
    const { store } = ports.backbone.server;
    const query = request.query ?? {};
    this.#ports = ports;
    this.#target = target;
    this.#matches = selectorOf(query);
    this.lines = this.#iterate();
    const from = String(query["resourceVersion"] ?? "");
    this.#sentVersion = from === "" || from === "0" ? store.version : Number(from);
    ports.backbone.watches.add(this);
    if (from === "" || from === "0") {
      for (const object of store.list(target.resource, target.namespace))
        if (this.#matches?.(object) !== false) this.#send({ type: "ADDED", object });
    } else this.#resume(Number(from));
    this.#cancels.push(
      store.onChange(target.resource, (change) => this.#take(change)),
      ports.backbone.time.schedule(Number(query["timeoutSeconds"] ?? DEFAULT_TIMEOUT_SECONDS) * 1_000, () =>
        this.#finish("clean"),
      ),
    );
    if (String(query["allowWatchBookmarks"]) === "true") this.#bookmarkLater();
  }

  close(): void {
    this.#finish("clean");
  }

  /** The connection breaks; what was on its way is lost. */
  breakOff(why: string): void {
    this.#queue.length = 0;
    this.#finish(new StreamBroken(why));
  }

  #resume(from: number): void {
    const changes = this.#ports.backbone.server.store.since(this.#target.resource, from);
    if (changes === undefined) {
      const { body } = failure(410, "Expired", `too old resource version: ${from}`);
      this.#send({ type: "ERROR", object: body });
      return;
    }
    for (const change of changes) this.#take(change);
  }

  #take(change: Change): void {
    const { namespace } = this.#target;
    if (change.version <= this.#sentVersion) return;
    this.#sentVersion = change.version;
    if (namespace !== undefined && change.object.metadata["namespace"] !== namespace) return;
    const event = this.#eventOf(change);
    if (event !== undefined) this.#send(event);
  }

  /** As a watch with a selector sees it: what comes to match is added, what ceases to is deleted. */
  #eventOf({ type, object, before, line }: Change): Json | undefined {
    const matches = this.#matches;
    if (matches === undefined) return line;
    const did = before !== undefined && matches(before);
    const does = type !== "DELETED" && matches(object);
    if (does) return { type: did ? "MODIFIED" : "ADDED", object };
    if (!did) return undefined;
    // The last state that matched, under the version of the change.
    const { resourceVersion } = object.metadata;
    const gone = { ...before, metadata: { ...before.metadata, resourceVersion } };
    return { type: "DELETED", object: type === "DELETED" ? object : gone };
  }

  #send(line: Json): void {
    if (this.#end !== "open") return;
    const { backbone, link } = this.#ports;
    const { time } = backbone;
    const dueMs = Math.max(
      this.#lastDueMs,
      time.nowMs + link.delayMs() + link.watchLagMs(this.#target.resource.plural),
    );
    this.#lastDueMs = dueMs;
    const parcel = frozen(line);
    if (dueMs <= time.nowMs) this.#arrive(parcel);
    else time.schedule(dueMs - time.nowMs, () => this.#arrive(parcel));
  }

  /** A line that is lost on a cut link is lost with its connection: TCP loses nothing in the middle. */
  #arrive(line: Json): void {
    if (this.#end !== "open") return;
    const { backbone, link } = this.#ports;
    if (link.cutBack || backbone.state === "mute") {
      this.#stall(line);
      return;
    }
    this.#queue.push(line);
    this.#wake();
  }

  #stalled: Json[] = [];

  #stall(line: Json): void {
    this.#stalled.push(line);
  }

  /** The way is open again: TCP delivers what it held, in order. */
  resumeDelivery(): void {
    if (this.#end !== "open" || this.#ports.link.cutBack) return;
    this.#queue.push(...this.#stalled.splice(0));
    this.#wake();
  }

  #bookmarkLater(): void {
    const { time, server } = this.#ports.backbone;
    const cancel = time.schedule(BOOKMARK_MS, () => {
      const { resource } = this.#target;
      const metadata = { resourceVersion: String(server.store.version) };
      this.#sentVersion = server.store.version;
      this.#send({
        type: "BOOKMARK",
        object: { apiVersion: resource.apiVersion, kind: resource.kind, metadata },
      });
      this.#bookmarkLater();
    });
    this.#cancels.push(cancel);
  }

  #finish(end: End): void {
    if (this.#end !== "open") return;
    this.#end = end;
    for (const cancel of this.#cancels) cancel();
    this.#ports.backbone.watches.delete(this);
    this.#ports.onEnd(this);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  async *#iterate(): AsyncGenerator {
    try {
      for (;;) {
        const line = this.#queue.shift();
        if (line !== undefined) {
          yield line;
          continue;
        }
        if (this.#end === "clean") return;
        if (this.#end !== "open") throw this.#end;
        await new Promise<void>((resolve) => {
          this.#waiting = resolve;
        });
      }
    } finally {
      this.#finish("clean");
    }
  }
}
