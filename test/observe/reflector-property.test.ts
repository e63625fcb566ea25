// Random histories: changes, faults, own writes and pauses in any order; once healed, the store is the truth.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { type Bench, bench, replay } from "./reflector-bench.ts";

const RUNS = 400;
/** Few, so that lives of one name follow each other closely. */
const NAMES = ["a", "team/a", "b"];
/** Fewer in a row than it takes to be believed. */
const STALE_LISTS = 3;

interface World extends Bench {
  /** Answers to our own writes that are still on their way. */
  readonly late: (() => void)[];
  staleLists: number;
}

interface Act {
  readonly label: string;
  readonly act: (world: World) => unknown;
}

const anyName = fc.constantFrom(...NAMES);

const changes: fc.WeightedArbitrary<Act>[] = [
  {
    weight: 6,
    arbitrary: fc
      .tuple(anyName, fc.nat(99))
      .map(([name, value]) => act(`put ${name} ${value}`, ({ server }) => server.put(name, value))),
  },
  {
    weight: 3,
    arbitrary: anyName.map((name) => act(`delete ${name}`, ({ server }) => server.delete(name))),
  },
  {
    weight: 2,
    arbitrary: anyName.map((name) =>
      act(`recreate ${name}`, ({ server }) => {
        server.delete(name);
        server.put(name, 100);
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(anyName, fc.boolean())
      .map(([name, late]) => act(`own write ${name}, late: ${late}`, (world) => ownWrite(world, name, late))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(anyName, fc.boolean())
      .map(([name, late]) =>
        act(`own delete ${name}, late: ${late}`, (world) => ownDelete(world, name, late)),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        anyName,
        fc.array(fc.constantFrom("told", "untold", "late" as const), { minLength: 2, maxLength: 6 }),
      )
      .map(([name, answers]) =>
        act(`own flurry ${name} ${answers.join()}`, (world) => ownFlurry(world, name, answers)),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        anyName,
        fc.array(fc.constantFrom("told", "untold", "late" as const), { minLength: 2, maxLength: 6 }),
      )
      .map(([name, answers]) =>
        act(`own flurry ${name}: ${answers.join()}`, (world) => ownFlurry(world, name, answers)),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.constant(
      act("late answers arrive", ({ late }) => late.splice(0).forEach((send) => send())),
    ),
  },
  {
    weight: 2,
    arbitrary: anyName.map((name) => act(`refresh ${name}`, ({ reflector }) => void reflector.refresh(name))),
  },
];

const faults: fc.WeightedArbitrary<Act>[] = [
  {
    weight: 1,
    arbitrary: fc.constant(
      act("compact", ({ server }) => {
        server.tick(3);
        server.compact();
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom("clean" as const, "broken" as const, "mute" as const)
      .map((how) => act(`streams ${how}`, ({ server }) => server.endStreams(how))),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(410, 410, 500, undefined)
      .map((code) =>
        act(`line ${code}`, ({ server }) => server.say({ type: code ? "ERROR" : "?", object: { code } })),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(100).map((n) => act(`event ${n} repeated`, ({ server }) => server.repeat(n))),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 5 }).map((by) =>
      act(`next list is ${by} changes old`, (world) => {
        if (world.staleLists++ < STALE_LISTS) world.server.nextListLagsBy = by;
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(
        "fair",
        "fair",
        "silent",
        "unreachable",
        "serverError",
        "gone",
        "throttled",
        "timeout" as const,
      )
      .map((weather) => act(`weather ${weather}`, ({ server }) => void (server.weather = weather))),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("notFound", "gone", "tooLarge", "invalid" as const)
      .map((kind) => act(`next request ${kind}`, ({ server }) => server.nextFailures.push({ kind }))),
  },
  { weight: 1, arbitrary: fc.constant(act("redial", ({ reflector }) => reflector.redial())) },
  {
    weight: 8,
    arbitrary: fc
      .constantFrom(1, 3, 7, 40, 300, 2_000, 12_000, 80_000)
      .map((ms) => act(`wait ${ms} ms`, ({ clock }) => clock.advance(ms))),
  },
];

const anyServer = fc.record({
  goneInStream: fc.boolean(),
  readsEarly: fc.boolean(),
  latencyMs: fc.constantFrom(1, 5, 50),
  eventLagMs: fc.constantFrom(0, 3, 20, 200),
});

it(`after any history the store heals to the truth, and the changes told replay to it (${RUNS} histories)`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(...changes, ...faults), { maxLength: 80 }),
      anyServer,
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      async (acts, server, luck) => {
        const world: World = { ...bench({ random: () => luck }), late: [], staleLists: 0 };
        Object.assign(world.server, server);
        // Only a list that lags behind what the reflector was told can be found out.
        world.server.staleBelow = () =>
          Math.max(0, ...world.history.map(({ after }) => Number(after?.resourceVersion ?? 0)));
        for (const name of NAMES) world.server.put(name, 0);
        world.reflector.start();
        for (const { act } of acts) {
          await act(world);
          await world.clock.advance(1);
          // At every moment: nothing goes back or returns from the dead, and the history told is the store.
          expect(replay(world.history)).toEqual(new Map(world.reflector.store));
          expectNothingFromTheFuture(world);
        }
        await heal(world);
        world.expectTruth();
        world.reflector.stop();
        await world.clock.advance(1);
        expect(world.clock.pending).toBe(0);
      },
    ),
    { numRuns: RUNS },
  );
});

async function heal({ server, clock, late }: World): Promise<void> {
  server.weather = "fair";
  server.nextFailures.splice(0);
  server.nextListLagsBy = 0;
  for (const send of late.splice(0)) send();
  // A muted stream is found out by the idle limit; a call hangs for a minute at most; a pause ends within 5 s.
  await clock.advance(75_000 + 60_000 + 5_000 + 1_000);
}

function expectNothingFromTheFuture({ reflector, server, clock }: World): void {
  for (const { resourceVersion } of reflector.store.values())
    expect(Number(resourceVersion)).toBeLessThanOrEqual(server.rv);
  expect(reflector.asOfMs ?? 0).toBeLessThanOrEqual(clock.now().monotonicMs);
}

/** Writes, and takes the answer at once or later; a write answered at once must be seen at once. */
function ownWrite({ server, reflector, late }: World, name: string, isLate: boolean): void {
  const written = server.put(name, 200);
  if (isLate) {
    late.push(() => reflector.applyOwnWrite(written));
    return;
  }
  reflector.applyOwnWrite(written);
  expect(reflector.versionOf(name)?.resourceVersion).toBe(written.metadata.resourceVersion);
}

function ownDelete({ server, reflector, late }: World, name: string, isLate: boolean): void {
  const gone = server.delete(name);
  if (gone === undefined) return;
  const send = () => {
    reflector.applyOwnDelete(name, gone.metadata.uid);
    expect(reflector.versionOf(name)?.uid).not.toBe(gone.metadata.uid);
  };
  if (isLate) late.push(send);
  else send();
}

/** Creates and deletes one name in turn, faster than the watch can tell; of some writes the reflector never hears. */
function ownFlurry(world: World, name: string, answers: readonly ("told" | "untold" | "late")[]): void {
  for (const answer of answers) {
    const exists = world.server.objects.has(name);
    if (answer === "untold" && exists) world.server.delete(name);
    else if (answer === "untold") world.server.put(name, 300);
    else if (exists) ownDelete(world, name, answer === "late");
    else ownWrite(world, name, answer === "late");
  }
}

function act(label: string, act: Act["act"]): Act {
  return { label, act };
}
