// status and explain, on a dump read through the operator's own readers and rules.
import { describe, expect, it } from "vitest";
import { DumpServer } from "../../src/cli/dump-server.ts";
import type { ApiOutcome, ApiRequest } from "../../src/kube/transport.ts";
import { run } from "./cli-bench.ts";
import { Dump, shop } from "./dump.ts";

const PROTECTED = {
  conditions: [
    condition("Protected", "True", "Protected", "if node-2 is lost: restarts elsewhere"),
    condition("Available", "True", "Running", "runs on node-2"),
  ],
};

function condition(type: string, status: string, reason: string, message: string) {
  return { type, status, reason, message, lastTransitionTime: "2026-11-22T11:00:00Z" };
}

/** Shows another world at each look. */
class Looks extends DumpServer {
  look = 0;
  readonly #worlds: readonly (DumpServer | undefined)[];

  constructor(worlds: readonly (DumpServer | undefined)[]) {
    super([]);
    this.#worlds = worlds;
  }

  override async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    const world = this.#worlds[this.look];
    return (
      world?.request<T>(request) ?? { ok: false, kind: "timeout", status: undefined, message: "no answer" }
    );
  }
}

function well(): Dump {
  return new Dump()
    .operator()
    .topology()
    .node("node-1")
    .node("node-2")
    .vm("db", { on: "node-2", status: PROTECTED });
}

describe("status", () => {
  it("is calm about a cluster in which every promise holds", async () => {
    const { code, out } = await run(["status", "--from", "dump.yaml"], {
      files: { "dump.yaml": well().yaml },
    });
    expect(out).toContain("Every promise holds");
    expect(out).toContain("holdfast-0_ab leads (epoch 3)");
    expect(code).toBe(0);
  });

  it("tells the lost node, its fencing and the VMs that recover, and asks for attention", async () => {
    const failover = {
      fencing: "nf-node-2",
      fromNode: "node-2",
      vmiUID: "vmi-db",
      lastGoodAt: "2026-11-22T11:59:00Z",
      lostAt: "2026-11-22T11:59:30Z",
      phase: "Recovering",
      message: "node-2 is lost",
    };
    const dump = new Dump()
      .operator()
      .topology()
      .node("node-1")
      .node("node-2", { silentMs: 45_000, ready: "Unknown" })
      .vm("db", { on: "node-2", status: { ...PROTECTED, failover } })
      .fencing("node-2");
    const { code, out } = await run(["status", "--from=d", "-o", "json"], { files: { d: dump.yaml } });
    const seen = JSON.parse(out);
    expect(code).toBe(3);
    expect(seen.nodes[1]).toMatchObject({ name: "node-2", verdict: "lost", fencing: { phase: "Fencing" } });
    expect(seen.troubled).toEqual(
      [{ vm: "shop/db", state: "recovering", node: undefined, priority: 500, why: "node-2 is lost" }].map(
        (vm) => expect.objectContaining(JSON.parse(JSON.stringify(vm))),
      ),
    );
  });

  it("says when nobody leads, and when the leader has fallen silent", async () => {
    const none = new Dump().topology().node("node-1");
    expect((await run(["status", "--from=d"], { files: { d: none.yaml } })).out).toContain(
      "has never run there",
    );
    const silent = new Dump().operator(120_000).node("node-1");
    const ran = await run(["status", "--from=d"], { files: { d: silent.yaml } });
    expect(ran.out).toContain("has not renewed its Lease for 120 s");
    expect(ran.code).toBe(3);
  });

  it("shows a disarm with its reason and end", async () => {
    const dump = well().add({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FencingDisarm",
      metadata: { name: "switches" },
      spec: { reason: "switch firmware", until: "2999-01-01T00:00:00Z", requestedBy: "bob" },
    });
    const { code, out } = await run(["status", "--from=d"], { files: { d: dump.yaml } });
    expect(out).toContain("DISARMED   every node until 2999-01-01T00:00:00Z by bob: switch firmware");
    expect(code).toBe(3);
  });

  it("names the list that failed, and what would help", async () => {
    const transport = well().server();
    transport.denied = "/nodes";
    const { code, err } = await run(["status"], { transport });
    expect(err).toContain("cannot list /api/v1/nodes: nodes is forbidden");
    expect(code).toBe(1);
  });
});

describe("status --watch", () => {
  const calm = () => well().server();
  const lost = () => well().node("node-3", { silentMs: 45_000, ready: "Unknown" }).server();

  /** Watches through these worlds, one at each look; where there is none the server does not answer. */
  async function watched(worlds: readonly (DumpServer | undefined)[], ...flags: readonly string[]) {
    const transport = new Looks(worlds);
    const intervals: number[] = [];
    const ran = await run(["status", "--watch", ...flags], {
      transport,
      terminal: true,
      meanwhile: (interrupt, intervalMs) => {
        intervals.push(intervalMs);
        transport.look += 1;
        if (transport.look === worlds.length) interrupt();
      },
    });
    return { ...ran, intervals };
  }

  it("shows it again when it has changed, and only then, and ends with the last word", async () => {
    const { out, code, intervals } = await watched([calm(), calm(), lost(), lost()], "--interval=2s");
    expect(out.match(/Operator/g)).toHaveLength(2);
    expect(out.indexOf("Every promise holds")).toBeLessThan(out.indexOf("node-3"));
    expect(code).toBe(3);
    expect(intervals).toEqual([2_000, 2_000, 2_000, 2_000]);
  });

  it("says that the API server does not answer, and goes on when it does", async () => {
    const { out, code } = await watched([calm(), undefined, calm()], "--interval=2s");
    expect(out).toContain("error:");
    expect(out.lastIndexOf("Every promise holds")).toBeGreaterThan(out.indexOf("error:"));
    expect(code).toBe(0);
  });

  it("clears a terminal before each picture, looks every five seconds, and prints JSON line by line", async () => {
    const clear = "\u001b[H\u001b[2J";
    const seen = await watched([calm(), lost()]);
    expect(seen.out.split(clear)).toHaveLength(3);
    expect(seen.intervals).toEqual([5_000, 5_000]);
    const json = await watched([calm(), lost()], "-o", "json");
    expect(json.out).not.toContain(clear);
    const lines = json.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { attention: boolean });
    expect(lines.map(({ attention }) => attention)).toEqual([false, true]);
  });
});

describe("explain", () => {
  it("says of a VM without a promise that nobody brings it back, and what to type", async () => {
    const { code, out } = await run(["explain", "vm", "shop/batch", "--from=d"], {
      files: { d: shop().yaml },
    });
    expect(out).toContain("no HAVirtualMachine names it");
    expect(out).toContain("kubectl holdfast protect batch -n shop");
    expect(code).toBe(3);
  });

  it("shows a VM's conditions, outages by phase, and the Events about it", async () => {
    const outage = {
      cause: "NodeLost",
      fromNode: "node-9",
      toNode: "node-2",
      vmiUID: "old",
      lastGoodAt: "2026-11-20T10:00:00.000Z",
      lostAt: "2026-11-20T10:00:22.000Z",
      provedAt: "2026-11-20T10:00:25.500Z",
      readyAt: "2026-11-20T10:00:55.500Z",
    };
    const dump = new Dump()
      .topology()
      .node("node-2")
      .vm("db", { on: "node-2", status: { ...PROTECTED, outages: [outage] } })
      .add({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: "e1", namespace: "shop" },
        involvedObject: { kind: "HAVirtualMachine", name: "db" },
        type: "Warning",
        reason: "FailoverBlocked",
        message: "no room",
        lastTimestamp: "2026-11-20T10:00:30Z",
      });
    const { code, out } = await run(["explain", "vm", "db", "-n", "shop", "--from=d"], {
      files: { d: dump.yaml },
    });
    expect(out).toContain("up on node-2 after 56 s (seconds: detect 22.0, fence 3.5, ready 30.0)");
    expect(out).toContain("FailoverBlocked (HAVirtualMachine db): no room");
    expect(out).toContain("if node-2 is lost: restarts elsewhere");
    expect(code).toBe(0);
  });

  it("tells a node's ledger in the order of time, and what becomes of its VMs", async () => {
    const dump = shop().fencing("node-2", {
      attempts: [
        {
          number: 1,
          level: "bmc",
          method: "Redfish",
          epoch: 3,
          startedAt: "2026-11-22T11:59:31.000Z",
          endedAt: "2026-11-22T11:59:41.000Z",
          outcome: "TimedOut",
          answer: "no answer within 10 s",
        },
      ],
    });
    const { out } = await run(["explain", "node", "node-2", "--from=d"], { files: { d: dump.yaml } });
    const story = [
      "last gave a sign of life",
      "opened for boot boot-node-2",
      "begun",
      "ended TimedOut: no answer",
    ];
    expect(story.map((line) => out.indexOf(line)).every((at, i, all) => at > (all[i - 1] ?? -1))).toBe(true);
    expect(out.indexOf("shop/db")).toBeLessThan(out.indexOf("shop/web"));
    expect(out).toContain("no HAVirtualMachine names it: it stays down until the node is back");
  });

  it("answers 5 for what does not exist", async () => {
    const bench = { files: { d: shop().yaml } };
    expect((await run(["explain", "vm", "nobody", "--from=d"], bench)).code).toBe(5);
    expect((await run(["explain", "node", "nobody", "--from=d"], bench)).code).toBe(5);
  });
});
