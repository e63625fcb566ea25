import * as fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { type WorkItem, WorkQueue, type WorkQueueOptions } from "../../src/run/work-queue.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let log: string[];
let bugs: unknown[];

beforeEach(() => {
  clock = new VirtualClock();
  log = [];
  bugs = [];
});

/** Work that takes as long as its payload says. */
function queueOf(overrides: Partial<WorkQueueOptions<number, string>> = {}): WorkQueue<number, string> {
  return new WorkQueue<number, string>({
    clock,
    maxConcurrent: 1,
    maxWaiting: 100,
    perform: (durationMs) =>
      new Promise((resolve) => {
        clock.schedule(durationMs, () => resolve("done"));
      }),
    onDone: ({ item, waitedMs, ranMs }) =>
      log.push(`${clock.now().monotonicMs} ${item.key}:${item.identity} waited ${waitedMs} ran ${ranMs}`),
    onBug: (error) => bugs.push(error),
    ...overrides,
  });
}

function work(
  key: string,
  identity = "a",
  more: Partial<WorkItem<number>> & { durationMs?: number } = {},
): WorkItem<number> {
  const { durationMs, ...rest } = more;
  return { key, identity, payload: durationMs ?? 100, ...rest };
}

describe("order", () => {
  it("starts the lowest priority number first, whatever the order of the offers made in one go", async () => {
    const queue = queueOf();
    queue.offer(work("c", "a", { priority: 3 }));
    queue.offer(work("a", "a", { priority: 1 }));
    queue.offer(work("b", "a", { priority: 2 }));
    await clock.advance(1_000);
    expect(log.map((line) => line.split(" ")[1])).toEqual(["a:a", "b:a", "c:a"]);
  });

  it("is first come, first served among equals, and a key offered again keeps its place", async () => {
    const queue = queueOf();
    for (const key of ["a", "b", "c"]) queue.offer(work(key));
    await clock.settle();
    expect(queue.offer(work("b", "newer"))).toEqual({ ok: true, how: "replaced" });
    await clock.advance(1_000);
    expect(log).toEqual([
      "100 a:a waited 0 ran 100",
      "200 b:newer waited 100 ran 100",
      "300 c:a waited 200 ran 100",
    ]);
  });

  it("holds work back until its time, without holding up the rest", async () => {
    const queue = queueOf();
    queue.offer(work("late", "a", { notBeforeMs: 1_000, priority: -1 }));
    queue.offer(work("now"));
    await clock.advance(999);
    expect(log).toEqual(["100 now:a waited 0 ran 100"]);
    await clock.advance(200);
    expect(log[1]).toBe("1100 late:a waited 1000 ran 100");
  });

  it("takes the smaller delay and the stronger priority when the same step is offered again", async () => {
    const queue = queueOf();
    queue.offer(work("a", "x", { notBeforeMs: 5_000, priority: 9 }));
    expect(queue.offer(work("a", "x", { notBeforeMs: 1_000, priority: 1 })).ok).toBe(true);
    expect(queue.offer(work("a", "x", { notBeforeMs: 9_000, priority: 9 }))).toEqual({
      ok: true,
      how: "unchanged",
    });
    queue.offer(work("b", "x", { notBeforeMs: 1_000, priority: 2 }));
    await clock.advance(2_000);
    expect(log.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(["1100 a:x", "1200 b:x"]);
  });
});

describe("one at a time per key", () => {
  it("drops a step that is equal to the one in flight", async () => {
    const queue = queueOf({ maxConcurrent: 5 });
    queue.offer(work("a"));
    await clock.advance(50);
    expect(queue.offer(work("a"))).toEqual({ ok: true, how: "running" });
    await clock.advance(1_000);
    expect(log).toEqual(["100 a:a waited 0 ran 100"]);
  });

  it("runs another step of the key afterwards, once, with the newest payload", async () => {
    const queue = queueOf({ maxConcurrent: 5 });
    queue.offer(work("a"));
    await clock.advance(50);
    expect(queue.offer(work("a", "b"))).toEqual({ ok: true, how: "follows" });
    expect(queue.offer(work("a", "c"))).toEqual({ ok: true, how: "replaced" });
    expect(queue.offer(work("a", "c", { durationMs: 7 }))).toEqual({ ok: true, how: "unchanged" });
    await clock.advance(1_000);
    expect(log).toEqual(["100 a:a waited 0 ran 100", "107 a:c waited 50 ran 7"]);
  });

  it("forgets a follow-up when the step in flight is what is wanted again", async () => {
    const queue = queueOf();
    queue.offer(work("a"));
    await clock.advance(50);
    queue.offer(work("a", "b"));
    expect(queue.offer(work("a"))).toEqual({ ok: true, how: "running" });
    expect(queue.waiting).toBe(0);
    await clock.advance(1_000);
    expect(log).toHaveLength(1);
  });

  it("takes an equal step again once the first has ended", async () => {
    const queue = queueOf();
    queue.offer(work("a"));
    await clock.advance(100);
    expect(queue.offer(work("a"))).toEqual({ ok: true, how: "queued" });
    await clock.advance(100);
    expect(log).toHaveLength(2);
  });
});

describe("limits", () => {
  it("never runs more than allowed at once", async () => {
    let most = 0;
    const queue = queueOf({
      maxConcurrent: 3,
      onDepth: (_waiting, running) => (most = Math.max(most, running)),
    });
    for (let n = 0; n < 20; n += 1) queue.offer(work(`k${n}`));
    await clock.advance(700);
    expect(most).toBe(3);
    expect(log).toHaveLength(20);
  });

  it("refuses what does not fit, as a value, and still replaces what waits", async () => {
    const queue = queueOf({ maxWaiting: 2 });
    queue.offer(work("a"));
    await clock.settle();
    queue.offer(work("b"));
    queue.offer(work("c"));
    expect(queue.offer(work("d"))).toEqual({ ok: false, why: "full" });
    expect(queue.offer(work("b", "newer"))).toEqual({ ok: true, how: "replaced" });
  });

  it("does not grow when the same keys are replaced all the time", async () => {
    const queue = queueOf({ maxWaiting: 10 });
    queue.offer(work("busy", "a", { durationMs: 1_000 }));
    await clock.settle();
    for (let n = 0; n < 5_000; n += 1) queue.offer(work("b", `v${n}`));
    await clock.advance(2_000);
    expect(log[1]).toContain("b:v4999");
    expect(log).toHaveLength(2);
  });
});

describe("forgetting and ending", () => {
  it("forgets waiting work that is no longer wanted, and lets running work run", async () => {
    const queue = queueOf();
    for (const key of ["a", "b", "c"]) queue.offer(work(key));
    await clock.advance(50);
    expect(queue.retain(({ key }) => key === "c")).toBe(1);
    await clock.advance(1_000);
    expect(log.map((line) => line.split(" ")[1])).toEqual(["a:a", "c:a"]);
  });

  it("forgets the follow-up of a step that has just ended before it can start", async () => {
    const queue: WorkQueue<number, string> = queueOf({
      onDone: ({ item }) => {
        log.push(`${item.key}:${item.identity}`);
        queue.forget(item.key);
      },
    });
    queue.offer(work("a"));
    await clock.settle();
    expect(queue.offer(work("a", "decided before a:a had ended"))).toEqual({ ok: true, how: "follows" });
    queue.offer(work("b"));
    await clock.advance(1_000);
    expect(log).toEqual(["a:a", "b:a"]);
  });

  it("drains: starts nothing more, waits for what runs, refuses the rest", async () => {
    const queue = queueOf();
    queue.offer(work("a"));
    queue.offer(work("b"));
    await clock.advance(50);
    const draining = queue.drain(1_000);
    expect(queue.offer(work("c"))).toEqual({ ok: false, why: "closed" });
    await clock.advance(100);
    expect(await draining).toEqual([]);
    await clock.advance(1_000);
    expect(log).toHaveLength(1);
  });

  it("aborts at the deadline of the drain and names what was left", async () => {
    let signal: AbortSignal | undefined;
    const queue = queueOf({
      perform: (_payload, given) => {
        signal = given;
        return new Promise(() => {});
      },
    });
    queue.offer(work("stuck"));
    await clock.advance(10);
    const draining = queue.drain(1_000);
    await clock.advance(999);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(await draining).toEqual(["stuck"]);
    expect(signal?.aborted).toBe(true);
  });

  it("ends with its signal: waiting work is forgotten, running work is told", async () => {
    const leadership = new AbortController();
    let told = "";
    const queue = queueOf({
      signal: leadership.signal,
      perform: (_payload, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            told = String(signal.reason);
            resolve("aborted");
          });
        }),
    });
    queue.offer(work("a"));
    queue.offer(work("b", "a", { notBeforeMs: 500 }));
    await clock.advance(10);
    leadership.abort(new Error("leadership ended"));
    await clock.advance(1_000);
    expect(told).toContain("leadership ended");
    expect(queue.offer(work("c"))).toEqual({ ok: false, why: "closed" });
    expect([queue.waiting, queue.running]).toEqual([0, 0]);
    expect(log).toHaveLength(1);
  });

  it("starts nothing where leadership ends between the offer and the start", async () => {
    const leadership = new AbortController();
    const queue = queueOf({ signal: leadership.signal });
    queue.offer(work("a"));
    leadership.abort();
    await clock.advance(1_000);
    expect(log).toEqual([]);
  });

  it("is closed from the start under a signal that has aborted", () => {
    expect(queueOf({ signal: AbortSignal.abort() }).offer(work("a"))).toEqual({ ok: false, why: "closed" });
  });
});

it("hands an exception over as our own bug, also one thrown before the first await", async () => {
  const queue = queueOf({
    perform: () => {
      throw new Error("bug");
    },
  });
  queue.offer(work("a"));
  await clock.settle();
  expect(String(bugs[0])).toBe("Error: bug");
  expect(queue.running).toBe(0);
});

it("whatever is offered, one run per key, the newest step last, and everything runs in the end", async () => {
  const offers = fc.array(
    fc.record({
      afterMs: fc.nat(150),
      key: fc.constantFrom("a", "b", "c", "d"),
      identity: fc.constantFrom("1", "2", "3"),
      priority: fc.nat(2),
      delayMs: fc.nat(200),
      durationMs: fc.nat(300),
    }),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(offers, fc.integer({ min: 1, max: 3 }), async (list, maxConcurrent) => {
      const time = new VirtualClock();
      const active = new Set<string>();
      const lastRun = new Map<string, string>();
      const queue = new WorkQueue<{ key: string; identity: string; durationMs: number }, void>({
        clock: time,
        maxConcurrent,
        maxWaiting: 10,
        perform: async ({ key, identity, durationMs }) => {
          expect(active.has(key)).toBe(false);
          active.add(key);
          expect(active.size).toBeLessThanOrEqual(maxConcurrent);
          lastRun.set(key, identity);
          await new Promise<void>((resolve) => {
            time.schedule(durationMs, resolve);
          });
          active.delete(key);
        },
        onDone: () => {},
        onBug: (error) => {
          throw error;
        },
      });
      const wanted = new Map<string, string>();
      for (const { afterMs, delayMs, ...payload } of list) {
        await time.advance(afterMs);
        const { key, identity, priority } = payload;
        queue.offer({ key, identity, payload, priority, notBeforeMs: time.now().monotonicMs + delayMs });
        wanted.set(key, identity);
      }
      await time.advance(60_000);
      expect([queue.waiting, queue.running, time.pending]).toEqual([0, 0, 0]);
      expect(lastRun).toEqual(wanted);
    }),
    { numRuns: 300 },
  );
});
