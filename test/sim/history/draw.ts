// Draws a history from a seed: a small cluster, who else works in it, and what befalls it. Each part has a stream of chance
// of its own, so that what one part learns to draw leaves the others of a seed as they were.
import type { DecisionPolicy, ReadinessPace } from "../../../src/model/decision-policy.ts";
import { Chance } from "../world/random.ts";
import type { LevelMethod, LevelPlan, NodePlan, ReplicaPlan, WorldPlan } from "../world/world-plan.ts";
import { drawEvents } from "./draw-events.ts";
import { drawTheme } from "./draw-themes.ts";
import { drawVMs } from "./draw-vms.ts";

const OUTLETS = 2;

export function drawn(seed: number): WorldPlan {
  const chance = new Chance(seed, "plan");
  const topology = drawTopology(chance.stream("topology"));
  const outlets = topology.levels?.some(({ method }) => method === "outlets") === true ? OUTLETS : 0;
  const nodes = drawNodes(chance.stream("nodes"), outlets);
  const vms = drawVMs(chance.stream("vms"), nodes);
  const replicas = drawReplicas(chance.stream("replicas"), nodes);
  const cast = {
    nodes,
    vms,
    replicas,
    topology,
    policy: drawPolicy(chance.stream("policy")),
    ...drawNeighbours(chance.stream("neighbours")),
  };
  const { events: others, lastsMs } = drawEvents(chance.stream("events"), cast);
  const events = [...others, ...drawTheme(chance.stream("theme"), cast)].sort(
    (one, other) => one.atMs - other.atMs,
  );
  const lastMs = Math.max(0, ...events.map(({ atMs, forMs = 0 }) => Math.min(atMs + forMs, lastsMs)));
  return { ...cast, events, healAtMs: lastMs + chance.stream("healing").between(1_000, 12_000) };
}

function drawPolicy(chance: Chance): Partial<DecisionPolicy> {
  const isolated = chance.chance(0.04) ? { onIsolated: "fence" as const, isolatedGraceMs: 45_000 } : {};
  return {
    ...chance.pick<Partial<DecisionPolicy>>([
      {},
      {},
      {},
      { stormMaxLost: { count: 2 } },
      { stormMaxLost: { count: 4 }, maxConcurrentFencings: 1 },
    ]),
    ...isolated,
  };
}

/** In which order nodes are fenced by what; the first is left to be the plain case, of one BMC. */
const LEVELS: readonly (readonly LevelMethod[])[] = [
  ["bmc", "outlets"],
  ["outlets"],
  ["outlets", "bmc"],
  ["remediation", "bmc"],
  ["bmc", "remediation"],
  ["remediation"],
  ["networkFence"],
  ["networkFence", "bmc"],
  ["bmc", "networkFence"],
  ["remediation", "networkFence", "bmc"],
  ["bmc", "outlets", "networkFence"],
];

function drawTopology(chance: Chance): WorldPlan["topology"] {
  const limits = () => ({
    timeout: chance.pick(["10s", "30s"]),
    retries: chance.whole(0, 2),
    backoff: chance.pick(["1s", "5s"]),
  });
  const afterFencing = chance.chance(0.75) ? "PowerOn" : "StayOff";
  const plain = { afterFencing, ...limits() } as const;
  if (chance.chance(0.5)) return plain;
  const levels = chance.pick(LEVELS).map((method): LevelPlan => ({ method, ...limits() }));
  return { ...plain, levels };
}

/** Who else is at work: probes, another controller that fences, checks of the devices beforehand. */
function drawNeighbours(chance: Chance): Pick<WorldPlan, "probes" | "healthCheckAfterMs" | "readiness"> {
  const readiness: ReadinessPace = {
    intervalMs: chance.pick([15_000, 60_000]),
    maxConcurrent: chance.whole(1, 4),
  };
  const networks = [["InternalIP"], ["vmNetwork"], ["InternalIP", "vmNetwork"]] as const;
  const probes = chance.pick<NonNullable<WorldPlan["probes"]>>(networks);
  const healthCheckAfterMs = chance.whole(1, 60) * 1_000;
  return {
    ...(chance.chance(0.3) ? { probes } : {}),
    ...(chance.chance(0.12) ? { healthCheckAfterMs } : {}),
    ...(chance.chance(0.3) ? { readiness } : {}),
  };
}

function drawNodes(chance: Chance, outlets: number): NodePlan[] {
  const count = chance.pick([3, 3, 4, 4, 5]);
  return Array.from({ length: count }, (_, at) => ({
    name: `node-${at + 1}`,
    room: chance.pick([4, 8, 20]),
    ...(outlets === 0 ? {} : { outlets }),
  }));
}

function drawReplicas(chance: Chance, nodes: readonly NodePlan[]): ReplicaPlan[] {
  return Array.from({ length: chance.pick([2, 2, 3]) }, (_, at) => ({
    name: `replica-${at + 1}`,
    skew: {
      rate: chance.between(0.995, 1.005),
      monotonicOffsetMs: chance.whole(0, 10_000_000),
      wallOffsetMs: chance.chance(0.3) ? chance.whole(-3_600_000, 3_600_000) : chance.whole(-2_000, 2_000),
    },
    ...(chance.chance(0.6) ? { on: chance.pick(nodes).name } : {}),
  }));
}
