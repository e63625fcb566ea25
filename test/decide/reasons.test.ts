import { DEFAULT_AVAILABILITY_RULE } from "../../src/model/availability.ts";
import { describe, expect, it } from "vitest";
import { CONDITION_REASONS, EVENT_REASONS, REFUSAL_REASONS } from "../../src/api/reasons.ts";
import { decide } from "../../src/decide/decide.ts";
import type { FencingFact } from "../../src/model/fencing.ts";
import type { Plan } from "../../src/model/plan.ts";
import type { Condition } from "../../src/model/protection.ts";
import { drillSituations } from "./drill-situations.ts";
import {
  attempt,
  type Cluster,
  FAILOVER,
  lostWith,
  NOW,
  NOW_WALL_MS,
  POLICY,
  NOW_MS,
  optInPolicy,
  outage,
  readiness,
  threeNodes,
  type VMWords,
} from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const DEAD = { leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true };
const ISOLATED = { leaseSilentMs: 60_000, heartbeatSilentMs: 20_000 };
const BACK = { bootID: "boot-n1-2", leaseSilentMs: 1_000, heartbeatSilentMs: 0 };
const NOT_MIGRATABLE = { status: false, reason: "R", message: "m" };
const on = { on: "n1" };

/** Every situation in which we have something to say. */
const situations: readonly Cluster[] = [
  threeNodes()
    .node("n1", LOST)
    .vm("db", { on: "n1" })
    .fencing("n1", {}, { confirmation: { bootID: "boot-of-another", by: "ada" } }),
  threeNodes()
    .node("n1", LOST)
    .vm("db", { on: "n1" })
    .fencing(
      "n1",
      { refusedConfirmation: { bootID: "boot-of-another", by: "ada", refusedAt: NOW, message: "another" } },
      { confirmation: { bootID: "boot-of-another", by: "ada" } },
    ),
  threeNodes().vm("a", on),
  threeNodes()
    .topology("second")
    .vm("a", { labels: { ha: "yes" } }),
  threeNodes().protect("a"),
  threeNodes().vm("a", on).protect("a", { name: "b" }),
  threeNodes().vm("a", waitsFor("b")).vm("b", waitsFor("nobody")),
  threeNodes().vm("a", waitsFor("a")),
  threeNodes().vm("a", { ...on, protection: { failover: { ...FAILOVER, enabled: false } } }),
  threeNodes().node("n1", LOST).vm("a", on),
  without("topologies", threeNodes().node("n1", LOST).vm("a", on)),
  threeNodes()
    .node("n1", { ...LOST, bootID: undefined })
    .vm("a", on),
  threeNodes().node("n1", LOST).node("n2", LOST).vm("a", on).vm("b", { on: "n2" }).fencing("n2"),
  fourLost(),
  threeNodes().node("n1", ISOLATED).vm("a", on),
  threeNodes().vm("a", { ...on, runStrategy: "Once" }),
  threeNodes().vm("a", promised(1)),
  threeNodes().vm("a", promised(35 * 60_000)),
  threeNodes().vm("a", promised(24 * 3_600_000)),
  threeNodes().vm("a", { runStrategy: "Halted" }),
  threeNodes().vm("a", { ...on, vmi: { ready: false } }),
  threeNodes().vm("a", { ...on, vmi: { paused: "User" } }),
  threeNodes().vm("a", { ...on, vmi: { liveMigratable: undefined } }),
  threeNodes().node("n2", { cordoned: true }).node("n3", { cordoned: true }).vm("a", on),
  threeNodes().vm("a", { ...on, protection: { status: { outages: [outage(1), outage(2), outage(3)] } } }),
  fencedWith({}),
  fencedWith({ protection: { failover: { ...FAILOVER, enabled: false } } }),
  fencedWith({ protection: { status: { outages: [outage(1), outage(2), outage(3)] } } }),
  fencedWith(waitsFor("b")).vm("b", on),
  fencedWith({
    vmi: { migration: { uid: "m", sourceNode: "n1", targetNode: "n2", targetReady: true, ended: false } },
  }),
  fencedWith({})
    .node("n1", { ...DEAD, leaseSilentMs: 100 })
    .fenced("n1", {}, { provenAtMs: NOW_MS - 10_000 }),
  threeNodes()
    .node("n1", { ...BACK, ready: "False" })
    .fenced("n1")
    .vm("a", on),
  threeNodes()
    .node("n1", { ...BACK })
    .fenced("n1"),
  threeNodes().node("n1", BACK).fencing("n1"),
  threeNodes().fencing("n1", {}, { changedAtMs: NOW_MS - 20_000 }),
  threeNodes().node("n1", LOST).vm("a", on).fencing("n1"),
  threeNodes()
    .node("n1", LOST)
    .vm("a", on)
    .fencing("n1", { attempts: [attempt({ number: 3 })] }),
  cordonedWith({}).vm("b", on).vm("c", on),
  cordonedWith({ vmi: { liveMigratable: NOT_MIGRATABLE } }),
  cordonedWith({ vmi: { liveMigratable: NOT_MIGRATABLE }, protection: { evacuation: orRestart() } }),
  threeNodes().vm("a", on).migration("a"),
  threeNodes().node("n1", { quarantined: "9999999999" }).node("n2", { quarantined: "1" }),
  flapping(),
  deaf(threeNodes().node("n1", LOST)),
  afterGap(60_000),
  afterGap(0),
  wandering(),
  manyLost(),
  threeNodes().probed("n1", "answers", "silent"),
  threeNodes().node("n2", LOST).node("n3", LOST).fencing("n1", {}, { requested: true }),
  deaf(threeNodes().fencing("n1", {}, { requested: true })),
  threeNodes().node("n1", LOST).vm("a", on).disarm("work"),
  threeNodes()
    .disarm("work", { untilMs: NOW_MS, until: NOW, status: inForce() })
    .node("n1", { leaseStamp: NOW }),
  threeNodes()
    .node("n1", { fencing: [readiness(false)] })
    .vm("a", on),
  threeNodes()
    .node("n1", { fencing: [readiness(true)] })
    .node("n2", { fencing: [readiness(true)] })
    .node("n3", { fencing: [readiness(true)] }),
  selecting(threeNodes().vm("a", { labels: { ha: "yes" }, unprotected: true })),
  selecting(
    threeNodes().vm("a", { labels: { ha: "yes" }, protection: { madeByPolicy: "all", policyGeneration: 1 } }),
  ),
  ...drillSituations(),
];

function promised(unplannedMs: number): VMWords {
  const day = {
    day: "2026-11-22",
    unplannedMs,
    plannedMs: 0,
    unobservedMs: 0,
    outages: 1,
    plannedOutages: 0,
  };
  const times = { since: "2026-11-01T00:00:00.000Z", until: "2026-11-22T11:00:00.000Z" };
  const availability = { ...times, recent: [], days: [day], totals: [], burntMs: unplannedMs };
  const rule = { ...DEFAULT_AVAILABILITY_RULE, objective: 0.999 };
  return { on: "n1", protection: { availability: rule, status: { availability } } };
}
function waitsFor(name: string): VMWords {
  return { on: "n1", protection: { dependsOn: [{ name, condition: "Ready", timeoutMs: 60_000 }] } };
}
function fourLost(): Cluster {
  const cluster = threeNodes();
  for (const name of ["n1", "n2", "n3", "n4"]) cluster.node(name, LOST).vm(`on-${name}`, { on: name });
  return cluster;
}
function deaf(cluster: Cluster): Cluster {
  cluster.contactSinceMs = NOW_MS - 5_000;
  return cluster;
}
/** Three nodes that renewed so much earlier than our contact came back, or never while we were deaf. */
function afterGap(earlierMs: number): Cluster {
  const cluster = deaf(threeNodes().node("n1", LOST));
  cluster.contactBrokenMs = cluster.contactSinceMs - 90_000;
  const writtenBeforeMs = cluster.contactSinceMs - 600_000;
  const writtenAtMs = cluster.contactSinceMs - earlierMs;
  for (const [name, lease] of cluster.leases)
    cluster.leases.set(name, { ...lease, writtenBeforeMs, writtenAtMs });
  return cluster;
}
/** n1 is back for the third time within an hour. */
function flapping(): Cluster {
  const cluster = threeNodes().node("n1", BACK).fenced("n1");
  for (const number of [1, 2])
    cluster.fencings.set(`nf-old-${number}`, {
      ...threeNodes().fencing("n1", { phase: "Returned", returnedAt: NOW }).fencings.get("nf-n1"),
      name: `nf-old-${number}`,
    } as FencingFact);
  return cluster;
}
/** Four nodes of twenty-five, which is no storm. */
function manyLost(): Cluster {
  const cluster = threeNodes();
  for (let i = 0; i < 25; i++) cluster.node(`m${i}`, i < 4 ? LOST : {});
  for (let i = 0; i < 4; i++) cluster.vm(`on-m${i}`, { on: `m${i}` });
  return cluster;
}
/** Twenty nodes were powered off within the hour, and n1 is lost. */
function wandering(): Cluster {
  const cluster = threeNodes().node("n1", LOST).vm("a", on).fencing("n1");
  const proof = { type: "PowerOff", bootID: "x", observedAt: NOW, detail: "", attempt: 1 } as const;
  const attempts = [attempt({ outcome: "PoweredOff" })];
  for (let i = 0; i < 20; i++) cluster.fencing(`gone-${i}`, { phase: "Returned", proof, attempts });
  return cluster;
}
function inForce() {
  const active = {
    type: "Active",
    status: "True",
    reason: "Active",
    message: "",
    lastTransitionTime: NOW,
  } as const;
  return { heldNodes: [], conditions: [active] };
}
function orRestart() {
  return { strategy: "LiveMigrateOrRestart" as const, targetSelector: {}, timeoutMs: 1 };
}
function without(kind: "topologies", cluster: Cluster): Cluster {
  cluster[kind].clear();
  return cluster;
}
function fencedWith(words: VMWords): Cluster {
  const status = { failover: lostWith("a", "n1"), ...words.protection?.status };
  const protection = { ...words.protection, status };
  return threeNodes()
    .node("n1", DEAD)
    .fenced("n1")
    .vm("a", { ...on, ...words, protection });
}
function cordonedWith(words: VMWords): Cluster {
  return threeNodes()
    .node("n1", { cordoned: true })
    .vm("a", { ...on, ...words });
}
function selecting(cluster: Cluster): Cluster {
  cluster.policies.set("all", optInPolicy("all"));
  return cluster;
}

function isRefusal(reason: string): boolean {
  return (REFUSAL_REASONS as readonly string[]).includes(reason);
}

function conditionsIn(plan: Plan): readonly Condition[] {
  return plan.steps.flatMap((step) => {
    if (step.kind === "WriteProtection") return step.status.conditions;
    // A drill that waits gives the refusal's reason, which is counted among those.
    if (step.kind === "WriteDrill") return step.status.conditions.filter(({ reason }) => !isRefusal(reason));
    if (step.kind === "WriteSummary") return (step.status["conditions"] ?? []) as readonly Condition[];
    return [];
  });
}

const plans = situations.map((cluster) => cluster.decide());
const sorted = (reasons: Iterable<string>): string[] =>
  [...new Set(reasons)].sort((a, b) => (a < b ? -1 : 1));

describe("the reasons that are given", () => {
  it("are the condition reasons, all of them and no others", () => {
    const given = plans.flatMap((plan) => conditionsIn(plan).map((condition) => condition.reason));
    expect(sorted(given)).toEqual(sorted(CONDITION_REASONS));
  });

  it("are the refusal reasons, all of them and no others", () => {
    const given = plans.flatMap((plan) => plan.refusals.map((refusal) => refusal.reason));
    expect(sorted(given)).toEqual(sorted(REFUSAL_REASONS));
  });

  it("are the Event reasons, all of them and no others: no Event is made elsewhere", () => {
    const given = plans.flatMap((plan) =>
      plan.steps.flatMap((step) => (step.events ?? []).map((one) => one.reason)),
    );
    expect(sorted(given)).toEqual(sorted(EVENT_REASONS));
  });

  it("come with a message wherever something is wrong", () => {
    for (const plan of plans) {
      for (const refusal of plan.refusals) expect(refusal.message, refusal.reason).not.toBe("");
      for (const condition of conditionsIn(plan))
        if (condition.status === "False") expect(condition.message, condition.reason).not.toBe("");
    }
  });

  it("tell no age in a status, which would have it written again and again", () => {
    const told = (cluster: Cluster, laterMs: number): unknown => {
      const now = { monotonicMs: NOW_MS + laterMs, wallMs: NOW_WALL_MS + laterMs };
      return decide(cluster.snapshot(), POLICY, now).steps.flatMap((step) => {
        if (step.kind !== "WriteProtection") return [];
        const { conditions, failover, evacuation } = step.status;
        return [conditions.map((one) => one.message), failover?.message, evacuation?.message];
      });
    };
    for (const cluster of situations) expect(told(cluster, 400)).toEqual(told(cluster, 0));
  });
});
