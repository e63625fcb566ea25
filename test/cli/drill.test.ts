// `drill` and `drills`: what is written, what is refused before anything is, and how results read.
import { describe, expect, it } from "vitest";
import { run } from "./cli-bench.ts";
import { Dump, type WritableDump } from "./dump.ts";

const PATH = "/apis/holdfast.dev/v1alpha1/failoverdrills";
const server = (): WritableDump => new Dump().operator().topology().node("node-1").server();
const specIn = (transport: WritableDump): unknown =>
  (transport.writes[0]?.body as { readonly spec?: unknown } | undefined)?.spec;

describe("drill", () => {
  it("writes the drill that the words ask for", async () => {
    const transport = server();
    const argv = ["drill", "migrate", "db", "--runs=10", "--rto=1s", "--probe=udp:7:1000"];
    const ran = await run([...argv, "--probe=http:80/healthz", "--outage-budget=2s"], { transport });
    expect([ran.code, transport.writes.map(({ path }) => path)]).toEqual([0, [PATH]]);
    expect(specIn(transport)).toEqual({
      type: "LiveMigration",
      virtualMachine: { namespace: "shop", name: "db" },
      runs: 10,
      promise: { recoveryTime: "1s", outageBudget: "2s" },
      probes: [
        { name: "udp-7-1000", type: "UDP", port: 7, packetsPerSecond: 1000 },
        { name: "http-80", type: "HTTP", port: 80, path: "/healthz" },
      ],
      requestedBy: "alice@example.com",
    });
  });

  it("loses a node only after its name was typed", async () => {
    const refused = server();
    const no = await run(["drill", "lose", "node-1"], { transport: refused, answers: ["yes"] });
    expect([no.code, refused.writes]).toEqual([4, []]);
    const transport = server();
    const ran = await run(["drill", "lose", "node-1"], { transport, answers: ["node-1"] });
    expect(ran.code).toBe(0);
    expect(specIn(transport)).toMatchObject({ type: "NodeLoss", nodeName: "node-1" });
  });

  it.each([
    [["drill", "explode", "node-1"]],
    [["drill", "evacuate", "Node_1"]],
    [["drill", "migrate", "db", "--runs=51"]],
    [["drill", "migrate", "db", "--runs=many"]],
    [["drill", "migrate", "db", "--probe=udp"]],
    [["drill", "migrate", "db", "--probe=udp:7:50"]],
    [["drill", "migrate", "db", "--probe=tcp:22/path"]],
    [["drill", "migrate", "db", "--rto=soon"]],
  ])("refuses %j before anything is written", async (argv) => {
    const transport = server();
    const ran = await run(argv, { transport });
    expect([ran.code, transport.writes]).toEqual([2, []]);
    expect(ran.err).not.toBe("");
  });

  it("only shows what it would write with --dry-run", async () => {
    const transport = server();
    const ran = await run(["drill", "lose", "node-1", "--dry-run"], { transport });
    expect([ran.code, transport.writes]).toEqual([0, []]);
    expect(JSON.parse(ran.out)).toMatchObject({ kind: "FailoverDrill", spec: { nodeName: "node-1" } });
  });
});

const measure = { name: "udp", sent: 900, lost: 30, skipped: 0, outageMs: 300, longestOutageMs: 250 };
const result = {
  number: 1,
  startedAt: "2026-11-22T12:00:00.000Z",
  endedAt: "2026-11-22T12:00:10.000Z",
  outcome: "Passed",
  reason: "PromiseKept",
  message: "m",
  virtualMachines: 1,
  measures: [{ ...measure, convergenceMs: 900, answeredBefore: true, restored: true }],
};

function drillOf(name: string, phase: string) {
  return {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FailoverDrill",
    metadata: {
      name,
      uid: `uid-${name}`,
      resourceVersion: "1",
      creationTimestamp: "2026-11-22T12:00:00Z",
    },
    spec: {
      type: "LiveMigration",
      virtualMachine: { namespace: "shop", name: "db" },
      runs: 1,
      promise: { recoveryTime: "1s" },
    },
    status: {
      epoch: 1,
      phase,
      message: "by udp: in each of 1 runs",
      runs: [result],
      statistics: [
        {
          name: "udp",
          runs: 3,
          sent: 2700,
          lost: 90,
          outage: { meanMs: 300, standardDeviationMs: 20, lowMs: 250, highMs: 350 },
          longestOutageMs: 250,
          convergence: { meanMs: 900 },
          converged: 3,
        },
      ],
      lastPassedAt: "2026-11-22T12:00:10.000Z",
    },
  };
}

describe("drills", () => {
  it("lists them, and calls for attention where one did not pass", async () => {
    const passed = new Dump().add(drillOf("good", "Passed"));
    const fine = await run(["drills"], { transport: passed.server() });
    expect(fine.out).toMatch(
      /good +LiveMigration +shop\/db +Passed +1 of 1 +250 ms +2026-11-22T12:00:10.000Z +-/,
    );
    expect(fine.code).toBe(0);
    const failed = await run(["drills"], { transport: passed.add(drillOf("bad", "Failed")).server() });
    expect(failed.code).toBe(3);
  });

  it("shows one with each run and its statistics", async () => {
    const transport = new Dump().add(drillOf("good", "Passed")).server();
    const { out } = await run(["drills", "good"], { transport });
    expect(out).toContain("Promised: back within 1s");
    expect(out).toMatch(/1 +Passed +udp +30 of 900 +300 ms +250 ms +900 ms/);
    expect(out).toMatch(/udp +3 +90 of 2700 +300 ± 20 ms +250 to 350 ms +250 ms +900 ms \(3 of 3\)/);
    const json = await run(["drills", "good", "-o", "json"], { transport });
    expect(JSON.parse(json.out)).toMatchObject({ metadata: { name: "good" }, status: { phase: "Passed" } });
  });

  it("says where there is none", async () => {
    const transport = server();
    expect(await run(["drills"], { transport })).toMatchObject({
      code: 0,
      out: "There is no FailoverDrill.\n",
    });
    expect((await run(["drills", "none"], { transport })).code).toBe(5);
  });
});
