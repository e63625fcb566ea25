import { describe, expect, it } from "vitest";
import { stormLimit } from "../../src/decide/storm.ts";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import type { AttemptOutcome } from "../../src/model/fencing.ts";
import { attempt, Cluster, NOW_MS, refusalsOf, stepsOf } from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const ISOLATED = { leaseSilentMs: 60_000, heartbeatSilentMs: 20_000 };

/** `total` nodes; a VM on n0, which is lost with an open fencing. */
const cluster = (total: number): Cluster => {
  const built = new Cluster().topology();
  for (let i = 0; i < total; i++) built.node(`n${i}`);
  return built.node("n0", LOST).vm("a", { on: "n0" }).fencing("n0");
};
const shoots = (built: Cluster, stormMaxLost: DecisionPolicy["stormMaxLost"]): boolean | undefined => {
  const plan = built.decide({ stormMaxLost });
  const [step] = stepsOf(plan, "Fence");
  expect(refusalsOf(plan, "node/n0").includes("StormHold")).toBe(step?.mayPowerOff === false);
  return step?.mayPowerOff;
};

/** `cluster(3)` with n1 fenced so long ago, and not back. */
function shot(words: { agoMs: number; outcome?: AttemptOutcome; bootID?: string }): Cluster {
  const { agoMs, outcome = "PoweredOff", bootID } = words;
  const status = { phase: "Released" as const, attempts: [attempt({ outcome })] };
  const proof = {
    type: "PowerOff" as const,
    bootID: "boot-n1-1",
    observedAt: "2026-11-22T11:59:00.000Z",
    detail: "",
    attempt: 1,
  };
  return cluster(3)
    .node("n1", bootID === undefined ? LOST : { bootID })
    .fenced("n1", { ...status, proof }, { provenAtMs: NOW_MS - agoMs });
}

describe("a storm", () => {
  it.each([
    [{ percent: 20 }, 10, 2],
    [{ percent: 20 }, 14, 2],
    [{ percent: 20 }, 15, 3],
    [{ percent: 20 }, 3, 1],
    [{ percent: 0 }, 100, 1],
    [{ count: 5 }, 3, 5],
    [{ count: 0 }, 100, 1],
  ])("is more than %j of %i nodes: more than %i", (limit, nodes, expected) => {
    expect(stormLimit(limit, nodes)).toBe(expected);
  });

  it("holds the power when more are lost than that, and not when as many are", () => {
    expect(shoots(cluster(10).node("n1", LOST), { percent: 20 })).toBe(true);
    expect(shoots(cluster(10).node("n1", LOST).node("n2", LOST), { percent: 20 })).toBe(false);
    expect(shoots(cluster(10).node("n1", LOST).node("n2", LOST), { count: 3 })).toBe(true);
  });

  it("is not over for the last node the moment the others are heard: its own first Lease may be under way", () => {
    const back = (leaseSilentMs: number, leasePeriodMs: number) =>
      cluster(10)
        .node("n1", { leaseSilentMs, leasePeriodMs })
        .node("n2", { leaseSilentMs, leasePeriodMs })
        .fencing("n1")
        .fencing("n2");
    expect(shoots(back(50, 300_000), { percent: 20 })).toBe(false);
    expect(shoots(back(50, 10_000), { percent: 20 })).toBe(true);
  });

  it("counts isolated nodes as well: half a network is more likely broken than two halves of two nodes", () => {
    expect(shoots(cluster(10).node("n1", ISOLATED).node("n2", ISOLATED), { percent: 20 })).toBe(false);
  });

  it("counts late nodes, since nodes that fell silent together are lost one after the other", () => {
    const late = cluster(3).node("n1", { leaseSilentMs: 15_000 });
    expect(shoots(late, { count: 1 })).toBe(false);
    expect(shoots(late.node("n1"), { count: 1 })).toBe(true);
  });

  it("is none while nodes are late and none is lost", () => {
    const built = new Cluster()
      .topology()
      .node("n0", { leaseSilentMs: 15_000 })
      .node("n1", { leaseSilentMs: 15_000 });
    expect(built.decide({ stormMaxLost: { count: 1 } }).refusals).toEqual([]);
  });

  it.each([
    ["counts a node that we powered off a moment ago", shot({ agoMs: 1_000 }), false],
    ["not one that we powered off long ago", shot({ agoMs: 300_000 }), true],
    ["not one that was off by itself", shot({ agoMs: 1_000, outcome: "AlreadyOff" }), true],
    ["not one that is on its way back", shot({ agoMs: 1_000, bootID: "2" }), true],
  ])("%s", (_what, built, expected) => {
    expect(shoots(built, { count: 1 })).toBe(expected);
  });

  it.each([
    ["a cordoned node without VMs, which somebody took away for repair", { ...LOST, cordoned: true }, true],
    ["one without VMs that somebody called out of service", { ...LOST, outOfService: "nodeshutdown" }, true],
    ["one without VMs that never had a kubelet", { ...LOST, bootID: undefined }, true],
    ["one without VMs that has been silent for ten minutes", { ...LOST, leaseSilentMs: 600_000 }, true],
    ["but a node without VMs that nobody has cordoned counts", LOST, false],
  ])("does not count %s", (_what, words, expected) => {
    expect(shoots(cluster(3).node("n1", words), { percent: 20 })).toBe(expected);
  });

  it("counts a cordoned node while VMs are on it", () => {
    const built = cluster(3)
      .node("n1", { ...LOST, cordoned: true })
      .vm("b", { on: "n1", unprotected: true });
    expect(shoots(built, { percent: 20 })).toBe(false);
  });

  it("does not count a node that was lost ten minutes before, its BMC with it, whatever VMs are on it", () => {
    const lost = { leaseSilentMs: 660_000, heartbeatSilentMs: 700_000 };
    const built = cluster(3).node("n1", lost).vm("b", { on: "n1" }).fencing("n1");
    expect(shoots(built, { percent: 20 })).toBe(true);
    expect(shoots(built.node("n1", { ...lost, leaseSilentMs: 659_000 }), { percent: 20 })).toBe(false);
  });

  it.each<[string, number, number, boolean]>([
    ["within ten minutes", 900_000, 1_400_000, false],
    ["further apart", 900_000, 1_500_000, true],
  ])("counts nodes that were lost together, however long ago: %s", (_what, one, other, expected) => {
    const lost = (leaseSilentMs: number) => ({ leaseSilentMs, heartbeatSilentMs: leaseSilentMs + 60_000 });
    const built = cluster(3).node("n1", lost(one)).node("n2", lost(other));
    for (const name of ["n1", "n2"]) built.vm(`on-${name}`, { on: name });
    expect(shoots(built, { percent: 20 })).toBe(expected);
  });

  it("takes spare nodes that were switched off for nobody's company", () => {
    const off = { leaseSilentMs: 900_000, heartbeatSilentMs: 960_000 };
    const built = cluster(10).node("n1", off).vm("b", { on: "n1" }).fencing("n1").node("n2", LOST);
    for (const spare of ["n3", "n4", "n5"]) built.node(spare, off);
    expect(shoots(built, { percent: 20 })).toBe(true);
    for (const spare of ["n3", "n4", "n5"]) built.vm(`on-${spare}`, { on: spare });
    expect(shoots(built, { percent: 20 })).toBe(false);
  });

  it("goes on for a rack whose network is away for hours", () => {
    const built = new Cluster().topology();
    for (let i = 0; i < 10; i += 1)
      built.node(`n${i}`, i < 5 ? { leaseSilentMs: 9_000_000, heartbeatSilentMs: 9_000_000 } : {});
    for (let i = 0; i < 5; i += 1) built.vm(`vm-${i}`, { on: `n${i}` });
    expect(shoots(built.fencing("n0"), { percent: 20 })).toBe(false);
  });

  it("counts a node without VMs that was cordoned only while we were fencing it", () => {
    const built = cluster(3)
      .node("n1", { ...LOST, cordoned: true })
      .fencing("n1");
    expect(shoots(built, { percent: 20 })).toBe(false);
  });

  it("is looked at again when the silence of a node without VMs has become a long one", () => {
    const plan = cluster(3)
      .node("n1", { ...LOST, leaseSilentMs: 599_000 })
      .decide({ stormMaxLost: { count: 1 } });
    expect(plan.lookAgainAtMs).toBe(NOW_MS + 1_000);
  });

  describe("tells what the silent nodes have in common:", () => {
    const zone = (value: string, words = {}) => ({
      ...words,
      labels: { "topology.kubernetes.io/zone": value },
    });
    const said = (built: Cluster, policy: Partial<DecisionPolicy> = {}): string =>
      built.decide(policy).refusals.find(({ reason }) => reason === "StormHold")?.message ?? "";
    const rack = (): Cluster => {
      const built = cluster(10);
      for (const name of ["n0", "n1", "n2"]) built.node(name, zone("rack-a", LOST));
      for (const name of ["n3", "n4"]) built.node(name, zone("rack-a"));
      return built.node("n5", zone("rack-b"));
    };

    it("the failure domain, with how many nodes are there", () => {
      expect(said(rack())).toContain("all 3 are in topology.kubernetes.io/zone=rack-a, which has 5 nodes");
    });

    it("the label that the settings name", () => {
      const built = cluster(10);
      for (const name of ["n0", "n1", "n2"])
        built.node(name, { ...LOST, labels: { "example.com/rack": "7" } });
      expect(said(built, { failureDomainLabel: "example.com/rack" })).toContain(
        "all 3 are in example.com/rack=7",
      );
      expect(said(built)).not.toContain("all 3");
    });

    it("nothing where they are in several domains, or one is in none", () => {
      expect(said(rack().node("n5", zone("rack-b", LOST)))).not.toContain("which has");
      expect(said(rack().node("n6", { leaseSilentMs: 15_000 }))).not.toContain("which has");
    });

    it("that not one node is heard, so that it is more likely us", () => {
      const built = cluster(4);
      for (const name of ["n1", "n2", "n3"]) built.node(name, LOST);
      expect(said(built)).toContain(
        "not one node is heard, so it is more likely our own connection, or the API server",
      );
    });
  });

  describe("of nodes without power", () => {
    /** Thirty of forty nodes lost, a VM on each, the later the more important. */
    const blackout = (): Cluster => {
      const built = new Cluster().topology();
      for (let i = 0; i < 40; i++) {
        const name = `n${String(i).padStart(2, "0")}`;
        built.node(name, i < 30 ? LOST : {});
        if (i < 30) built.vm(`vm-${name}`, { on: name, protection: { priority: i } });
      }
      return built;
    };

    it("has the power states of all of them read, those with the most important VMs first", () => {
      const opened = stepsOf(blackout().decide(), "OpenFencing").map((step) => step.node);
      expect(opened).toHaveLength(30);
      expect(opened.slice(0, 3)).toEqual(["n29", "n28", "n27"]);
      const built = blackout();
      for (let i = 0; i < 30; i++) built.fencing(`n${String(i).padStart(2, "0")}`);
      const looks = stepsOf(built.decide(), "Fence");
      expect(looks).toHaveLength(30);
      expect(looks.filter((step) => step.mayPowerOff)).toEqual([]);
      expect(looks[0]?.fencing.nodeName).toBe("n29");
    });

    it("lets the VMs of those that are provably off go in order of their priority, across nodes", () => {
      const built = blackout();
      for (const name of ["n03", "n17", "n25"])
        built
          .node(name, { leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true })
          .fenced(name, { attempts: [attempt({ outcome: "AlreadyOff" })] });
      const released = stepsOf(built.decide(), "Release").map((step) => step.vmKey);
      expect(released).toEqual(["ns/vm-n25", "ns/vm-n17", "ns/vm-n03"]);
    });

    it("shoots no more at once than allowed when it is over, the most important first", () => {
      const built = blackout();
      for (let i = 0; i < 30; i++) built.fencing(`n${String(i).padStart(2, "0")}`);
      const plan = built.decide({ stormMaxLost: { count: 30 } });
      const shots = stepsOf(plan, "Fence").filter((step) => step.mayPowerOff);
      expect(shots.map((step) => step.fencing.nodeName)).toEqual(["n29", "n28", "n27"]);
      expect(refusalsOf(plan, "node/n00")).toEqual(["TooManyFencings"]);
    });
  });

  it("is over when enough have been proven or heard, and then the next step may shoot", () => {
    const built = cluster(10).node("n1", LOST).node("n2", LOST);
    expect(shoots(built, { percent: 20 })).toBe(false);
    expect(shoots(built.node("n1"), { percent: 20 })).toBe(true);
  });
});
