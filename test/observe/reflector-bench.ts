// A reflector on a scripted server, with what a test asks of it: a virtual clock, a change history, and a replay.
import { expect } from "vitest";
import { type ParseResult, Reflector, type ReflectorOptions } from "../../src/observe/reflector.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { FakeServer } from "./reflector-fake-server.ts";

/** What the tests' parser keeps: enough to see every change. */
export interface Thing {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: number;
  readonly seenAtMs: number;
}

export interface Change {
  readonly key: string;
  readonly before: Thing | undefined;
  readonly after: Thing | undefined;
}

export interface Bench {
  readonly clock: VirtualClock;
  readonly server: FakeServer;
  readonly reflector: Reflector<Thing>;
  readonly history: Change[];
  contacts: number;
  /** Values by key, as the reflector holds them. */
  readonly held: () => Record<string, number>;
  /** The store equals the server's objects, and the history replayed equals the store. */
  readonly expectTruth: (resurrection?: boolean) => void;
}

/** Starts nothing yet; `random` is fixed unless said. */
export function bench(options: Partial<ReflectorOptions<Thing>> = {}): Bench {
  const clock = new VirtualClock();
  const server = new FakeServer(clock);
  const history: Change[] = [];
  const made: Bench = {
    clock,
    server,
    history,
    contacts: 0,
    reflector: new Reflector<Thing>({
      name: "things",
      transport: server,
      clock,
      random: () => 0.5,
      path: "/apis/example.dev/v1/things",
      parse: parseThing,
      onChange: (key, before, after) => {
        history.push({ key, before, after });
      },
      onContact: () => {
        made.contacts++;
      },
      ...options,
    }),
    held: () => Object.fromEntries([...made.reflector.store].map(([key, thing]) => [key, thing.value])),
    expectTruth: (resurrection = false) => {
      expect(versions(made.reflector.store)).toEqual(
        Object.fromEntries([...server.objects].map(([key, { metadata }]) => [key, metadata.resourceVersion])),
      );
      expect(replay(history, resurrection)).toEqual(new Map(made.reflector.store));
    },
  };
  return made;
}

/** A negative value stands for a malformed object. */
export function parseThing(
  raw: unknown,
  context: { readonly previous: Thing | undefined; readonly seenAtMs: number },
): ParseResult<Thing> {
  const { metadata, value } = raw as {
    metadata: { uid: string; resourceVersion: string };
    value: number;
  };
  if (value < 0) return { skip: `value ${value} is negative` };
  const { uid, resourceVersion } = metadata;
  return { fact: { uid, resourceVersion, value, seenAtMs: context.seenAtMs } };
}

/**
 * Applies a change history from nothing, checking that each `before` is what was held, that nothing goes back, and (unless
 * `resurrection` is expected) that no UID once removed comes again.
 */
export function replay(history: readonly Change[], resurrection = false): Map<string, Thing> {
  const store = new Map<string, Thing>();
  const dead = new Set<string>();
  for (const { key, before, after } of history) {
    expect(before, `${key} before`).toEqual(store.get(key));
    expect(before ?? after, "a change of nothing to nothing").toBeDefined();
    if (before && after) {
      expect(after.uid, `${key} changes its UID without being removed`).toBe(before.uid);
      expect(Number(after.resourceVersion), `${key} goes back`).toBeGreaterThan(
        Number(before.resourceVersion),
      );
    }
    if (after && !resurrection) expect(dead, `${key} comes back from the dead`).not.toContain(after.uid);
    if (before && before.uid !== after?.uid) dead.add(before.uid);
    if (after) store.set(key, after);
    else store.delete(key);
  }
  return store;
}

function versions(store: ReadonlyMap<string, Thing>): Record<string, string> {
  return Object.fromEntries([...store].map(([key, thing]) => [key, thing.resourceVersion]));
}
