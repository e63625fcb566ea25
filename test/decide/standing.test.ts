import { describe, expect, it } from "vitest";
import type { Plan } from "../../src/model/plan.ts";
import {
  type Cluster,
  conditionOf,
  FAILOVER,
  level,
  NOW,
  NOW_MS,
  NOW_WALL_MS,
  outage,
  readiness,
  statusOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const on = { on: "n1" };
const conditions = (plan: Plan): Record<string, string> =>
  Object.fromEntries(
    ["Accepted", "Protected", "Available", "Restartable", "Migratable"].map((type) => [
      type,
      conditionOf(plan, "a", type),
    ]),
  );
const messageOf = (plan: Plan, type: string): string | undefined =>
  statusOf(plan, "a").conditions.find((one) => one.type === type)?.message;

describe("the conditions of an HAVirtualMachine", () => {
  it("are all true for a VM that is safe, and say what would happen", () => {
    const plan = threeNodes().vm("a", on).decide();
    expect(conditions(plan)).toEqual({
      Accepted: "True/Accepted",
      Protected: "True/Protected",
      Available: "True/Running",
      Restartable: "True/NodeAvailable",
      Migratable: "True/Migratable",
    });
    expect(messageOf(plan, "Protected")).toBe("if n1 is lost: restarts on n2 or n3");
    expect(statusOf(plan, "a")).toMatchObject({ observedGeneration: 1, node: "n1", vmiUID: "vmi-a-1" });
  });

  it.each<[string, VMWords, string, string]>([
    [
      "failover disabled",
      { ...on, protection: { failover: { ...FAILOVER, enabled: false } } },
      "Protected",
      "False/FailoverDisabled",
    ],
    ["a VM that does not run", {}, "Protected", "False/NotRunning"],
    ["an instance that has ended", { ...on, vmi: { phase: "Failed" } }, "Protected", "False/NotRunning"],
    [
      "a run strategy that does not come back",
      { ...on, runStrategy: "Once" },
      "Protected",
      "False/NotRestartable",
    ],
    [
      "the restart limit",
      { ...on, protection: { status: { outages: [outage(1), outage(2), outage(3)] } } },
      "Protected",
      "False/RestartLimitReached",
    ],
    ["Once", { ...on, runStrategy: "Once" }, "Restartable", "False/RunStrategyForbids"],
    [
      "Once where the policy allows it",
      { ...on, runStrategy: "Once", protection: { failover: { ...FAILOVER, restartOnce: true } } },
      "Restartable",
      "True/NodeAvailable",
    ],
    ["Manual", { ...on, runStrategy: "Manual" }, "Restartable", "True/NodeAvailable"],
    [
      "Manual where the policy forbids it",
      { ...on, runStrategy: "Manual", protection: { failover: { ...FAILOVER, startManual: false } } },
      "Restartable",
      "False/RunStrategyForbids",
    ],
    ["WaitAsReceiver", { ...on, runStrategy: "WaitAsReceiver" }, "Restartable", "False/RunStrategyForbids"],
    ["a paused guest", { ...on, vmi: { paused: "PausedByUser" } }, "Available", "False/Paused"],
    ["a guest that is not Ready", { ...on, vmi: { ready: false } }, "Available", "False/NotReady"],
    [
      "a guest that is starting",
      { ...on, vmi: { phase: "Scheduling", ready: false } },
      "Available",
      "False/Restarting",
    ],
    ["a VM that was halted", { runStrategy: "Halted" }, "Available", "False/Stopped"],
    [
      "a Manual VM that has failed",
      { ...on, runStrategy: "Manual", vmi: { phase: "Failed" } },
      "Available",
      "False/Stopped",
    ],
    [
      "one that reruns on failure",
      { ...on, runStrategy: "RerunOnFailure", vmi: { phase: "Failed" } },
      "Available",
      "False/Restarting",
    ],
    [
      "one that reruns on failure and succeeded",
      { ...on, runStrategy: "RerunOnFailure", vmi: { phase: "Succeeded" } },
      "Available",
      "False/Stopped",
    ],
    ["one that always runs and does not", {}, "Available", "False/Restarting"],
    ["a node nobody knows", { on: "n9" }, "Available", "Unknown/Unknown"],
    [
      "a guest not judged yet",
      { ...on, vmi: { liveMigratable: undefined } },
      "Migratable",
      "Unknown/Unknown",
    ],
    [
      "a guest that cannot move",
      { ...on, vmi: { liveMigratable: { status: false, reason: "R", message: "m" } } },
      "Migratable",
      "False/NotMigratable",
    ],
    ["a VM that is down", {}, "Migratable", "Unknown/NotRunning"],
  ])("with %s", (_what, words, type, expected) => {
    expect(conditionOf(threeNodes().vm("a", words).decide(), "a", type)).toBe(expected);
  });

  it("say that there is no such VirtualMachine", () => {
    const plan = threeNodes().protect("a").decide();
    expect(conditions(plan)).toMatchObject({
      Accepted: "False/VirtualMachineNotFound",
      Protected: "False/VirtualMachineNotFound",
      Restartable: "Unknown/Unknown",
    });
  });

  it("say that no topology covers the node", () => {
    const cluster = threeNodes().vm("a", on);
    cluster.topologies.clear();
    expect(conditionOf(cluster.decide(), "a", "Protected")).toBe("False/NoFencingTopology");
  });

  it.each<[string, Parameters<Cluster["node"]>[1], string]>([
    ["lost", LOST, "False/NodeLost"],
    ["isolated", { leaseSilentMs: 60_000, heartbeatSilentMs: 20_000 }, "Unknown/NodeIsolated"],
    ["late", { leaseSilentMs: 15_000 }, "True/Running"],
  ])("say that its node is %s", (_what, words, expected) => {
    expect(conditionOf(threeNodes().node("n1", words).vm("a", on).decide(), "a", "Available")).toBe(expected);
  });

  it("say that its node has come back from a fencing while its instance has not ended", () => {
    const cluster = threeNodes().node("n1", { bootID: "boot-n1-2" }).fenced("n1").vm("a", on);
    expect(conditionOf(cluster.decide(), "a", "Available")).toBe("False/NodeLost");
  });

  it("say that no other node can host it", () => {
    const cluster = threeNodes().node("n2", { cordoned: true }).node("n3", { ready: "False" }).vm("a", on);
    expect(conditions(cluster.decide())).toMatchObject({
      Protected: "False/NotRestartable",
      Restartable: "False/NoCandidateNode",
      Migratable: "False/NoCandidateNode",
    });
  });

  it("keep their transition time while their status stays", () => {
    const before = {
      type: "Available",
      status: "False" as const,
      reason: "x",
      message: "",
      lastTransitionTime: "t0",
    };
    const status = { conditions: [before] };
    const plan = threeNodes()
      .vm("a", { ...on, vmi: { ready: false }, protection: { status } })
      .decide();
    const times = statusOf(plan, "a").conditions.map((one) => `${one.type} ${one.lastTransitionTime}`);
    expect(times).toContain("Available t0");
    expect(times).toContain(`Accepted ${NOW}`);
  });
});

describe("dependencies", () => {
  const waitsFor = (name: string) => ({ dependsOn: [{ name, condition: "Ready" as const, timeoutMs: 1 }] });

  it("that do not exist are named", () => {
    const plan = threeNodes()
      .vm("a", { ...on, protection: waitsFor("db") })
      .decide();
    expect(conditionOf(plan, "a", "Accepted")).toBe("False/DependencyNotFound");
    expect(messageOf(plan, "Accepted")).toContain("db");
    expect(conditionOf(plan, "a", "Protected")).toBe("True/Protected");
  });

  it("that lead in a circle are said so by everyone in it, and by nobody else", () => {
    const cluster = threeNodes().vm("a", { ...on, protection: waitsFor("b") });
    cluster.vm("b", { ...on, protection: waitsFor("c") }).vm("c", { ...on, protection: waitsFor("b") });
    const plan = cluster.decide();
    expect(["a", "b", "c"].map((name) => conditionOf(plan, name, "Accepted"))).toEqual([
      "True/Accepted",
      "False/DependencyCycle",
      "False/DependencyCycle",
    ]);
  });

  it("are looked at again when one of them comes, goes, or waits for another", () => {
    const world = new LiveWorld(threeNodes().vm("a", { ...on, protection: waitsFor("b") }));
    const accepted = (): string | undefined =>
      world.cluster.protections.get("ns/a")?.status.conditions.find((one) => one.type === "Accepted")?.reason;
    world.settle();
    expect(accepted()).toBe("DependencyNotFound");
    world.cluster.protect("b", waitsFor("c"));
    world.adopt("protections", "ns/b").settle();
    expect(accepted()).toBe("Accepted");
    world.cluster.protect("c", waitsFor("a"));
    world.adopt("protections", "ns/c").settle();
    expect(accepted()).toBe("DependencyCycle");
    world.protection("ns/c", { dependsOn: [] }).settle();
    expect(accepted()).toBe("Accepted");
    world.protection("ns/b", undefined).settle();
    expect(accepted()).toBe("DependencyNotFound");
  });
});

describe("two HAVirtualMachines for one VM", () => {
  it.each([
    ["the one that a person wrote", { madeByPolicy: "all" }, {}],
    ["the older", { createdAtWallMs: NOW_WALL_MS - 1 }, { createdAtWallMs: NOW_WALL_MS - 2 }],
    ["the first by name, among equals", { name: "z-two" }, {}],
  ])("%s is in charge", (_which, loser, winner) => {
    const cluster = threeNodes().vm("a", { ...on, protection: { name: "m-one", ...winner } });
    cluster.protect("a", { name: "n-two", ...loser });
    const plan = cluster.decide();
    expect(conditionOf(plan, "m-one", "Accepted")).toBe("True/Accepted");
    const other = "name" in loser ? loser.name : "n-two";
    expect(conditionOf(plan, other, "Accepted")).toBe("False/DuplicateProtection");
    expect(conditionOf(plan, other, "Protected")).toBe("False/DuplicateProtection");
  });

  it("the second takes over when the first is being deleted", () => {
    const world = new LiveWorld(threeNodes().vm("a", on));
    world.cluster.protect("a", { name: "second", createdAtWallMs: NOW_WALL_MS });
    world.adopt("protections", "ns/second").settle();
    world.protection("ns/a", { deleting: true });
    expect(conditionOf(world.turn(), "second", "Accepted")).toBe("True/Accepted");
  });

  it("one that is being deleted is written no more", () => {
    const plan = threeNodes()
      .vm("a", { ...on, protection: { deleting: true } })
      .decide();
    expect(stepsOf(plan, "WriteProtection")).toEqual([]);
  });
});

describe("readiness", () => {
  it("protects nothing on a node that no level could fence now, and says why", () => {
    const plan = threeNodes()
      .node("n1", { fencing: [readiness(false)] })
      .vm("a", on)
      .decide();
    expect(conditions(plan)).toMatchObject({ Protected: "False/NodeNotFenceable" });
    expect(messageOf(plan, "Protected")).toBe("n1 could not be fenced now: bmc: the device answers 401");
  });

  it("is not held against a VM where one level could fence its node, or none was checked", () => {
    const two = threeNodes().node("n1", { fencing: [readiness(false), readiness(true, "pdu")] });
    two.topology("bmc", { levels: [level("bmc"), level("pdu")] });
    expect(conditions(two.vm("a", on).decide())).toMatchObject({ Protected: "True/Protected" });
    expect(conditions(threeNodes().vm("a", on).decide())).toMatchObject({ Protected: "True/Protected" });
  });

  it("that changes on a node stirs the statuses of its VMs, and of no others", () => {
    const world = new LiveWorld(threeNodes().vm("a", on).vm("b", { on: "n2" }));
    world.settle();
    world.cluster.node("n1", { fencing: [readiness(false)] });
    world.settle();
    expect(world.statusWrites).toEqual(
      new Map([
        ["a", 2],
        ["b", 1],
      ]),
    );
  });
});

describe("a status at rest", () => {
  it("is written once, whatever time passes", () => {
    const world = new LiveWorld(threeNodes().vm("a", on).vm("b", { on: "n2", runStrategy: "Manual" }));
    world.settle();
    for (let i = 0; i < 20; i++) world.pass(7_000).settle();
    expect(world.statusWrites).toEqual(
      new Map([
        ["a", 1],
        ["b", 1],
      ]),
    );
  });

  it("is not stirred by a node that is late and then heard again", () => {
    const world = new LiveWorld(threeNodes().vm("a", on));
    world.settle();
    world.pass(15_000, ["n1"]).settle();
    world.pass(1_000).settle();
    expect(world.statusWrites.get("a")).toBe(1);
  });

  it("is not stirred by one node more or less where many can host it", () => {
    const cluster = threeNodes().vm("a", on);
    for (let i = 4; i < 12; i++) cluster.node(`n${i}`);
    const world = new LiveWorld(cluster);
    world.settle();
    world.cluster.node("n5", { cordoned: true });
    world.pass(1_000).settle();
    world.cluster.nodes.delete("n6");
    world.pass(1_000).settle();
    expect(world.statusWrites.get("a")).toBe(1);
  });

  it("is planned again until it is written", () => {
    const world = new LiveWorld(threeNodes().vm("a", on));
    expect(stepsOf(world.turn(), "WriteProtection")).toHaveLength(1);
    expect(stepsOf(world.turn(), "WriteProtection")).toHaveLength(1);
    world.settle();
    expect(stepsOf(world.turn(), "WriteProtection")).toEqual([]);
  });

  it("says that the restart limit is no longer reached, when only time has passed", () => {
    const outages = [outage(10_000), outage(20_000), outage(30_000)];
    const world = new LiveWorld(threeNodes().vm("a", { ...on, protection: { status: { outages } } }));
    world.settle();
    const reason = (): string | undefined =>
      world.cluster.protections.get("ns/a")?.status.conditions.find((one) => one.type === "Protected")
        ?.reason;
    expect(reason()).toBe("RestartLimitReached");
    expect(world.turn().lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 3_570_000);
    world.pass(3_570_001).settle();
    expect(reason()).toBe("Protected");
  });
});
