// A recorded decision, written down and read back, gives the identical plan; and holds nothing it should not.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide } from "../../src/decide/decide.ts";
import type { Plan } from "../../src/model/plan.ts";
import { recordDecision, toldPlan, writeDecision } from "../../src/observe/decision-record.ts";
import { type ReadRecord, readDecision } from "../../src/observe/read-decision.ts";
import { DecisionRing } from "../../src/run/decision-ring.ts";
import { type Cluster, NOW_MS, NOW_WALL_MS, POLICY, threeNodes } from "../decide/builder.ts";
import { drillSituations } from "../decide/drill-situations.ts";
import { CHECKED, draws, drawCluster } from "../decide/random-world.ts";

const NOW = { monotonicMs: NOW_MS, wallMs: NOW_WALL_MS };

function readable(text: string): Extract<ReadRecord, { ok: true }> {
  const read = readDecision(text);
  if (!read.ok) throw new Error(read.why);
  return read;
}

function replayed(cluster: Cluster): { readonly first: Plan; readonly again: Plan; readonly text: string } {
  const snapshot = cluster.snapshot();
  const first = decide(snapshot, POLICY, NOW);
  const text = writeDecision(recordDecision(snapshot, first, { policy: POLICY, now: NOW }));
  const { record } = readable(text);
  return { first, again: decide(record.snapshot, record.policy, record.now), text };
}

describe("a recorded decision", () => {
  it("gives the identical plan, in every world", () => {
    fc.assert(
      fc.property(draws, (from) => {
        const { first, again } = replayed(drawCluster(from));
        expect(toldPlan(again)).toEqual(toldPlan(first));
      }),
      CHECKED,
    );
  });

  it("leaves out VMs and namespaces of no concern, device settings and foreign annotations", () => {
    const cluster = threeNodes().node("n2", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 });
    cluster.vm("lost", { on: "n2" }).vm("bystander", { on: "n1" });
    cluster.namespaces.set("somebody-elses", { owner: "competitor" });
    const { first, text } = replayed(cluster);
    // The bystander's first status is part of the plan, so here it is of concern; a settled one is not.
    const settled = [...cluster.protections.values()].find(({ name }) => name === "bystander");
    const write = first.steps.find((step) => step.kind === "WriteProtection" && step.protection === settled);
    if (settled !== undefined && write?.kind === "WriteProtection")
      cluster.protections.set(settled.key, { ...settled, status: write.status });
    const calm = replayed(cluster);
    expect(text).toContain("bystander");
    expect(calm.text).not.toContain("bystander");
    expect(calm.text).not.toContain("somebody-elses");
    expect(calm.text).not.toContain("competitor");
    expect(calm.text).toContain("ns/lost");
    expect(calm.text).not.toContain("https://bmc");
    expect(calm.text).not.toContain("credentialsSecret");
    expect(toldPlan(calm.again)).toEqual(toldPlan(calm.first));
  });

  it("holds the VMs that a drill would disturb, though nothing is wrong with them", () => {
    const situations = drillSituations();
    for (const cluster of situations) {
      for (const step of cluster.decide().steps)
        if (step.kind === "WriteProtection")
          cluster.protections.set(step.protection.key, { ...step.protection, status: step.status });
      const { first, again } = replayed(cluster);
      expect(toldPlan(again)).toEqual(toldPlan(first));
    }
    expect(situations.length).toBeGreaterThan(10);
  });

  const whole = (): Record<string, Record<string, unknown>> =>
    JSON.parse(replayed(threeNodes().vm("a", { on: "n2" })).text) as Record<string, Record<string, unknown>>;
  const without = (part: string, member: string, instead?: unknown): string => {
    const record = whole();
    return JSON.stringify({ ...record, [part]: { ...record[part], [member]: instead } });
  };

  it.each([
    ["no JSON", "no JSON", "it is no JSON"],
    ["half of one", JSON.stringify(whole()).slice(0, 2_000), "it is no JSON, or cut off"],
    ["nothing", "", "it is empty"],
    ["another object", "{}", 'its format is not told; this version reads "holdfast.dev/decision/v1"'],
    ["null", "null", "found null where a record should be"],
    [
      "another format",
      JSON.stringify({ ...whole(), format: "holdfast.dev/decision/v0" }),
      'its format is "holdfast.dev/decision/v0"; this version reads "holdfast.dev/decision/v1"',
    ],
    ["no time", without("now", "monotonicMs", "noon"), "now.monotonicMs: found string, should be a number"],
    ["no nodes", without("snapshot", "nodes"), "snapshot.nodes: found nothing, should be a map"],
    ["an object of nodes", without("snapshot", "nodes", {}), "snapshot.nodes: found object, should be a map"],
    ["no steps", without("plan", "steps"), "plan.steps: found nothing, should be a list"],
    [
      "a limit of nothing",
      without("policy", "nodeLostAfterMs"),
      "policy.nodeLostAfterMs: found nothing, should be a number",
    ],
    ["no index", without("snapshot", "index"), "snapshot.index: found nothing, should be an object"],
    [
      "no part of the index",
      without("snapshot", "index", {}),
      "snapshot.index.vmisByNode: found nothing, should be a map",
    ],
  ])("is refused where it is %s, and says what is wrong", (_what, text, why) => {
    const read = readDecision(text);
    expect(read.ok ? "" : read.why).toContain(why);
  });

  it("names the operator's version", () => {
    const ring = new DecisionRing(1, "1.2.3");
    const snapshot = threeNodes()
      .node("n2", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 })
      .vm("a", { on: "n2" })
      .snapshot();
    ring.consider(snapshot, decide(snapshot, POLICY, NOW), { policy: POLICY, now: NOW });
    expect(readable(ring.read(1) ?? "").record.version).toBe("1.2.3");
  });
});

describe("the ring of decisions", () => {
  const lost = (): Cluster =>
    threeNodes().node("n2", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 }).vm("a", { on: "n2" });
  const take = (ring: DecisionRing, cluster: Cluster): void => {
    const snapshot = cluster.snapshot();
    ring.consider(snapshot, decide(snapshot, POLICY, NOW), { policy: POLICY, now: NOW });
  };
  const ids = (ring: DecisionRing): number[] =>
    (JSON.parse(ring.list()) as { decisions: { id: number }[] }).decisions.map(({ id }) => id);

  it("keeps what does something, once, and the oldest goes first", () => {
    const ring = new DecisionRing(2);
    take(ring, threeNodes());
    expect(ids(ring)).toEqual([]);
    take(ring, lost());
    take(ring, lost());
    expect(ids(ring)).toEqual([1]);
    expect(ring.list()).toContain("OpenFencing n2");
    take(ring, lost().fencing("n2"));
    take(ring, lost());
    expect(ids(ring)).toEqual([2, 3]);
    expect(ring.read(1)).toBeUndefined();
    const { plan } = readable(ring.read(3) ?? "").record;
    expect(plan.steps.some(({ kind }) => kind === "OpenFencing")).toBe(true);
  });

  it("keeps nothing where it may keep nothing", () => {
    const ring = new DecisionRing(0);
    take(ring, lost());
    expect(ids(ring)).toEqual([]);
  });

  it("keeps what it was given, whatever the world does afterwards", () => {
    const ring = new DecisionRing(1);
    const cluster = lost();
    take(ring, cluster);
    const before = ring.read(1);
    cluster.vmis.clear();
    cluster.nodes.clear();
    cluster.pods.clear();
    expect(ring.read(1)).toBe(before);
  });
});
