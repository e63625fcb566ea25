import { describe, expect, it } from "vitest";
import type { FencingFact } from "../../src/model/fencing.ts";
import type { Plan } from "../../src/model/plan.ts";
import { attempt, Cluster, NOW_MS, NOW_WALL_MS, refusalsOf, stepsOf } from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const shots = (plan: Plan): boolean[] => stepsOf(plan, "Fence").map((step) => step.mayPowerOff);

interface Past {
  readonly agoMs: number;
  readonly outcome?: "PoweredOff" | "AlreadyOff";
  /** How long we have known the proof, where that differs. */
  readonly seenAgoMs?: number;
}

/** Ten nodes, n0 lost with an open fencing, and others fenced before. */
function after(...past: readonly Past[]): Cluster {
  const cluster = new Cluster().topology();
  for (let i = 0; i < 10; i++) cluster.node(`n${i}`);
  cluster.node("n0", LOST).vm("a", { on: "n0" }).fencing("n0");
  past.forEach(({ agoMs, outcome = "PoweredOff", seenAgoMs = agoMs }, i) => {
    const observedAt = new Date(NOW_WALL_MS - agoMs).toISOString();
    const proof = {
      type: "PowerOff",
      bootID: `boot-gone-${i}-1`,
      observedAt,
      detail: "",
      attempt: 1,
    } as const;
    const change: Partial<FencingFact> = { provenAtMs: NOW_MS - seenAgoMs };
    cluster.fencing(`gone-${i}`, { phase: "Returned", proof, attempts: [attempt({ outcome })] }, change);
  });
  return cluster;
}
const limit = (maxFencingsPerHour: number) => ({ maxFencingsPerHour });

describe("the limit on fencings within an hour", () => {
  it("holds the next shot, reads the power state on, and says the numbers", () => {
    const plan = after({ agoMs: 600_000 }, { agoMs: 60_000 }).decide(limit(2));
    expect(shots(plan)).toEqual([false]);
    expect(refusalsOf(plan, "node/n0")).toEqual(["FencingRateReached"]);
    expect(plan.refusals[0]?.message).toContain("2 nodes were within 3600 s, limit 2");
  });

  it("lets one more go while there is room", () => {
    expect(shots(after({ agoMs: 600_000 }).decide(limit(2)))).toEqual([true]);
  });

  it("looks again when the oldest shot that counts has become an hour old", () => {
    const plan = after({ agoMs: 600_000 }, { agoMs: 60_000 }).decide(limit(2));
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 3_000_000);
    expect(shots(after({ agoMs: 3_600_000 }, { agoMs: 60_000 }).decide(limit(2)))).toEqual([true]);
  });

  it("does not count nodes that were off by themselves", () => {
    const off = { agoMs: 60_000, outcome: "AlreadyOff" } as const;
    expect(shots(after(off, off, off).decide(limit(2)))).toEqual([true]);
  });

  it("does not take old proofs for new ones because a new leader has only just seen them", () => {
    const old = { agoMs: 7_200_000, seenAgoMs: 1_000 };
    expect(shots(after(old, old, old).decide(limit(2)))).toEqual([true]);
  });

  it("forgets old proofs by our own clock where the wall clock has jumped", () => {
    const jumped = { agoMs: -86_400_000, seenAgoMs: 7_200_000 };
    expect(shots(after(jumped, jumped, jumped).decide(limit(2)))).toEqual([true]);
  });

  it("does not stop a fencing half-way: what may have been shot at is shot at again", () => {
    const cluster = after({ agoMs: 600_000 }, { agoMs: 60_000 });
    cluster.fencing("n0", { attempts: [attempt({ outcome: "StillOn" })] }, { changedAtMs: NOW_MS - 60_000 });
    expect(shots(cluster.decide(limit(2)))).toEqual([true]);
  });

  it("counts among those of one turn", () => {
    const cluster = after({ agoMs: 600_000 }).node("n1", LOST).vm("b", { on: "n1" }).fencing("n1");
    const plan = cluster.decide(limit(2));
    expect(shots(plan)).toEqual([true, false]);
  });
});
