// Records Kubernetes Events, for `kubectl describe`. Beside the steps and never in their way: no step waits for an Event
// or fails with one, repeats are counted instead of written anew, and a flood is cut off and said to be.
import type { Clock, Random } from "../model/clock.ts";
import type { EventNote } from "../model/plan.ts";
import { type Caller, type Effect, type EffectFailure, send } from "./guarded-request.ts";
import type { LogPort } from "./log-port.ts";
import { corePath } from "./resource-path.ts";
import { secondsOf } from "./wall-time.ts";

/** The same Event within this time is counted on the one that stands, as client-go does. */
export const EVENT_AGGREGATION_MS = 600_000;
/** Events written per minute, repeats included; the rest is dropped and counted in the log. */
export const MAX_EVENTS_PER_MINUTE = 300;
/** Events remembered for counting; the one longest unseen is forgotten first. */
const MAX_REMEMBERED = 1_000;
/** Notes waiting to be written; more are dropped. */
const MAX_WAITING = 500;
/** Longest message, so that a device's or server's words cannot fill etcd. */
const MAX_MESSAGE_CHARS = 1_024;
const MINUTE_MS = 60_000;
/** Event names are the object's name and a suffix; the API server allows 253 characters. */
const MAX_NAME_CHARS = 220;

/** Where Events about cluster-scoped objects go, for want of a namespace of their own. */
const CLUSTER_SCOPED_NAMESPACE = "default";

interface Standing {
  readonly name: string;
  readonly count: number;
  readonly seenAtMs: number;
}

export interface EventPorts extends Caller {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LogPort;
}

/**
 * Writes core `v1` Events. `events.k8s.io/v1` would have `series` instead of `count`, but forbids what makes these
 * useful here: `lastTimestamp`, by which `kubectl get events --sort-by` and most dashboards order, and a plain `count`;
 * `kubectl describe` shows both kinds alike.
 */
export class EventRecorder {
  readonly #ports: EventPorts;
  readonly #standing = new Map<string, Standing>();
  #waiting: EventNote[] = [];
  #writing: Promise<void> | undefined;
  #minuteBeganMs = Number.NEGATIVE_INFINITY;
  #spent = 0;
  #dropped = 0;
  #numbered = 0;

  constructor(ports: EventPorts) {
    this.#ports = ports;
  }

  /** Takes notes and returns at once; they are written one after the other. */
  record(notes: readonly EventNote[]): void {
    const room = Math.max(0, MAX_WAITING - this.#waiting.length);
    this.#waiting.push(...notes.slice(0, room));
    this.#drop(notes.length - Math.min(room, notes.length));
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when nothing waits to be written. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let note = this.#waiting.shift(); note !== undefined; note = this.#waiting.shift()) {
      if (this.#afford()) await this.#write(note);
      else this.#drop(1);
    }
  }

  async #write(note: EventNote): Promise<void> {
    const key = JSON.stringify([note.about.uid, note.about.name, note.type, note.reason, note.message]);
    const nowMs = this.#ports.clock.now().monotonicMs;
    const standing = this.#standing.get(key);
    const counts = standing !== undefined && nowMs - standing.seenAtMs < EVENT_AGGREGATION_MS;
    const repeat = counts ? { ...standing, count: standing.count + 1, seenAtMs: nowMs } : undefined;
    if (repeat !== undefined) {
      const patched = await this.#count(note, repeat);
      if (patched.ok) return this.#remember(key, repeat);
      // The API server drops Events after an hour or less; anything else is not worth a second Event.
      if (patched.kind !== "notFound") return this.#failed(note, patched);
    }
    const name = this.#nameFor(note);
    const created = await this.#create(note, name);
    if (created.ok) return this.#remember(key, { name, count: 1, seenAtMs: nowMs });
    this.#standing.delete(key);
    this.#failed(note, created);
  }

  #create(note: EventNote, name: string): Promise<Effect<unknown>> {
    const namespace = namespaceOf(note);
    const at = secondsOf(this.#ports.clock.now().wallMs);
    const { about, type, reason } = note;
    return send(this.#ports, {
      method: "POST",
      path: corePath(namespace, "events"),
      body: {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, namespace },
        involvedObject: { ...about },
        type,
        reason,
        message: note.message.slice(0, MAX_MESSAGE_CHARS),
        count: 1,
        firstTimestamp: at,
        lastTimestamp: at,
        source: { component: "holdfast" },
        reportingComponent: "holdfast.dev/operator",
      },
    });
  }

  #count(note: EventNote, standing: Standing): Promise<Effect<unknown>> {
    return send(this.#ports, {
      method: "PATCH",
      path: corePath(namespaceOf(note), "events", standing.name),
      contentType: "application/merge-patch+json",
      body: { count: standing.count, lastTimestamp: secondsOf(this.#ports.clock.now().wallMs) },
    });
  }

  #remember(key: string, standing: Standing): void {
    this.#standing.delete(key);
    this.#standing.set(key, standing);
    if (this.#standing.size <= MAX_REMEMBERED) return;
    const oldest = this.#standing.keys().next();
    if (oldest.done !== true) this.#standing.delete(oldest.value);
  }

  /** Takes one from this minute's budget; false when it is spent. */
  #afford(): boolean {
    const nowMs = this.#ports.clock.now().monotonicMs;
    if (nowMs - this.#minuteBeganMs >= MINUTE_MS) {
      if (this.#dropped > 0) {
        const fields = { dropped: this.#dropped, limitPerMinute: MAX_EVENTS_PER_MINUTE };
        this.#ports.log.warn(fields, "Events were dropped: more than the limit");
      }
      this.#minuteBeganMs = nowMs;
      this.#spent = 0;
      this.#dropped = 0;
    }
    if (this.#spent >= MAX_EVENTS_PER_MINUTE) return false;
    this.#spent += 1;
    return true;
  }

  #drop(count: number): void {
    this.#dropped += count;
  }

  #failed(note: EventNote, failure: EffectFailure): void {
    if (failure.kind === "stale" || failure.kind === "aborted") {
      // The next leader tells its own story.
      this.#waiting = [];
      return;
    }
    const { reason, about } = note;
    this.#ports.log.warn(
      { reason, about: about.name, message: failure.message },
      "an Event was not recorded",
    );
  }

  /** Unique without asking the server: the object, the time, chance against other replicas, and a number among ours. */
  #nameFor(note: EventNote): string {
    const time = Math.floor(this.#ports.clock.now().wallMs).toString(16);
    const chance = Math.floor(this.#ports.random() * 0x10000).toString(16);
    this.#numbered += 1;
    const about = note.about.name.slice(0, MAX_NAME_CHARS).replace(/[^a-z0-9]+$/, "");
    return `${about}.${time}-${chance}-${this.#numbered.toString(16)}`;
  }
}

function namespaceOf(note: EventNote): string {
  return note.about.namespace ?? CLUSTER_SCOPED_NAMESPACE;
}
