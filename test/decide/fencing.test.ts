import { describe, expect, it } from "vitest";
import type { AttemptOutcome } from "../../src/model/fencing.ts";
import { attempt, effectsOf, level, NOW, NOW_MS, refusalsOf, stepsOf, threeNodes } from "./builder.ts";

const LOST = { leaseSilentMs: 25_000 };
const BACK = { bootID: "boot-n1-2", leaseSilentMs: 1_000, heartbeatSilentMs: 0 };

describe("opening a fencing", () => {
  it("writes the intent first: node, UID, boot ID, topology, and when it was last seen", () => {
    const plan = threeNodes().node("n1", LOST).vm("a", { on: "n1" }).decide();
    expect(effectsOf(plan)).toMatchObject([
      {
        kind: "OpenFencing",
        node: "n1",
        nodeUID: "uid-n1",
        bootID: "boot-n1-1",
        topology: "bmc",
        detectedAt: "2026-11-22T12:00:00.000Z",
        lastSeenAt: "2026-11-22T11:59:35.000Z",
        events: [{ reason: "NodeLost" }],
      },
    ]);
  });

  it("gives the same incarnation the same name on every replica, and another incarnation another", () => {
    const name = (bootID: string): string | undefined =>
      stepsOf(
        threeNodes()
          .node("n1", { ...LOST, bootID })
          .vm("a", { on: "n1" })
          .decide(),
        "OpenFencing",
      )[0]?.name;
    expect(name("b1")).toBe(name("b1"));
    expect(name("b1")).not.toBe(name("b2"));
  });

  it("leaves a lost node alone on which no VM is in our care", () => {
    expect(
      effectsOf(threeNodes().node("n1", LOST).vm("a", { on: "n1", unprotected: true }).decide()),
    ).toEqual([]);
  });

  it("leaves a lost node alone whose VMs all have failover disabled", () => {
    const failover = {
      enabled: false,
      restartOnce: false,
      startManual: true,
      maxRestarts: 3,
      restartWindowMs: 1,
    };
    expect(
      effectsOf(threeNodes().node("n1", LOST).vm("a", { on: "n1", protection: { failover } }).decide()),
    ).toEqual([]);
  });

  it("refuses where no topology covers the node", () => {
    const cluster = threeNodes().node("n1", LOST).vm("a", { on: "n1" });
    cluster.topologies.clear();
    const plan = cluster.decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["NoFencingTopology"]);
  });

  it("refuses where the boot ID is unknown, since no proof could name what it is about", () => {
    const plan = threeNodes()
      .node("n1", { ...LOST, bootID: undefined })
      .vm("a", { on: "n1" })
      .decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["BootIDUnknown"]);
  });

  it("does not fence an isolated node, and says why", () => {
    const plan = threeNodes()
      .node("n1", { leaseSilentMs: 60_000, heartbeatSilentMs: 10_000 })
      .vm("a", { on: "n1" })
      .decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["NodeIsolated"]);
  });

  it("opens no more fencings at once than allowed", () => {
    const cluster = threeNodes().node("n1", LOST).node("n2", LOST).vm("a", { on: "n1" }).fencing("n2");
    const plan = cluster.decide({ maxConcurrentFencings: 1, stormMaxLost: { count: 2 } });
    expect(stepsOf(plan, "OpenFencing")).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toContain("TooManyFencings");
  });
});

describe("attempts", () => {
  const lostWith = (...attempts: ReturnType<typeof attempt>[]) =>
    threeNodes().node("n1", LOST).vm("a", { on: "n1" }).fencing("n1", { phase: "Fencing", attempts });

  it("begins with the first level", () => {
    const plan = threeNodes().node("n1", LOST).vm("a", { on: "n1" }).fencing("n1").decide();
    expect(stepsOf(plan, "Fence")).toMatchObject([{ level: { name: "bmc" }, mayPowerOff: true }]);
  });

  it("waits for the level's back-off after a failed attempt", () => {
    const plan = lostWith(attempt()).decide();
    expect(stepsOf(plan, "Fence")).toEqual([]);
    expect(plan.lookAgainAtMs).toBe(NOW_MS - 1_000 + 5_000);
  });

  it("takes up an attempt that another leader began", () => {
    expect(stepsOf(lostWith(attempt({ outcome: "Started" })).decide(), "Fence")).toHaveLength(1);
  });

  it("goes to the next level without delay when a level's retries are used up", () => {
    const cluster = lostWith(attempt({ number: 3 }));
    cluster.topology("bmc", { levels: [level("bmc"), level("pdu")] });
    expect(stepsOf(cluster.decide(), "Fence")).toMatchObject([{ level: { name: "pdu" } }]);
  });

  it("begins again with the first level after the last, and waits longer each round", () => {
    const cluster = lostWith(attempt({ number: 3 }));
    expect(cluster.decide().lookAgainAtMs).toBe(NOW_MS - 1_000 + 10_000);
  });

  it("shoots nothing in a storm but still reads the power state, and says so", () => {
    const cluster = threeNodes().node("n1", LOST).node("n2", LOST).vm("a", { on: "n1" }).fencing("n1");
    const plan = cluster.decide();
    expect(stepsOf(plan, "Fence")).toMatchObject([{ mayPowerOff: false }]);
    expect(refusalsOf(plan, "node/n1")).toContain("StormHold");
    expect(plan.refusals.find((one) => one.reason === "StormHold")?.message).toContain(
      "2 of 3 nodes are lost at once, limit 1",
    );
  });

  it("stands down when the node is heard again with the same boot ID and nothing was begun", () => {
    const cluster = threeNodes()
      .vm("a", { on: "n1" })
      .fencing("n1", {}, { changedAtMs: NOW_MS - 20_000 });
    expect(stepsOf(cluster.decide(), "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });

  it("does not take one renewal for proof of the same boot: after a reboot it comes before the new boot ID", () => {
    const cluster = threeNodes()
      .vm("a", { on: "n1" })
      .fencing("n1", {}, { changedAtMs: NOW_MS - 10_000 });
    expect(stepsOf(cluster.decide(), "WriteFencing")).toEqual([]);
  });

  it("does not shoot a node that speaks again, but settles an attempt that was begun", () => {
    const cluster = threeNodes()
      .vm("a", { on: "n1" })
      .fencing("n1", { attempts: [attempt({ outcome: "Started" })] });
    const plan = cluster.decide();
    expect(stepsOf(plan, "Fence")).toMatchObject([{ mayPowerOff: false }]);
    expect(stepsOf(plan, "WriteFencing")).toEqual([]);
  });

  it("takes a new boot ID as the end of the old incarnation: no second power-off, no release by force", () => {
    const cluster = threeNodes()
      .node("n1", BACK)
      .vm("a", { on: "n1" })
      .fencing("n1", { phase: "Fencing", attempts: [attempt({ outcome: "Started" })] });
    const plan = cluster.decide();
    expect(effectsOf(plan)).toMatchObject([
      {
        kind: "WriteFencing",
        status: { phase: "Returned", proof: { type: "Rebooted", bootID: "boot-n1-2" } },
      },
    ]);
  });

  it("closes the ledger when the Node object was replaced by another of that name", () => {
    const cluster = threeNodes()
      .node("n1", LOST)
      .vm("a", { on: "n1" })
      .fencing("n1", {}, { nodeUID: "another" });
    const plan = cluster.decide();
    expect(stepsOf(plan, "Fence")).toEqual([]);
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });
});

describe("after the proof", () => {
  const fenced = () => threeNodes().node("n1", LOST).vm("a", { on: "n1" }).fenced("n1");

  it("taints before it releases anything", () => {
    const plan = fenced().decide();
    expect(effectsOf(plan)).toMatchObject([{ kind: "Taint", node: "n1", proof: { bootID: "boot-n1-1" } }]);
  });

  it("releases once the taint is seen", () => {
    const plan = fenced()
      .node("n1", { ...LOST, outOfService: true })
      .decide();
    expect(stepsOf(plan, "Release")).toMatchObject([{ vmKey: "ns/a", proof: { fencing: "nf-n1" } }]);
  });

  it("takes somebody else's out-of-service taint for as good, and sets none of its own", () => {
    const plan = fenced()
      .node("n1", { ...LOST, outOfService: "nodeshutdown" })
      .decide();
    expect(stepsOf(plan, "Taint")).toEqual([]);
    expect(stepsOf(plan, "Release")).toHaveLength(1);
  });

  it("releases nothing without a proof, whatever else is true", () => {
    const plan = threeNodes()
      .node("n1", { ...LOST, outOfService: true, ready: "Unknown" })
      .vm("a", { on: "n1" })
      .fencing("n1", { phase: "Fencing", attempts: [attempt({ outcome: "PoweredOff" })] })
      .decide();
    expect(stepsOf(plan, "Release")).toEqual([]);
  });

  it("releases nothing on a proof for another incarnation", () => {
    const plan = fenced()
      .node("n1", { ...LOST, outOfService: true, bootID: "boot-n1-2" })
      .decide();
    expect(stepsOf(plan, "Release")).toEqual([]);
  });

  it("releases nothing more when the node renews its Lease with the boot ID that was proven off", () => {
    const cluster = threeNodes()
      .node("n1", { leaseSilentMs: 1_000, outOfService: true })
      .vm("a", { on: "n1" });
    const plan = cluster.fenced("n1", {}, { provenAtMs: NOW_MS - 10_000 }).decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["ProofContradicted"]);
  });

  it("does not take a renewal that was on its way when the power went for a contradiction", () => {
    const cluster = threeNodes()
      .node("n1", { leaseSilentMs: 1_000, outOfService: true })
      .vm("a", { on: "n1" });
    expect(
      stepsOf(cluster.fenced("n1", {}, { provenAtMs: NOW_MS - 2_000 }).decide(), "Release"),
    ).toHaveLength(1);
  });

  it("closes the release in the ledger when no VM in our care is left on the node", () => {
    const cluster = threeNodes()
      .node("n1", { ...LOST, outOfService: true })
      .fenced("n1");
    const [written] = stepsOf(cluster.decide(), "WriteFencing");
    expect(written?.status).toMatchObject({ phase: "Released" });
    expect(written?.status.powerOnRequestedAt).toBeUndefined();
    // The same write holds the intent to power the node on.
    const [both] = stepsOf(cluster.topology("bmc", { afterFencing: "PowerOn" }).decide(), "WriteFencing");
    expect(both?.status).toMatchObject({ phase: "Released", powerOnRequestedAt: "2026-11-22T12:00:00.000Z" });
  });

  it("writes down that it will power the node on before it does so, and does neither where the policy says StayOff", () => {
    const released = () =>
      threeNodes()
        .node("n1", { ...LOST, outOfService: true })
        .fenced("n1", { phase: "Released" });
    expect(effectsOf(released().decide())).toEqual([]);
    const first = released().topology("bmc", { afterFencing: "PowerOn" }).decide();
    expect(effectsOf(first)).toMatchObject([
      { kind: "WriteFencing", status: { powerOnRequestedAt: "2026-11-22T12:00:00.000Z" } },
    ]);
    const second = threeNodes()
      .node("n1", { ...LOST, outOfService: true })
      .topology("bmc", { afterFencing: "PowerOn" })
      .fenced("n1", { phase: "Released", powerOnRequestedAt: "2026-11-22T11:59:59.000Z" })
      .decide();
    expect(effectsOf(second)).toMatchObject([{ kind: "PowerOn" }]);
  });

  it.each<[string, readonly (readonly [number, AttemptOutcome])[], number]>([
    ["at once where the first request acted", [[10_000, "PoweredOff"]], 0],
    [
      "at once where the earlier attempts never reached the device",
      [
        [50_000, "Unreachable"],
        [10_000, "PoweredOff"],
      ],
      0,
    ],
    [
      "at once where one request was sent and has acted",
      [
        [50_000, "StillOn"],
        [10_000, "AlreadyOff"],
      ],
      0,
    ],
    [
      "as late as the last request came after the first",
      [
        [50_000, "StillOn"],
        [10_000, "PoweredOff"],
      ],
      40_000,
    ],
    [
      "late where nobody knows what became of the first",
      [
        [50_000, "TimedOut"],
        [10_000, "PoweredOff"],
      ],
      40_000,
    ],
    [
      "late where a leader died over the first",
      [
        [50_000, "Abandoned"],
        [10_000, "PoweredOff"],
      ],
      40_000,
    ],
    [
      "no later than two minutes",
      [
        [900_000, "StillOn"],
        [10_000, "PoweredOff"],
      ],
      120_000,
    ],
    [
      "at once where clocks of two leaders disagree",
      [
        [10_000, "Abandoned"],
        [50_000, "PoweredOff"],
      ],
      0,
    ],
  ])("powers the node on %s: a BMC acts late, and on each request", (_when, attempts, inMs) => {
    const stamp = (agoMs: number) => new Date(Date.parse(NOW) - agoMs).toISOString();
    const cluster = (sinceProofMs: number) =>
      threeNodes()
        .node("n1", { leaseSilentMs: 600_000, heartbeatSilentMs: 600_000, outOfService: true })
        .topology("bmc", { afterFencing: "PowerOn" })
        .fenced(
          "n1",
          {
            phase: "Released",
            powerOnRequestedAt: NOW,
            attempts: attempts.map(([agoMs, outcome], at) =>
              attempt({ number: at + 1, startedAt: stamp(agoMs), outcome }),
            ),
          },
          { provenAtMs: NOW_MS - sinceProofMs },
        )
        .decide();
    if (inMs > 0) {
      expect(stepsOf(cluster(inMs - 1), "PowerOn")).toEqual([]);
      expect(cluster(inMs - 1).lookAgainAtMs).toBe(NOW_MS + 1);
    }
    expect(stepsOf(cluster(inMs), "PowerOn")).toHaveLength(1);
  });

  it("releases through a Node object that is gone, which needs no taint", () => {
    const cluster = fenced();
    cluster.nodes.delete("n1");
    expect(stepsOf(cluster.decide(), "Release")).toHaveLength(1);
  });
});

describe("the return of a node", () => {
  const returned = (words: Parameters<ReturnType<typeof threeNodes>["node"]>[1]) =>
    threeNodes()
      .node("n1", { ...BACK, outOfService: true, ...words })
      .fenced("n1", { phase: "Released" });

  it("lifts our taint once the node is Ready, renews its Lease and virt-handler is heard", () => {
    expect(effectsOf(returned({}).decide())).toMatchObject([{ kind: "Untaint", node: "n1" }]);
  });

  it("closes the ledger after that", () => {
    expect(effectsOf(returned({ outOfService: false }).decide())).toMatchObject([
      { kind: "WriteFencing", status: { phase: "Returned", returnedBootID: "boot-n1-2" } },
    ]);
  });

  it("leaves somebody else's out-of-service taint where it is", () => {
    expect(stepsOf(returned({ outOfService: "nodeshutdown" }).decide(), "Untaint")).toEqual([]);
  });

  it.each([
    ["Ready", { ready: "False" as const }, "to be Ready"],
    ["a fresh Lease", { leaseSilentMs: 30_000 }, "a fresh node Lease"],
    ["a heartbeat after the proof", { heartbeatSilentMs: 60_000 }, "a heartbeat of virt-handler"],
    ["virt-handler's word", { labels: { "kubevirt.io/schedulable": "false" } }, "schedulable"],
  ])("waits for %s", (_what, words, said) => {
    const plan = returned(words).decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(plan.refusals[0]?.message).toContain(said);
  });

  it("waits until the kubelet has ended the old pods of VMs that were not released", () => {
    const cluster = returned({}).vm("a", {
      on: "n1",
      protection: {
        status: {
          failover: {
            fencing: "nf-n1",
            fromNode: "n1",
            vmiUID: "vmi-a-1",
            lastGoodAt: "x",
            lostAt: "x",
            phase: "Recovering",
            message: "",
          },
        },
      },
    });
    expect(stepsOf(cluster.decide(), "Untaint")).toEqual([]);
    expect(refusalsOf(cluster.decide(), "node/n1")).toEqual(["WaitingForReturn"]);
  });
});
