// Drills, from the first look to the verdict: what is begun, what is refused and why, and what is left behind by nobody.
import { describe, expect, it } from "vitest";
import type { DrillFact, DrillRun, DrillStatus, NamedMeasure } from "../../src/model/drill.ts";
import { runKeyOf } from "../../src/model/drill.ts";
import type { Plan } from "../../src/model/plan.ts";
import type { ProbeFacts } from "../../src/model/service-probe.ts";
import {
  attempt,
  type Cluster,
  type DrillWords,
  effectsOf,
  NOW,
  NOW_MS,
  NOW_WALL_MS,
  refusalsOf,
  statusOf,
  stepsOf,
  threeNodes,
} from "./builder.ts";

const at = (laterMs: number): string => new Date(NOW_WALL_MS + laterMs).toISOString();
/** Three nodes, and the VM a on the first. */
const rested = (): Cluster => threeNodes().vm("a", { on: "n1" });
const OPTED_IN = { mayBeLostInDrill: true } as const;
const losable = (): Cluster => threeNodes().vm("a", { on: "n1", protection: OPTED_IN });

const run = (change: Partial<DrillRun> = {}): DrillRun => ({
  number: 1,
  step: "Starting",
  startedAt: at(-10_000),
  node: "n1",
  nodeUID: "uid-n1",
  bootID: "boot-n1-1",
  virtualMachines: [{ namespace: "ns", name: "a", vmiUID: "vmi-a-1" }],
  ...change,
});
const acting = (change: Partial<DrillRun> = {}): DrillWords => ({
  status: {
    phase: "Running",
    run: run({ step: "Acting", actedAt: at(-5_000), effect: "effect", ...change }),
  },
});
const settling = (change: Partial<DrillRun> = {}): DrillWords =>
  acting({ step: "Settling", settledAt: at(-4_000), ...change });

const written = (plan: Plan, name = "d"): DrillStatus | undefined =>
  stepsOf(plan, "WriteDrill").find(({ drill }) => drill.name === name)?.status;
const events = (plan: Plan): string[] =>
  stepsOf(plan, "WriteDrill").flatMap((step) => (step.events ?? []).map(({ reason }) => reason));
const progressing = (plan: Plan): string => {
  const condition = written(plan)?.conditions.find(({ type }) => type === "Progressing");
  return `${condition?.status}/${condition?.reason}`;
};

describe("a drill that is due", () => {
  it("first writes down what it is going to disturb, and disturbs nothing in that turn", () => {
    const plan = rested().drill("d").decide();
    expect(written(plan)).toMatchObject({ phase: "Running", run: { ...run(), startedAt: NOW } });
    expect(effectsOf(plan).map(({ kind }) => kind)).toEqual(["WriteDrill"]);
    expect(events(plan)).toEqual(["DrillStarted"]);
  });

  it("then the intent to act, with the name of the migration, which follows from the VMI alone", () => {
    const plan = rested()
      .drill("d", { status: { phase: "Running", run: run() } })
      .decide();
    const { run: next } = written(plan) ?? {};
    expect(next).toMatchObject({ step: "Acting", actedAt: NOW });
    expect(next?.effect).toMatch(/^holdfast-a-/);
    expect(stepsOf(plan, "CreateMigration")).toEqual([]);
  });

  it("then it migrates the VM, under that name", () => {
    const [step] = stepsOf(rested().drill("d", acting()).decide(), "CreateMigration");
    expect(step).toMatchObject({ vmKey: "ns/a", name: "effect", purpose: "Drill" });
  });

  it("waits for a free migration slot", () => {
    const cluster = rested().drill("d", acting());
    cluster.kubeVirt = { ...cluster.kubeVirt, parallelMigrationsPerCluster: 0 };
    expect(stepsOf(cluster.decide(), "CreateMigration")).toEqual([]);
  });

  it("makes no second migration while the first is under way", () => {
    const plan = rested().migration("a", { name: "effect", purpose: "Drill" }).drill("d", acting()).decide();
    expect(effectsOf(plan)).toEqual([]);
  });

  it("is settled once the VM runs elsewhere", () => {
    const plan = threeNodes().vm("a", { on: "n2" }).drill("d", acting()).decide();
    expect(written(plan)?.run).toMatchObject({ step: "Settling", settledAt: NOW });
  });

  it("and passes where nothing was promised and the VM was never down", () => {
    const plan = threeNodes().vm("a", { on: "n2" }).drill("d", settling()).decide();
    expect(written(plan)).toMatchObject({
      phase: "Passed",
      lastPassedAt: NOW,
      lastEndedAt: NOW,
      runs: [{ number: 1, outcome: "Passed", reason: "PromiseKept", node: "n1", virtualMachines: 1 }],
      statistics: [{ name: "virtual-machine", runs: 1, longestOutageMs: 0, convergence: { meanMs: 1_000 } }],
    });
    expect(written(plan)?.run).toBeUndefined();
    expect(events(plan)).toEqual(["DrillPassed"]);
  });

  it("is not settled before the VM was up for a while without a break", () => {
    const flapping = threeNodes().vm("a", { on: "n2", vmi: { nodeName: "n2", ready: false } });
    const unsettled = written(flapping.drill("d", settling()).decide())?.run;
    expect(unsettled?.step).toBe("Settling");
    expect(unsettled?.settledAt).toBeUndefined();
    const up = threeNodes().vm("a", { on: "n2" });
    const down = run({ step: "Settling", actedAt: at(-5_000) });
    const again = up.drill("d", { status: { phase: "Running", run: down } }).decide();
    expect(written(again)?.run?.settledAt).toBe(NOW);
    expect(written(up.drill("d", settling({ settledAt: at(-1_000) })).decide())).toBeUndefined();
  });

  it("is over after its series, and does not begin again", () => {
    const plan = rested()
      .drill("d", { status: { phase: "Passed", lastEndedAt: at(-60_000) } })
      .decide();
    expect(stepsOf(plan, "WriteDrill")).toEqual([]);
  });

  it("does nothing while it is being deleted", () => {
    expect(stepsOf(rested().drill("d", { deleting: true }).decide(), "WriteDrill")).toEqual([]);
  });
});

describe("a series", () => {
  const half = (change: Partial<DrillFact> = {}): DrillWords => ({ runs: 3, ...change, ...settling() });

  it("goes on with the next run, its interval after the beginning of the last", () => {
    const plan = threeNodes().vm("a", { on: "n2" }).drill("d", half()).decide();
    expect(written(plan)).toMatchObject({ phase: "Pending", nextRunAt: at(20_000), runs: [{ number: 1 }] });
    expect(written(plan)?.lastEndedAt).toBeUndefined();
    expect(events(plan)).toEqual([]);
  });

  it("numbers the runs, and keeps the results of those before", () => {
    const measure: NamedMeasure = {
      name: "virtual-machine",
      sent: 0,
      lost: 0,
      skipped: 0,
      outageMs: 40,
      longestOutageMs: 40,
      answeredBefore: true,
      restored: true,
    };
    const done = { number: 1, startedAt: at(-60_000), endedAt: at(-50_000), outcome: "Passed" } as const;
    const runs = [{ ...done, reason: "PromiseKept", message: "", virtualMachines: 1, measures: [measure] }];
    const waiting = { phase: "Pending", runs, nextRunAt: at(-1) } as const;
    const begun = threeNodes().vm("a", { on: "n2" }).drill("d", { runs: 3, status: waiting }).decide();
    expect(written(begun)?.run).toMatchObject({ number: 2, node: "n2" });
    expect(written(begun)?.runs).toEqual(runs);
    const second = { ...settling({ number: 2 }).status, runs };
    const ended = threeNodes().vm("a", { on: "n2" }).drill("d", { runs: 2, status: second }).decide();
    expect(written(ended)).toMatchObject({ phase: "Passed", runs: [{ number: 1 }, { number: 2 }] });
    // 40 and 0: mean 20, deviation 28.28, and with one degree of freedom 12.7062 × 28.28 / √2 = 254.
    expect(written(ended)?.statistics[0]?.outage).toEqual({
      meanMs: 20,
      standardDeviationMs: 28,
      lowMs: -234,
      highMs: 274,
    });
  });

  it("ends with a run that was not carried through", () => {
    const failed = { finished: true, succeeded: false, failureReason: "no memory" };
    const plan = rested()
      .migration("a", { name: "effect", purpose: "Drill", ...failed })
      .drill("d", { runs: 3, ...acting() })
      .decide();
    expect(written(plan)).toMatchObject({ phase: "Failed", runs: [{ reason: "DrillFailed" }] });
    expect(written(plan)?.message).toContain("no memory");
    expect(events(plan)).toEqual(["DrillFailed"]);
  });
});

describe("a run that takes too long", () => {
  it("is called off, with its migration, and has failed", () => {
    const cluster = rested().migration("a", { name: "effect", purpose: "Drill" });
    const late = acting({ startedAt: at(-700_000), actedAt: at(-690_000) });
    const plan = cluster.drill("d", late).decide();
    expect(stepsOf(plan, "AbortMigration")).toMatchObject([{ name: "effect" }]);
    expect(written(plan)).toMatchObject({ phase: "Failed", runs: [{ reason: "DrillTimedOut" }] });
    expect(written(plan)?.message).toContain("1 of 1 VMs from n1 are not up elsewhere");
  });
});

describe("the guards of a drill", () => {
  const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
  const cases: readonly (readonly [string, string, (type: DrillWords) => Cluster, DrillWords])[] = [
    ["a node is late", "NodeUnhealthy", () => rested().node("n3", { leaseSilentMs: 15_000 }), {}],
    ["a node is not Ready", "NodeUnhealthy", () => rested().node("n3", { ready: "False" }), {}],
    ["a storm blows", "StormHold", () => rested().node("n2", LOST).node("n3", LOST), {}],
    ["fencing is disarmed", "FencingDisarmed", () => rested().disarm("work"), {}],
    ["a NodeFencing is open", "FencingUnderWay", () => rested().fencing("n3", {}, { requested: true }), {}],
    [
      "another drill goes",
      "OtherDrillUnderWay",
      () =>
        rested()
          .vm("b", { on: "n2" })
          .drill("other", { vmKey: "ns/b", ...settling() }),
      {},
    ],
    ["there is no such VM", "TargetNotFound", () => rested(), { vmKey: "ns/nobody" }],
    ["the VM does not run", "VirtualMachineNotUp", () => threeNodes().vm("a"), {}],
    [
      "the VM is paused",
      "VirtualMachineNotUp",
      () => threeNodes().vm("a", { on: "n1", vmi: { nodeName: "n1", paused: "PausedByUser" } }),
      {},
    ],
    [
      "the VM is not Ready",
      "VirtualMachineNotUp",
      () => threeNodes().vm("a", { on: "n1", vmi: { nodeName: "n1", ready: false } }),
      {},
    ],
    [
      "nobody protects the VM",
      "NotProtected",
      () => threeNodes().vm("a", { on: "n1", unprotected: true }),
      {},
    ],
    [
      "the VM is moving already",
      "MigrationUnderWay",
      () => rested().migration("a", { purpose: undefined }),
      {},
    ],
    ["its node is cordoned", "NodeCordoned", () => rested().node("n1", { cordoned: true }), {}],
    [
      "no other node can host it",
      "NotMigratable",
      () => rested().node("n2", { cordoned: true }).node("n3", { cordoned: true }),
      {},
    ],
    ["the node does not exist", "TargetNotFound", () => rested(), { type: "NodeEvacuation", nodeName: "n9" }],
    ["the node is empty", "NothingToDrill", () => rested(), { type: "NodeEvacuation", nodeName: "n2" }],
    [
      "a VM is not to leave a cordoned node",
      "NotMigratable",
      () =>
        threeNodes().vm("a", {
          on: "n1",
          protection: { evacuation: { strategy: "None", targetSelector: {}, timeoutMs: 1 } },
        }),
      { type: "NodeEvacuation" },
    ],
    [
      "a VM on a node to be lost has not opted in",
      "NotOptedIn",
      () => losable().vm("b", { on: "n1" }),
      { type: "NodeLoss" },
    ],
    [
      "a VM on it has no HAVirtualMachine",
      "NotProtected",
      () => losable().vm("b", { on: "n1", unprotected: true }),
      { type: "NodeLoss" },
    ],
    [
      "a VM on it would not be restarted",
      "NotProtected",
      () => threeNodes().vm("a", { on: "n1", runStrategy: "Once", protection: OPTED_IN }),
      { type: "NodeLoss" },
    ],
    [
      "no fence device covers it",
      "NotProtected",
      () => {
        const cluster = losable();
        cluster.topologies.clear();
        return cluster;
      },
      { type: "NodeLoss" },
    ],
    [
      "failover capacity is missing",
      "NoFailoverCapacity",
      () => losable().node("n2", { cordoned: true }).node("n3", { cordoned: true }),
      { type: "NodeLoss" },
    ],
  ];

  it.each(cases)("refuse it while %s, and disturb nothing (%s)", (_what, reason, cluster, words) => {
    const plan = cluster(words).drill("d", words).decide();
    expect(refusalsOf(plan, "drill/d")).toEqual([reason]);
    expect(written(plan)).toMatchObject({ phase: "Pending", nextRunAt: NOW });
    expect(progressing(plan)).toBe(`False/${reason}`);
    const migrations = stepsOf(plan, "CreateMigration").filter(({ purpose }) => purpose === "Drill");
    expect(migrations).toEqual([]);
    for (const kind of ["Cordon", "OpenFencing", "StartDrillProbes"] as const)
      expect(stepsOf(plan, kind)).toEqual([]);
  });

  it("refuse it for good once its startTimeout has passed", () => {
    const plan = threeNodes().vm("a").drill("d", { startTimeoutMs: 0 }).decide();
    expect(written(plan)).toMatchObject({
      phase: "Refused",
      runs: [{ outcome: "Refused", reason: "VirtualMachineNotUp" }],
    });
    expect(written(plan)?.lastPassedAt).toBeUndefined();
    expect(events(plan)).toEqual(["DrillRefused"]);
  });

  it("are asked again before anything is done", () => {
    const words: DrillWords = { status: { phase: "Running", run: run() } };
    const waits = rested().disarm("work").drill("d", words).decide();
    expect(refusalsOf(waits, "drill/d")).toEqual(["FencingDisarmed"]);
    expect(written(waits)).toBeUndefined();
    const late = { startTimeoutMs: 5_000, ...words };
    const plan = rested().disarm("work").drill("d", late).decide();
    expect(written(plan)).toMatchObject({ phase: "Refused", runs: [{ reason: "FencingDisarmed" }] });
  });

  it("and once more before the act, where the intent is written and nothing has come of it", () => {
    const waits = rested().disarm("work").drill("d", acting()).decide();
    expect(stepsOf(waits, "CreateMigration")).toEqual([]);
    expect(written(waits)).toBeUndefined();
    const late = acting({ actedAt: at(-20_000) });
    const plan = rested().disarm("work").drill("d", late).decide();
    expect(written(plan)).toMatchObject({ phase: "Interrupted", runs: [{ reason: "DrillInterrupted" }] });
    expect(stepsOf(plan, "CreateMigration")).toEqual([]);
  });

  it("let one of two that are due at once go first", () => {
    const plan = rested().vm("b", { on: "n1" }).drill("c", { vmKey: "ns/b" }).drill("d").decide();
    expect(written(plan, "c")?.phase).toBe("Running");
    expect(written(plan, "d")?.phase).toBe("Pending");
    expect(refusalsOf(plan, "drill/d")).toEqual(["OtherDrillUnderWay"]);
  });

  it("take a namespace's word for all its VMs", () => {
    const cluster = rested().drill("d", { type: "NodeLoss" });
    cluster.namespaces.set("ns", { "holdfast.dev/node-loss-drills": "allowed" });
    expect(written(cluster.decide())?.phase).toBe("Running");
  });

  it("do not begin what was due while nobody led", () => {
    const due = { nextRunAt: at(-3_600_000) };
    const plan = rested().drill("d", { status: due }).decide();
    expect(written(plan)).toMatchObject({ phase: "Refused", runs: [{ reason: "StartMissed" }] });
  });
});

describe("the evacuation of a node as a drill", () => {
  const MARK = { "holdfast.dev/drill": "d/uid-d" };
  const evacuating: DrillWords = { type: "NodeEvacuation", ...acting() };

  it("cordons the node in the drill's name", () => {
    const plan = rested().drill("d", evacuating).decide();
    expect(stepsOf(plan, "Cordon")).toEqual([{ kind: "Cordon", node: "n1", drill: "d/uid-d" }]);
  });

  it("leaves the moving to the evacuation of any cordoned node", () => {
    const plan = rested().node("n1", { cordoned: true, annotations: MARK }).drill("d", evacuating).decide();
    expect(stepsOf(plan, "CreateMigration")).toMatchObject([{ vmKey: "ns/a", purpose: "Evacuation" }]);
    expect(stepsOf(plan, "Uncordon")).toEqual([]);
  });

  it("uncordons it as soon as the drill has settled", () => {
    const cluster = threeNodes().vm("a", { on: "n2" }).node("n1", { cordoned: true, annotations: MARK });
    expect(written(cluster.drill("d", evacuating).decide())?.run?.step).toBe("Settling");
    const plan = cluster.drill("d", { type: "NodeEvacuation", ...settling() }).decide();
    expect(stepsOf(plan, "Uncordon")).toEqual([{ kind: "Uncordon", node: "n1", drill: "d/uid-d" }]);
  });

  it.each<[string, (cluster: Cluster) => Cluster]>([
    ["deleted", (cluster) => cluster],
    ["being deleted", (cluster) => cluster.drill("d", { ...evacuating, deleting: true })],
    ["another of the same name", (cluster) => cluster.drill("d", { ...evacuating, uid: "uid-new" })],
    [
      "over",
      (cluster) =>
        cluster.drill("d", { type: "NodeEvacuation", status: { phase: "Failed", lastEndedAt: NOW } }),
    ],
  ])("uncordons it where the drill is %s, whoever leads", (_what, drilled) => {
    const cluster = rested().node("n1", { cordoned: true, annotations: MARK });
    expect(stepsOf(drilled(cluster).decide(), "Uncordon")).toHaveLength(1);
  });

  it("leaves a cordon of somebody's alone", () => {
    const plan = rested().node("n1", { cordoned: true }).drill("d", evacuating).decide();
    expect(stepsOf(plan, "Uncordon")).toEqual([]);
    expect(written(plan)).toMatchObject({
      phase: "Interrupted",
      runs: [{ message: "somebody else has cordoned n1" }],
    });
  });

  it("gives way to whoever uncordons the node", () => {
    const plan = rested().node("n1", { annotations: MARK }).drill("d", evacuating).decide();
    expect(written(plan)).toMatchObject({
      phase: "Interrupted",
      runs: [{ message: "somebody has uncordoned n1" }],
    });
    expect(stepsOf(plan, "Cordon")).toEqual([]);
  });
});

describe("the loss of a node as a drill", () => {
  const DRILLED = { name: "effect", requested: true, drill: "d/uid-d" } as const;
  const losing: DrillWords = { type: "NodeLoss", ...acting() };
  const asked = (cluster: Cluster, attempts: Parameters<Cluster["fencing"]>[1] = {}): Cluster => {
    cluster.fencing("n1", attempts, DRILLED);
    const fencing = cluster.fencings.get("nf-n1");
    if (fencing !== undefined) cluster.fencings.set("effect", fencing);
    cluster.fencings.delete("nf-n1");
    return cluster;
  };

  it("asks for the fencing of that incarnation of that node, in the drill's name", () => {
    const [step] = stepsOf(losable().drill("d", losing).decide(), "OpenFencing");
    expect(step).toMatchObject({
      name: "effect",
      node: "n1",
      nodeUID: "uid-n1",
      bootID: "boot-n1-1",
      topology: "bmc",
      drill: "d/uid-d",
    });
  });

  it("shoots by the path of any requested fencing", () => {
    const plan = asked(losable()).drill("d", losing).decide();
    expect(stepsOf(plan, "Fence")).toMatchObject([{ mayPowerOff: true }]);
  });

  it.each<[string, (cluster: Cluster) => Cluster]>([
    ["the drill is deleted", (cluster) => cluster],
    [
      "the drill is over",
      (cluster) => cluster.drill("d", { type: "NodeLoss", status: { phase: "Failed", lastEndedAt: NOW } }),
    ],
    ["fencing is disarmed", (cluster) => cluster.disarm("work").drill("d", losing)],
    ["another VM has come without opting in", (cluster) => cluster.vm("b", { on: "n1" }).drill("d", losing)],
    ["another node is late", (cluster) => cluster.node("n3", { leaseSilentMs: 15_000 }).drill("d", losing)],
    [
      "the run is out of time",
      (cluster) => cluster.drill("d", { type: "NodeLoss", ...acting({ startedAt: at(-700_000) }) }),
    ],
  ])("calls the fencing off before the first attempt where %s", (_what, change) => {
    const plan = change(asked(losable())).decide();
    expect(stepsOf(plan, "Fence")).toEqual([]);
    expect(stepsOf(plan, "WriteFencing").map(({ status }) => status.phase)).toEqual(["Aborted"]);
  });

  it("a living node is not shot any more once the drill has ended, whatever was tried", () => {
    const cluster = asked(losable(), { phase: "Fencing", attempts: [attempt({ outcome: "TimedOut" })] });
    const plan = cluster.decide();
    expect(stepsOf(plan, "Fence").filter(({ mayPowerOff }) => mayPowerOff)).toEqual([]);
  });

  it("is interrupted, with the reason, where its fencing was called off", () => {
    const cluster = asked(losable(), { phase: "Aborted", message: "named another boot ID" });
    expect(written(cluster.drill("d", losing).decide())).toMatchObject({
      phase: "Interrupted",
      message: "its fencing was called off: named another boot ID",
    });
  });

  it("passes where each VM is up again within the promised time, by its own account", () => {
    const recent = [{ cause: "Drill", class: "Planned", since: at(-4_900), until: at(-1_000) }] as const;
    const availability = { since: at(-1e7), until: NOW, recent, days: [], totals: [], burntMs: 0 };
    const cluster = (recoveryTimeMs: number): Cluster =>
      threeNodes()
        .vm("a", {
          on: "n2",
          vmi: { nodeName: "n2", uid: "vmi-a-2" },
          protection: { ...OPTED_IN, status: { availability } },
        })
        .drill("d", { type: "NodeLoss", promise: { recoveryTimeMs }, ...settling() });
    expect(written(cluster(5_000).decide())).toMatchObject({
      phase: "Passed",
      statistics: [{ outage: { meanMs: 3_900 }, longestOutageMs: 3_900 }],
    });
    const broken = written(cluster(3_000).decide());
    expect(broken).toMatchObject({ phase: "Failed", runs: [{ reason: "PromiseBroken" }] });
    expect(broken?.message).toContain("more than 3000 ms to come back: 3900 ms");
  });

  it("an outage of its is planned, and the drill's", () => {
    const plan = losable()
      .node("n1", LOST_NODE)
      .drill("d", losing)
      .fenced("n1", {}, { requested: true })
      .decide();
    expect(statusOf(plan, "a").availability?.open).toMatchObject({ cause: "Drill", class: "Planned" });
  });

  it("an outage of a VM that no drill disturbs is none of its", () => {
    const plan = losable().node("n1", LOST_NODE).fenced("n1").decide();
    expect(statusOf(plan, "a").availability?.open).toMatchObject({ cause: "NodeLost", class: "Unplanned" });
  });
});

const LOST_NODE = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };

describe("the probes of a drill", () => {
  const probes = [{ name: "udp", probe: { kind: "Udp", port: 7, packetsPerSecond: 100 } }] as const;
  const key = runKeyOf({ uid: "uid-d" }, run());

  it("begin before anything is disturbed", () => {
    const plan = rested()
      .drill("d", { probes, status: { phase: "Running", run: run() } })
      .decide();
    expect(stepsOf(plan, "StartDrillProbes")).toEqual([
      { kind: "StartDrillProbes", run: key, vmKeys: ["ns/a"], probes },
    ]);
    expect(written(plan)).toBeUndefined();
  });

  it("have asked for a while in peace before it is", () => {
    const cluster = rested().drill("d", { probes, status: { phase: "Running", run: run() } });
    cluster.drillProbings.set(key, { startedAtMs: NOW_MS - 1_000 });
    expect(written(cluster.decide())).toBeUndefined();
    cluster.drillProbings.set(key, { startedAtMs: NOW_MS - 3_000 });
    expect(written(cluster.decide())?.run?.step).toBe("Acting");
  });

  it("end a run as interrupted where they went with their leader", () => {
    const plan = threeNodes()
      .vm("a", { on: "n2" })
      .drill("d", { probes, ...acting() })
      .decide();
    expect(written(plan)).toMatchObject({ phase: "Interrupted", runs: [{ reason: "DrillInterrupted" }] });
  });

  it("but not the loss of a node, which is carried on without them", () => {
    const plan = threeNodes()
      .vm("a", { on: "n2", vmi: { nodeName: "n2", uid: "vmi-a-2" }, protection: OPTED_IN })
      .drill("d", { type: "NodeLoss", probes, ...settling() })
      .decide();
    expect(written(plan)?.phase).toBe("Passed");
    expect(written(plan)?.message).toContain("the probes ended with their leader");
  });

  it("go on until the services have answered for a while, and are stopped before they tell", () => {
    const cluster = threeNodes()
      .vm("a", { on: "n2" })
      .drill("d", { probes, ...settling() });
    cluster.drillProbings.set(key, { startedAtMs: NOW_MS - 9_000 });
    expect(effectsOf(cluster.decide())).toEqual([]);
    cluster.drillProbings.set(key, { startedAtMs: NOW_MS - 9_000, answeredSinceMs: NOW_MS - 3_000 });
    expect(stepsOf(cluster.decide(), "StopDrillProbes")).toEqual([{ kind: "StopDrillProbes", run: key }]);
  });

  it("say how long the service was away, and the promise goes by that", () => {
    const cluster = (outageBudgetMs: number): Cluster => {
      const drilled = threeNodes().vm("a", { on: "n2" });
      drilled.drill("d", { probes, promise: { outageBudgetMs }, ...settling() });
      // Asked since 9 s ago, disturbed 5 s ago, away for 300 ms from then on.
      const results = [{ vmKey: "ns/a", name: "udp", facts: traceWith({ startMs: 4_100, endMs: 4_400 }) }];
      drilled.drillProbings.set(key, { startedAtMs: NOW_MS - 9_000, results });
      return drilled;
    };
    const kept = written(cluster(500).decide());
    expect(kept).toMatchObject({ phase: "Passed" });
    expect(kept?.statistics).toMatchObject([
      { name: "virtual-machine", sent: 0 },
      { name: "udp", sent: 900, lost: 30, outage: { meanMs: 300 }, longestOutageMs: 300 },
    ]);
    expect(written(cluster(200).decide())).toMatchObject({
      phase: "Failed",
      runs: [{ reason: "PromiseBroken" }],
    });
  });

  it("are stopped where their drill is gone", () => {
    const cluster = rested();
    cluster.drillProbings.set(key, { startedAtMs: NOW_MS - 9_000 });
    expect(stepsOf(cluster.decide(), "StopDrillProbes")).toHaveLength(1);
  });
});

function traceWith(gap: { readonly startMs: number; readonly endMs: number }): ProbeFacts {
  const slices = Array.from({ length: 36 }, (_, i) => ({
    startMs: i * 250,
    sent: 25,
    lost: 0,
    meanLatencyMs: 1,
  }));
  return {
    probe: { kind: "Udp", port: 7, packetsPerSecond: 100 },
    startedAtMs: NOW_MS - 9_000,
    observedMs: 9_000,
    sent: 900,
    answered: 870,
    lost: 30,
    skipped: 0,
    meanLatencyMs: 1,
    maxLatencyMs: 2,
    outages: [{ ...gap, ended: true, lost: 30 }],
    outageCount: 1,
    outageMs: gap.endMs - gap.startMs,
    longestOutageMs: gap.endMs - gap.startMs,
    sliceMs: 250,
    slices,
  };
}

describe("a schedule", () => {
  const schedule = { days: [0], minute: 15 * 60 + 30, timeZone: "Europe/Bucharest" };

  it("says when the next series is due, and waits for it", () => {
    // 2026-11-22 is a Sunday; 15:30 in Bucharest is 13:30 UTC, an hour and a half from now.
    const plan = rested().drill("d", { schedule }).decide();
    expect(written(plan)).toMatchObject({ phase: "Pending", nextRunAt: "2026-11-22T13:30:00.000Z" });
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 90 * 60_000);
  });

  it("begins when it is, and names the next a week later when it is over", () => {
    const due = { status: { nextRunAt: at(-1_000), observedGeneration: 1 } };
    expect(
      written(
        rested()
          .drill("d", { schedule, ...due })
          .decide(),
      )?.phase,
    ).toBe("Running");
    const ended = threeNodes()
      .vm("a", { on: "n2" })
      .drill("d", { schedule, ...settling() })
      .decide();
    expect(written(ended)).toMatchObject({ phase: "Passed", nextRunAt: "2026-11-22T13:30:00.000Z" });
  });

  it("counts at once where it was changed", () => {
    const status = { nextRunAt: at(3_600_000), observedGeneration: 1 };
    const plan = rested().drill("d", { schedule, generation: 2, status }).decide();
    expect(written(plan)?.nextRunAt).toBe("2026-11-22T13:30:00.000Z");
  });

  it("begins nothing while the drill is suspended", () => {
    const status = { nextRunAt: at(-1_000), observedGeneration: 1 };
    const plan = rested().drill("d", { schedule, suspended: true, status }).decide();
    expect(progressing(plan)).toBe("False/DrillSuspended");
    expect(written(plan)?.run).toBeUndefined();
  });
});
