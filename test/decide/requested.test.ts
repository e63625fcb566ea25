import { describe, expect, it } from "vitest";
import type { FencingFact } from "../../src/model/fencing.ts";
import type { Plan } from "../../src/model/plan.ts";
import { attempt, Cluster, effectsOf, NOW, NOW_MS, refusalsOf, stepsOf } from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const REQUESTED = { requested: true } as const;

/** `total` healthy nodes, and a request to fence n0. */
function asked(total = 5): Cluster {
  const cluster = new Cluster().topology();
  for (let i = 0; i < total; i++) cluster.node(`n${i}`);
  return cluster.fencing("n0", {}, REQUESTED);
}
function theRequest(): FencingFact {
  const [request] = asked().fencings.values();
  if (request === undefined) throw new Error("nobody asked");
  return request;
}
const shots = (plan: Plan): boolean[] => stepsOf(plan, "Fence").map((step) => step.mayPowerOff);

describe("a fencing that somebody asked for", () => {
  it("is carried out on a living node, without a VM on it", () => {
    expect(shots(asked().decide())).toEqual([true]);
  });

  it("is what it takes: a ledger that we opened for the same living node stands down", () => {
    const cluster = asked().fencing("n0", {}, { changedAtMs: NOW_MS - 60_000 });
    expect(shots(cluster.decide())).toEqual([]);
  });

  it("waits for one that is under way for the same boot, by whatever name, and takes over if that stands down", () => {
    const ours = { attempts: [attempt({ outcome: "Started" })] };
    const cluster = asked().node("n0", LOST).fencing("n0", ours);
    cluster.fencings.set("a-request", {
      ...theRequest(),
      name: "a-request",
      uid: "uid-a-request",
    });
    const plan = cluster.decide();
    expect(stepsOf(plan, "Fence").map((step) => step.fencing.name)).toEqual(["nf-n0"]);
    expect(stepsOf(plan, "WriteFencing")).toEqual([]);
    cluster.fencings.delete("nf-n0");
    expect(stepsOf(cluster.decide(), "Fence").map((step) => step.fencing.name)).toEqual(["a-request"]);
  });

  it("is answered where that boot is proven over already, and nobody shoots again", () => {
    const cluster = asked().node("n0", LOST).vm("a", { on: "n0" }).fenced("n0");
    cluster.fencings.set("a-request", { ...theRequest(), name: "a-request", uid: "uid-a-request" });
    const plan = cluster.decide();
    expect(shots(plan)).toEqual([]);
    expect(
      stepsOf(plan, "WriteFencing").find(({ fencing }) => fencing.name === "a-request")?.status,
    ).toMatchObject({
      phase: "Aborted",
      message: expect.stringContaining("NodeFencing nf-n0 has proven already"),
    });
    expect(stepsOf(plan, "Taint")).toHaveLength(1);
  });

  it("is refused for another incarnation, and nothing was done", () => {
    const plan = asked().node("n0", { bootID: "boot-n0-2" }).decide();
    expect(stepsOf(plan, "WriteFencing").map((step) => step.status)).toMatchObject([
      {
        phase: "Aborted",
        message: expect.stringMatching(/names boot ID boot-n0-1, and n0 runs with boot-n0-2/),
      },
    ]);
    expect(stepsOf(plan, "WriteFencing")[0]?.status.proof).toBeUndefined();
    expect(shots(plan)).toEqual([]);
  });

  it("ends as returned where the node rebooted after it was begun", () => {
    const plan = asked()
      .node("n0", { bootID: "boot-n0-2" })
      .fencing("n0", { attempts: [attempt({})] }, REQUESTED)
      .decide();
    expect(stepsOf(plan, "WriteFencing")[0]?.status).toMatchObject({ phase: "Returned" });
  });

  it("is refused for another node of that name", () => {
    const plan = asked()
      .fencing("n0", {}, { ...REQUESTED, nodeUID: "another" })
      .decide();
    expect(stepsOf(plan, "WriteFencing")[0]?.status.phase).toBe("Aborted");
  });

  it("is held while fencing is disarmed", () => {
    const plan = asked().disarm("work").decide();
    expect(shots(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["FencingDisarmed"]);
  });

  it("shoots nothing that would make a storm, but finds out whether the node is off already", () => {
    const plan = asked(10).node("n8", LOST).node("n9", LOST).decide();
    expect(shots(plan)).toEqual([false]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["StormHold"]);
    expect(shots(asked(10).node("n9", LOST).decide())).toEqual([true]);
  });

  it("is held in a storm", () => {
    const plan = asked(5).node("n3", LOST).node("n4", LOST).decide();
    expect(shots(plan)).toEqual([false]);
  });

  it("spares the last healthy node", () => {
    const plan = asked(2).node("n1", LOST).decide();
    expect(shots(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["LastHealthyNode"]);
    expect(plan.refusals[0]?.message).toContain("no other of 2 nodes is healthy");
  });

  it("waits while we are blind, and asks again when we no longer are", () => {
    const cluster = asked();
    cluster.contactSinceMs = NOW_MS - 5_000;
    const plan = cluster.decide();
    expect(shots(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["LeaderBlind"]);
    expect(plan.lookAgainAtMs).toBe(NOW_MS + 8_000);
  });

  it("waits its turn while as many fencings as allowed are under way, and goes on once it has begun", () => {
    const cluster = (): Cluster =>
      asked(10)
        .node("n1", LOST)
        .vm("a", { on: "n1" })
        .fencing("n1", { attempts: [attempt({ outcome: "Started" })] });
    const one = { maxConcurrentFencings: 1 };
    expect(refusalsOf(cluster().decide(one), "node/n0")).toEqual(["TooManyFencings"]);
    const begun = cluster().fencing("n0", { attempts: [attempt({ outcome: "Started" })] }, REQUESTED);
    expect(refusalsOf(begun.decide(one), "node/n0")).toEqual([]);
  });

  it("shoots no node that is late among more late ones than the storm limit allows, though none is lost yet", () => {
    const late = { leaseSilentMs: 13_000, heartbeatSilentMs: 13_000 };
    const cluster = asked(5).node("n0", late).node("n1", late);
    expect(shots(cluster.decide({ stormMaxLost: { count: 1 } }))).toEqual([false]);
    expect(refusalsOf(cluster.decide({ stormMaxLost: { count: 1 } }), "node/n0")).toEqual(["StormHold"]);
    expect(shots(cluster.decide({ stormMaxLost: { count: 2 } }))).toEqual([true]);
  });

  it("is refused where no topology covers the node", () => {
    const cluster = asked();
    cluster.topologies.clear();
    const plan = cluster.decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["NoFencingTopology"]);
  });

  it("is carried out on a dead node as any other", () => {
    expect(shots(asked(10).node("n0", LOST).decide())).toEqual([true]);
  });

  it("has the node switched on again by the topology in charge where it names none", () => {
    const change = { ...REQUESTED, topology: undefined, provenAtMs: NOW_MS - 6_000 };
    const plan = asked()
      .topology("bmc", { afterFencing: "PowerOn" })
      .node("n0", { leaseSilentMs: 20_000, heartbeatSilentMs: 30_000, outOfService: true })
      .fenced("n0", { phase: "Released", powerOnRequestedAt: NOW }, change)
      .decide();
    expect(stepsOf(plan, "PowerOn")).toHaveLength(1);
  });

  it("recovers the node's VMs as after a loss, once the proof stands", () => {
    const cluster = asked()
      .node("n0", { leaseSilentMs: 20_000, heartbeatSilentMs: 30_000, outOfService: true })
      .vm("a", { on: "n0" })
      .fenced("n0", {}, { ...REQUESTED, provenAtMs: NOW_MS - 6_000 });
    const plan = cluster.decide();
    expect(plan.verdicts.get("n0")?.kind).toBe("lost");
    expect(stepsOf(plan, "Release").map((step) => step.vmKey)).toEqual(["ns/a"]);
  });
});
