import { describe, expect, it } from "vitest";
import type { NodeLeaseFact } from "../../src/model/node.ts";
import { STORAGE_CLIENTS_ANNOTATION } from "../../src/model/storage-clients.ts";
import type { World } from "../../src/observe/world.ts";
import { readinessTargets } from "../../src/run/readiness-targets.ts";
import { type Cluster, threeNodes } from "../decide/builder.ts";

/** As much of a world as the targets are chosen by. */
function worldOf({ nodes, topologies, fencings, leases }: Cluster): World {
  const reflectors = {
    nodes: { store: nodes },
    topologies: { store: topologies },
    fencings: { store: fencings },
  };
  return { reflectors, leaseOf: (name: string) => leases.get(name) } as unknown as World;
}

function targetsOf(cluster: Cluster): readonly string[] {
  return [...readinessTargets(worldOf(cluster), cluster.decide()).keys()];
}

function heardFirst(lease: NodeLeaseFact | undefined): NodeLeaseFact {
  if (lease === undefined) throw new Error("n1 has a Lease");
  return { ...lease, renewal: { ...lease.renewal, firstSight: true } };
}

describe("the nodes whose fence devices are checked", () => {
  it("are those that are healthy, covered, and under no fencing", () => {
    const cluster = threeNodes();
    expect(targetsOf(cluster)).toEqual(["n1", "n2", "n3"]);
    cluster.node("n1", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 }).fencing("n2");
    expect(targetsOf(cluster)).toEqual(["n3"]);
  });

  it("are not those that we have not heard ourselves yet: their storage addresses are not on record before", () => {
    const cluster = threeNodes();
    cluster.leases.set("n1", heardFirst(cluster.leases.get("n1")));
    expect(targetsOf(cluster)).toEqual(["n2", "n3"]);
  });

  it("are checked at once when their storage addresses come on record", () => {
    const cluster = threeNodes();
    const ruleOf = () => readinessTargets(worldOf(cluster), cluster.decide()).get("n1")?.rule;
    const before = ruleOf();
    expect(ruleOf()).toBe(before);
    cluster.node("n1", { annotations: { [STORAGE_CLIENTS_ANNOTATION]: "{}" } });
    expect(ruleOf()).not.toBe(before);
  });
});
