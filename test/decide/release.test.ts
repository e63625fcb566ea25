import { describe, expect, it } from "vitest";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import type { Plan } from "../../src/model/plan.ts";
import {
  type Cluster,
  FAILOVER,
  lostWith,
  NOW_MS,
  outage,
  refusalsOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const DEAD = { leaseSilentMs: 120_000, heartbeatSilentMs: 200_000, outOfService: true };

/** n1 is proven off and tainted. */
const fenced = (provenAgoMs = 1_000): Cluster =>
  threeNodes()
    .node("n1", DEAD)
    .fenced("n1", {}, { provenAtMs: NOW_MS - provenAgoMs });

const released = (plan: Plan): string[] =>
  stepsOf(plan, "Release").map((step) => step.vmKey.replace("ns/", ""));

const many = (cluster: Cluster, count: number, words: VMWords = {}): Cluster => {
  for (let i = 0; i < count; i++) cluster.vm(`vm-${String(i).padStart(2, "0")}`, { on: "n1", ...words });
  return cluster;
};

describe("what is released", () => {
  it("goes by priority, then by name", () => {
    const cluster = fenced()
      .vm("b", { on: "n1" })
      .vm("a", { on: "n1" })
      .vm("top", { on: "n1", protection: { priority: 900 } })
      .vm("low", { on: "n1", protection: { priority: 1 } });
    expect(released(cluster.decide())).toEqual(["top", "a", "b", "low"]);
  });

  it("goes by priority over all nodes that are proven off, within one window", () => {
    const cluster = fenced().node("n2", DEAD).fenced("n2");
    many(cluster, 4).vm("top", { on: "n2", protection: { priority: 900 } });
    cluster.vm("low", { on: "n2", protection: { priority: 1 } });
    expect(released(cluster.decide({ maxRestartsInFlight: 3 }))).toEqual(["top", "vm-00", "vm-01"]);
  });

  it("takes the hot-plug pods of a VM with its launcher", () => {
    const cluster = fenced()
      .vm("a", { on: "n1" })
      .pod("a", { name: "hp-volume-1", kind: "hotplug", nodeName: "n1" });
    expect(stepsOf(cluster.decide(), "Release")[0]?.pods.map((pod) => pod.name)).toEqual([
      "virt-launcher-a-0",
      "hp-volume-1",
    ]);
  });

  it("takes a hot-plug pod that outlived its launcher", () => {
    const cluster = fenced().vm("a", { on: "n1", podGone: true });
    cluster.pod("a", { name: "hp-volume-1", kind: "hotplug", nodeName: "n1", deleting: true });
    expect(released(cluster.decide())).toEqual(["a"]);
  });

  it("takes pods that are being deleted already: on a dead node they would stay for ever", () => {
    const cluster = fenced()
      .vm("a", { on: "n1", podGone: true })
      .pod("a", { nodeName: "n1", deleting: true });
    expect(released(cluster.decide())).toEqual(["a"]);
  });

  it("takes an ended pod whose VM is still said to run in it, since KubeVirt would wait five minutes", () => {
    const cluster = fenced()
      .vm("a", { on: "n1", podGone: true })
      .pod("a", { nodeName: "n1", finished: true });
    expect(released(cluster.decide())).toEqual(["a"]);
  });

  it("leaves an ended pod of a VM that has long moved away", () => {
    const cluster = fenced().vm("a", { on: "n2" }).pod("a", { nodeName: "n1", finished: true });
    const plan = cluster.decide();
    expect(released(plan)).toEqual([]);
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([{ status: { phase: "Released" } }]);
  });

  it("leaves VMs alone that are not in our care", () => {
    const cluster = fenced().vm("a", { on: "n1", unprotected: true });
    cluster.pod("none", { name: "virt-launcher-bare", nodeName: "n1", vmKey: undefined });
    expect(released(cluster.decide())).toEqual([]);
  });

  it("leaves a VM alone whose only HAVirtualMachine is being deleted", () => {
    expect(
      released(
        fenced()
          .vm("a", { on: "n1", protection: { deleting: true } })
          .decide(),
      ),
    ).toEqual([]);
  });

  it("leaves a VM where it was whose failover is disabled, and says so", () => {
    const cluster = fenced().vm("a", { on: "n1", protection: { failover: { ...FAILOVER, enabled: false } } });
    const plan = cluster.decide();
    expect(released(plan)).toEqual([]);
    expect(refusalsOf(plan, "vm/ns/a")).toEqual(["FailoverDisabled"]);
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([{ status: { phase: "Released" } }]);
  });

  it("lets a halted VM go too, so that it can end, without giving it a place in the window", () => {
    const cluster = many(fenced(), 1).vm("halted", {
      on: "n1",
      runStrategy: "Halted",
      protection: { priority: 900 },
    });
    expect(released(cluster.decide({ maxRestartsInFlight: 1 }))).toEqual(["halted", "vm-00"]);
  });
});

describe("remnants of migrations on the dead node", () => {
  it("removes a dead target pod of a VM that lives elsewhere: it would hold up every later migration", () => {
    const cluster = fenced().vm("a", { on: "n2" }).pod("a", { nodeName: "n1", name: "target" });
    expect(stepsOf(cluster.decide(), "Release")).toMatchObject([
      { vmKey: "ns/a", pods: [{ name: "target" }] },
    ]);
  });

  it.each([
    ["failover is disabled", { failover: { ...FAILOVER, enabled: false } }],
    ["the restart limit is reached", { status: { outages: [outage(1), outage(2), outage(3)] } }],
    ["a dependency is down", { dependsOn: [{ name: "db", condition: "Ready" as const, timeoutMs: 60_000 }] }],
  ])("does so even where %s, since nothing is restarted by it", (_why, protection) => {
    const cluster = fenced().vm("a", { on: "n2", protection }).pod("a", { nodeName: "n1", name: "target" });
    cluster.vm("db", { on: "n1", podGone: true, vmi: { ready: false } });
    expect(released(cluster.decide({ maxRestartsInFlight: 0 }))).toEqual(["a"]);
  });

  const switched = (targetWords = {}, provenAgoMs = 1_000): Cluster =>
    fenced(provenAgoMs)
      .node("n2", targetWords)
      .vm("a", {
        on: "n1",
        vmi: {
          migration: { uid: "m", sourceNode: "n1", targetNode: "n2", targetReady: true, ended: false },
        },
      });

  it("waits for the word of a target to which the guest had switched, and says so", () => {
    const plan = switched().decide();
    expect(released(plan)).toEqual([]);
    expect(refusalsOf(plan, "vm/ns/a")).toEqual(["WaitingForMigrationTarget"]);
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 9_000);
  });

  it("waits as well while the target is merely late", () => {
    expect(released(switched({ leaseSilentMs: 15_000 }).decide())).toEqual([]);
  });

  it("waits no longer than the grace, nor for a target that is lost itself", () => {
    expect(released(switched({}, 11_000).decide())).toEqual(["a"]);
    expect(released(switched({ leaseSilentMs: 60_000 }).decide())).toEqual(["a"]);
  });

  it.each([
    ["has not switched", { targetReady: false }],
    ["has ended", { ended: true }],
    ["came to the dead node", { sourceNode: "n2", targetNode: "n1" }],
    ["has no target", { targetNode: undefined }],
  ])("does not wait for a migration that %s", (_what, change) => {
    const migration = {
      uid: "m",
      sourceNode: "n1",
      targetNode: "n2",
      targetReady: true,
      ended: false,
      ...change,
    };
    expect(released(fenced().vm("a", { on: "n1", vmi: { migration } }).decide())).toEqual(["a"]);
  });
});

describe("the window of restarts", () => {
  const inFlight = (words: VMWords = {}): LiveWorld => {
    const cluster = many(fenced(), 2);
    const status = { failover: lostWith("away", "n1") };
    cluster.vm("away", { on: "n1", protection: { priority: 900, status }, ...words });
    const world = new LiveWorld(cluster);
    world.policy = { ...world.policy, maxRestartsInFlight: 1 };
    return world;
  };
  const podOf = (world: LiveWorld, vm: string): string => {
    for (const [key, pod] of world.cluster.pods) if (pod.vmKey === `ns/${vm}`) return key;
    throw new Error(`no pod of ${vm}`);
  };
  const letGo = (world: LiveWorld): LiveWorld => world.pod(podOf(world, "away"), undefined);

  it("releases no more than fit, and asks for a turn when a place becomes free by time", () => {
    const plan = many(fenced(), 20).decide();
    expect(released(plan)).toHaveLength(12);
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 30_000);
  });

  it("offers the same VMs again until they are gone, and only then the next", () => {
    const world = inFlight();
    expect(released(world.turn())).toEqual(["away"]);
    expect(released(world.turn())).toEqual(["away"]);
    expect(released(letGo(world).turn())).toEqual([]);
  });

  it("counts a VM that was let go until its replacement is placed", () => {
    const world = letGo(inFlight()).vmi("ns/away", { phase: "Failed" });
    expect(released(world.turn())).toEqual([]);
    world.vmi("ns/away", undefined);
    expect(released(world.turn())).toEqual([]);
  });

  it.each<[string, (world: LiveWorld) => unknown]>([
    ["its replacement is scheduled", (world) => again(world).vmi("ns/away", { phase: "Scheduled" })],
    ["its replacement runs", (world) => again(world).vmi("ns/away", { phase: "Running" })],
    ["its replacement fails", (world) => again(world).vmi("ns/away", { phase: "Failed" })],
    ["its replacement takes longer than a slot", (world) => again(world).pass(5_001, ["n1"])],
    ["nothing replaces it for as long as a slot", (world) => world.pass(5_001, ["n1"])],
    ["the scheduler finds no node for it", (world) => unplaced(again(world))],
    ["somebody halts it", (world) => world.vm("ns/away", { runStrategy: "Halted" })],
    ["it is deleted", (world) => world.vm("ns/away", { deleting: true })],
    ["its VirtualMachine is gone", (world) => world.vm("ns/away", undefined)],
    ["its promise is gone", (world) => world.protection("ns/away", undefined)],
    [
      "its failover is over",
      (world) => world.protection("ns/away", { status: { conditions: [], outages: [] } }),
    ],
  ])("frees its place when %s", (_what, happen) => {
    const world = letGo(inFlight());
    expect(released(world.turn())).toEqual([]);
    happen(world);
    expect(released(world.turn())).toEqual(["vm-00"]);
  });

  const again = (world: LiveWorld): LiveWorld =>
    world.newVMI("ns/away", { uid: "vmi-away-2", phase: "Scheduling", nodeName: undefined, ready: false });
  const unplaced = (world: LiveWorld): LiveWorld => {
    world.cluster.pod("away", { name: "again", vmiUID: "vmi-away-2", unschedulable: "0/3 nodes" });
    return world.adopt("pods", "ns/again");
  };

  it("widens by one with each VM that was placed elsewhere, and not with one that merely left it", () => {
    const world = letGo(inFlight());
    again(world).vmi("ns/away", { phase: "Scheduled", nodeName: "n2" });
    expect(released(world.turn())).toEqual(["vm-00", "vm-01"]);
    world.vmi("ns/away", { phase: "Failed" });
    expect(released(world.turn())).toEqual(["vm-00"]);
  });

  it("asks for a turn at the moment the place becomes free", () => {
    const world = letGo(inFlight());
    world.pass(1_000, ["n1"]);
    expect(world.turn().lookAgainAtMs).toBe(NOW_MS + 5_000);
  });

  it("does not count a VM of run strategy Manual that nobody starts", () => {
    const failover = { ...FAILOVER, startManual: false };
    const world = letGo(inFlight({ runStrategy: "Manual", protection: { failover } }));
    expect(released(world.turn())).toContain("vm-00");
  });

  it("knows nothing of those let go before it watched, and lets them not hold up the others", () => {
    const cluster = many(fenced(), 1);
    const status = { failover: lostWith("away", "n1") };
    cluster.vm("away", { on: "n1", podGone: true, protection: { status } });
    expect(released(cluster.decide({ maxRestartsInFlight: 1 }))).toEqual(["vm-00"]);
  });

  it("widens with time, so that VMs whose pods cannot be deleted are overtaken in the end", () => {
    const atOnce: Partial<DecisionPolicy> = { maxRestartsInFlight: 2 };
    expect(released(many(fenced(1_000), 9).decide(atOnce))).toHaveLength(2);
    expect(released(many(fenced(31_000), 9).decide(atOnce))).toHaveLength(4);
    expect(released(many(fenced(61_000), 9).decide(atOnce))).toHaveLength(6);
  });
});

describe("dependencies", () => {
  const on = (name: string, condition: "Running" | "Ready" = "Ready", timeoutMs = 60_000) => ({
    dependsOn: [{ name, condition, timeoutMs }],
  });
  const app = (db: VMWords, protection: VMWords["protection"] = on("db"), provenAgoMs = 1_000): Plan =>
    fenced(provenAgoMs)
      .vm("db", db)
      .vm("app", { on: "n1", protection: { priority: 900, ...protection } })
      .decide();

  it("holds a VM back until what it depends on is up, and says so", () => {
    const plan = app({ on: "n1" });
    expect(released(plan)).toEqual(["db"]);
    expect(refusalsOf(plan, "vm/ns/app")).toEqual(["WaitingForDependency"]);
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 59_000);
  });

  it.each<[string, VMWords, VMWords["protection"], string[]]>([
    ["Ready is met by a VM that is Ready", { on: "n2" }, on("db"), ["app"]],
    ["Ready is not met by one that only runs", { on: "n2", vmi: { ready: false } }, on("db"), []],
    ["Running is met by it", { on: "n2", vmi: { ready: false } }, on("db", "Running"), ["app"]],
    ["nothing is met on another lost node", { on: "n3" }, on("db"), []],
    ["a VM that was stopped on purpose is not waited for", { runStrategy: "Halted" }, on("db"), ["app"]],
    ["nor is one of strategy Manual that was not running", { runStrategy: "Manual" }, on("db"), ["app"]],
    ["nor one that is being deleted", { deleting: true }, on("db"), ["app"]],
    ["but one of strategy Always that has not come up yet is", {}, on("db"), []],
    ["a dependency that does not exist is ignored", { on: "n2" }, on("nobody"), ["app"]],
    ["a circle is ignored", { on: "n1", protection: on("app") }, on("db"), ["app", "db"]],
  ])("%s", (_what, db, protection, expected) => {
    const cluster = fenced().node("n3", { leaseSilentMs: 60_000 });
    cluster.vm("db", db).vm("app", { on: "n1", protection: { priority: 900, ...protection } });
    expect(released(cluster.decide())).toEqual(expected);
  });

  it("waits no longer than the time-out after the proof: late beats never", () => {
    expect(released(app({ on: "n1" }, on("db"), 61_000))).toEqual(["app", "db"]);
  });

  it("ignores a dependency whose VirtualMachine is gone", () => {
    const cluster = fenced()
      .protect("db")
      .vm("app", { on: "n1", protection: on("db") });
    expect(released(cluster.decide())).toEqual(["app"]);
  });
});

describe("the restart limit", () => {
  const limited = (...agoMs: number[]): Plan =>
    fenced()
      .vm("a", { on: "n1", protection: { status: { outages: agoMs.map((ms) => outage(ms)) } } })
      .decide();

  it("holds a VM that was restarted as often as it may, says so, and looks again when its window has passed", () => {
    const plan = limited(60_000, 600_000, 3_000_000);
    expect(released(plan)).toEqual([]);
    expect(refusalsOf(plan, "vm/ns/a")).toEqual(["RestartLimitReached"]);
    expect(stepsOf(plan, "WriteFencing")).toEqual([]);
  });

  it("asks for a turn when the window has passed", () => {
    const cluster = fenced().vm("a", {
      on: "n1",
      protection: { status: { outages: [outage(1_000), outage(2_000), outage(3_599_000)] } },
    });
    expect(cluster.decide().lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 1_000);
  });

  it("does not count outages before the window", () => {
    expect(released(limited(60_000, 600_000, 3_600_000))).toEqual(["a"]);
  });
});
