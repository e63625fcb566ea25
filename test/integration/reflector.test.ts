// The reflector on a real API server, behind a proxy that breaks everything, while a writer never stops changing objects.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "../../lab/control-plane/start.ts";
import { type FaultProxy, type FaultRule, startFaultProxy } from "../../lab/fault-proxy/fault-proxy.ts";
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { Reflector } from "../../src/observe/reflector.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { CheckedReflector, COLLECTION, putConfigMap, Writer } from "./reflector-writer.ts";

const READER = { user: "reader", groups: ["system:masters"] };
/** Short, so that a mute connection is found out while the test waits; production waits for a bookmark's period. */
const IDLE_LIMIT_MS = 3_000;
const QUIET_COLLECTION = "/api/v1/limitranges";

let cluster: ControlPlane;
let proxy: FaultProxy;
let transport: ApiTransport;
let checked: CheckedReflector;
let writer: Writer;
let quiet: Reflector<string>;
const quietContacts: number[] = [];
const report: string[] = [];
let marks = 0;

beforeAll(async () => {
  cluster = await startControlPlane({
    controllers: false,
    apiServerFlags: ["--etcd-compaction-interval=5s"],
  });
  proxy = await startFaultProxy(cluster);
  transport = proxy.transportFor(READER);
  checked = new CheckedReflector(transport, { idleLimitMs: IDLE_LIMIT_MS });
  checked.reflector.start();
  writer = new Writer(cluster.admin, checked.reflector);
  writer.start();
  quiet = new Reflector<string>({
    name: "limitranges",
    transport: cluster.admin,
    clock: createRealClock(),
    random: Math.random,
    path: QUIET_COLLECTION,
    parse: () => ({ fact: "a limit range" }),
    onContact: () => {
      quietContacts.push(performance.now());
    },
  });
  quiet.start();
  await until(() => checked.reflector.phase === "watching" && checked.told > 50);
});

afterAll(async () => {
  await writer?.stop();
  checked?.reflector.stop();
  quiet?.stop();
  await proxy?.stop();
  await cluster?.stop();
  console.log(
    ["time to heal, from the end of the fault to the first later change seen:", ...report].join("\n  "),
  );
});

afterEach(async () => {
  await proxy.heal();
});

/** Room for a machine that does other work meanwhile; the figures themselves are in the report. */
const BUSY_MACHINE_MS = 30_000;

/**
 * Writes a mark and waits until the reflector shows it; then stops the writer for a moment and compares store and history
 * with a fresh list.
 */
async function expectHealed(name: string, withinMs: number): Promise<void> {
  const startedMs = performance.now();
  const mark = `mark-${++marks}`;
  await until(async () => (await putConfigMap(cluster.admin, mark, false)).ok);
  const markedMs = performance.now();
  await until(() => checked.reflector.store.has(`default/${mark}`), withinMs + BUSY_MACHINE_MS);
  const healedMs = performance.now() - startedMs;
  const writtenMs = markedMs - startedMs;
  report.push(
    `${name}: ${Math.round(healedMs)} ms${writtenMs > 500 ? `, ${Math.round(writtenMs)} of them for the server` : ""}`,
  );
  await writer.stop();
  try {
    await expectNoDifference(checked);
    expect(checked.complaints).toEqual([]);
    expect(healedMs).toBeLessThan(withinMs + BUSY_MACHINE_MS);
  } finally {
    checked.complaints.length = 0;
    writer.start();
  }
}

/** The writer must stand still. */
async function expectNoDifference(reflector: CheckedReflector): Promise<void> {
  let difference: string | undefined;
  for (let tries = 0; tries < 200; tries++) {
    difference = await reflector.difference(cluster.admin);
    if (difference === undefined) return;
    await sleep(10);
  }
  expect(difference).toBeUndefined();
}

const isList = (request: { query: URLSearchParams; isWatch: boolean; method: string }) =>
  request.method === "GET" && !request.isWatch;

describe("connections", () => {
  it("that are reset cost nothing but a new watch", async () => {
    for (let i = 0; i < 5; i++) {
      proxy.resetAll();
      await sleep(200);
    }
    proxy.resetAll();
    await expectHealed("connections reset", 1_000);
  });

  it("that are ended in good order cost nothing but a new watch", async () => {
    proxy.endAll();
    await expectHealed("connections ended", 1_000);
  });

  it("that are refused for 4 s are tried again within the longest pause", async () => {
    await proxy.refuse();
    proxy.resetAll();
    await sleep(4_000);
    expect(checked.reflector.continuousSinceMs).toBeUndefined();
    await proxy.heal();
    await expectHealed("connections refused for 4 s", 5_500);
  });

  it("that stand still for 2 s deliver what they held back", async () => {
    await proxy.stall();
    await sleep(2_000);
    await proxy.heal();
    await expectHealed("stalled for 2 s", 2_000);
  });

  it("that are half-open for ever are given up at the idle limit", async () => {
    const errors = checked.reflector.counters.errors;
    await proxy.lose();
    await sleep(500);
    await proxy.heal();
    await expectHealed("half-open, idle limit 3 s", IDLE_LIMIT_MS + 1_000);
    expect(checked.reflector.counters.errors).toBeGreaterThan(errors);
  });

  it("that are known to be half-open are replaced at once by redial()", async () => {
    await proxy.lose();
    await sleep(500);
    await proxy.heal();
    checked.reflector.redial();
    await expectHealed("half-open, redialled", 1_000);
  });

  it("that go to a mute server for 25 s are tried again within one deadline", async () => {
    await proxy.lose();
    await sleep(25_000);
    await proxy.heal();
    await expectHealed("mute server for 25 s", 15_500);
  }, 60_000);
});

describe("answers", () => {
  it.each([500, 503, 429, 410])("of %i for 3 s are outlived", async (status) => {
    const rule: FaultRule = {
      fault: { kind: "answer", status, ...(status === 429 ? { retryAfterSeconds: 1 } : {}) },
    };
    proxy.add(rule);
    proxy.resetAll();
    await sleep(3_000);
    await proxy.heal();
    await expectHealed(`everything answered ${status} for 3 s`, 5_500);
  });

  it("that come 1.5 s late, in pieces of 200 bytes, only make it slow", async () => {
    proxy.add({ fault: { kind: "delay", delayMs: 1_500 } });
    proxy.slow({ bytes: 200, everyMs: 5 });
    proxy.resetAll();
    await sleep(4_000);
    await proxy.heal();
    await expectHealed("slow", 5_500);
  });

  it("that never come are given up by their deadline", async () => {
    proxy.add({ match: (request) => request.isWatch, times: 1, fault: { kind: "silence" } });
    proxy.resetAll();
    await expectHealed("one watch never answered", 11_000);
  }, 30_000);
});

describe("watches", () => {
  it.each(["reset", "end", "truncate", "expire"] as const)(
    "cut after 3 events by '%s', ten times, lose nothing",
    async (how) => {
      let cuts = 0;
      proxy.add({
        match: (request) => {
          if (request.isWatch) cuts++;
          return request.isWatch;
        },
        times: 10,
        fault: { kind: "cut", afterEvents: 3, how },
      });
      proxy.resetAll();
      await until(() => cuts >= 10, 20_000);
      await expectHealed(`watch cut ten times by ${how}`, 5_500);
    },
  );

  it("cut before the first event, time and again, are opened ever more slowly", async () => {
    let opened = 0;
    proxy.add({
      match: (request) => {
        if (request.isWatch) opened++;
        return request.isWatch;
      },
      fault: { kind: "cut", afterEvents: 0, how: "end" },
    });
    proxy.resetAll();
    await sleep(5_000);
    expect(opened).toBeGreaterThan(3);
    expect(opened).toBeLessThan(15);
    await proxy.heal();
    await expectHealed("watches cut at once for 5 s", 5_500);
  });
});

describe("history", () => {
  it("that etcd has compacted under a list is replaced by a full list", async () => {
    const isContinued = (request: { query: URLSearchParams }) => request.query.has("continue");
    const names = Array.from({ length: 620 }, (_, i) => `many-${i}`);
    await inBatches(names, (name) => putConfigMap(cluster.admin, name, false));
    const lift = proxy.add({ match: isContinued, fault: { kind: "answer", status: 503 } });
    let continued = 0;
    let full = 0;
    proxy.add({
      match: (request) => {
        if (isContinued(request)) continued++;
        else if (isList(request) && !request.query.has("limit")) full++;
        return false;
      },
      fault: { kind: "silence" },
    });
    const second = new CheckedReflector(proxy.transportFor(READER));
    second.reflector.start();
    // The compactor runs every 5 s here and leaves the last interval; the watch cache follows every 15 s.
    await sleep(35_000);
    expect(second.reflector.synced).toBe(false);
    expect(second.reflector.phase).toBe("listing");
    lift();
    await until(() => second.reflector.synced, 15_000);
    expect(second.reflector.counters.lastError).toMatch(/too old|expired|continue/i);
    expect([continued > 0, full]).toEqual([true, 1]);
    await writer.stop();
    await expectNoDifference(second);
    expect(second.complaints).toEqual([]);
    second.reflector.stop();
    await inBatches(names, (name) =>
      cluster.admin.request({ method: "DELETE", path: `${COLLECTION}/${name}` }),
    );
    writer.start();
    await expectHealed("620 objects deleted", 3_000);
  }, 120_000);

  it("of a quiet collection goes on by bookmarks: its watch is never taken for dead", async () => {
    // The watch is primed after 10 s of silence; then bookmarks come every minute.
    await until(() => performance.now() - (quietContacts[0] ?? 0) > 135_000, 140_000);
    const { watches, lists, errors } = quiet.counters;
    expect({ watches, lists, errors }).toEqual({ watches: 1, lists: 1, errors: 0 });
    const gaps = quietContacts.slice(1).map((at, i) => Math.round(at - (quietContacts[i] ?? at)));
    report.push(`gaps between words on a quiet watch, ms: ${gaps.join(", ")}`);
    expect(performance.now() - (quiet.asOfMs ?? 0)).toBeLessThan(62_000);
  }, 160_000);

  it("that a restarted API server no longer has is replaced by a new list", async () => {
    const { lists } = checked.reflector.counters;
    await cluster.stopApiServer();
    await sleep(1_000);
    await cluster.startApiServer();
    await expectHealed("API server restarted", 6_000);
    expect(checked.reflector.counters.lists).toBeGreaterThan(lists);
    expect(checked.reflector.counters.lastError).toMatch(/too old|expired/i);
  }, 60_000);
});

describe("fresh reads", () => {
  it("agree with the server while the watch hears nothing", async () => {
    const lift = proxy.add({ match: (request) => request.isWatch, fault: { kind: "silence" } });
    proxy.resetAll();
    await sleep(50);
    const made = await putConfigMap(cluster.admin, "fresh", false);
    if (!made.ok) throw new Error(made.message);
    const { uid } = made.value.metadata;
    expect(await checked.reflector.refresh("default/fresh")).toMatchObject({ ok: true, value: { uid } });
    await cluster.admin.request({ method: "DELETE", path: `${COLLECTION}/fresh` });
    expect(await checked.reflector.refresh("default/fresh")).toMatchObject({ ok: true, value: undefined });
    lift();
    checked.reflector.redial();
    await expectHealed("watch never answered, redialled", 1_000);
  });

  it("of an unselected collection use a plain GET", async () => {
    const gets: string[] = [];
    const spying: ApiTransport = {
      request: (request) => {
        gets.push(request.path);
        return transport.request(request);
      },
      stream: (request) => transport.stream(request),
      redial: () => transport.redial(),
      close: () => transport.close(),
    };
    const everything = new Reflector<string>({
      name: "configmaps",
      transport: spying,
      clock: createRealClock(),
      random: Math.random,
      path: "/api/v1/configmaps",
      parse: (raw) => ({ fact: (raw as { metadata: { uid: string } }).metadata.uid }),
    });
    everything.start();
    await until(() => everything.synced);
    const made = await putConfigMap(cluster.admin, "plain", false);
    if (!made.ok) throw new Error(made.message);
    expect(await everything.refresh("default/plain")).toEqual({
      ok: true,
      status: 200,
      value: made.value.metadata.uid,
    });
    expect(gets.at(-1)).toBe(`${COLLECTION}/plain`);
    everything.stop();
  });
});

describe("the proxy itself", () => {
  it("lets the server know who asks, by certificate or by token", async () => {
    const whoAmI = async (client: ApiTransport) => {
      const outcome = await client.request<{ status: { userInfo: unknown } }>({
        method: "POST",
        path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
      });
      return outcome.ok ? outcome.value.status.userInfo : outcome;
    };
    expect(await whoAmI(proxy.transportFor({ user: "jane", groups: ["a", "b"] }))).toMatchObject({
      username: "jane",
      groups: ["a", "b", "system:authenticated"],
    });
    const path = "/api/v1/namespaces/default/serviceaccounts";
    await cluster.admin.request({ method: "POST", path, body: { metadata: { name: "robot" } } });
    const token = await cluster.admin.request<{ status: { token: string } }>({
      method: "POST",
      path: `${path}/robot/token`,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
    });
    if (!token.ok) throw new Error(token.message);
    const kubeConfig = proxy.kubeConfigFor({ user: "nobody" });
    kubeConfig.users = [{ name: "nobody", token: token.value.status.token }];
    const client = createHttpTransport(kubeConfig);
    expect(await whoAmI(client)).toMatchObject({ username: "system:serviceaccount:default:robot" });
    await client.close();
  });

  it("loses an answer to a write that was carried out", async () => {
    proxy.add({ match: (request) => request.method === "POST", times: 1, fault: { kind: "loseAnswer" } });
    expect(await putConfigMap(transport, "lost", false)).toMatchObject({ ok: false, kind: "unreachable" });
    expect(await putConfigMap(transport, "lost", false)).toMatchObject({ ok: false, kind: "alreadyExists" });
  });
});

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < items.length; from += 20)
    await Promise.all(items.slice(from, from + 20).map(work));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function until(isTrue: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const startedMs = performance.now();
  while (!(await isTrue())) {
    if (performance.now() - startedMs > withinMs) throw new Error(`not so within ${withinMs} ms`);
    await sleep(5);
  }
}
