import { describe, expect, it } from "vitest";
import type { Plan } from "../../src/model/plan.ts";
import {
  attempt,
  type Cluster,
  conditionOf,
  FAILOVER,
  lostWith,
  NOW,
  NOW_MS,
  outage,
  statusOf,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const LOST = { leaseSilentMs: 25_000, heartbeatSilentMs: 60_000 };
const DEAD = { leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true };
const at = (seconds: number): string => new Date(Date.parse(NOW) + seconds * 1_000).toISOString();

/** All wishes of a VM's life fulfilled: its status is what a turn would write. */
const settled = (cluster: Cluster): LiveWorld => {
  const world = new LiveWorld(cluster);
  world.settle();
  world.statusWrites.clear();
  return world;
};

describe("a failover from loss to readiness", () => {
  it("is written twice per VM, with the time of every phase, and costs nothing in between", () => {
    const world = settled(threeNodes().vm("a", { on: "n1" }));
    const silent = ["n1"];
    world.pass(13_000, silent).settle();
    expect(world.statusWrites.get("a")).toBeUndefined();
    world.pass(10_000, silent).settle();
    expect(world.statusWrites.get("a")).toBe(1);
    const name = [...world.cluster.fencings.keys()][0] ?? "";
    expect(world.cluster.protections.get("ns/a")?.status.failover).toEqual({
      fencing: name,
      fromNode: "n1",
      vmiUID: "vmi-a-1",
      lastGoodAt: at(-3),
      lostAt: at(23),
      phase: "Recovering",
      message: `n1 is lost; progress is in NodeFencing ${name}`,
    });

    const fencing = world.pass(2_000, silent).cluster.fencings.get(name);
    if (fencing === undefined) throw new Error("no fencing was opened");
    const proof = { type: "PowerOff" as const, bootID: "boot-n1-1", observedAt: at(25), detail: "off" };
    world.fencing(name, {
      status: { ...fencing.status, phase: "Fenced", proof, attempts: [attempt({ outcome: "PoweredOff" })] },
      provenAtMs: world.nowMs,
    });
    world.settle();
    world.cluster.node("n1", { ...DEAD, outOfService: true });
    const released = world.pass(100, silent).turn();
    expect(stepsOf(released, "Release")).toHaveLength(1);

    world.pod("ns/virt-launcher-a-0", undefined);
    for (const change of [{ phase: "Failed", ready: false }, { deleting: true }] as const)
      world.pass(50, silent).vmi("ns/a", change).settle();
    world.pass(50, silent);
    world.newVMI("ns/a", { uid: "vmi-a-2", phase: "Pending", nodeName: undefined, ready: false }).settle();
    world.pass(50, silent).vmi("ns/a", { phase: "Scheduling" }).settle();
    world
      .pass(50, silent)
      .vmi("ns/a", { phase: "Scheduled", nodeName: "n2", scheduledAtWallMs: world.wallMs });
    world.settle();
    world.pass(50, silent).vmi("ns/a", { phase: "Running", runningAtWallMs: world.wallMs });
    world.settle();
    expect(world.statusWrites.get("a")).toBe(1);

    world.pass(50, silent).vmi("ns/a", { ready: true, readyAtWallMs: world.wallMs });
    world.settle();
    expect(world.statusWrites.get("a")).toBe(2);
    const status = world.cluster.protections.get("ns/a")?.status;
    expect(status?.failover).toBeUndefined();
    expect(status).toMatchObject({ node: "n2", vmiUID: "vmi-a-2" });
    expect(status?.outages).toEqual([
      {
        cause: "NodeLost",
        fencing: name,
        fromNode: "n1",
        toNode: "n2",
        vmiUID: "vmi-a-1",
        newVMIUID: "vmi-a-2",
        lastGoodAt: at(-3),
        lostAt: at(23),
        provedAt: at(25),
        releasedAt: at(25.1),
        scheduledAt: at(25.35),
        runningAt: at(25.4),
        readyAt: at(25.45),
      },
    ]);
    world.pass(60_000, silent).settle();
    expect(world.statusWrites.get("a")).toBe(2);
  });

  it("is not begun again by a leader that still sees the instance whose successor has come up", () => {
    const outages = [outage(60_000, { fromNode: "n1", vmiUID: "vmi-a-1", newVMIUID: "vmi-a-2" })];
    const plan = threeNodes()
      .node("n1", DEAD)
      .vm("a", { on: "n1", protection: { status: { outages } } })
      .fenced("n1", { phase: "Released" })
      .decide();
    expect(statusOf(plan, "a").failover).toBeUndefined();
  });

  it("keeps the last ten outages, the newest first", () => {
    const outages = Array.from({ length: 10 }, (_, i) => outage(100_000_000 + i));
    const plan = threeNodes()
      .vm("a", {
        on: "n2",
        vmi: { uid: "vmi-a-2" },
        protection: { status: { failover: lostWith("a", "n1"), outages } },
      })
      .decide();
    const { outages: kept } = statusOf(plan, "a");
    expect(kept).toHaveLength(10);
    expect(kept[0]).toMatchObject({ vmiUID: "vmi-a-1", newVMIUID: "vmi-a-2" });
    expect(kept.at(-1)).toEqual(outages[8]);
  });
});

describe("when a failover begins", () => {
  const began = (cluster: Cluster): boolean => {
    const write = stepsOf(cluster.decide(), "WriteProtection").find((step) => step.protection.name === "a");
    return write?.status.failover !== undefined;
  };

  it.each<[string, VMWords, boolean]>([
    ["for a VM that runs", {}, true],
    ["for one that is just starting", { vmi: { phase: "Scheduling", ready: false } }, true],
    ["not for one that has ended and left nothing there", { podGone: true, vmi: { phase: "Failed" } }, false],
    ["for one that has ended, and KubeVirt waits for its pod to go", { vmi: { phase: "Failed" } }, true],
    ["not for one that was halted and cannot stop on a dead node", { runStrategy: "Halted" }, false],
    ["not for one that is being deleted", { deleting: true }, false],
  ])("%s", (_what, words, expected) => {
    expect(
      began(
        threeNodes()
          .node("n1", LOST)
          .vm("a", { on: "n1", ...words }),
      ),
    ).toBe(expected);
  });

  it("not for an instance whose VirtualMachine is gone", () => {
    const cluster = threeNodes().node("n1", LOST).vm("a", { on: "n1" });
    cluster.vms.delete("ns/a");
    expect(began(cluster)).toBe(false);
  });

  it("not for an HAVirtualMachine that is not in charge", () => {
    const cluster = threeNodes().node("n1", LOST).vm("a", { on: "n1" });
    cluster.protect("a", { name: "older", createdAtWallMs: 0 });
    expect(began(cluster)).toBe(false);
  });

  it("writes no record in circles for a VM that is halted after its node was lost", () => {
    const world = settled(threeNodes().node("n1", LOST).vm("a", { on: "n1" }));
    world.vm("ns/a", { runStrategy: "Halted" }).settle();
    expect(world.cluster.protections.get("ns/a")?.status.failover).toBeUndefined();
    expect(world.statusWrites.get("a")).toBe(1);
  });
});

describe("how a failover ends", () => {
  const during = (words: VMWords, node: Parameters<Cluster["node"]>[1] = DEAD): Cluster => {
    const { protection, ...rest } = words;
    const cluster = threeNodes().node("n1", node);
    const status = { failover: lostWith("a", "n1"), ...protection?.status };
    return cluster.vm("a", { ...rest, protection: { ...protection, status } });
  };
  const outcome = (cluster: Cluster): string => {
    const write = stepsOf(cluster.decide(), "WriteProtection").find((step) => step.protection.name === "a");
    const status = write?.status ?? cluster.protections.get("ns/a")?.status;
    if (status?.failover !== undefined) return "goes on";
    return status?.outages.length === 0 ? "over" : "over, with an outage";
  };
  const again = { uid: "vmi-a-2" };

  it.each<[string, VMWords, string]>([
    ["its new instance is ready", { on: "n2", vmi: again }, "over, with an outage"],
    ["its new instance is not ready", { on: "n2", vmi: { ...again, ready: false } }, "goes on"],
    ["its new instance is only scheduled", { on: "n2", vmi: { ...again, phase: "Scheduled" } }, "goes on"],
    ["it has no instance", {}, "goes on"],
    [
      "KubeVirt is about to start it",
      { runStrategy: "RerunOnFailure", printableStatus: "Starting" },
      "goes on",
    ],
    [
      "its instance was deleted by somebody, for which KubeVirt does not start it",
      { runStrategy: "RerunOnFailure", printableStatus: "Stopped" },
      "over",
    ],
    ["its instance was deleted, and it comes again", { printableStatus: "Stopped" }, "goes on"],
    ["its old instance still counts as running", { on: "n1" }, "goes on"],
    ["it was halted", { runStrategy: "Halted", on: "n1" }, "over"],
    ["it is being deleted", { deleting: true, on: "n1" }, "goes on"],
    [
      "it shut down by itself and stays so",
      { runStrategy: "RerunOnFailure", on: "n2", vmi: { ...again, phase: "Succeeded" } },
      "over",
    ],
    [
      "it shut down by itself and comes again",
      { on: "n2", vmi: { ...again, phase: "Succeeded" } },
      "goes on",
    ],
  ])("%s", (_what, words, expected) => {
    expect(outcome(during(words).fenced("n1", { phase: "Released" }))).toBe(expected);
  });

  it("goes on while its instance has only just gone: what KubeVirt says of it may be older", () => {
    const world = new LiveWorld(
      during({ on: "n1", runStrategy: "RerunOnFailure", printableStatus: "Stopped" }),
    );
    for (const key of world.cluster.pods.keys()) world.pod(key, undefined);
    world.vmi("ns/a", undefined);
    const left = () => {
      world.settle();
      return world.cluster.protections.get("ns/a")?.status.failover;
    };
    expect(left()).toBeDefined();
    world.pass(29_000, ["n1"]);
    expect(left()).toBeDefined();
    world.pass(1_500, ["n1"]);
    expect(left()).toBeUndefined();
  });

  it("ends without an outage when the VirtualMachine is deleted", () => {
    const cluster = during({ on: "n1" });
    cluster.vms.delete("ns/a");
    expect(outcome(cluster)).toBe("over");
  });

  it("ends without an outage when the node was not lost after all and the guest still runs", () => {
    expect(outcome(during({ on: "n1" }, {}))).toBe("over");
  });

  it("ends without an outage when its migration had switched, and remembers where it was", () => {
    const failback = { policy: "Automatic" as const, delayMs: 0, nodeSelector: {} };
    const cluster = during({ on: "n2", protection: { failback } });
    expect(outcome(cluster)).toBe("over");
    expect(statusOf(cluster.decide(), "a").displacedFrom).toEqual({
      node: "n1",
      cause: "Failover",
      since: NOW,
    });
  });

  it.each<[string, Cluster]>([
    ["its fencing is still open", during({ on: "n1" }, {}).fencing("n1")],
    ["its node was only seen by a replica that has just begun to watch", firstSeen(during({ on: "n1" }, {}))],
    ["our contact was broken, so that nobody is called silent", gap(during({ on: "n1" }))],
    ["the guest is not ready yet", during({ on: "n1", vmi: { ready: false } }, {})],
    ["the node has rebooted, so that its guest cannot have survived", rebooted(during({ on: "n1" }, {}))],
  ])("goes on while %s", (_what, cluster) => {
    expect(outcome(cluster)).toBe("goes on");
  });

  function firstSeen(cluster: Cluster): Cluster {
    cluster.leases.set("n1", { renewal: { value: "?", changedAtMs: NOW_MS - 500, firstSight: true } });
    return cluster;
  }
  function gap(cluster: Cluster): Cluster {
    cluster.contactSinceMs = NOW_MS - 2_000;
    return cluster;
  }
  function rebooted(cluster: Cluster): Cluster {
    const proof = { type: "Rebooted" as const, bootID: "boot-n1-2", observedAt: NOW, detail: "" };
    return cluster.node("n1", { bootID: "boot-n1-2" }).fencing("n1", { phase: "Returned", proof });
  }

  it("tells no phase that nobody saw: the leader that took over did not watch the release", () => {
    const vmi = {
      ...again,
      scheduledAtWallMs: undefined,
      runningAtWallMs: undefined,
      readyAtWallMs: undefined,
    };
    const plan = during({ on: "n2", vmi }).fenced("n1", { phase: "Released" }).decide();
    expect(statusOf(plan, "a").outages[0]).toEqual({
      cause: "NodeLost",
      fencing: "nf-n1",
      fromNode: "n1",
      toNode: "n2",
      vmiUID: "vmi-a-1",
      newVMIUID: "vmi-a-2",
      lastGoodAt: NOW,
      lostAt: NOW,
      provedAt: NOW,
      readyAt: NOW,
    });
  });

  it("calls no pod released that somebody else took away before the node was proven off", () => {
    const world = new LiveWorld(during({ on: "n1" }));
    world.cluster.pod("a", { name: "here", nodeName: "n1" });
    world.adopt("pods", "ns/here").pass(5_000, ["n1"]).pod("ns/here", undefined);
    world.newVMI("ns/a", { ...again, nodeName: "n2" });
    const [outage] = statusOf(world.turn(), "a").outages;
    expect(outage).toMatchObject({ cause: "NodeLost", fromNode: "n1" });
    expect(outage?.releasedAt).toBeUndefined();
  });

  it("takes no other pod's end for the release: neither one of long ago nor one on another node", () => {
    const world = new LiveWorld(during({ on: "n1" }).fenced("n1", { phase: "Released" }));
    world.cluster.pod("a", { name: "elsewhere", nodeName: "n3" });
    world.adopt("pods", "ns/elsewhere").pass(5_000, ["n1"]).pod("ns/elsewhere", undefined);
    world.newVMI("ns/a", { ...again, nodeName: "n2" });
    expect(statusOf(world.turn(), "a").outages[0]?.releasedAt).toBeUndefined();
  });
});

describe("a failover under way", () => {
  const recovering = (words: VMWords = {}, change = {}): Cluster => {
    const status = { failover: lostWith("a", "n1", change) };
    return threeNodes()
      .node("n1", DEAD)
      .vm("a", { on: "n1", ...words, protection: { ...words.protection, status } });
  };
  const phaseOf = (plan: Plan): string => {
    const record = statusOf(plan, "a").failover;
    return `${record?.phase ?? "none"}: ${record?.message ?? ""}`;
  };

  it("is carried on to the second node that is lost on the way up: it is one outage", () => {
    const world = settled(
      recovering({ on: "n2", vmi: { uid: "vmi-a-2", ready: false } }).fenced("n1", { phase: "Released" }),
    );
    world.pass(23_000, ["n1", "n2"]).settle();
    const record = world.cluster.protections.get("ns/a")?.status.failover;
    expect(record).toMatchObject({ fromNode: "n2", vmiUID: "vmi-a-2", lastGoodAt: NOW, lostAt: NOW });
    expect(record?.fencing).toMatch(/^nf-n2-/);
    world.newVMI("ns/a", { uid: "vmi-a-3", nodeName: "n3", phase: "Running", ready: true }).settle();
    expect(world.cluster.protections.get("ns/a")?.status.outages).toMatchObject([
      { fromNode: "n2", toNode: "n3", vmiUID: "vmi-a-2", newVMIUID: "vmi-a-3", lostAt: NOW },
    ]);
  });

  it("is taken over by an HAVirtualMachine that a person writes meanwhile, and not counted twice", () => {
    const world = settled(recovering({ protection: { madeByPolicy: "all", policyGeneration: 1 } }));
    world.cluster.protect("a", { name: "by-hand" });
    world.adopt("protections", "ns/by-hand").settle();
    expect(world.cluster.protections.get("ns/by-hand")?.status.failover?.vmiUID).toBe("vmi-a-1");
    expect(world.cluster.protections.get("ns/a")?.status.failover).toBeUndefined();
  });

  it("is not taken over from one that is being deleted: what that says is not kept up any more", () => {
    const cluster = recovering({ on: "n2", protection: { deleting: true } });
    cluster.node("n2", { leaseSilentMs: 15_000 }).protect("a", { name: "by-hand" });
    expect(statusOf(cluster.decide(), "by-hand").failover).toBeUndefined();
  });

  it("goes by another fencing when the first has stood down and the node is lost once more", () => {
    const cluster = recovering().node("n1", LOST).fencing("n1", { phase: "Aborted" });
    const opened = stepsOf(cluster.decide(), "OpenFencing")[0]?.name;
    expect(opened).toBeDefined();
    expect(statusOf(cluster.decide(), "a").failover?.fencing).toBe(opened);
  });

  it.each<[string, Cluster, string]>([
    [
      "failover is disabled",
      recovering({ protection: { failover: { ...FAILOVER, enabled: false } } }),
      "Blocked: spec.failover.enabled is false: the VM is left as it is",
    ],
    [
      "its run strategy does not bring it back",
      recovering({ runStrategy: "Once" }),
      "Blocked: cannot restart: run strategy Once does not start it again; set spec.failover.restartOnce",
    ],
    [
      "a storm holds its node's fencing",
      recovering().fencing("n1").node("n2", LOST),
      "Blocked: more nodes are lost at once than the policy allows: n1 is not powered off until fewer are",
    ],
    [
      "no device has proven its node off in a whole round",
      recovering().fencing("n1", { attempts: [attempt({ number: 3 })] }),
      "Blocked: no fencing level has proven n1 off yet: see the attempts in NodeFencing nf-n1",
    ],
    [
      "the scheduler finds no node",
      recovering({ on: undefined, vmi: { uid: "vmi-a-2", phase: "Scheduling" } })
        .fenced("n1", { phase: "Released" })
        .pod("a", { vmiUID: "vmi-a-2", unschedulable: "0/3 nodes are available" }),
      "Blocked: released, but the scheduler finds no node for it: see its virt-launcher pod",
    ],
    [
      "its second instance has failed and nobody tries again",
      recovering({ runStrategy: "Manual", on: "n2", vmi: { uid: "vmi-a-2", phase: "Failed" } }).fenced("n1"),
      "Blocked: it was started again and has failed: run strategy Manual does not try once more",
    ],
    [
      "its second instance is not ready for minutes",
      recovering({ on: "n2", vmi: { uid: "vmi-a-2", ready: false, firstSeenMs: NOW_MS - 300_000 } }),
      "Blocked: it was started again on n2 and is not Ready: see its VirtualMachineInstance",
    ],
    [
      "KubeVirt has not started it for minutes",
      recovering({ podGone: true, vmi: { phase: "Failed" } }).fenced(
        "n1",
        {},
        { provenAtMs: NOW_MS - 180_000 },
      ),
      "Blocked: released, but KubeVirt has not started it again: see its VirtualMachine",
    ],
    [
      "its device cannot be trusted",
      recovering()
        .node("n1", { leaseSilentMs: 500, outOfService: true })
        .fenced("n1", {}, { provenAtMs: NOW_MS - 60_000 }),
      "Blocked: n1 was proven off and is heard all the same: its fence device cannot be trusted, so nothing is released",
    ],
    [
      "somebody removed the pod of a Manual VM by force",
      recovering({ runStrategy: "Manual", podGone: true, vmi: { phase: "Failed" } }).fencing("n1"),
      "Blocked: its instance has ended, but n1 is not proven off: start the VM yourself once that node surely is",
    ],
  ])("says what is in the way when %s", (_what, cluster, said) => {
    expect(phaseOf(cluster.decide())).toBe(said);
  });

  it("says that no topology covers the node", () => {
    const cluster = recovering({}, { fencing: undefined });
    cluster.topologies.clear();
    expect(phaseOf(cluster.decide())).toBe(
      "Blocked: no FencingTopology covers n1, so it cannot be proven off: write one, or see to the node yourself",
    );
  });

  it("tells an administrator once, by an Event, and says so no more when the way is free", () => {
    const world = settled(recovering().fencing("n1"));
    world.cluster.node("n2", LOST);
    const [step] = stepsOf(world.turn(), "WriteProtection").filter((one) => one.protection.name === "a");
    expect(step?.events).toMatchObject([{ reason: "FailoverBlocked", type: "Warning" }]);
    world.settle();
    world.cluster.node("n3", LOST);
    world.settle();
    expect(world.statusWrites.get("a")).toBe(1);
    world.cluster.node("n2").node("n3");
    world.settle();
    expect(world.cluster.protections.get("ns/a")?.status.failover?.phase).toBe("Recovering");
  });

  it("asks for a turn when a slow start becomes one to be told of", () => {
    const vmi = { uid: "vmi-a-2", ready: false, firstSeenMs: NOW_MS - 290_000 };
    const cluster = recovering({ on: "n2", vmi }).fenced("n1", { phase: "Released" });
    cluster.leases.clear();
    expect(cluster.decide().lookAgainAtMs).toBe(NOW_MS + 10_000);
  });

  it("keeps saying that the node is lost until it is known how it ended", () => {
    const cluster = recovering({}, { message: "old" }).node("n1", { leaseSilentMs: 5_000 }).fencing("n1");
    expect(conditionOf(cluster.decide(), "a", "Available")).toBe("False/NodeLost");
  });

  it("ends where the instance on record turns out to run in the node's next life, once that has settled", () => {
    const returned = (changedAgoMs: number): Cluster =>
      recovering({}, { fencing: "nf-n1" })
        .node("n1", { bootID: "boot-n1-2" })
        .fenced("n1", { phase: "Returned" }, { changedAtMs: NOW_MS - changedAgoMs });
    const early = returned(50_000).decide();
    expect(conditionOf(early, "a", "Available")).toBe("False/NodeLost");
    expect(early.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 10_000);
    const late = returned(60_000).decide();
    expect(statusOf(late, "a").failover).toBeUndefined();
    expect(conditionOf(late, "a", "Available")).toBe("True/Running");
  });

  it("is not called available while its failover stands, also where the guest has migrated away meanwhile", () => {
    const cluster = recovering({ on: "n2" }, { message: "old" }).fencing("n2");
    const [step] = stepsOf(cluster.decide(), "WriteProtection").filter((one) => one.protection.name === "a");
    expect(step?.status.failover).toMatchObject({ fromNode: "n1" });
    expect(conditionOf(cluster.decide(), "a", "Available")).toBe("False/NodeLost");
  });

  it("is told again in full where its HAVirtualMachine has changed", () => {
    const world = settled(recovering().fencing("n1"));
    world.protection("ns/a", { generation: 2 }).settle();
    expect(world.statusWrites.get("a")).toBe(1);
    expect(world.cluster.protections.get("ns/a")?.status.observedGeneration).toBe(2);
  });
});
