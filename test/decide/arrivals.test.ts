// A node dies while a VM arrives there: by live migration, in each state that KubeVirt's word can be in, or starting. The VM
// must run on, or be recovered once the node is proven off; VMI.status.nodeName alone does not tell.
import { describe, expect, it } from "vitest";
import {
  type Cluster,
  lostWith,
  NOW,
  outage,
  refusalsOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 300_000 };
const TO_N2 = { uid: "m", sourceNode: "n1", targetNode: "n2", targetReady: false, ended: false };

interface Arrival {
  readonly vmi: VMWords["vmi"];
  /** Its launcher on the source; "ended" where the kubelet there has said so. */
  readonly source?: "runs" | "ended" | "gone";
  readonly words?: VMWords;
}

/** A VM of n1 on its way to n2, which holds nothing else. */
const arriving = ({ vmi, source = "runs", words = {} }: Arrival, cluster = threeNodes()): Cluster => {
  cluster.vm("a", { on: "n1", podGone: true, ...words, vmi: vmi ?? {} });
  if (source !== "gone") cluster.pod("a", { name: "source", nodeName: "n1", finished: source === "ended" });
  return cluster.pod("a", { name: "target", nodeName: "n2" });
};

const SWITCHED: Arrival = { vmi: { ready: false, migration: TO_N2 }, source: "ended" };
const TARGET_SPOKE: Arrival = { vmi: { migration: { ...TO_N2, targetReady: true } } };

/** What a turn does where the target is silent: is it fenced, and is the VM's loss on record. */
const concluded = (arrival: Arrival): { fenced: boolean; recorded: string | undefined } => {
  const plan = arriving(arrival).node("n2", LOST).decide();
  const write = stepsOf(plan, "WriteProtection").find((step) => step.protection.name === "a");
  return {
    fenced: stepsOf(plan, "OpenFencing").some((step) => step.node === "n2"),
    recorded: write?.status.failover?.fromNode,
  };
};

const released = (cluster: Cluster): string[] =>
  stepsOf(cluster.decide(), "Release").flatMap((step) => step.pods.map((pod) => pod.name));

describe("the target of a live migration dies", () => {
  it.each<[string, Arrival, { fenced: boolean; recorded: string | undefined }]>([
    [
      "while the memory is copied: the VM runs on at its source, and the target is fenced to free it",
      { vmi: { migration: TO_N2 } },
      { fenced: true, recorded: undefined },
    ],
    ["after its word that the guest runs there", TARGET_SPOKE, { fenced: true, recorded: "n2" }],
    [
      "after the switch and before any word: the source's launcher has ended",
      SWITCHED,
      { fenced: true, recorded: "n2" },
    ],
    [
      "after the switch, and the source's launcher is cleared away",
      { ...SWITCHED, source: "gone" },
      { fenced: true, recorded: "n2" },
    ],
    [
      "after the hand-over of the VMI and before the migration is said to be complete",
      { vmi: { nodeName: "n2", migration: { ...TO_N2, targetReady: true } } },
      { fenced: true, recorded: "n2" },
    ],
    [
      "after the migration is complete",
      { vmi: { nodeName: "n2", migration: { ...TO_N2, targetReady: true, ended: true } }, source: "ended" },
      { fenced: true, recorded: "n2" },
    ],
    [
      "and its source calls the VMI failed: KubeVirt waits for the target's pod",
      { vmi: { phase: "Failed", ready: false, migration: { ...TO_N2, ended: true } }, source: "ended" },
      { fenced: true, recorded: "n2" },
    ],
    [
      "and the migration has failed for that: nothing of the VM is lost",
      { vmi: { migration: { ...TO_N2, ended: true } } },
      { fenced: false, recorded: undefined },
    ],
    [
      "and the VM was halted meanwhile",
      { ...SWITCHED, words: { runStrategy: "Halted" } },
      { fenced: false, recorded: undefined },
    ],
    [
      "and this is somebody else's failover to do",
      { ...SWITCHED, words: { unprotected: true } },
      { fenced: false, recorded: undefined },
    ],
  ])("%s", (_what, arrival, expected) => {
    expect(concluded(arrival)).toEqual(expected);
  });

  it("is fenced for a VM that was just starting there, whose VMI names no node yet; nothing is lost that ran", () => {
    const starting = { phase: "Scheduling", nodeName: undefined, ready: false } as const;
    expect(concluded({ vmi: starting, source: "gone" })).toEqual({ fenced: true, recorded: undefined });
  });

  it("is not fenced while it may be healthy", () => {
    const plan = arriving(SWITCHED).decide();
    expect(stepsOf(plan, "OpenFencing")).toEqual([]);
  });

  it.each([
    ["the VM at its source", { vmi: { migration: TO_N2 } }],
    ["a guest that had switched", SWITCHED],
    ["a VMI that names the target", { vmi: { nodeName: "n2", migration: TO_N2 } }],
  ])("lets the target's pod go once it is proven off, and nothing before: %s", (_what, arrival: Arrival) => {
    const dead = arriving(arrival).node("n2", { ...LOST, outOfService: true });
    expect(released(dead)).toEqual([]);
    expect(released(dead.fenced("n2"))).toEqual(["target"]);
  });

  it("keeps to the restart limit where letting go means to restart, and not where the VM runs on", () => {
    const protection = { status: { outages: [outage(1), outage(2), outage(3)] } };
    const dead = (arrival: Arrival): Cluster =>
      arriving({ ...arrival, words: { protection } })
        .node("n2", { ...LOST, outOfService: true })
        .fenced("n2");
    expect(released(dead(SWITCHED))).toEqual([]);
    expect(refusalsOf(dead(SWITCHED).decide(), "vm/ns/a")).toContain("RestartLimitReached");
    expect(released(dead({ vmi: { migration: TO_N2 } }))).toEqual(["target"]);
  });
});

describe("the failover of a guest that died where it had just arrived", () => {
  const silent = ["n2"];
  /** Its target has been silent for a while; the loss is on record. */
  const recorded = (arrival: Arrival): LiveWorld => {
    const world = new LiveWorld(arriving(arrival));
    world.settle();
    world.pass(23_000, silent).settle();
    world.statusWrites.clear();
    return world;
  };
  const statusOfA = (world: LiveWorld) => world.cluster.protections.get("ns/a")?.status;
  const prove = (world: LiveWorld): LiveWorld => {
    const [name, fencing] = [...world.cluster.fencings][0] ?? [];
    if (name === undefined || fencing === undefined) throw new Error("no fencing was opened");
    const proof = { type: "PowerOff" as const, bootID: "boot-n2-1", observedAt: NOW, detail: "off" };
    world.cluster.node("n2", { ...LOST, outOfService: true });
    return world.fencing(name, {
      status: { ...fencing.status, phase: "Fenced", proof },
      provenAtMs: world.nowMs,
    });
  };

  it.each([
    ["the source's launcher has ended", SWITCHED],
    ["the target had told of it", TARGET_SPOKE],
  ])("stands until the VM is up elsewhere, and is one outage: %s", (_how, arrival) => {
    const world = recorded(arrival);
    expect(statusOfA(world)?.failover).toMatchObject({ fromNode: "n2", vmiUID: "vmi-a-1" });
    for (let i = 0; i < 3; i++) world.pass(2_000, silent).settle();
    expect(stepsOf(prove(world).pass(100, silent).turn(), "Release")).toMatchObject([{ vmKey: "ns/a" }]);
    world.pod("ns/target", undefined).settle();
    // KubeVirt gives the migration up, and the source's virt-handler finds no guest there.
    const given = { ...TO_N2, targetReady: arrival === TARGET_SPOKE, ended: true };
    world.pass(100, silent).vmi("ns/a", { migration: given }).settle();
    world.pod("ns/source", { finished: true });
    world.pass(100, silent).vmi("ns/a", { phase: "Failed", ready: false }).settle();
    expect(world.statusWrites.size).toBe(0);
    world
      .pod("ns/source", undefined)
      .newVMI("ns/a", { uid: "vmi-a-2", phase: "Running", nodeName: "n3", ready: true });
    world.pass(100, silent).settle();
    expect(world.statusWrites.get("a")).toBe(1);
    expect(statusOfA(world)?.failover).toBeUndefined();
    expect(statusOfA(world)?.outages).toMatchObject([{ cause: "NodeLost", fromNode: "n2", toNode: "n3" }]);
  });

  it("ends without an outage where the target was alive all along and takes the VM over", () => {
    const world = recorded(TARGET_SPOKE);
    const [name, fencing] = [...world.cluster.fencings][0] ?? [];
    if (name === undefined || fencing === undefined) throw new Error("no fencing was opened");
    world.fencing(name, { status: { ...fencing.status, phase: "Aborted" } });
    world.vmi("ns/a", { nodeName: "n2", ready: true }).pass(1_000).settle();
    expect(statusOfA(world)?.failover).toBeUndefined();
    expect(statusOfA(world)?.outages).toEqual([]);
  });

  it("goes from the source to the target where both die: KubeVirt waits for the pods of both", () => {
    const status = { failover: lostWith("a", "n1") };
    const failed = { phase: "Failed", ready: false, migration: TO_N2 } as const;
    const cluster = arriving({ vmi: failed, source: "gone", words: { protection: { status } } });
    cluster
      .node("n1", { ...LOST, outOfService: true })
      .fenced("n1")
      .node("n2", LOST);
    const plan = cluster.decide({ maxConcurrentFencings: 3 });
    expect(stepsOf(plan, "OpenFencing")).toMatchObject([{ node: "n2" }]);
    const write = stepsOf(plan, "WriteProtection")[0];
    expect(write?.status.failover).toMatchObject({ fromNode: "n2", lostAt: status.failover.lostAt });
  });

  it.each([
    ["Manual", "StartVM"],
    ["Once", "DeleteVMI"],
  ] as const)("starts a VM of run strategy %s again, after the proof and not before", (strategy, step) => {
    const status = { failover: lostWith("a", "n2") };
    const failover = {
      enabled: true,
      restartOnce: true,
      startManual: true,
      maxRestarts: 3,
      restartWindowMs: 1,
    };
    const failed = { phase: "Failed", ready: false, migration: { ...TO_N2, ended: true } } as const;
    const words: VMWords = { runStrategy: strategy, protection: { status, failover } };
    const cluster = arriving({ vmi: failed, source: "ended", words }).node("n2", LOST).fencing("n2");
    expect(stepsOf(cluster.decide(), step)).toEqual([]);
    expect(stepsOf(cluster.fenced("n2").decide(), step)).toHaveLength(1);
  });
});
