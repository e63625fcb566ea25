// A fault that no history draws tests nothing, and one that docs do not name is not known to be tested: both fail here.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { drawn } from "./history/draw.ts";
import { planOfSeed } from "./history/failed-seeds.ts";
import { type Fault, FAULTS, faultsOf } from "./history/faults.ts";
import { HAPPENINGS } from "./history/happenings.ts";
import { runHistory } from "./history/history.ts";
import type { LevelMethod, NodePlan, ScriptEvent, WorldPlan } from "./world/world-plan.ts";

const HISTORIES = 2_000;
/** So often, at the least, is each fault to be drawn among them. */
const AT_LEAST = 4;
const TIMEOUT_MS = 120_000;

const docs = readFileSync(new URL("../../docs/simulation.md", import.meta.url), "utf8");

/** Rows of the table under that heading, as name and meaning. */
function rowsUnder(heading: string): Record<string, string> {
  const [, section = ""] = docs.split(`## ${heading}\n`);
  const [table = ""] = section.split("\n## ");
  const rows = [...table.matchAll(/^\| (.+?) \| (.+?) \|$/gm)].map(([, name = "", what = ""]) => [
    name,
    what,
  ]);
  return Object.fromEntries(rows.slice(1));
}

describe("every fault", () => {
  it("is drawn again and again", () => {
    const counts = new Map<Fault, number>();
    for (let seed = 1; seed <= HISTORIES; seed += 1)
      for (const fault of faultsOf(drawn(seed))) counts.set(fault, (counts.get(fault) ?? 0) + 1);
    const rare = Object.keys(FAULTS).filter((name) => (counts.get(name as Fault) ?? 0) < AT_LEAST);
    expect(rare, `drawn less than ${AT_LEAST} times in ${HISTORIES} histories`).toEqual([]);
  });

  it("is in the documentation, which names no others", () => {
    const rows = rowsUnder("Faults");
    expect(Object.keys(rows).length).toBeGreaterThan(0);
    expect(rows).toEqual({ ...FAULTS });
  });

  it("is drawn alike by two runs of one seed", () => {
    expect(drawn(12_345)).toEqual(drawn(12_345));
    expect(drawn(12_345)).not.toEqual(drawn(12_346));
  });
});

it("what came of faults is in the documentation, name by name", () => {
  expect(rowsUnder("What came of them")).toEqual({ ...HAPPENINGS });
});

/** Three nodes, one VM with a shared disk on the first, and one of the operator. */
function plan(
  events: readonly ScriptEvent[],
  more: Partial<WorldPlan> = {},
  node: Partial<NodePlan> = {},
): WorldPlan {
  return {
    nodes: ["node-1", "node-2", "node-3"].map((name) => ({ name, room: 8, ...node })),
    vms: [
      {
        namespace: "vms",
        name: "vm-1",
        on: "node-1",
        runStrategy: "Always",
        disk: "rwx",
        evictionStrategy: "LiveMigrate",
        promise: { priority: 500 },
      },
    ],
    replicas: [{ name: "replica-1", skew: { rate: 1, monotonicOffsetMs: 0, wallOffsetMs: 0 } }],
    policy: {},
    topology: { afterFencing: "PowerOn", timeout: "30s", retries: 1, backoff: "1s" },
    events,
    healAtMs: 150_000,
    ...more,
  };
}

function fencedBy(...methods: LevelMethod[]): Pick<WorldPlan, "topology"> {
  const limits = { timeout: "10s", retries: 0, backoff: "1s" } as const;
  return {
    topology: {
      afterFencing: "PowerOn",
      ...limits,
      levels: methods.map((method) => ({ method, ...limits })),
    },
  };
}

describe("what the world is said to do it does", { timeout: TIMEOUT_MS }, () => {
  const cut: ScriptEvent = { atMs: 30_000, forMs: 100_000, act: { kind: "cutNodeApi", node: "node-1" } };

  it("guests are paused by I/O errors while their node is cut off from the storage, and go on", async () => {
    const act = { kind: "cutPlane", plane: "storage", nodes: ["node-1"] } as const;
    const { violations, happened } = await runHistory(plan([{ atMs: 10_000, forMs: 40_000, act }]), 1);
    expect(violations).toEqual([]);
    expect(happened["guests paused by I/O errors"]).toBe(1);
  });

  it("a migration stalls while the VM network is cut between its nodes", async () => {
    const nodes = ["node-1", "node-2", "node-3"];
    const { violations, happened } = await runHistory(
      plan([
        { atMs: 1_000, forMs: 20_000, act: { kind: "cutPlane", plane: "vmNetwork", nodes } },
        { atMs: 2_000, act: { kind: "migrateVM", vm: "vms/vm-1" } },
      ]),
      1,
    );
    expect(violations).toEqual([]);
    expect(happened["failed migrations"]).toBe(1);
  });

  it("a node whose storage refuses it is proven by that, though its guest is still there without its disk", async () => {
    const { violations, happened } = await runHistory(plan([cut], fencedBy("networkFence")), 1);
    expect(violations).toEqual([]);
    expect(happened["proofs by StorageFenced"]).toBe(1);
  });

  it("a remediation operator fences, and the next level where it does not move", async () => {
    const first = await runHistory(plan([cut], fencedBy("remediation", "bmc")), 1);
    expect(first.violations).toEqual([]);
    expect(first.happened).toMatchObject({ "proofs by Remediated": 1, "level changes": 0 });
    const down: ScriptEvent = { atMs: 1_000, forMs: 140_000, act: { kind: "remediator", fault: "down" } };
    const second = await runHistory(plan([down, cut], fencedBy("remediation", "bmc")), 1);
    expect(second.violations).toEqual([]);
    expect(second.happened).toMatchObject({ "proofs by PowerOff": 1, "level changes": 1 });
  });

  it("two outlets cut a node together", async () => {
    const { violations, happened } = await runHistory(plan([cut], fencedBy("outlets"), { outlets: 2 }), 1);
    expect(violations).toEqual([]);
    expect(happened["proofs by PowerOff"]).toBe(1);
  });

  it("NodeHealthCheck fences a node that nobody else does, and withdraws its remediation", async () => {
    const { violations, happened } = await runHistory(
      plan(
        [
          { ...cut, atMs: 5_000 },
          { atMs: 1, forMs: 140_000, act: { kind: "bmc", node: "node-1", fault: "unreachable" } },
        ],
        {
          healthCheckAfterMs: 5_000,
        },
      ),
      1,
    );
    expect(violations).toEqual([]);
    expect(happened["remediations of NodeHealthCheck"]).toBe(1);
  });

  it("a node that answers probes is not fenced for the silence of its kubelet", async () => {
    const dead: ScriptEvent = {
      atMs: 30_000,
      forMs: 60_000,
      act: { kind: "cutNodeApi", node: "node-1", way: "out" },
    };
    const { violations, counts } = await runHistory(plan([dead], { probes: ["vmNetwork"] }), 1);
    expect(violations).toEqual([]);
    expect(counts.shots).toBe(0);
    expect((await runHistory(plan([dead]), 1)).counts.shots).toBe(1);
  });

  it("an outage of the API server from which a healthy node's kubelet comes back late costs no node", async () => {
    const { violations, counts } = await runHistory(planOfSeed(3), 3);
    expect(violations).toEqual([]);
    expect(counts.shots).toBe(0);
  });

  it("no history of a full API server ends in a shot", async () => {
    const full: ScriptEvent = { atMs: 20_000, forMs: 60_000, act: { kind: "apiServer", state: "full" } };
    const { violations, counts } = await runHistory(plan([full]), 1);
    expect(violations).toEqual([]);
    expect(counts.shots).toBe(0);
  });
});
