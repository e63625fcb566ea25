import { describe, expect, it } from "vitest";
import type { FencingFact } from "../../src/model/fencing.ts";
import type { Plan, QuarantineStep } from "../../src/model/plan.ts";
import { type Cluster, NOW_MS, NOW_WALL_MS, refusalsOf, stepsOf, threeNodes } from "./builder.ts";

const BACK = { bootID: "boot-n1-2", leaseSilentMs: 1_000, heartbeatSilentMs: 0, outOfService: true };
const END_S = (NOW_WALL_MS + 7_200_000) / 1000;
const at = (agoMs: number): string => new Date(NOW_WALL_MS - agoMs).toISOString();

/** n1 is back from a fencing and owes nothing more; it returned before, so long ago each time. */
function backAgain(words: object = {}, ...returnsAgoMs: readonly number[]): Cluster {
  const cluster = threeNodes();
  returnsAgoMs.forEach((agoMs, i) => {
    cluster.fencing("n1", { phase: "Returned", returnedAt: at(agoMs) });
    const fact = cluster.fencings.get("nf-n1") as FencingFact;
    cluster.fencings.set(`nf-old-${i}`, { ...fact, name: `nf-old-${i}` });
  });
  return cluster.node("n1", { ...BACK, ...words }).fenced("n1", { phase: "Released" });
}
const quarantines = (plan: Plan): QuarantineStep[] => stepsOf(plan, "Quarantine");

describe("a node that returns for the third time within an hour", () => {
  it("is quarantined before anything else of its return, until a time that stands on the node", () => {
    const plan = backAgain({}, 3_000_000, 60_000).decide();
    expect(quarantines(plan)).toMatchObject([{ node: "n1", untilSeconds: END_S }]);
    expect(stepsOf(plan, "Untaint")).toEqual([]);
    const [event] = quarantines(plan)[0]?.events ?? [];
    expect(event?.reason).toBe("NodeQuarantined");
    expect(event?.message).toContain("has returned 3 times within 3600 s, limit 3");
  });

  it("returns in quarantine once the taint is there: a leader that dies in between changes nothing", () => {
    const plan = backAgain({ quarantined: String(END_S) }, 3_000_000, 60_000).decide();
    expect(quarantines(plan)).toEqual([]);
    expect(stepsOf(plan, "Untaint")).toHaveLength(1);
    const closing = backAgain(
      { quarantined: String(END_S), outOfService: false },
      3_000_000,
      60_000,
    ).decide();
    expect(stepsOf(closing, "WriteFencing").map((step) => step.status.phase)).toEqual(["Returned"]);
  });

  it("is quarantined also where it reboots by itself before it is fenced", () => {
    const cluster = backAgain({ outOfService: false }, 3_000_000, 60_000).fencing("n1");
    expect(quarantines(cluster.decide())).toHaveLength(1);
    const tainted = backAgain({ outOfService: false, quarantined: String(END_S) }, 60_000, 1_000).fencing(
      "n1",
    );
    expect(stepsOf(tainted.decide(), "WriteFencing").map((step) => step.status.phase)).toEqual(["Returned"]);
  });
});

describe("no node is quarantined", () => {
  it.each([
    ["that returns for the second time", backAgain({}, 60_000)],
    ["whose earlier returns are longer ago than the window", backAgain({}, 3_600_000, 3_700_000, 60_000)],
  ])("%s", (_what, cluster) => {
    expect(quarantines(cluster.decide())).toEqual([]);
  });

  it("where the settings say never", () => {
    expect(quarantines(backAgain({}, 3_000, 2_000, 1_000).decide({ quarantineAfterReturns: 0 }))).toEqual([]);
  });

  it("for other nodes' returns", () => {
    const cluster = backAgain();
    for (const name of ["n2", "n3"]) cluster.fencing(name, { phase: "Returned", returnedAt: at(1_000) });
    expect(quarantines(cluster.decide())).toEqual([]);
  });
});

describe("a quarantine", () => {
  it("keeps VMs from being started or sent there, and says until when", () => {
    const plan = threeNodes()
      .node("n2", { quarantined: String(END_S) })
      .node("n3", { cordoned: true })
      .vm("a", { on: "n1" })
      .decide();
    expect(refusalsOf(plan, "node/n2")).toEqual(["Quarantined"]);
    expect(plan.refusals[0]?.message).toContain(`until ${new Date(END_S * 1000).toISOString()}`);
    const [status] = stepsOf(plan, "WriteProtection");
    expect(status?.status.candidates?.count).toBe(0);
  });

  it("is lifted by itself when its time has come, with an Event", () => {
    const plan = threeNodes()
      .node("n1", { quarantined: String(NOW_WALL_MS / 1000) })
      .decide();
    expect(quarantines(plan)).toMatchObject([
      { node: "n1", untilSeconds: undefined, events: [{ reason: "QuarantineLifted" }] },
    ]);
  });

  it("is looked at again by then, and every minute, since a wall clock may move", () => {
    const soon = threeNodes().node("n1", { quarantined: String(NOW_WALL_MS / 1000 + 5) });
    expect(soon.decide().lookAgainAtMs).toBe(NOW_MS + 5_000);
  });

  it("that somebody has lifted by hand does not come back before the next return", () => {
    const cluster = threeNodes().node("n1");
    for (const i of [0, 1, 2]) {
      cluster.fencing("n1", { phase: "Returned", returnedAt: at(1_000) });
      cluster.fencings.set(`nf-old-${i}`, {
        ...(cluster.fencings.get("nf-n1") as FencingFact),
        name: `nf-old-${i}`,
      });
    }
    expect(quarantines(cluster.decide())).toEqual([]);
  });

  it("whose value is no time is left to whoever wrote it", () => {
    const plan = threeNodes().node("n1", { quarantined: "forever" }).decide();
    expect(quarantines(plan)).toEqual([]);
    expect(plan.refusals[0]?.message).toContain("its value is no time");
  });
});

describe("after a gap in our contact", () => {
  it("people are told why nobody is called lost, with the numbers", () => {
    const cluster = threeNodes().node("n1", { leaseSilentMs: 90_000 }).node("n2", { leaseSilentMs: 90_000 });
    cluster.contactSinceMs = NOW_MS - 5_000;
    const plan = cluster.decide();
    expect(refusalsOf(plan, "cluster")).toEqual(["SilenceCountedAnew"]);
    expect(plan.refusals[0]?.message).toMatch(/^2 of 3 nodes .* \(5 s\)/);
    expect(refusalsOf(threeNodes().decide(), "cluster")).toEqual([]);
  });
});
