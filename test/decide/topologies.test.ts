import { describe, expect, it } from "vitest";
import { type Cluster, NOW, stepsOf, threeNodes, level, readiness } from "./builder.ts";
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
      conditions: [
        { type: "Accepted", status: "True", reason: "Covered", lastTransitionTime: NOW },
        { type: "Ready", status: "Unknown", reason: "FencingUnchecked" },
      ],
    });
  });

  it("says that every level could fence every node, once all living ones are checked", () => {
    const checked = { fencing: [readiness(true)] };
    const cluster = threeNodes().node("n1", checked).node("n2", checked).node("n3", checked);
    expect(statuses(cluster).get("bmc")).toMatchObject({
      readyNodes: 3,
      conditions: [{ type: "Accepted" }, { type: "Ready", status: "True", reason: "FencingReady" }],
    });
  });

  it("counts the nodes that could not be fenced now, names the first ten, and tells those in part apart", () => {
    const cluster = threeNodes();
    cluster.topologies.clear();
    cluster.topology("bmc", { levels: [level("bmc"), level("pdu")] });
    for (let i = 1; i <= 14; i++) {
      cluster.node(`n${String(i).padStart(2, "0")}`, {
        fencing: [readiness(false), readiness(i > 12, "pdu")],
      });
    }
    const conditions = statuses(cluster).get("bmc")?.["conditions"] as readonly { message: string }[];
    const [, ready] = conditions;
    expect(ready).toMatchObject({ type: "Ready", status: "False", reason: "FencingNotReady" });
    expect(ready?.message).toMatch(
      /^12 nodes could not be fenced now, 2 only by some of the levels: n01 \(bmc: DeviceDenied, pdu: DeviceDenied\), /,
    );
    expect(ready?.message).toMatch(/n10 [^;]*, and 4 more;/);
  });

  it("waits for no node that is not alive to be checked", () => {
    const checked = { fencing: [readiness(true)] };
    const cluster = threeNodes().node("n1", checked).node("n2", checked);
    cluster.node("n3", { leaseSilentMs: 900_000, heartbeatSilentMs: 900_000 });
    expect(statuses(cluster).get("bmc")).toMatchObject({ coveredNodes: 3, readyNodes: 2 });
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
