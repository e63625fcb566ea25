import { describe, expect, it } from "vitest";
import type { Plan } from "../../src/model/plan.ts";
import {
  attempt,
  Cluster,
  effectsOf,
  FAILOVER,
  level,
  lostWith,
  NOW_MS,
  refusalsOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const DEAD = { leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true };

/** Ten nodes; a VM of the named priority on each of those that are lost. */
const losing = (...priorities: number[]): Cluster => {
  const cluster = new Cluster().topology();
  for (let i = 0; i < 10; i++) cluster.node(`n${i}`);
  priorities.forEach((priority, i) =>
    cluster.node(`n${i}`, LOST).vm(`vm-${i}`, { on: `n${i}`, protection: { priority } }),
  );
  return cluster;
};
const opened = (plan: Plan): string[] => stepsOf(plan, "OpenFencing").map((step) => step.node);

describe("how many fencings are opened", () => {
  it("is limited also among those of one turn, the nodes with the most important VMs first", () => {
    const plan = losing(1, 500, 2, 900, 700).decide({ stormMaxLost: { count: 9 } });
    expect(opened(plan)).toEqual(["n3", "n4", "n1"]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["TooManyFencings"]);
  });

  it.each<[string, Parameters<Cluster["fencing"]>[1], Parameters<Cluster["node"]>[1], boolean]>([
    ["one that has just begun counts", {}, LOST, false],
    ["one in its first round counts", { attempts: [attempt({ number: 2 })] }, LOST, false],
    [
      "one whose every level has failed does not",
      { attempts: [attempt({ number: 3 })], message: "x" },
      LOST,
      true,
    ],
    ["unless it is at it again", { attempts: [attempt({ number: 4, outcome: "Started" })] }, LOST, false],
    ["one whose node is isolated does not", {}, { leaseSilentMs: 60_000, heartbeatSilentMs: 9_000 }, true],
  ])("and of those that are open %s", (_what, status, words, another) => {
    const cluster = losing(500).node("n5", words).fencing("n5", status);
    expect(opened(cluster.decide({ maxConcurrentFencings: 1 }))).toEqual(another ? ["n0"] : []);
  });

  it("counts a shot under way whose attempt is not seen in its ledger yet", () => {
    const cluster = losing(100, 900).fencing("n0").fencing("n1");
    const shotAt = (plan: Plan): string[] =>
      stepsOf(plan, "Fence").flatMap((step) => (step.mayPowerOff ? [step.fencing.nodeName] : []));
    expect(shotAt(cluster.decide({ maxConcurrentFencings: 1 }))).toEqual(["n1"]);
    cluster.shooting.add("nf-n0");
    const plan = cluster.decide({ maxConcurrentFencings: 1 });
    expect(shotAt(plan)).toEqual(["n0"]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["TooManyFencings"]);
  });
});

it("counts a shot under way at a node that is heard again, until it has ended", () => {
  const cluster = losing(100).node("n5").fencing("n5").fencing("n0");
  const mayShoot = () =>
    stepsOf(cluster.decide({ maxConcurrentFencings: 1 }), "Fence").some((step) => step.mayPowerOff);
  expect(mayShoot()).toBe(true);
  cluster.shooting.add("nf-n5");
  expect(mayShoot()).toBe(false);
});

describe("what a node is fenced for", () => {
  it.each<[string, VMWords, boolean]>([
    ["a VM that would come back", {}, true],
    ["one that has ended and left nothing there", { podGone: true, vmi: { phase: "Failed" } }, false],
    ["one that has ended, and KubeVirt waits for its pod to go", { vmi: { phase: "Failed" } }, true],
    [
      "one that has ended by itself and is not started again for that",
      { runStrategy: "RerunOnFailure", vmi: { phase: "Succeeded" } },
      false,
    ],
    [
      "one that has ended, and is started by hand",
      { runStrategy: "Manual", vmi: { phase: "Failed" } },
      false,
    ],
    ["one that was halted", { runStrategy: "Halted" }, false],
    ["one that nobody would start again", { runStrategy: "Once" }, false],
    ["one that we would start again", { runStrategy: "Manual" }, true],
    ["one that is being deleted", { deleting: true }, false],
    ["one with failover disabled", { protection: { failover: { ...FAILOVER, enabled: false } } }, false],
  ])("%s", (_what, words, expected) => {
    const cluster = threeNodes()
      .node("n1", LOST)
      .vm("a", { on: "n1", ...words });
    expect(opened(cluster.decide())).toEqual(expected ? ["n1"] : []);
  });
});

describe("a fencing that no device can finish", () => {
  const failed = (status: Parameters<Cluster["fencing"]>[1] = {}): Cluster =>
    threeNodes()
      .node("n1", LOST)
      .vm("a", { on: "n1" })
      .fencing("n1", {
        phase: "Fencing",
        attempts: [attempt({ number: 3, outcome: "Unreachable", answer: "no route to host" })],
        ...status,
      });

  it("says so once, in the ledger and by an Event with the device's answer", () => {
    const [step] = stepsOf(failed().decide(), "WriteFencing");
    expect(step?.status.message).toContain(
      "no fencing level has proven n1 off; the last, bmc, ended Unreachable",
    );
    expect(step?.events).toMatchObject([{ type: "Warning", reason: "FencingFailed" }]);
    expect(step?.events?.[0]?.message).toContain("no route to host");
    expect(stepsOf(failed({ message: step?.status.message ?? "" }).decide(), "WriteFencing")).toEqual([]);
  });

  it("goes on for ever, with pauses that grow to five minutes", () => {
    const dueAtMs = (attemptNumber: number): number => {
      const cluster = failed({ message: "x", attempts: [attempt({ number: attemptNumber })] });
      cluster.leases.clear();
      cluster.node("n1", { noLease: true, ready: "Unknown" });
      return (cluster.decide().lookAgainAtMs ?? 0) - NOW_MS + 1_000;
    };
    expect([3, 6, 9, 300].map(dueAtMs)).toEqual([10_000, 20_000, 40_000, 300_000]);
  });

  it("goes by the levels of the topology now in charge where its own is gone, with the same pauses", () => {
    const cluster = failed({ message: "x", attempts: [attempt({ number: 1, level: "pdu" })] });
    cluster.topologies.clear();
    cluster.topology("other", { levels: [level("pdu", { backoffMs: 7_000, retries: 4 })] });
    cluster.leases.clear();
    cluster.node("n1", { noLease: true, ready: "Unknown" });
    expect(cluster.decide().lookAgainAtMs).toBe(NOW_MS - 1_000 + 7_000);
  });

  it("refuses where no topology is left, and stands down all the same when the node is heard", () => {
    const cluster = failed({ message: "x" });
    cluster.topologies.clear();
    expect(refusalsOf(cluster.decide(), "node/n1")).toEqual(["NoFencingTopology"]);
    expect(effectsOf(cluster.decide())).toEqual([]);
    cluster.node("n1", { leaseSilentMs: 100, leasePeriodMs: 300 });
    expect(stepsOf(cluster.decide(), "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });

  it("tells who was fenced when it succeeds after all", () => {
    const [step] = stepsOf(failed({ message: "x", attempts: [] }).decide(), "Fence");
    expect(step?.events).toMatchObject([{ type: "Normal", reason: "NodeFenced" }]);
  });
});

describe("a fencing whose node is gone", () => {
  const gone = (): Cluster => {
    const cluster = threeNodes().vm("a", { on: "n1" }).fencing("n1");
    cluster.nodes.delete("n1");
    cluster.leases.delete("n1");
    return cluster;
  };

  it("goes on while VMs are left there", () => {
    expect(stepsOf(gone().decide(), "Fence")).toHaveLength(1);
  });

  it("is closed when none is, since nobody will ever answer for it", () => {
    const cluster = gone();
    cluster.pods.clear();
    expect(stepsOf(cluster.decide(), "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });

  it("stands down without a Lease when Kubernetes calls the node Ready", () => {
    const cluster = threeNodes().node("n1", { noLease: true }).vm("a", { on: "n1" }).fencing("n1");
    expect(stepsOf(cluster.decide(), "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });
});

describe("two open ledgers for one node", () => {
  it("the one about the node as it is now goes first, and the other is closed after it", () => {
    const cluster = threeNodes().node("n1", LOST).vm("a", { on: "n1" });
    cluster.fencing("n1", {}, { nodeUID: "an earlier one" });
    const stale = cluster.fencings.get("nf-n1");
    if (stale === undefined) throw new Error("no ledger");
    cluster.fencings.set("nf-a", { ...stale, name: "nf-a" });
    cluster.fencing("n1");
    const world = new LiveWorld(cluster);
    expect(stepsOf(world.turn(), "Fence")).toMatchObject([{ fencing: { name: "nf-n1" } }]);
    world.fencing("nf-n1", undefined);
    expect(stepsOf(world.turn(), "WriteFencing")).toMatchObject([
      { fencing: { name: "nf-a" }, status: { phase: "Aborted" } },
    ]);
  });
});

describe("what the ledger says was released", () => {
  it("are those still on their way and those that are up again, in the order in which they went", () => {
    const cluster = threeNodes().node("n1", DEAD);
    const status = { failover: lostWith("b", "n1") };
    cluster.vm("a", { on: "n1" }).vm("b", { on: "n1", protection: { status } }).vm("c", { on: "n2" });
    const world = new LiveWorld(cluster.fenced("n1"));
    for (const vm of ["a", "c", "b"])
      for (const [key, pod] of world.cluster.pods)
        if (pod.vmKey === `ns/${vm}`) world.pass(1_000, ["n1"]).pod(key, undefined);
    const [step] = stepsOf(world.turn(), "WriteFencing");
    expect(step?.status).toMatchObject({
      phase: "Released",
      releasedVMs: [
        { name: "a", releasedAt: "2026-11-22T12:00:01.000Z" },
        { name: "b", releasedAt: "2026-11-22T12:00:03.000Z" },
      ],
    });
  });

  it("are no more than a ledger may name", () => {
    const cluster = threeNodes().node("n1", DEAD);
    for (let i = 0; i < 600; i++) cluster.vm(`vm-${i}`, { on: "n1" });
    const world = new LiveWorld(cluster.fenced("n1"));
    for (const key of world.cluster.pods.keys()) world.pod(key, undefined);
    expect(stepsOf(world.turn(), "WriteFencing")[0]?.status.releasedVMs).toHaveLength(500);
  });
});
