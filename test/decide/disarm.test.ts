import { describe, expect, it } from "vitest";
import type { DisarmFact } from "../../src/model/disarm.ts";
import type { Plan } from "../../src/model/plan.ts";
import type { Condition } from "../../src/model/protection.ts";
import {
  attempt,
  type Cluster,
  conditionOf,
  effectsOf,
  NOW,
  NOW_MS,
  NOW_WALL_MS,
  refusalsOf,
  statusOf,
  stepsOf,
  threeNodes,
} from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const active = (status: "True" | "False", observedGeneration = 1): Condition => ({
  type: "Active",
  status,
  reason: status === "True" ? "Active" : "Expired",
  message: "",
  lastTransitionTime: NOW,
  observedGeneration,
});
/** A disarm of which it is on record that it is in force, and whose time has come by our own clock. */
const DUE: Partial<DisarmFact> = {
  until: NOW,
  untilMs: NOW_MS,
  status: { heldNodes: [], conditions: [active("True")] },
};
const at = (laterMs: number): string => new Date(NOW_WALL_MS + laterMs).toISOString();
const lost = (): Cluster => threeNodes().node("n1", LOST).vm("a", { on: "n1" });
const written = (plan: Plan) =>
  stepsOf(plan, "WriteSummary").find((step) => step.resource === "fencingdisarms");
const told = (plan: Plan): string[] =>
  (written(plan)?.events ?? []).map(({ about, reason }) => `${about.kind}/${about.name} ${reason}`);
const activeIn = (plan: Plan): string | undefined =>
  ((written(plan)?.status["conditions"] ?? []) as readonly Condition[])[0]?.status;
/** Nodes whose Leases were renewed a moment ago with these stamps. */
const clocks = (...stamps: readonly string[]): Cluster => {
  const cluster = threeNodes();
  stamps.forEach((leaseStamp, i) => cluster.node(`n${i + 1}`, { leaseSilentMs: 0, leaseStamp }));
  return cluster;
};

describe("while fencing is disarmed", () => {
  it("a lost node is not fenced, and node, VM and disarm say so with until when and why", () => {
    const plan = lost().disarm("work", { requestedBy: "net team" }).decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["FencingDisarmed"]);
    const { failover } = statusOf(plan, "a");
    expect(failover?.phase).toBe("Blocked");
    expect(failover?.message).toBe(
      `n1 is not fenced: fencing is disarmed until ${at(3_600_000)} by FencingDisarm work (net team): switch work`,
    );
    expect(written(plan)?.status).toMatchObject({ selectedNodes: 3, heldNodes: ["n1"] });
    expect(told(plan)).toEqual(["FencingDisarm/work FencingDisarmed", "Node/n1 FencingHeld"]);
    expect(plan.disarmedNodes).toBe(3);
  });

  it("a node is announced as held once, however long it lasts", () => {
    const status = { heldNodes: ["n1"], conditions: [active("True")] };
    const plan = lost().disarm("work", { status }).decide();
    expect(refusalsOf(plan, "node/n1")).toEqual(["FencingDisarmed"]);
    expect(told(plan)).toEqual([]);
  });

  it("VMs on its nodes are not called protected, for they are not", () => {
    const plan = threeNodes().vm("a", { on: "n1" }).disarm("work").decide();
    expect(conditionOf(plan, "a", "Protected")).toBe("False/FencingDisarmed");
  });

  it("nodes that it does not select are fenced as ever", () => {
    const plan = lost()
      .disarm("work", { nodeSelector: { matchLabels: { rack: "b" } } })
      .decide();
    expect(stepsOf(plan, "OpenFencing")).toHaveLength(1);
    expect(plan.disarmedNodes).toBe(0);
  });

  it("of several the one that lasts longest counts, and ends last", () => {
    const short = { untilMs: NOW_MS + 1_000, reason: "short" };
    const plan = lost().disarm("b-long").disarm("a-short", short).decide();
    expect(plan.refusals[0]?.message).toContain("FencingDisarm b-long");
  });

  it("a fencing under way makes no new attempt, and only settles one that may have sent its request", () => {
    expect(effectsOf(lost().fencing("n1").disarm("work").decide())).toEqual([]);
    const begun = lost()
      .fencing("n1", { phase: "Fencing", attempts: [attempt({ outcome: "Started" })] })
      .disarm("work")
      .decide();
    expect(stepsOf(begun, "Fence").map((step) => step.mayPowerOff)).toEqual([false]);
  });

  it("a proof that stands already is acted on: its node is surely off, and its VMs are down", () => {
    const plan = lost()
      .node("n1", { ...LOST, leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true })
      .fenced("n1")
      .disarm("work")
      .decide();
    expect(stepsOf(plan, "Release").map((step) => step.vmKey)).toEqual(["ns/a"]);
  });

  it("no node is switched on: somebody may be working on it", () => {
    const cluster = threeNodes()
      .topology("bmc", { afterFencing: "PowerOn" })
      .node("n1", { leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true })
      .fenced("n1", { phase: "Released", powerOnRequestedAt: NOW });
    expect(stepsOf(cluster.decide(), "PowerOn")).toHaveLength(1);
    const plan = cluster.disarm("work").decide();
    expect(stepsOf(plan, "PowerOn")).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toContain("FencingDisarmed");
  });

  it("nodes are evacuated as ever", () => {
    const plan = threeNodes().node("n1", { cordoned: true }).vm("a", { on: "n1" }).disarm("work").decide();
    expect(stepsOf(plan, "CreateMigration")).toHaveLength(1);
  });
});

describe("the end of a disarm", () => {
  it("is on record and announced before anything is fenced again", () => {
    const plan = clocks(NOW, NOW, NOW).node("n4", LOST).vm("a", { on: "n4" }).disarm("work", DUE).decide();
    expect(activeIn(plan)).toBe("False");
    expect(told(plan)).toEqual(["FencingDisarm/work FencingRearmed"]);
    expect(stepsOf(plan, "OpenFencing")).toEqual([]);
    const recorded = { ...DUE, status: { heldNodes: [], conditions: [active("False")] } };
    const next = clocks(NOW, NOW, NOW)
      .node("n4", LOST)
      .vm("a", { on: "n4" })
      .disarm("work", recorded)
      .decide();
    expect(stepsOf(next, "OpenFencing")).toHaveLength(1);
    expect(told(next)).toEqual([]);
  });

  it("is looked for at its time by our monotonic clock", () => {
    const plan = threeNodes()
      .disarm("work", { untilMs: NOW_MS + 1_500 })
      .decide();
    expect(plan.lookAgainAtMs).toBe(NOW_MS + 1_500);
    expect(activeIn(plan)).toBe("True");
  });

  it("does not come by our clock alone: a leader whose clock is ahead re-arms nothing early", () => {
    const plan = clocks(at(-3_600_000), at(-3_600_000), at(-3_600_000)).disarm("work", DUE).decide();
    expect(activeIn(plan) ?? "True").toBe("True");
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 60_000);
  });

  it("does not come by the kubelets' clocks alone", () => {
    const later = { ...DUE, untilMs: NOW_MS + 1_000 };
    expect(activeIn(clocks(at(9e6), at(9e6), at(9e6)).disarm("work", later).decide()) ?? "True").toBe("True");
  });

  it("is not moved by one kubelet whose clock is wrong", () => {
    expect(activeIn(clocks(NOW, NOW, at(-9e9)).disarm("work", DUE).decide())).toBe("False");
    const ahead = clocks(at(-60_000), at(-60_000), at(9e9)).disarm("work", DUE).decide();
    expect(activeIn(ahead) ?? "True").toBe("True");
  });

  it("waits while no kubelet is heard, since then nothing can be fenced anyway", () => {
    const plan = threeNodes().node("n1", LOST).node("n2", LOST).node("n3", LOST).disarm("work", DUE).decide();
    expect(activeIn(plan) ?? "True").toBe("True");
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 1_000);
  });

  it("comes by our clock where no node has a Lease", () => {
    const cluster = threeNodes();
    for (const name of ["n1", "n2", "n3"]) cluster.node(name, { noLease: true });
    expect(activeIn(cluster.disarm("work", DUE).decide())).toBe("False");
  });

  it("is not undone by a clock that goes back: what is on record as over stays over", () => {
    const over = { untilMs: NOW_MS + 3_600_000, status: { heldNodes: [], conditions: [active("False")] } };
    expect(stepsOf(lost().disarm("work", over).decide(), "OpenFencing")).toHaveLength(1);
  });

  it("is undone by a person who moves it", () => {
    const moved = { generation: 2, status: { heldNodes: [], conditions: [active("False", 1)] } };
    const plan = lost().disarm("work", moved).decide();
    expect(stepsOf(plan, "OpenFencing")).toEqual([]);
    expect(told(plan)).toContain("FencingDisarm/work FencingDisarmed");
  });
});
