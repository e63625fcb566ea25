// The reflector's state machine against a scripted server in virtual time: one test per rule.
import { describe, expect, it } from "vitest";
import { bench } from "./reflector-bench.ts";

/** A bench whose reflector has listed and watches. */
async function watching(options: Parameters<typeof bench>[0] = {}) {
  const made = bench(options);
  made.server.put("a", 1);
  made.server.put("b", 2);
  made.reflector.start();
  await made.clock.advance(100);
  expect(made.reflector.phase).toBe("watching");
  return made;
}

describe("listing", () => {
  it("takes a consistent list in pages, and is synced only when the last one is in", async () => {
    const { clock, server, reflector, held } = bench();
    for (let i = 0; i < 1_200; i++) server.put(`thing-${i}`, i);
    server.latencyMs = 100;
    reflector.start();
    await clock.advance(250);
    expect(reflector.phase).toBe("listing");
    expect(Object.keys(held())).toHaveLength(1_000);
    expect(reflector.synced).toBe(false);
    await clock.advance(60);
    expect(reflector.synced).toBe(true);
    expect(Object.keys(held())).toHaveLength(1_200);
    const lists = server.requests.filter((request) => request.query?.["watch"] === undefined);
    expect(lists.map((request) => request.query?.["limit"])).toEqual([500, 500, 500]);
    // No resourceVersion: a list from a stale cache would do for nothing here.
    expect(lists.every((request) => request.query?.["resourceVersion"] === undefined)).toBe(true);
  });

  it("dates the list by when it was asked for, not by when its last page came", async () => {
    const { clock, server, reflector } = bench();
    for (let i = 0; i < 1_200; i++) server.put(`thing-${i}`, i);
    server.latencyMs = 1_000;
    await clock.advance(500);
    reflector.start();
    await clock.advance(3_100);
    expect(reflector.asOfMs).toBe(500);
    expect(reflector.store.get("thing-1100")?.seenAtMs).toBe(3_500);
  });

  it("falls back to one full list when the continue token has expired", async () => {
    const { clock, server, reflector, expectTruth } = bench();
    for (let i = 0; i < 1_200; i++) server.put(`thing-${i}`, i);
    server.latencyMs = 100;
    reflector.start();
    await clock.advance(150);
    server.delete("thing-3");
    server.compact();
    await clock.advance(1_000);
    expectTruth();
    const limits = server.requests.slice(0, 3).map((request) => request.query?.["limit"]);
    expect(limits).toEqual([500, 500, undefined]);
  });

  it("goes back to pages when the full list is larger than an answer may be", async () => {
    const { clock, server, reflector, expectTruth } = bench();
    for (let i = 0; i < 1_200; i++) server.put(`thing-${i}`, i);
    server.latencyMs = 100;
    reflector.start();
    await clock.advance(150);
    server.compact();
    server.nextFailures.push({ kind: "tooLarge" });
    await clock.advance(2_000);
    expectTruth();
    const limits = server.requests.slice(0, 6).map((request) => request.query?.["limit"]);
    expect(limits).toEqual([500, 500, undefined, 500, 500, 500]);
  });

  it("asks for half as many objects when a page is larger than an answer may be", async () => {
    const { clock, server, reflector, expectTruth } = bench();
    for (let i = 0; i < 300; i++) server.put(`thing-${i}`, i);
    server.nextFailures.push({ kind: "tooLarge" });
    reflector.start();
    await clock.advance(1_000);
    expect(server.requests.slice(0, 3).map((request) => request.query?.["limit"])).toEqual([500, 250, 250]);
    expectTruth();
  });

  it("goes on with the same page after a failure", async () => {
    const { clock, server, reflector, expectTruth } = bench();
    for (let i = 0; i < 1_200; i++) server.put(`thing-${i}`, i);
    server.latencyMs = 100;
    reflector.start();
    await clock.advance(150);
    server.nextFailures.push({ kind: "serverError" });
    await clock.advance(1_000);
    expectTruth();
    expect(server.count("list")).toBe(4);
  });
});

describe("watching", () => {
  it("asks for bookmarks and a random end between 240 and 480 s, from the list's resourceVersion", async () => {
    for (const [random, timeoutSeconds] of [
      [0, 240],
      [0.999_999, 480],
    ] as const) {
      const { server } = await watching({ random: () => random });
      const watch = server.requests.find((request) => request.query?.["watch"] === true);
      expect(watch?.query).toMatchObject({
        allowWatchBookmarks: true,
        resourceVersion: String(server.rv),
        timeoutSeconds,
      });
    }
  });

  it("passes the selectors on with every list and watch", async () => {
    const { server } = await watching({
      labelSelector: "kubevirt.io=virt-launcher",
      fieldSelector: "spec.nodeName!=",
    });
    for (const request of server.requests)
      expect(request.query).toMatchObject({
        labelSelector: "kubevirt.io=virt-launcher",
        fieldSelector: "spec.nodeName!=",
      });
  });

  it("tells additions, changes and deletions once each, with before and after", async () => {
    const { clock, server, history, expectTruth } = await watching();
    const listed = history.length;
    server.put("c", 3);
    server.put("c", 4);
    server.delete("c");
    await clock.advance(10);
    expect(history.slice(listed).map(({ key, before, after }) => [key, before?.value, after?.value])).toEqual(
      [
        ["c", undefined, 3],
        ["c", 3, 4],
        ["c", 4, undefined],
      ],
    );
    expectTruth();
  });

  it("re-opens at once from the last event when the server ends the watch in good order", async () => {
    const { clock, server, reflector } = await watching();
    server.put("a", 7);
    await clock.advance(2_000);
    const since = reflector.continuousSinceMs;
    server.endStreams("clean");
    server.put("b", 8);
    await clock.advance(6);
    expect(server.count("watch")).toBe(2);
    expect(server.requests.at(-1)?.query?.["resourceVersion"]).toBe(String(server.rv - 1));
    expect(reflector.store.get("b")?.value).toBe(8);
    expect(server.count("list")).toBe(1);
    expect(reflector.counters.errors).toBe(0);
    expect(reflector.continuousSinceMs).toBe(since);
  });

  it("resumes from the last bookmark, so that a quiet collection need not be listed again", async () => {
    const { clock, server } = await watching();
    server.tick(500);
    await clock.advance(61_000);
    const bookmarked = server.rv;
    server.tick(10);
    server.endStreams("broken");
    await clock.advance(100);
    expect(server.requests.at(-1)?.query?.["resourceVersion"]).toBe(String(bookmarked));
    expect(server.count("list")).toBe(2); // The first list, and the priming of a quiet watch.
  });

  it.each(["http", "stream"] as const)(
    "lists again at once when its place in history is gone (%s)",
    async (where) => {
      const { clock, server, reflector, history, expectTruth } = await watching();
      server.goneInStream = where === "stream";
      await clock.advance(2_000);
      server.endStreams("mute");
      server.delete("a");
      server.put("b", 9);
      server.compact();
      for (const stream of server.streams) {
        stream.muted = false;
        stream.end("broken");
      }
      await clock.advance(30);
      expect(reflector.phase).toBe("watching");
      expectTruth();
      expect(history.at(-1)).toMatchObject({ key: "a", after: undefined });
    },
  );

  it("lists again at once on a 410 in the middle of a stream", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.put("a", 3);
    await clock.advance(10);
    server.say({ type: "ERROR", object: { kind: "Status", code: 410, message: "too old" } });
    await clock.advance(20);
    expect(server.count("list")).toBe(2);
    expect(reflector.counters.lastError).toContain("too old");
    expectTruth();
  });

  it("does not spin when every watch is refused with 410", async () => {
    const { clock, server, expectTruth } = await watching();
    const before = server.requests.length;
    const stop = setWhile(server, () => ({ type: "ERROR", object: { code: 410, message: "no" } }));
    server.endStreams("broken");
    await clock.advance(60_000);
    stop();
    // 0, 0.1, 0.2, … 5 s: some twenty rounds in a minute, not thousands.
    expect(server.requests.length - before).toBeLessThan(60);
    await clock.advance(6_000);
    expectTruth();
  });

  it("does not spin when a proxy closes every watch without a word", async () => {
    const { clock, server } = await watching();
    const before = server.count("watch");
    const open = server.stream.bind(server);
    server.stream = async (request) => {
      const outcome = await open(request);
      server.endStreams("clean");
      return outcome;
    };
    server.endStreams("clean");
    await clock.advance(60_000);
    expect(server.count("watch") - before).toBeLessThan(40);
    server.stream = open;
    await clock.advance(6_000);
    server.put("z", 1);
    await clock.advance(10);
    expect(server.streams.size).toBe(1);
  });

  it("survives lines that are no watch events, and resumes after them", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    for (const line of [null, 7, "text", [], {}, { type: "SURPRISE" }, { type: "BOOKMARK", object: {} }]) {
      server.say(line);
      await clock.advance(10_000);
      expect(reflector.phase).toBe("watching");
    }
    expect(reflector.counters.errors).toBe(7);
    server.put("c", 3);
    await clock.advance(10);
    expectTruth();
  });

  it("never resumes from before what it has seen, whatever is sent a second time", async () => {
    const { clock, server, expectTruth } = await watching();
    const first = server.put("c", 3);
    const second = server.put("c", 4);
    server.delete("c");
    await clock.advance(2_000);
    server.say({ type: "ADDED", object: first });
    server.say({ type: "MODIFIED", object: second });
    server.say({ type: "BOOKMARK", object: { metadata: { resourceVersion: "7" } } });
    server.endStreams("broken");
    await clock.advance(20);
    expect(server.requests.at(-1)?.query?.["resourceVersion"]).toBe(String(server.rv));
    expectTruth();
  });

  it("ignores an old event sent a second time, even of an object that is gone", async () => {
    const { clock, server, history, expectTruth } = await watching();
    const old = server.put("c", 3);
    server.put("c", 4);
    server.delete("c");
    server.put("a", 5);
    await clock.advance(10);
    const told = history.length;
    server.say({ type: "ADDED", object: old });
    server.say({ type: "DELETED", object: server.objects.get("b") });
    await clock.advance(10);
    expect(history).toHaveLength(told);
    expectTruth();
  });
});

describe("silence", () => {
  it("gives up a half-open watch after the idle limit and misses nothing", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    await clock.advance(20_000);
    server.endStreams("mute");
    server.delete("a");
    server.put("c", 3);
    await clock.advance(54_000);
    expect(reflector.store.has("a")).toBe(true);
    expect(reflector.continuousSinceMs).toBeDefined();
    await clock.advance(1_100);
    expectTruth();
    expect(reflector.counters.lastError).toMatch(/nothing heard for 7\d{4} ms/);
    expect(server.streams.size).toBe(1);
  });

  it("keeps the watch of a quiet collection open as long as bookmarks come", async () => {
    const { clock, server, reflector } = await watching();
    await clock.advance(230_000);
    expect(server.count("watch")).toBe(1);
    expect(clock.now().monotonicMs - (reflector.asOfMs ?? 0)).toBeLessThan(61_000);
  });

  it("primes a watch that is silent for ten seconds, and no other", async () => {
    const quiet = await watching();
    await quiet.clock.advance(15_000);
    expect(quiet.server.requests.at(-1)?.query).toMatchObject({ limit: 1 });
    // The collection's version is still the one we hold: that is as good as an event.
    expect(quiet.reflector.asOfMs).toBeGreaterThan(10_000);
    const busy = await watching();
    busy.server.put("a", 5);
    await busy.clock.advance(15_000);
    expect(busy.server.count("list")).toBe(1);
  });

  it("does not take a priming answer for a fresh view when the collection has moved on", async () => {
    const { clock, server, reflector } = await watching();
    const asOfMs = reflector.asOfMs;
    server.tick();
    await clock.advance(15_000);
    expect(reflector.asOfMs).toBe(asOfMs);
  });
});

describe("failures", () => {
  it("tries again at once, then ever more slowly up to 5 s, and never gives up", async () => {
    const { clock, server, reflector, expectTruth } = await watching({ random: () => 1 });
    await clock.advance(2_000);
    server.latencyMs = 0;
    server.weather = "unreachable";
    const startedMs = clock.now().monotonicMs;
    const triedAtMs: number[] = [];
    const open = server.stream.bind(server);
    server.stream = (request) => {
      triedAtMs.push(clock.now().monotonicMs - startedMs);
      return open(request);
    };
    server.endStreams("broken");
    await clock.advance(3_600_000);
    expect(triedAtMs.slice(0, 9)).toEqual([0, 0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300]);
    expect(triedAtMs.length).toBeGreaterThan(700);
    expect(reflector.continuousSinceMs).toBeUndefined();
    server.weather = "fair";
    server.delete("a");
    await clock.advance(5_100);
    expectTruth();
  });

  it("is quick again after a watch has worked", async () => {
    const { clock, server } = await watching();
    for (const how of ["break", "expire"] as const) {
      const fault = () =>
        how === "break" ? server.endStreams("broken") : server.say({ type: "ERROR", object: { code: 410 } });
      const delays: number[] = [];
      for (let i = 0; i < 6; i++) {
        const [watches, startedMs] = [server.count("watch"), clock.now().monotonicMs];
        fault();
        while (server.count("watch") === watches) await clock.advance(1);
        delays.push(clock.now().monotonicMs - startedMs);
        await clock.advance(10);
      }
      expect(delays.at(-1)).toBeGreaterThan(500);
      server.put("a", 5);
      await clock.advance(10);
      const watches = server.count("watch");
      fault();
      await clock.advance(10);
      expect(server.count("watch"), how).toBe(watches + 1);
    }
  });

  it("waits as long as the server asks, up to 5 s", async () => {
    const { clock, server, reflector } = bench();
    server.nextFailures.push({ kind: "throttled", retryAfterMs: 2_000 });
    server.nextFailures.push({ kind: "throttled", retryAfterMs: 60_000 });
    reflector.start();
    await clock.advance(1_990);
    expect(server.requests).toHaveLength(1);
    await clock.advance(100);
    expect(server.requests).toHaveLength(2);
    await clock.advance(5_100);
    expect(reflector.synced).toBe(true);
  });

  it("abandons a watch that does not open by its deadline", async () => {
    const { clock, server, expectTruth } = await watching();
    await clock.advance(2_000);
    server.weather = "silent";
    server.endStreams("broken");
    await clock.advance(9_000);
    server.weather = "fair";
    server.put("c", 3);
    await clock.advance(1_500);
    expectTruth();
  });

  it.each(["invalid", "notFound"] as const)("lists again when a watch is refused as %s", async (kind) => {
    const { clock, server, expectTruth } = await watching();
    await clock.advance(2_000);
    server.nextFailures.push({ kind });
    server.endStreams("broken");
    await clock.advance(200);
    expect(server.count("list")).toBe(2);
    expectTruth();
  });

  it("is retried without end where the list is denied, and says why", async () => {
    const { clock, server, reflector } = bench();
    server.weather = "denied";
    reflector.start();
    await clock.advance(60_000);
    expect(reflector.synced).toBe(false);
    expect(reflector.counters.lastError).toBe("list: scripted denied");
    server.weather = "fair";
    await clock.advance(5_100);
    expect(reflector.synced).toBe(true);
  });
});

describe("order", () => {
  it("refuses a list older than what it has seen, until a newer one comes", async () => {
    const { clock, server, reflector, held } = await watching();
    server.put("a", 10);
    await clock.advance(10);
    const newest = new Map(server.objects);
    const newestVersion = server.rv;
    const { a: _, ...older } = Object.fromEntries(server.objects);
    server.restore(new Map(Object.entries(older)), newestVersion - 1);
    server.say({ type: "ERROR", object: { code: 410 } });
    await clock.advance(300);
    expect(held()).toEqual({ a: 10, b: 2 });
    expect(reflector.counters.lastError).toContain("is older than");
    server.restore(newest, newestVersion);
    server.delete("b");
    await clock.advance(5_000);
    expect(held()).toEqual({ a: 10 });
  });

  it("refuses a list older than an answer to its own write, though the watch has not come that far", async () => {
    const { clock, server, reflector, held } = await watching();
    server.endStreams("mute");
    server.delete("b");
    reflector.applyOwnWrite(server.put("a", 10));
    server.nextListLagsBy = 1;
    for (const stream of server.streams) stream.muted = false;
    server.say({ type: "ERROR", object: { code: 410 } });
    await clock.advance(20);
    expect(reflector.counters.lastError).toContain("is older than");
    expect(held()).toEqual({ a: 10 });
    expect([server.count("list"), reflector.counters.lists]).toEqual([3, 2]);
  });

  it("believes in a world gone back after a minute of lists that say so: etcd was restored", async () => {
    const { clock, server, reflector, held } = await watching();
    server.put("a", 10);
    await clock.advance(10);
    const { b: restored } = Object.fromEntries(server.objects);
    server.restore(restored ? new Map([["b", restored]]) : new Map(), 1_002);
    server.say({ type: "ERROR", object: { code: 410 } });
    await clock.advance(59_000);
    expect(held()).toEqual({ a: 10, b: 2 });
    await clock.advance(7_000);
    expect(held()).toEqual({ b: 2 });
    server.put("b", 3);
    await clock.advance(10);
    expect(held()).toEqual({ b: 3 });
    expect(reflector.phase).toBe("watching");
  });

  it("finds out by priming that it watches from the future: no event would ever come", async () => {
    const { clock, server, reflector, held } = await watching();
    server.tick(500);
    server.put("a", 10);
    await clock.advance(2_000);
    const before = reflector.asOfMs;
    server.endStreams("broken");
    server.restore(new Map(), 1_002);
    await clock.settle();
    server.put("c", 3);
    await clock.advance(11_000);
    expect(reflector.counters.lastError).toContain("is older than");
    expect(reflector.asOfMs).toBe(before);
    await clock.advance(66_000);
    expect(held()).toEqual({ c: 3 });
    server.put("c", 4);
    await clock.advance(10);
    expect(held()).toEqual({ c: 4 });
  });

  it("tells a recreated object as removal and addition, even when it missed the deletion", async () => {
    const { clock, server, history, expectTruth } = await watching();
    await clock.advance(2_000);
    server.endStreams("mute");
    server.delete("a");
    server.put("a", 5);
    server.compact();
    const told = history.length;
    for (const stream of server.streams) stream.muted = false;
    server.endStreams("broken");
    await clock.advance(30);
    expect(history.slice(told).map(({ key, before, after }) => [key, before?.uid, after?.uid])).toEqual([
      ["a", "uid-1", undefined],
      ["a", undefined, "uid-3"],
    ]);
    expectTruth();
  });
});

/** Sends `line` into every stream as soon as it opens; answers with how to stop that. */
function setWhile(server: Awaited<ReturnType<typeof watching>>["server"], line: () => unknown): () => void {
  const open = server.stream.bind(server);
  server.stream = async (request) => {
    const outcome = await open(request);
    server.say(line());
    return outcome;
  };
  return () => {
    server.stream = open;
  };
}
