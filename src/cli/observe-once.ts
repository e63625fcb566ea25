// Takes one look at a cluster through the operator's own eyes: its sources, its readers, its indexes; no watch is opened.
// Ages come from the objects' stamps, each compared with stamps of its own kind and never with our clock.
import type { ApiFailure, ApiOutcome, ApiRequest, ApiStream, ApiTransport } from "../kube/transport.ts";
import type { Clock, Instant } from "../model/clock.ts";
import type { NodeLeaseFact, Signal } from "../model/node.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { World } from "../observe/world.ts";
import type { Outcome } from "./cli-world.ts";

/** How long all lists together may take. */
const OBSERVE_DEADLINE_MS = 60_000;
const LOOK_PERIOD_MS = 10;
/** The zero of our clock lies this far back, so that every age we are told of has a place on it. */
const PAST_MS = 30 * 86_400_000;

/** The cluster at one moment. */
export interface Sighting {
  readonly snapshot: Snapshot;
  readonly now: Instant;
  /** Objects that could not be read, with the reason; what is concluded is without them. */
  readonly unreadable: readonly string[];
}

/** One look. Errors: the first list that failed, in the server's words, or the deadline. */
export async function observeOnce(transport: ApiTransport, clock: Clock): Promise<Outcome<Sighting>> {
  const shifted: Clock = {
    now: () => ({ ...clock.now(), monotonicMs: clock.now().monotonicMs + PAST_MS }),
    schedule: (delayMs, wake) => clock.schedule(delayMs, wake),
  };
  const lists = new ListsOnly(transport);
  const world = new World({ transport: lists, clock: shifted, random: () => 0.5, onChange: () => undefined });
  const startedMs = shifted.now().monotonicMs;
  world.start();
  try {
    for (;;) {
      await pause(clock, LOOK_PERIOD_MS);
      const missing = Object.entries(world.sources()).filter(([, { synced }]) => !synced);
      if (missing.length === 0) break;
      if (lists.failure !== undefined) return { ok: false, message: whyUnread(lists.failure) };
      if (shifted.now().monotonicMs - startedMs > OBSERVE_DEADLINE_MS) {
        const names = missing.map(([name]) => name).join(", ");
        return { ok: false, message: `not read within ${OBSERVE_DEADLINE_MS / 1000} s: ${names}` };
      }
    }
    const unreadable = Object.entries(world.reflectors).flatMap(([name, { skipped }]) =>
      [...skipped].map(([key, reason]) => `${name} ${key}: ${reason}`),
    );
    const now = shifted.now();
    return { ok: true, value: { snapshot: aged(world.snapshot(undefined), now), now, unreadable } };
  } finally {
    world.stop();
  }
}

interface FailedList {
  readonly path: string;
  readonly failure: ApiFailure;
}

function whyUnread({ path, failure }: FailedList): string {
  const hint =
    failure.kind === "notFound"
      ? path.includes("/holdfast.dev/")
        ? " (are Holdfast's CRDs installed?)"
        : " (is KubeVirt installed?)"
      : "";
  return `cannot list ${path}: ${failure.message}${hint}`;
}

/** Lists through, remembers the first failure, and answers every watch with silence. */
class ListsOnly implements ApiTransport {
  failure: FailedList | undefined;
  readonly #inner: ApiTransport;

  constructor(inner: ApiTransport) {
    this.#inner = inner;
  }

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    const outcome = await this.#inner.request<T>(request);
    if (!outcome.ok && outcome.kind !== "aborted") this.failure ??= { path: request.path, failure: outcome };
    if (!outcome.ok && outcome.kind === "aborted" && request.signal?.aborted !== true)
      this.failure ??= { path: request.path, failure: outcome };
    return outcome;
  }

  async stream(): Promise<ApiOutcome<ApiStream>> {
    const { promise: closed, resolve } = Promise.withResolvers<undefined>();
    async function* silence(): AsyncGenerator {
      yield* await closed.then((): unknown[] => []);
    }
    return { ok: true, status: 200, value: { lines: silence(), close: () => resolve(undefined) } };
  }

  redial(): void {}

  async close(): Promise<void> {}
}

/** The snapshot with contact unbroken for long, and each sign of life as old as its stamp is behind the newest of its kind. */
function aged(snapshot: Snapshot, now: Instant): Snapshot {
  const leases = new Map<string, NodeLeaseFact>();
  for (const name of snapshot.nodes.keys()) {
    const lease = snapshot.leases.get(name);
    if (lease !== undefined) leases.set(name, lease);
  }
  const newestRenewal = newestStamp([...leases.values()].map(({ renewal }) => renewal));
  const newestBeat = newestStamp([...snapshot.nodes.values()].map(({ heartbeat }) => heartbeat));
  const at = now.monotonicMs;
  for (const [name, { renewal }] of leases) {
    const seen = seenAt(renewal, newestRenewal, at);
    leases.set(name, { renewal: seen, renewedBeforeMs: seen.changedAtMs - 10_000 });
  }
  const nodes = new Map(
    [...snapshot.nodes].map(([name, node]) => [
      name,
      // A beat is due every minute or two: the newest of all tells nothing of how old it is itself.
      { ...node, heartbeat: seenAt(node.heartbeat, newestBeat, at - 60_000) },
    ]),
  );
  const fencings = new Map(
    [...snapshot.fencings].map(([name, fencing]) => [name, { ...fencing, changedAtMs: at - 1_000 }]),
  );
  return {
    ...snapshot,
    nodes,
    leases,
    fencings,
    leaseAsOfMs: () => at,
    contact: { lastOkMs: at, unbrokenSinceMs: at - PAST_MS },
    changes: { ...snapshot.changes, everything: true, rules: true },
    last: undefined,
  };
}

function newestStamp(signals: readonly Signal[]): number {
  return Math.max(0, ...signals.map(({ value }) => stampMs(value)));
}

function stampMs(value: string | undefined): number {
  const ms = Date.parse(value ?? "");
  return Number.isNaN(ms) ? 0 : ms;
}

function seenAt(signal: Signal, newestMs: number, atMs: number): Signal {
  const ownMs = stampMs(signal.value);
  const behindMs = ownMs === 0 ? 0 : newestMs - ownMs;
  return { value: signal.value, changedAtMs: atMs - Math.min(behindMs, PAST_MS) };
}

function pause(clock: Clock, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.schedule(ms, resolve);
  return promise;
}
