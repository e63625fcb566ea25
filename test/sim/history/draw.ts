// Draws a history from a seed: a small cluster, and what befalls it. Faults come alone, together, and swizzled: one after the
// other on some of the nodes, and mended in another order.
import { Chance } from "../world/random.ts";
import type {
  Act,
  BmcFault,
  NodePlan,
  ReplicaPlan,
  ScriptEvent,
  VMPlan,
  WorldPlan,
} from "../world/world-plan.ts";

const NAMESPACE = "vms";
const SPAN_MS = 150_000;

export function drawn(seed: number): WorldPlan {
  const chance = new Chance(seed, "plan");
  const nodes = drawNodes(chance);
  const vms = drawVMs(chance, nodes);
  const replicas = drawReplicas(chance, nodes);
  const events = drawEvents(chance, { nodes, vms, replicas });
  const lastMs = Math.max(0, ...events.map(({ atMs, forMs = 0 }) => Math.min(atMs + forMs, SPAN_MS * 1.3)));
  return {
    nodes,
    vms,
    replicas,
    policy: chance.pick([
      {},
      {},
      {},
      { stormMaxLost: { count: 2 } },
      { stormMaxLost: { count: 4 }, maxConcurrentFencings: 1 },
    ]),
    topology: {
      afterFencing: chance.chance(0.75) ? "PowerOn" : "StayOff",
      timeout: chance.pick(["10s", "30s"]),
      retries: chance.whole(0, 2),
      backoff: chance.pick(["1s", "5s"]),
    },
    events,
    healAtMs: lastMs + chance.between(1_000, 30_000),
  };
}

function drawNodes(chance: Chance): NodePlan[] {
  const count = chance.pick([3, 3, 4, 4, 5]);
  return Array.from({ length: count }, (_, at) => ({
    name: `node-${at + 1}`,
    room: chance.pick([4, 8, 20]),
  }));
}

function drawVMs(chance: Chance, nodes: readonly NodePlan[]): VMPlan[] {
  const count = chance.whole(2, 5);
  return Array.from({ length: count }, (_, at) => drawVM(chance, nodes, `vm-${at + 1}`, at));
}

function drawVM(chance: Chance, nodes: readonly NodePlan[], name: string, earlier: number): VMPlan {
  const dependsOn =
    earlier > 0 && chance.chance(0.2)
      ? [{ name: `vm-${chance.whole(1, earlier)}`, condition: "Running", timeout: "1m" }]
      : undefined;
  const isProtected = chance.chance(0.9);
  return {
    namespace: NAMESPACE,
    name,
    on: chance.pick(nodes).name,
    runStrategy: chance.chance(0.85) ? "Always" : chance.pick(["RerunOnFailure", "Manual", "Once"]),
    disk: chance.pick(["none", "rwx", "rwx", "rwo"]),
    evictionStrategy: chance.pick(["None", "LiveMigrate", "LiveMigrateIfPossible"]),
    ...(isProtected
      ? {
          promise: {
            priority: chance.whole(0, 10) * 100,
            ...(dependsOn === undefined ? {} : { dependsOn }),
            ...(chance.chance(0.2) ? { evacuation: { strategy: "LiveMigrateOrRestart" } } : {}),
            ...(chance.chance(0.2) ? { failback: { policy: "Automatic", delay: "1m" } } : {}),
          },
        }
      : {}),
  };
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

interface Cast {
  readonly nodes: readonly NodePlan[];
  readonly vms: readonly VMPlan[];
  readonly replicas: readonly ReplicaPlan[];
}

function drawEvents(chance: Chance, cast: Cast): ScriptEvent[] {
  const events: ScriptEvent[] = [];
  // Most histories are about a node that fails in earnest; the rest is what makes that hard.
  if (chance.chance(0.75)) events.push(...failureOf(chance, chance.pick(cast.nodes).name));
  if (chance.chance(0.2)) events.push(...swizzle(chance, cast));
  const more = chance.whole(0, 6);
  for (let drawnSoFar = 0; drawnSoFar < more; drawnSoFar += 1) {
    const act = drawAct(chance, cast);
    events.push({ atMs: Math.round(chance.between(0, SPAN_MS)), forMs: durationOf(chance), act });
  }
  return events.sort((one, other) => one.atMs - other.atMs);
}

/** A node fails, and perhaps its BMC, and somebody interferes just then. */
function failureOf(chance: Chance, node: string): ScriptEvent[] {
  const atMs = Math.round(chance.between(0, 30_000));
  const act: Act = {
    kind: chance.pick(["powerCut", "powerCut", "hang", "cutNodeApi", "cutNodeApi", "killKubelet"] as const),
    node,
  };
  const events: ScriptEvent[] = [{ atMs, forMs: Math.round(chance.between(20_000, SPAN_MS)), act }];
  if (chance.chance(0.5))
    events.push({
      atMs: atMs + Math.round(chance.between(0, 18_000)),
      forMs: Math.round(chance.between(20_000, 150_000)),
      act: { kind: "bmc", node, fault: drawBmcFault(chance) },
    });
  if (chance.chance(0.25))
    events.push({
      atMs: atMs + Math.round(chance.between(20_000, 60_000)),
      act: { kind: "foreignReboot", node },
    });
  return events;
}

function swizzle(chance: Chance, { nodes }: Cast): ScriptEvent[] {
  const kind = chance.pick(["cutNodeApi", "hang", "powerCut", "killKubelet"] as const);
  const beganMs = chance.between(0, 60_000);
  const some = nodes.filter(() => chance.chance(0.6));
  return some.map(({ name }) => ({
    atMs: Math.round(beganMs + chance.between(0, 25_000)),
    forMs: Math.round(chance.between(15_000, 90_000)),
    act: { kind, node: name },
  }));
}

function durationOf(chance: Chance): number {
  return Math.round(
    chance.pick([chance.between(500, 5_000), chance.between(5_000, 40_000), chance.between(40_000, 120_000)]),
  );
}

function drawBmcFault(chance: Chance): BmcFault {
  return chance.pick([
    "unreachable",
    "slow",
    "deaf",
    "erringButActing",
    "refusing",
    "lateOff",
    "unknownState",
    "saysOffOnce",
    "restoresPower",
  ] as const);
}

function drawAct(chance: Chance, cast: Cast): Act {
  const node = chance.pick(cast.nodes).name;
  const replica = chance.pick(cast.replicas).name;
  const { name } = chance.pick(cast.vms);
  const vm = `${NAMESPACE}/${name}`;
  const draws: readonly (() => Act)[] = [
    () => ({
      kind: chance.pick(["powerCut", "hang", "cutNodeApi", "killKubelet", "killVirtHandler"] as const),
      node,
    }),
    () => ({ kind: chance.pick(["reboot", "foreignReboot", "cordon", "drain"] as const), node }),
    () => ({ kind: "bmc", node, fault: drawBmcFault(chance) }),
    () => ({ kind: "cutReplica", replica, way: chance.pick(["both", "out", "back"] as const) }),
    () => ({
      kind: chance.pick(["cutReplicaFromBmcs", "freeze", "freeze", "breakWatches"] as const),
      replica,
    }),
    () => ({
      kind: chance.pick(["slowReplica", "staleWatches"] as const),
      replica,
      delayMs: Math.round(chance.pick([chance.between(100, 3_000), chance.between(3_000, 40_000)])),
    }),
    () => ({
      kind: "crash",
      replica,
      writesLeft: chance.whole(0, 12),
      when: chance.pick(["before", "after"] as const),
    }),
    () => ({ kind: "wallClockJump", replica, byMs: chance.whole(-7_200_000, 7_200_000) }),
    () => ({ kind: "apiServer", state: chance.pick(["refusing", "mute", "erring"] as const) }),
    () => ({ kind: "compact" }),
    () => ({
      kind: "refuseWrites",
      plural: chance.pick([
        "events",
        "nodefencings",
        "virtualmachineinstancemigrations",
        "havirtualmachines",
        "pods",
      ]),
      status: chance.pick([403, 429, 507] as const),
    }),
    () => ({ kind: "createVM", vm: drawVM(chance, cast.nodes, `late-${chance.whole(1, 99)}`, 0) }),
    () => ({
      kind: chance.pick(["deleteVM", "migrateVM", "migrateVM", "stopVM", "restartVM", "deletePod"] as const),
      vm,
    }),
    () => (chance.chance(0.3) ? { kind: "forceDeletePod", vm } : { kind: "migrateVM", vm }),
    () => (chance.chance(0.3) ? { kind: "deleteLeaderLease" } : { kind: "compact" }),
  ];
  return chance.pick(draws)();
}
