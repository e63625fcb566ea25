import { describe, expect, it } from "vitest";
import type { Plan } from "../../src/model/plan.ts";
import { DEFAULT_KUBEVIRT_CONFIG } from "../../src/model/virtual-machine.ts";
import {
  type Cluster,
  conditionOf,
  effectsOf,
  lostWith,
  NOW,
  NOW_MS,
  NOW_WALL_MS,
  refusalsOf,
  statusOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const OR_RESTART = { strategy: "LiveMigrateOrRestart" as const, targetSelector: {}, timeoutMs: 900_000 };
const NOT_MIGRATABLE = { status: false, reason: "DisksNotLiveMigratable", message: "PVC is not shared" };

const cordoned = (): Cluster => threeNodes().node("n1", { cordoned: true });
const created = (plan: Plan): string[] =>
  stepsOf(plan, "CreateMigration").map((step) => step.vmKey.replace("ns/", ""));
const nameOf = (cluster: Cluster): string | undefined =>
  stepsOf(cluster.decide(), "CreateMigration")[0]?.name;
const many = (cluster: Cluster, count: number, on = "n1"): Cluster => {
  for (let i = 0; i < count; i++) cluster.vm(`${on}-vm-${i}`, { on });
  return cluster;
};

describe("a cordoned node", () => {
  it("is emptied by live migration, the important VM first", () => {
    const cluster = cordoned()
      .vm("low", { on: "n1", protection: { priority: 1 } })
      .vm("top", { on: "n1", protection: { priority: 900 } })
      .vm("mid", { on: "n1" });
    const plan = cluster.decide();
    expect(created(plan)).toEqual(["top", "mid"]);
    expect(refusalsOf(plan, "vm/ns/low")).toEqual(["WaitingForMigrationSlot"]);
  });

  it("asks for the target that the policy wants, and for KubeVirt to give up soon where there is none", () => {
    const evacuation = { strategy: "LiveMigrate" as const, targetSelector: { rack: "b" }, timeoutMs: 1 };
    const plan = cordoned().vm("a", { on: "n1", protection: { evacuation } }).decide();
    expect(effectsOf(plan)).toMatchObject([
      {
        kind: "CreateMigration",
        vmKey: "ns/a",
        vmiUID: "vmi-a-1",
        purpose: "Evacuation",
        targetSelector: { rack: "b" },
        unschedulableTimeoutSeconds: 60,
        events: [{ reason: "MigrationStarted", about: { kind: "VirtualMachine", name: "a" } }],
      },
    ]);
  });

  it("leaves alone what is not in our care", () => {
    expect(effectsOf(cordoned().vm("a", { on: "n1", unprotected: true }).decide())).toEqual([]);
  });

  it.each<[string, Parameters<Cluster["node"]>[1], string[]]>([
    ["is not cordoned", {}, []],
    ["is healthy", { cordoned: true }, ["a"]],
    ["is isolated: virt-handler can still move its VMs", isolated(), ["a"]],
    ["is late and may be dead", { cordoned: true, leaseSilentMs: 15_000 }, []],
    ["is lost", { cordoned: true, leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 }, []],
    ["is out of service", { cordoned: true, outOfService: "nodeshutdown" }, []],
  ])("that %s", (_what, words, expected) => {
    const cluster = threeNodes().node("n1", words).vm("a", { on: "n1" });
    expect(created(cluster.decide())).toEqual(expected);
  });

  function isolated() {
    return { cordoned: true, leaseSilentMs: 60_000, heartbeatSilentMs: 10_000 };
  }

  it("is left to its fencing where one is open, and to its return where it was fenced", () => {
    expect(created(cordoned().vm("a", { on: "n1" }).fencing("n1").decide())).toEqual([]);
    expect(created(cordoned().vm("a", { on: "n1" }).fenced("n1").decide())).toEqual([]);
  });

  it("is not emptied of VMs that count as lost until it is known better", () => {
    const cluster = cordoned().vm("a", {
      on: "n1",
      protection: { status: { failover: lostWith("a", "n1") } },
    });
    expect(created(cluster.decide())).toEqual([]);
  });
});

describe("migration slots", () => {
  it("are KubeVirt's per node and per cluster", () => {
    const cluster = cordoned().node("n2", { cordoned: true }).node("n4", { cordoned: true });
    many(many(many(cluster, 4, "n1"), 4, "n2"), 4, "n4");
    const perNode = new Map<string, number>();
    for (const key of created(cluster.decide())) {
      const node = key.slice(0, 2);
      perNode.set(node, (perNode.get(node) ?? 0) + 1);
    }
    expect([...perNode.values()].sort((a, b) => a - b)).toEqual([1, 2, 2]);
  });

  it("are taken by others' migrations too, pending ones as well", () => {
    const cluster = many(cordoned(), 4).vm("x", { on: "n1", unprotected: true });
    cluster.migration("x", { purpose: undefined, phase: "Pending" });
    expect(created(cluster.decide())).toHaveLength(1);
  });

  it("are taken by migrations of instances that are gone, as far as the cluster goes", () => {
    const cluster = many(cordoned(), 4);
    for (let i = 0; i < 4; i++) cluster.migration(`gone-${i}`, { purpose: undefined });
    expect(created(cluster.decide())).toHaveLength(1);
  });

  it("may be limited further by our own policy", () => {
    expect(created(many(cordoned(), 4).decide({ maxConcurrentMigrations: 1 }))).toHaveLength(1);
    expect(created(many(cordoned(), 4).decide({ maxConcurrentMigrations: 9 }))).toHaveLength(2);
  });

  it("are KubeVirt's as configured", () => {
    const cluster = many(cordoned(), 9);
    cluster.kubeVirt = { ...cluster.kubeVirt, parallelOutboundMigrationsPerNode: 4 };
    expect(created(cluster.decide())).toHaveLength(4);
  });
});

describe("one migration at a time", () => {
  it.each([
    ["ours", "Evacuation" as const],
    ["one that brings it home", "Failback" as const],
    ["somebody else's", undefined],
  ])("creates none beside %s", (_whose, purpose) => {
    const cluster = cordoned().vm("a", { on: "n1" }).migration("a", { purpose });
    expect(created(cluster.decide())).toEqual([]);
  });

  it("gives every replica the same name while one is under way, and another when it has ended", () => {
    const before = cordoned().vm("a", { on: "n1" });
    const name = nameOf(before);
    expect(nameOf(cordoned().vm("a", { on: "n1" }))).toBe(name);
    const after = cordoned()
      .vm("a", { on: "n1" })
      .migration("a", { name: name ?? "", finished: true, succeeded: true, finishedAtMs: NOW_MS });
    expect(nameOf(after)).not.toBe(name);
  });

  it("gives a name that depends on neither target, nor purpose, nor others' migrations", () => {
    const evacuation = { strategy: "LiveMigrate" as const, targetSelector: { rack: "b" }, timeoutMs: 1 };
    const failback = { policy: "Automatic" as const, delayMs: 0, nodeSelector: {} };
    const displacedFrom = { node: "n2", cause: "Failover" as const, since: NOW };
    const name = nameOf(cordoned().vm("a", { on: "n1" }));
    expect(nameOf(cordoned().vm("a", { on: "n1", protection: { evacuation } }))).toBe(name);
    expect(
      nameOf(threeNodes().vm("a", { on: "n1", protection: { failback, status: { displacedFrom } } })),
    ).toBe(name);
    const other = { purpose: undefined, finished: true, succeeded: true };
    expect(nameOf(cordoned().vm("a", { on: "n1" }).migration("a", other))).toBe(name);
  });

  it("gives another instance of the VM another name", () => {
    const uid = "vmi-a-2";
    expect(nameOf(cordoned().vm("a", { on: "n1", vmi: { uid } }))).not.toBe(
      nameOf(cordoned().vm("a", { on: "n1" })),
    );
  });

  it("makes one migration of a VM that is to leave its node and to go home", () => {
    const failback = { policy: "Automatic" as const, delayMs: 0, nodeSelector: {} };
    const displacedFrom = { node: "n2", cause: "Failover" as const, since: NOW };
    const cluster = cordoned().vm("a", { on: "n1", protection: { failback, status: { displacedFrom } } });
    expect(stepsOf(cluster.decide(), "CreateMigration")).toMatchObject([{ purpose: "Evacuation" }]);
  });
});

describe("after a failure", () => {
  const failed = (count: number, lastAgoMs: number): Cluster => {
    const cluster = cordoned().vm("a", { on: "n1" });
    for (let i = 1; i <= count; i++) {
      cluster.migration("a", {
        finished: true,
        createdAtWallMs: NOW_WALL_MS - 100_000 + i,
        finishedAtMs: NOW_MS - (i === count ? lastAgoMs : 90_000),
      });
    }
    return cluster;
  };

  it.each([
    [1, 5_000],
    [2, 10_000],
    [4, 40_000],
    [20, 600_000],
  ])("waits after %i failures for %i ms, and looks again then", (count, pauseMs) => {
    const early = failed(count, pauseMs - 1_000).decide();
    expect(created(early)).toEqual([]);
    expect(statusOf(early, "a").evacuation).toMatchObject({ phase: "Waiting", fromNode: "n1" });
    expect(early.lookAgainAtMs).toBe(NOW_MS + 1_000);
    expect(created(failed(count, pauseMs).decide())).toEqual(["a"]);
  });

  it("does not wait after a success", () => {
    const cluster = failed(1, 90_000).migration("a", {
      finished: true,
      succeeded: true,
      finishedAtMs: NOW_MS,
    });
    expect(created(cluster.decide())).toEqual(["a"]);
  });

  it("does not count failures of an earlier instance, nor of migrations that are not ours", () => {
    const cluster = cordoned().vm("a", { on: "n1" });
    cluster.migration("a", { finished: true, finishedAtMs: NOW_MS, forVMI: "vmi-a-0" });
    cluster.migration("a", { finished: true, finishedAtMs: NOW_MS, purpose: undefined });
    expect(created(cluster.decide())).toEqual(["a"]);
  });
});

describe("calling a migration off", () => {
  const late = { firstSeenMs: NOW_MS - 900_000 };
  const aborts = (cluster: Cluster) => stepsOf(cluster.decide(), "AbortMigration");

  it("gives up one that takes longer than its policy allows, once", () => {
    expect(aborts(cordoned().vm("a", { on: "n1" }).migration("a", late))).toMatchObject([
      { name: "migration-0", why: "evacuation.timeout has passed", events: [{ reason: "MigrationAborted" }] },
    ]);
    expect(
      aborts(
        cordoned()
          .vm("a", { on: "n1" })
          .migration("a", { ...late, deleting: true }),
      ),
    ).toEqual([]);
  });

  it("looks again at the moment when it takes too long", () => {
    const cluster = cordoned()
      .vm("a", { on: "n1" })
      .migration("a", { firstSeenMs: NOW_MS - 899_000 });
    expect(cluster.decide().lookAgainAtMs).toBe(NOW_MS + 1_000);
  });

  it("restarts the VM instead where the policy says so", () => {
    const cluster = cordoned()
      .vm("a", { on: "n1", protection: { evacuation: OR_RESTART } })
      .migration("a", late);
    expect(effectsOf(cluster.decide())).toMatchObject([{ kind: "RestartVM", vmiUID: "vmi-a-1" }]);
  });

  it("stops when the node is uncordoned", () => {
    expect(aborts(threeNodes().vm("a", { on: "n1" }).migration("a"))).toMatchObject([
      { why: "n1 is no longer cordoned" },
    ]);
  });

  const switching = (change: object, nodeName = "n1"): VMWords => ({
    on: nodeName,
    vmi: {
      migration: {
        uid: "uid-migration-0",
        sourceNode: "n1",
        targetNode: "n2",
        targetReady: false,
        ended: false,
        ...change,
      },
    },
  });

  it.each<[string, VMWords, number]>([
    ["is copying", switching({}), 1],
    ["has the guest running on the target already", switching({ targetReady: true }), 0],
    ["has been acknowledged by the target", switching({ targetReady: true }, "n2"), 0],
    ["has ended and only its object does not say so yet", switching({ ended: true }, "n2"), 0],
    ["is not the one the VMI's status is still about", switching({ uid: "another", ended: true }), 1],
  ])("when one %s", (_what, words, expected) => {
    expect(aborts(threeNodes().vm("a", words).migration("a"))).toHaveLength(expected);
  });

  it("leaves one alone that has switched, however long it took", () => {
    expect(
      aborts(
        cordoned()
          .vm("a", switching({ targetReady: true }))
          .migration("a", late),
      ),
    ).toEqual([]);
  });

  it.each([
    ["somebody else's", { purpose: undefined }],
    ["one that brings a VM home", { purpose: "Failback" as const }],
  ])("leaves %s alone", (_whose, change) => {
    expect(aborts(threeNodes().vm("a", { on: "n1" }).migration("a", change))).toEqual([]);
  });

  it("decides nothing while the node's verdict is open", () => {
    const cluster = threeNodes().node("n1", { leaseSilentMs: 15_000 }).vm("a", { on: "n1" }).migration("a");
    expect(aborts(cluster)).toEqual([]);
  });
});

describe("a VM that cannot be live-migrated", () => {
  const stuck = (words: VMWords = {}): Plan =>
    cordoned()
      .vm("a", { on: "n1", vmi: { liveMigratable: NOT_MIGRATABLE }, ...words })
      .decide();

  it("stays, and says why in KubeVirt's words", () => {
    const plan = stuck();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "vm/ns/a")).toEqual(["NotMigratable"]);
    expect(statusOf(plan, "a").evacuation).toMatchObject({
      phase: "Refused",
      message: "KubeVirt cannot live-migrate it: DisksNotLiveMigratable: PVC is not shared",
    });
    expect(stepsOf(plan, "WriteProtection")[0]?.events).toMatchObject([{ reason: "EvacuationRefused" }]);
    expect(conditionOf(plan, "a", "Migratable")).toBe("False/NotMigratable");
  });

  it("stays where no other node can host it", () => {
    const cluster = cordoned().node("n2", { ready: "False" }).node("n3", { cordoned: true });
    const plan = cluster.vm("a", { on: "n1", protection: { evacuation: OR_RESTART } }).decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(statusOf(plan, "a").evacuation?.message).toBe("no other node can host it");
  });

  it("is not asked whether it can where nobody has judged it yet", () => {
    expect(
      created(
        cordoned()
          .vm("a", { on: "n1", vmi: { liveMigratable: undefined } })
          .decide(),
      ),
    ).toEqual(["a"]);
  });

  it.each([
    ["Always", 1],
    ["RerunOnFailure", 1],
    ["Manual", 1],
    ["Once", 0],
  ] as const)("is restarted with run strategy %s where the policy says so: %i", (runStrategy, restarts) => {
    const plan = stuck({ runStrategy, protection: { evacuation: OR_RESTART } });
    expect(stepsOf(plan, "RestartVM")).toHaveLength(restarts);
    expect(statusOf(plan, "a").evacuation?.phase).toBe(restarts === 1 ? "Restarting" : "Refused");
  });

  it("tells of the restart, since it is an outage", () => {
    const plan = stuck({ protection: { evacuation: OR_RESTART } });
    expect(stepsOf(plan, "RestartVM")[0]?.events).toMatchObject([
      { type: "Warning", reason: "RestartedForEvacuation" },
    ]);
  });

  it("stays with strategy None, whether it could move or not", () => {
    const evacuation = { ...OR_RESTART, strategy: "None" as const };
    expect(effectsOf(stuck({ protection: { evacuation } }))).toEqual([]);
    const plan = cordoned().vm("a", { on: "n1", protection: { evacuation } }).decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(statusOf(plan, "a").evacuation).toMatchObject({ phase: "Refused" });
  });

  it.each(["Pending", "Scheduling", "Scheduled"] as const)("is waited for while it is %s", (phase) => {
    expect(effectsOf(stuck({ vmi: { phase, ready: false } }))).toEqual([]);
  });
});

describe("others who empty nodes", () => {
  const DRAINING = { evacuationNodeName: "n1" };

  it.each<[string, VMWords["vmi"], Partial<typeof DEFAULT_KUBEVIRT_CONFIG>, boolean]>([
    ["KubeVirt's drain moves it", { ...DRAINING, evictionStrategy: "LiveMigrate" }, {}, false],
    [
      "KubeVirt's drain moves it if possible",
      { ...DRAINING, evictionStrategy: "LiveMigrateIfPossible" },
      {},
      false,
    ],
    ["the cluster's default makes it so", DRAINING, { evictionStrategy: "LiveMigrate" }, false],
    ["External is left to us", { ...DRAINING, evictionStrategy: "External" }, {}, true],
    [
      "External is left to us whatever the default",
      { evictionStrategy: "External" },
      { evictionStrategy: "LiveMigrate" },
      true,
    ],
    ["nobody drains", { evictionStrategy: "LiveMigrate" }, {}, true],
    [
      "a drain of another node is over",
      { evacuationNodeName: "n2", evictionStrategy: "LiveMigrate" },
      {},
      true,
    ],
    [
      "KubeVirt is configured to evacuate on cordon",
      { evictionStrategy: "LiveMigrate" },
      { nodeDrainTaintKey: "node.kubernetes.io/unschedulable" },
      false,
    ],
    [
      "KubeVirt is so configured but this VM has no eviction strategy",
      {},
      { nodeDrainTaintKey: "node.kubernetes.io/unschedulable" },
      true,
    ],
  ])("%s", (_what, vmi, config, ours) => {
    const cluster = cordoned().vm("a", { on: "n1", vmi });
    cluster.kubeVirt = { ...DEFAULT_KUBEVIRT_CONFIG, ...config };
    const plan = cluster.decide();
    expect(created(plan)).toEqual(ours ? ["a"] : []);
    if (!ours) expect(statusOf(plan, "a").evacuation?.phase).toBe("Waiting");
  });
});

describe("the record of an evacuation", () => {
  const begun = (): LiveWorld => {
    const world = new LiveWorld(threeNodes().vm("a", { on: "n1" }));
    world.settle();
    world.statusWrites.clear();
    world.cluster.node("n1", { cordoned: true });
    world.pass(1_000);
    const [step] = stepsOf(world.turn(), "CreateMigration");
    world.cluster.migration("a", { name: step?.name ?? "", phase: "Pending", firstSeenMs: world.nowMs });
    world.adopt("migrations", `ns/${step?.name ?? ""}`).settle();
    return world;
  };
  const evacuationOf = (world: LiveWorld) => world.cluster.protections.get("ns/a")?.status.evacuation;
  const migrationOf = (world: LiveWorld): string => [...world.cluster.migrations.keys()][0] ?? "";

  it("is written when it moves and when it has left: twice in all", () => {
    const world = begun();
    expect(evacuationOf(world)).toMatchObject({ fromNode: "n1", phase: "Migrating" });
    for (const phase of ["Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running"])
      world.pass(100).migration(migrationOf(world), { phase }).settle();
    expect(world.statusWrites.get("a")).toBe(1);
    world.vmi("ns/a", { nodeName: "n2" }).settle();
    world.migration(migrationOf(world), { phase: "Succeeded", finished: true, succeeded: true }).settle();
    expect(world.statusWrites.get("a")).toBe(2);
    expect(evacuationOf(world)).toBeUndefined();
    expect(world.cluster.protections.get("ns/a")?.status.node).toBe("n2");
  });

  it("is dropped when the node is uncordoned", () => {
    const world = begun();
    world.cluster.node("n1");
    expect(stepsOf(world.pass(100).turn(), "AbortMigration")).toHaveLength(1);
    world.settle();
    expect(evacuationOf(world)).toBeUndefined();
  });

  it("is dropped when somebody stops the VM, and made anew for nobody", () => {
    const world = begun();
    world.vm("ns/a", { runStrategy: "Halted" }).vmi("ns/a", { deleting: true }).settle();
    expect(evacuationOf(world)).toBeUndefined();
    world.vmi("ns/a", undefined).settle();
    expect(evacuationOf(world)).toBeUndefined();
  });

  it("gives way to the failover when the node is lost in the middle", () => {
    const world = begun();
    world.pass(23_000, ["n1"]).settle();
    expect(evacuationOf(world)).toBeUndefined();
    expect(world.cluster.protections.get("ns/a")?.status.failover?.fromNode).toBe("n1");
  });

  it("remembers through a restart where the VM came from", () => {
    const failback = { policy: "Automatic" as const, delayMs: 300_000, nodeSelector: {} };
    const protection = { failback, evacuation: OR_RESTART };
    const vmi = { liveMigratable: NOT_MIGRATABLE };
    const world = new LiveWorld(cordoned().vm("a", { on: "n1", vmi, protection }));
    world.settle();
    expect(evacuationOf(world)?.phase).toBe("Restarting");
    world.vmi("ns/a", { deleting: true }).settle();
    world.newVMI("ns/a", { uid: "vmi-a-2", phase: "Scheduling", nodeName: undefined, ready: false }).settle();
    expect(evacuationOf(world)?.phase).toBe("Restarting");
    world.vmi("ns/a", { nodeName: "n3", phase: "Running", ready: true }).settle();
    expect(evacuationOf(world)).toBeUndefined();
    expect(world.cluster.protections.get("ns/a")?.status.displacedFrom).toMatchObject({
      node: "n1",
      cause: "Evacuation",
    });
  });

  it("is kept by the HAVirtualMachine in charge alone", () => {
    const cluster = cordoned().vm("a", { on: "n1", vmi: { liveMigratable: NOT_MIGRATABLE } });
    cluster.protect("a", { name: "older", createdAtWallMs: 0 });
    const plan = cluster.decide();
    expect(statusOf(plan, "a").evacuation).toBeUndefined();
    expect(statusOf(plan, "older").evacuation?.phase).toBe("Refused");
  });
});
