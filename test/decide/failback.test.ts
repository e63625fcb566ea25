import { describe, expect, it } from "vitest";
import type { FailbackRule } from "../../src/model/protection.ts";
import {
  type Cluster,
  lostWith,
  NOW,
  NOW_MS,
  statusOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const DELAY_MS = 300_000;
const AUTOMATIC: FailbackRule = { policy: "Automatic", delayMs: DELAY_MS, nodeSelector: {} };
const TO_SSD: FailbackRule = { ...AUTOMATIC, nodeSelector: { disk: "ssd" } };
const FROM_N1 = { node: "n1", cause: "Failover" as const, since: NOW };

/** The VM runs on n2 and was displaced from n1. */
const away = (words: VMWords = {}, cluster = threeNodes()): Cluster => {
  const { protection, ...rest } = words;
  return cluster.vm("a", {
    on: "n2",
    ...rest,
    protection: {
      failback: AUTOMATIC,
      ...protection,
      status: { displacedFrom: FROM_N1, ...protection?.status },
    },
  });
};
const goesTo = (cluster: Cluster) =>
  stepsOf(cluster.decide(), "CreateMigration").map((step) => [step.purpose, step.targetSelector]);
const HOME = [["Failback", { "kubernetes.io/hostname": "n1" }]];

describe("going home", () => {
  it("is a live migration to the node the VM was displaced from", () => {
    expect(goesTo(away())).toEqual(HOME);
  });

  it("waits until home has been fit for the delay, and looks again then", () => {
    const cluster = away({}, threeNodes().node("n1", { placementAgeMs: DELAY_MS - 1_000 }));
    expect(goesTo(cluster)).toEqual([]);
    cluster.leases.clear();
    expect(cluster.decide().lookAgainAtMs).toBe(NOW_MS + 1_000);
    expect(goesTo(away({}, threeNodes().node("n1", { placementAgeMs: DELAY_MS })))).toEqual(HOME);
  });

  it.each<[string, Parameters<Cluster["node"]>[1]]>([
    ["lost", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 }],
    ["not Ready", { ready: "False" }],
    ["cordoned", { cordoned: true }],
    ["out of service", { outOfService: true }],
    ["not schedulable by virt-handler's word", { labels: { "kubevirt.io/schedulable": "false" } }],
  ])("waits while home is %s", (_what, words) => {
    expect(goesTo(away({}, threeNodes().node("n1", words)))).toEqual([]);
  });

  it("waits while home does not satisfy what the VM asks for", () => {
    const constraints = { key: "gpu", nodeSelector: { gpu: "yes" }, affinityTerms: [], tolerations: [] };
    expect(goesTo(away({ constraints }))).toEqual([]);
  });

  it("never happens with policy Never", () => {
    expect(goesTo(away({ protection: { failback: { ...AUTOMATIC, policy: "Never" } } }))).toEqual([]);
  });

  it("never happens for a VM that has not been displaced", () => {
    expect(goesTo(threeNodes().vm("a", { on: "n2", protection: { failback: AUTOMATIC } }))).toEqual([]);
  });

  it.each<[string, VMWords]>([
    ["it is not Ready", { vmi: { ready: false } }],
    ["it is not running", { vmi: { phase: "Scheduled" } }],
    ["it is going down", { vmi: { deleting: true } }],
    ["KubeVirt cannot migrate it", { vmi: { liveMigratable: { status: false, reason: "R", message: "m" } } }],
    ["somebody drains it", { vmi: { evacuationNodeName: "n2" } }],
    ["its failover is not over", { protection: { status: { failover: lostWith("a", "n2") } } }],
    ["its HAVirtualMachine is being deleted", { protection: { deleting: true } }],
  ])("waits while %s", (_what, words) => {
    expect(goesTo(away(words))).toEqual([]);
  });

  it("waits while another migration of it is under way", () => {
    expect(goesTo(away().migration("a", { purpose: undefined }))).toEqual([]);
    expect(goesTo(away().migration("a", { purpose: "Failback" }))).toEqual([]);
  });

  it("pauses after a failure, longer each time", () => {
    const failed = { purpose: "Failback" as const, finished: true };
    expect(goesTo(away().migration("a", { ...failed, finishedAtMs: NOW_MS - 4_000 }))).toEqual([]);
    expect(goesTo(away().migration("a", { ...failed, finishedAtMs: NOW_MS - 5_000 }))).toEqual(HOME);
  });

  it("takes slots after evacuations, and the important VM first", () => {
    const cluster = threeNodes().node("n4", { cordoned: true });
    for (const name of ["e1", "e2"]) cluster.vm(name, { on: "n4" });
    const status = { displacedFrom: FROM_N1 };
    for (const [name, priority] of [
      ["low", 1],
      ["top", 900],
    ] as const)
      cluster.vm(name, { on: "n2", protection: { failback: AUTOMATIC, priority, status } });
    const plan = cluster.decide({ maxConcurrentMigrations: 3 });
    expect(stepsOf(plan, "CreateMigration").map((step) => step.vmKey)).toEqual(["ns/e1", "ns/e2", "ns/top"]);
  });

  it("goes nowhere where home is a node that is gone", () => {
    const cluster = away();
    cluster.nodes.delete("n1");
    expect(goesTo(cluster)).toEqual([]);
  });
});

describe("home by labels", () => {
  const ssd = (...names: string[]): Cluster => {
    const cluster = threeNodes();
    for (const name of names) cluster.node(name, { labels: { disk: "ssd" } });
    return cluster;
  };

  it("is any fit node that has them", () => {
    expect(goesTo(away({ protection: { failback: TO_SSD } }, ssd("n3")))).toEqual([
      ["Failback", { disk: "ssd" }],
    ]);
  });

  it("is nowhere where no node has them", () => {
    expect(goesTo(away({ protection: { failback: TO_SSD } }))).toEqual([]);
  });

  it("is where the VM is already, whichever node it came from", () => {
    const cluster = away({ protection: { failback: TO_SSD } }, ssd("n2", "n3"));
    expect(goesTo(cluster)).toEqual([]);
    expect(statusOf(cluster.decide(), "a").displacedFrom).toBeUndefined();
  });
});

describe("what a status remembers of home", () => {
  const displacedFrom = (world: LiveWorld) => world.cluster.protections.get("ns/a")?.status.displacedFrom;

  it("is cleared on arrival", () => {
    const world = new LiveWorld(away());
    world.settle();
    expect(displacedFrom(world)).toEqual(FROM_N1);
    world.vmi("ns/a", { nodeName: "n1" }).settle();
    expect(displacedFrom(world)).toBeUndefined();
  });

  it("is where the VM was when nothing was wrong, not where it was displaced from last", () => {
    const world = new LiveWorld(away());
    world.settle();
    world.cluster.node("n2", { cordoned: true });
    world.cluster.migration("a");
    world.pass(1_000).adopt("migrations", "ns/migration-0").settle();
    world.vmi("ns/a", { nodeName: "n3" }).settle();
    expect(displacedFrom(world)).toEqual(FROM_N1);
  });

  it("is not kept where the policy is Never", () => {
    const world = new LiveWorld(away({ protection: { failback: { ...AUTOMATIC, policy: "Never" } } }));
    world.settle();
    expect(displacedFrom(world)).toBeUndefined();
  });
});
