// Draws what befalls a cluster. Faults come alone, together, and swizzled: one after the other on some of the nodes, and
// mended in another order.
import type { Chance } from "../world/random.ts";
import type {
  Act,
  BmcFault,
  RemediatorFault,
  ScriptEvent,
  StorageFencerFault,
  WorldPlan,
} from "../world/world-plan.ts";
import { drawVM, NAMESPACE } from "./draw-vms.ts";

/** A failover takes 25 to 45 s from the fault, a node's way back about as long: room for two of them one in the other. */
const SPAN_MS = 90_000;
const LASTS_MS = 120_000;
/** Past Kubernetes' own eviction after five minutes, and its detaching after six more. */
const LONG_MS = { from: 420_000, to: 800_000 } as const;
const FLAPS = 4;
/** When a person has looked, and says that a node which lost its power is off. */
const CONFIRMED_AFTER_MS = 30_000;

export type Cast = Omit<WorldPlan, "events" | "healAtMs">;

/** `lastsMs`: when the last thing is mended, at the latest. */
export function drawEvents(
  chance: Chance,
  cast: Cast,
): { readonly events: ScriptEvent[]; readonly lastsMs: number } {
  const events: ScriptEvent[] = [];
  const isLong = chance.chance(0.03);
  // Most histories are about a node that fails in earnest; the rest is what makes that hard.
  if (chance.chance(0.75)) events.push(...failureOf(chance, chance.pick(cast.nodes).name, cast));
  if (chance.chance(0.2)) events.push(...swizzle(chance, cast));
  if (chance.chance(0.06)) events.push(...flapping(chance, chance.pick(cast.nodes).name));
  if (isLong) events.push(...unfenceable(chance, chance.pick(cast.nodes).name, cast));
  const more = chance.whole(0, 6);
  for (let drawnSoFar = 0; drawnSoFar < more; drawnSoFar += 1) {
    const act = drawAct(chance, cast);
    events.push({ atMs: Math.round(chance.between(0, SPAN_MS)), forMs: durationOf(chance), act });
  }
  events.sort((one, other) => one.atMs - other.atMs);
  return { events, lastsMs: isLong ? LONG_MS.to : LASTS_MS };
}

/** A node fails, and perhaps what would fence it, and somebody interferes just then. */
function failureOf(chance: Chance, node: string, cast: Cast): ScriptEvent[] {
  const atMs = Math.round(chance.between(0, 30_000));
  const forMs = Math.round(chance.between(20_000, SPAN_MS));
  const events: ScriptEvent[] = [{ atMs, forMs, act: drawFailure(chance, node) }];
  if (chance.chance(0.5))
    events.push({
      atMs: atMs + Math.round(chance.between(0, 18_000)),
      forMs: Math.round(chance.between(20_000, SPAN_MS)),
      act: drawDeviceFault(chance, node, cast),
    });
  if (chance.chance(0.25))
    events.push({
      atMs: atMs + Math.round(chance.between(20_000, 60_000)),
      act: { kind: "foreignReboot", node },
    });
  const isOff = events[0]?.act.kind === "powerCut" && forMs > CONFIRMED_AFTER_MS;
  if (isOff && chance.chance(0.15))
    events.push({
      atMs: atMs + CONFIRMED_AFTER_MS,
      act: { kind: "confirmOff", node, by: "operator on call" },
    });
  if (chance.chance(0.08))
    events.push({
      atMs: atMs + Math.round(chance.between(20_000, 60_000)),
      act: { kind: "untaint", node },
    });
  return events;
}

function drawFailure(chance: Chance, node: string): Act {
  return chance.pick<() => Act>([
    () => ({ kind: "powerCut", node }),
    () => ({ kind: "powerCut", node }),
    () => ({ kind: "hang", node }),
    () => ({ kind: "cutNodeApi", node, way: chance.pick(["both", "both", "both", "out"]) }),
    () => ({ kind: "cutNodeApi", node }),
    () => ({ kind: "killKubelet", node }),
  ])();
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

/** A node that is away and back again, for about as long as it takes to be called lost. */
function flapping(chance: Chance, node: string): ScriptEvent[] {
  const kind = chance.pick(["cutNodeApi", "hang", "reboot"] as const);
  const events: ScriptEvent[] = [];
  let atMs = Math.round(chance.between(0, 20_000));
  for (let flap = 0; flap < FLAPS; flap += 1) {
    const forMs = Math.round(chance.between(8_000, 35_000));
    events.push(kind === "reboot" ? { atMs, act: { kind, node } } : { atMs, forMs, act: { kind, node } });
    atMs += forMs + Math.round(chance.between(2_000, 20_000));
  }
  return events;
}

/** Nothing of ours reaches the node for so long that Kubernetes' own controllers do what they do in the end. */
function unfenceable(chance: Chance, node: string, { nodes }: Cast): ScriptEvent[] {
  const forMs = Math.round(chance.between(LONG_MS.from, LONG_MS.to));
  const everywhere = nodes.map(({ name }) => name);
  return [
    { atMs: 0, forMs, act: { kind: "cutPlane", plane: "bmc", nodes: everywhere } },
    { atMs: 0, forMs, act: { kind: "remediator", fault: "down" } },
    { atMs: 0, forMs, act: { kind: "storageFencer", fault: "down" } },
    { atMs: 1_000, forMs, act: { kind: chance.pick(["powerCut", "hang", "cutNodeApi"]), node } },
  ];
}

function durationOf(chance: Chance): number {
  return Math.round(
    chance.pick([chance.between(500, 5_000), chance.between(5_000, 40_000), chance.between(40_000, SPAN_MS)]),
  );
}

const BMC_FAULTS: readonly BmcFault[] = [
  "unreachable",
  "slow",
  "deaf",
  "erringButActing",
  "refusing",
  "denied",
  "lateOff",
  "unknownState",
  "saysOffOnce",
  "restoresPower",
];
const REMEDIATOR_FAULTS: readonly RemediatorFault[] = [
  "down",
  "slow",
  "failing",
  "actsAndFails",
  "tellsLate",
];
const STORAGE_FENCER_FAULTS: readonly StorageFencerFault[] = ["down", "slow", "failing"];

/** Something is wrong with one of the means by which the node would be fenced. */
function drawDeviceFault(chance: Chance, node: string, { nodes, topology }: Cast): Act {
  const methods = topology.levels?.map(({ method }) => method) ?? ["bmc"];
  switch (chance.pick(methods)) {
    case "bmc":
      return { kind: "bmc", node, fault: chance.pick(BMC_FAULTS) };
    case "outlets": {
      const outlet = chance.whole(0, (nodes[0]?.outlets ?? 1) - 1);
      return { kind: "bmc", node, fault: chance.pick(BMC_FAULTS), outlet };
    }
    case "remediation":
      return { kind: "remediator", fault: chance.pick(REMEDIATOR_FAULTS) };
    case "networkFence":
      return { kind: "storageFencer", fault: chance.pick(STORAGE_FENCER_FAULTS) };
  }
}

function drawAct(chance: Chance, cast: Cast): Act {
  const family = chance.pick([drawNodeAct, drawReplicaAct, drawReplicaAct, drawServerAct, drawPersonsAct]);
  return family(chance, cast);
}

function drawNodeAct(chance: Chance, cast: Cast): Act {
  const node = chance.pick(cast.nodes).name;
  const some = cast.nodes.filter(() => chance.chance(0.4)).map(({ name }) => name);
  const nodes = some.length === 0 ? [node] : some;
  return chance.pick<() => Act>([
    () => ({ kind: chance.pick(["powerCut", "hang", "killKubelet", "killVirtHandler"] as const), node }),
    () => ({ kind: "cutNodeApi", node, way: chance.pick(["both", "out", "back"] as const) }),
    () => ({ kind: "cutPlane", plane: chance.pick(["vmNetwork", "storage", "bmc"] as const), nodes }),
    () => ({ kind: chance.pick(["reboot", "foreignReboot"] as const), node }),
    () => ({ kind: "notReady", node, because: "container runtime is down" }),
    () => drawDeviceFault(chance, node, cast),
  ])();
}

function drawReplicaAct(chance: Chance, cast: Cast): Act {
  const replica = chance.pick(cast.replicas).name;
  const delayMs = Math.round(chance.pick([chance.between(100, 3_000), chance.between(3_000, 40_000)]));
  return chance.pick<() => Act>([
    () => ({ kind: "cutReplica", replica, way: chance.pick(["both", "out", "back"] as const) }),
    () => ({
      kind: chance.pick(["cutReplicaFromBmcs", "freeze", "freeze", "breakWatches", "repeatWatches"] as const),
      replica,
    }),
    () => ({ kind: chance.pick(["slowReplica", "staleWatches"] as const), replica, delayMs }),
    () => ({ kind: "staleWatches", replica, delayMs, plural: chance.pick(WATCHED) }),
    () => ({
      kind: "crash",
      replica,
      writesLeft: chance.whole(0, 12),
      when: chance.pick(["before", "after"] as const),
    }),
    () => ({ kind: "wallClockJump", replica, byMs: chance.whole(-7_200_000, 7_200_000) }),
  ])();
}

/** Kinds whose watches may lag behind all others. */
const WATCHED = [
  "nodes",
  "leases",
  "pods",
  "virtualmachineinstances",
  "virtualmachineinstancemigrations",
  "nodefencings",
  "havirtualmachines",
] as const;

function drawServerAct(chance: Chance): Act {
  return chance.pick<() => Act>([
    () => ({ kind: "apiServer", state: chance.pick(["refusing", "mute", "erring", "full"] as const) }),
    () => ({ kind: "compact" }),
    () => ({ kind: "quota", namespace: NAMESPACE }),
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
  ])();
}

function drawPersonsAct(chance: Chance, cast: Cast): Act {
  const node = chance.pick(cast.nodes).name;
  const vm = `${NAMESPACE}/${chance.pick(cast.vms).name}`;
  const late = { name: `late-${chance.whole(1, 99)}`, earlier: 0 };
  const kind = chance.pick([
    "createVM",
    "deleteVM",
    "migrateVM",
    "migrateVM",
    "migrateVM",
    "stopVM",
    "restartVM",
    "deletePod",
    "forceDeletePod",
    "editVM",
    "deleteVMI",
    "editPromise",
    "deletePromise",
    "cordon",
    "drain",
    "untaint",
    "deleteLedger",
    "requestFencing",
    "disarm",
    "pauseVM",
    "failProbe",
    "editTopology",
    "pauseHealthCheck",
    "deleteLeaderLease",
  ] as const);
  switch (kind) {
    case "createVM":
      return { kind, vm: drawVM(chance, cast.nodes, late) };
    case "cordon":
    case "drain":
    case "untaint":
    case "deleteLedger":
      return { kind, node };
    case "requestFencing":
      return { kind, node, by: "somebody" };
    case "disarm":
      return { kind, untilMs: chance.whole(20, 120) * 1_000, reason: "work on the power supply" };
    case "editTopology":
    case "pauseHealthCheck":
    case "deleteLeaderLease":
      return { kind };
    default:
      return { kind, vm };
  }
}
