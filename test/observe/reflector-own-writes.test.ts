// What the operator itself writes and reads, mixed with what the watch says of it, sooner or later.
import { describe, expect, it } from "vitest";
import { bench } from "./reflector-bench.ts";

async function watching(options: Parameters<typeof bench>[0] = {}) {
  const made = bench(options);
  made.server.put("a", 1);
  made.server.put("team/b", 2);
  made.reflector.start();
  await made.clock.advance(1_100);
  return made;
}

describe("own writes", () => {
  it("are visible at once, and their watch event changes nothing more", async () => {
    const { clock, server, reflector, history, expectTruth } = await watching();
    server.endStreams("mute");
    const written = server.put("a", 5);
    reflector.applyOwnWrite(written);
    expect(reflector.store.get("a")?.value).toBe(5);
    const told = history.length;
    for (const stream of server.streams) stream.muted = false;
    server.say({ type: "MODIFIED", object: written });
    await clock.advance(10);
    expect(history).toHaveLength(told);
    expectTruth();
  });

  it("are not rolled back by an older event that comes later", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.endStreams("mute");
    const earlier = server.put("a", 4);
    const own = server.put("a", 5);
    reflector.applyOwnWrite(own);
    for (const stream of server.streams) stream.muted = false;
    server.say({ type: "MODIFIED", object: earlier });
    await clock.advance(10);
    expectTruth();
  });

  it("are ignored where the watch was faster", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    const own = server.put("a", 5);
    server.put("a", 6);
    await clock.advance(10);
    reflector.applyOwnWrite(own);
    expectTruth();
  });

  it("do not bring back an object that has been deleted since", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    const own = server.put("c", 5);
    server.delete("c");
    await clock.advance(10);
    reflector.applyOwnWrite(own);
    expect(reflector.store.has("c")).toBe(false);
    expectTruth();
  });

  it("survive a list that was taken before them", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.say({ type: "ERROR", object: { code: 410 } });
    const list = server.request.bind(server);
    let own: unknown;
    server.request = async (request) => {
      const answer = await list(request);
      own ??= server.put("c", 5);
      reflector.applyOwnWrite(own);
      return answer as never;
    };
    await clock.advance(20);
    server.request = list;
    expect(own).toBeDefined();
    expectTruth();
  });

  it("of a recreated object are told as removal and addition", async () => {
    const { server, reflector, history, expectTruth } = await watching();
    server.endStreams("mute");
    server.delete("a");
    reflector.applyOwnWrite(server.put("a", 9));
    expect(history.slice(-2).map(({ before, after }) => [before?.value, after?.value])).toEqual([
      [1, undefined],
      [undefined, 9],
    ]);
    expectTruth();
  });
});

describe("own deletes", () => {
  it("are visible at once and are not undone by late events of the same object", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.endStreams("mute");
    const late = server.put("a", 5);
    server.delete("a");
    reflector.applyOwnDelete("a", "uid-1");
    expect(reflector.store.has("a")).toBe(false);
    for (const stream of server.streams) stream.muted = false;
    server.say({ type: "MODIFIED", object: late });
    await clock.advance(10);
    expectTruth();
  });

  it("do not hide the next object of the same name", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.delete("a");
    reflector.applyOwnDelete("a", "uid-1");
    server.put("a", 7);
    await clock.advance(10);
    expectTruth();
    reflector.applyOwnDelete("a", "uid-1");
    expectTruth();
  });

  it("are not undone by a list that was evaluated before them", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.latencyMs = 100;
    server.readsEarly = true;
    server.say({ type: "ERROR", object: { code: 410 } });
    await clock.advance(50);
    server.delete("a");
    reflector.applyOwnDelete("a", "uid-1");
    await clock.advance(60);
    expect(reflector.synced && !reflector.store.has("a")).toBe(true);
    await clock.advance(200);
    expectTruth();
  });

  it("are undone by a list asked for later that shows the object alive: a finalizer kept it", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    reflector.applyOwnDelete("a", "uid-1");
    server.put("a", 3);
    await clock.advance(10);
    expect(reflector.store.has("a")).toBe(false);
    server.say({ type: "ERROR", object: { code: 410 } });
    await clock.advance(100);
    expectTruth(true);
  });

  it("are undone by a world gone back to before them: etcd was restored", async () => {
    const { clock, server, reflector, held } = await watching();
    const before = new Map(server.objects);
    server.delete("a");
    reflector.applyOwnDelete("a", "uid-1");
    server.put("team/b", 3);
    await clock.advance(10);
    server.restore(before, 1_002);
    server.say({ type: "ERROR", object: { code: 410 } });
    await clock.advance(66_000);
    expect(held()).toEqual({ a: 1, "team/b": 2 });
  });
});

describe("refresh", () => {
  it("reads an object with quorum, and dates that object alone by when it was asked for", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.endStreams("mute");
    server.put("team/b", 8);
    const before = reflector.asOfMs;
    const askedAtMs = clock.now().monotonicMs;
    const reading = reflector.refresh("team/b");
    await clock.advance(10);
    expect(await reading).toMatchObject({ ok: true, value: { value: 8 } });
    expect(server.requests.at(-1)).toMatchObject({ path: "/apis/example.dev/v1/namespaces/team/things/b" });
    expect(server.requests.at(-1)?.query).toBeUndefined();
    expect(reflector.objectAsOfMs("team/b")).toBe(askedAtMs);
    expect(reflector.objectAsOfMs("a")).toBe(before);
    expect(reflector.asOfMs).toBe(before);
    expectTruth();
  });

  it("believes in a deletion only when a list of that name is empty", async () => {
    const { clock, server, reflector } = await watching();
    server.endStreams("mute");
    server.nextFailures.push({ kind: "notFound" });
    const wrong = reflector.refresh("a");
    await clock.advance(20);
    expect(await wrong).toMatchObject({ ok: true, value: { value: 1 } });
    server.nextFailures.push({ kind: "notFound" }, { kind: "notFound" });
    const unserved = reflector.refresh("a");
    await clock.advance(20);
    expect(await unserved).toMatchObject({ ok: false, kind: "notFound" });
    expect(reflector.store.has("a")).toBe(true);
    server.delete("a");
    const gone = reflector.refresh("a");
    await clock.advance(20);
    expect(await gone).toMatchObject({ ok: true, value: undefined });
    expect(reflector.store.has("a")).toBe(false);
  });

  it("lets the selectors decide where there are any", async () => {
    const { clock, server, reflector } = await watching({ fieldSelector: "status.phase=Running" });
    const reading = reflector.refresh("a");
    await clock.advance(20);
    expect(await reading).toMatchObject({ ok: true, value: { value: 1 } });
    expect(server.requests.at(-1)?.query?.["fieldSelector"]).toBe("metadata.name=a,status.phase=Running");
  });

  it("does not remove an object that came into being after the read", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.delete("a");
    await clock.advance(10);
    const reading = reflector.refresh("a");
    const answer = server.request.bind(server);
    server.request = async (request) => {
      const outcome = await answer(request);
      if (request.query?.["fieldSelector"] === "metadata.name=a") {
        server.put("a", 3);
        await clock.settle();
      }
      return outcome as never;
    };
    await clock.advance(50);
    await reading;
    expectTruth();
  });

  it("fails like the transport, and when the object is malformed, and leaves the store as it is", async () => {
    const { clock, server, reflector, held } = await watching();
    server.weather = "silent";
    const reading = reflector.refresh("a");
    await clock.advance(5_100);
    expect(await reading).toMatchObject({ ok: false, kind: "timeout" });
    server.weather = "fair";
    server.put("a", -4);
    const malformed = reflector.refresh("a");
    await clock.advance(10);
    expect(await malformed).toMatchObject({ ok: false, message: "value -4 is negative" });
    expect(held()).toEqual({ a: 1, "team/b": 2 });
  });
});

describe("malformed objects", () => {
  it("are kept apart with a reason, the last good fact stays, and a good one takes its place again", async () => {
    const { clock, server, reflector, held } = await watching();
    server.put("a", -1);
    await clock.advance(10);
    expect(reflector.skipped).toEqual(new Map([["a", "value -1 is negative"]]));
    expect(held()).toEqual({ a: 1, "team/b": 2 });
    expect(reflector.counters.skipped).toBe(1);
    server.put("a", 6);
    await clock.advance(10);
    expect(reflector.skipped.size).toBe(0);
    expect(held()).toEqual({ a: 6, "team/b": 2 });
  });

  it("are forgotten when they are deleted or replaced", async () => {
    const { clock, server, reflector, held, history } = await watching();
    server.put("bad", -1);
    server.put("a", -1);
    await clock.advance(10);
    const told = history.length;
    server.delete("bad");
    server.delete("a");
    server.put("a", -1);
    await clock.advance(10);
    expect(held()).toEqual({ "team/b": 2 });
    expect([...reflector.skipped.keys()]).toEqual(["a"]);
    expect(history.slice(told)).toHaveLength(1);
  });

  it("do not end the operator where the parser throws, or where there is not even metadata", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    for (const object of [{}, { metadata: {} }, { metadata: { name: "x" } }, 7, null])
      server.say({ type: "ADDED", object });
    server.say({
      type: "ADDED",
      object: { metadata: { name: "c", uid: "u", resourceVersion: "1500" }, value: 1 },
    });
    await clock.advance(10);
    expect(reflector.counters.skipped).toBe(5);
    expect(reflector.store.get("c")?.value).toBe(1);
    server.tick(600);
    server.say({ type: "DELETED", object: { metadata: { name: "c", uid: "u", resourceVersion: "1501" } } });
    await clock.advance(10);
    expectTruth();
  });

  it("tell nobody when the parser says that nothing it reads has changed", async () => {
    const { clock, server, reflector, history } = await watching({
      parse: (raw, { previous }) => {
        const { metadata, value } = raw as {
          metadata: { uid: string; resourceVersion: string };
          value: number;
        };
        if (previous?.value === value) return { fact: previous };
        return { fact: { ...metadata, value, seenAtMs: 0 } };
      },
    });
    const told = history.length;
    const touched = server.put("a", 1);
    await clock.advance(10);
    expect(history).toHaveLength(told);
    expect(reflector.versionOf("a")?.resourceVersion).toBe(touched.metadata.resourceVersion);
  });
});

describe("life", () => {
  it("leaves no timer and no stream behind, whatever stop() interrupts", async () => {
    for (const untilMs of [0, 3, 8, 50, 15_003, 100_000]) {
      const { clock, server, reflector } = bench();
      server.put("a", 1);
      reflector.start();
      await clock.advance(untilMs);
      reflector.stop();
      await clock.advance(5);
      expect(clock.pending, `stopped after ${untilMs} ms`).toBe(0);
      expect(server.streams.size).toBe(0);
      const asked = server.requests.length;
      await clock.advance(600_000);
      expect(server.requests).toHaveLength(asked);
    }
  });

  it("leaves nothing behind when it is stopped while it waits to try again or reads", async () => {
    const { clock, server, reflector } = await watching();
    server.weather = "unreachable";
    server.endStreams("broken");
    await clock.advance(30_000);
    server.weather = "silent";
    const reading = reflector.refresh("a");
    reflector.stop();
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    expect(await reading).toMatchObject({ ok: false, kind: "aborted" });
  });

  it("takes nothing from an answer that comes although it was given up", async () => {
    for (const untilMs of [3, 8]) {
      const { clock, server, reflector, history } = bench();
      server.put("a", 1);
      const [request, stream] = [server.request.bind(server), server.stream.bind(server)];
      const deaf = <R extends object>(asked: R): R => ({ ...asked, signal: undefined });
      server.request = (asked) => request(deaf(asked));
      server.stream = (asked) => stream(deaf(asked));
      reflector.start();
      await clock.advance(untilMs);
      const told = history.length;
      reflector.stop();
      await clock.advance(60_000);
      expect(history).toHaveLength(told);
      expect(server.streams.size).toBe(0);
      expect(clock.pending).toBe(0);
    }
  });

  it("redials at once: out of a pause, a hanging call, or a watch that nobody answers", async () => {
    const { clock, server, reflector, expectTruth } = await watching();
    server.endStreams("mute");
    server.put("c", 3);
    reflector.redial();
    await clock.advance(10);
    expectTruth();
    expect(reflector.counters.errors).toBe(0);
    server.weather = "silent";
    reflector.redial();
    await clock.advance(1_000);
    server.weather = "fair";
    reflector.redial();
    await clock.advance(10);
    expect(reflector.continuousSinceMs).toBe(clock.now().monotonicMs - 5);
    server.weather = "unreachable";
    server.endStreams("broken");
    await clock.advance(60_000);
    server.weather = "fair";
    server.put("d", 4);
    reflector.redial();
    await clock.advance(10);
    expectTruth();
  });

  it("tells each word of the server to whoever watches over contact", async () => {
    const made = await watching();
    const before = made.contacts;
    made.server.put("a", 5);
    await made.clock.advance(10);
    expect(made.contacts).toBe(before + 1);
    expect(made.reflector.asOfMs).toBeGreaterThan(1_099);
  });

  it("starts once only", () => {
    const { reflector } = bench();
    reflector.stop();
    expect(() => reflector.start()).toThrow("once");
  });
});

describe("resourceVersions that are not numbers", () => {
  it("are believed in the order in which they come", async () => {
    const { clock, server, reflector } = await watching();
    const object = (resourceVersion: string, value: number) => ({
      metadata: { name: "a", uid: "uid-1", resourceVersion },
      value,
    });
    server.say({ type: "MODIFIED", object: object("zz", 5) });
    server.say({ type: "MODIFIED", object: object("aa", 6) });
    await clock.advance(10);
    expect(reflector.store.get("a")?.value).toBe(6);
    server.say({ type: "DELETED", object: object("mm", 6) });
    await clock.advance(10);
    expect(reflector.store.has("a")).toBe(false);
  });
});
