import { describe, expect, it } from "vitest";
import { type Cluster, NOW, stepsOf, threeNodes } from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const inCharge = (cluster: Cluster): string | undefined =>
  stepsOf(
    cluster
      .node("n1", { ...LOST, labels: { rack: "a" } })
      .vm("v", { on: "n1" })
      .decide(),
    "OpenFencing",
  )[0]?.topology;
const statuses = (cluster: Cluster) =>
  new Map(
    stepsOf(cluster.decide(), "WriteSummary").map((step) => [
      step.name,
      step.status as Record<string, unknown>,
    ]),
  );

describe("the topology in charge of a node", () => {
  it("is the one with the highest precedence of those that select it", () => {
    const cluster = threeNodes().topology("high", { precedence: 10 });
    cluster.topology("higher", { precedence: 20, nodeSelector: { matchLabels: { rack: "b" } } });
    expect(inCharge(cluster)).toBe("high");
  });

  it("is the first by name among equals", () => {
    expect(inCharge(threeNodes().topology("a-first").topology("z-last"))).toBe("a-first");
  });

  it("follows the node's labels", () => {
    const cluster = threeNodes();
    cluster.topologies.clear();
    cluster.topology("rack-a", {
      nodeSelector: { matchExpressions: [{ key: "rack", operator: "In", values: ["a"] }] },
    });
    expect(inCharge(cluster)).toBe("rack-a");
  });
});

describe("the status of a topology", () => {
  it("says how many nodes it covers", () => {
    const covered = statuses(threeNodes().topology("bmc", { generation: 2 })).get("bmc");
    expect(covered).toMatchObject({
      observedGeneration: 2,
      coveredNodes: 3,
      conditions: [{ type: "Accepted", status: "True", reason: "Covered", lastTransitionTime: NOW }],
    });
  });

  it("says that it covers no node because another of higher precedence does", () => {
    const cluster = threeNodes().topology("zero", { precedence: -1 });
    expect(statuses(cluster).get("zero")).toMatchObject({
      coveredNodes: 0,
      conditions: [{ status: "False", reason: "CoversNoNode" }],
    });
  });

  it("is written once and then only when it says something new", () => {
    const world = new LiveWorld(threeNodes());
    world.settle();
    expect(stepsOf(world.pass(10_000).turn(), "WriteSummary")).toEqual([]);
    world.cluster.node("n4");
    expect(stepsOf(world.turn(), "WriteSummary")).toMatchObject([{ status: { coveredNodes: 4 } }]);
  });
});
