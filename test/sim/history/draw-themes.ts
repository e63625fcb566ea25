// Draws what by chance alone would hardly ever come together: disasters in which one guard of the operator decides. A few
// histories have one of them besides what else befalls them.
import type { Chance } from "../world/random.ts";
import type { Act, ScriptEvent } from "../world/world-plan.ts";
import type { Cast } from "./draw-events.ts";

/** Share of histories that have one. */
const THEMED = 0.3;
const BEGINS_MS = { from: 0, to: 40_000 } as const;
/** Long enough for nodes to be lost, and for one fencing after the other. */
const LOST_MS = { from: 50_000, to: 90_000 } as const;
const TOGETHER_MS = 4_000;
const MIGRATION_MS = 7_000;
const MAX_LOST = 4;

type Theme = (chance: Chance, cast: Cast) => readonly ScriptEvent[];

export function drawTheme(chance: Chance, cast: Cast): readonly ScriptEvent[] {
  if (!chance.chance(THEMED)) return [];
  return chance.pick<Theme>([
    lostTogether,
    lostTogether,
    movingIntoLoss,
    lyingDevice,
    brokenDown,
    brokenDown,
  ])(chance, cast);
}

/** Several nodes fall silent at once: a storm, or as many as may be fenced, with devices that take their time. */
function lostTogether(chance: Chance, cast: Cast): readonly ScriptEvent[] {
  const beganMs = chance.between(BEGINS_MS.from, BEGINS_MS.to);
  const areSlow = chance.chance(0.5);
  const nodes = shuffled(chance, cast.nodes).slice(0, chance.whole(2, Math.min(MAX_LOST, cast.nodes.length)));
  return nodes.flatMap(({ name: node }) => {
    const atMs = Math.round(beganMs + chance.between(0, TOGETHER_MS));
    const forMs = Math.round(chance.between(LOST_MS.from, LOST_MS.to));
    const act = lossOf(chance, node);
    const slow: ScriptEvent = { atMs, forMs, act: { kind: "bmc", node, fault: "slow" } };
    return areSlow ? [{ atMs, forMs, act }, slow] : [{ atMs, forMs, act }];
  });
}

/** A node dies while VMs are on their way to it. */
function movingIntoLoss(chance: Chance, cast: Cast): readonly ScriptEvent[] {
  const [from, to] = shuffled(chance, cast.nodes);
  if (from === undefined || to === undefined) return [];
  const atMs = Math.round(chance.between(BEGINS_MS.from, BEGINS_MS.to));
  const diesMs = Math.round(atMs + chance.between(500, MIGRATION_MS));
  const forMs = Math.round(chance.between(LOST_MS.from, LOST_MS.to));
  return [
    { atMs, forMs, act: { kind: chance.pick(["cordon", "drain"]), node: from.name } },
    { atMs: diesMs, forMs, act: lossOf(chance, to.name) },
  ];
}

/** A node is cut off, its guests run on, and its BMC claims once to have done what it was asked. */
function lyingDevice(chance: Chance, cast: Cast): readonly ScriptEvent[] {
  const node = chance.pick(cast.nodes).name;
  const atMs = Math.round(chance.between(BEGINS_MS.from, BEGINS_MS.to));
  const forMs = Math.round(chance.between(LOST_MS.from, LOST_MS.to));
  const outlets = cast.nodes.find(({ name }) => name === node)?.outlets ?? 0;
  const devices: (number | undefined)[] = [undefined, ...Array.from({ length: outlets }, (_, at) => at)];
  return [
    { atMs, forMs, act: { kind: "cutNodeApi", node } },
    ...devices.map(
      (outlet): ScriptEvent => ({
        atMs,
        forMs,
        act: { kind: "bmc", node, fault: "saysOffOnce", ...(outlet === undefined ? {} : { outlet }) },
      }),
    ),
  ];
}

/** A node is gone for good, and something goes wrong while its VMs are to be restarted elsewhere. */
function brokenDown(chance: Chance, cast: Cast): readonly ScriptEvent[] {
  const node = chance.pick(cast.nodes).name;
  const atMs = Math.round(chance.between(BEGINS_MS.from, BEGINS_MS.to));
  const broken: ScriptEvent = { atMs, act: { kind: "breakDown", node } };
  // As a cloud controller does, or a person who does not expect it back.
  if (chance.chance(0.15)) {
    const deletedMs = Math.round(atMs + chance.between(1_000, 60_000));
    return [broken, { atMs: deletedMs, act: { kind: "deleteNode", node } }];
  }
  if (!chance.chance(0.6)) return [broken];
  const plural = chance.pick(["nodes", "nodefencings", "pods", "virtualmachineinstances"]);
  const trouble = chance.pick<() => Act>([
    () => ({ kind: "refuseWrites", plural, status: chance.pick([403, 429, 507]) }),
    () => ({ kind: "apiServer", state: chance.pick(["erring", "full"]) }),
    () => ({ kind: "bmc", node, fault: chance.pick(["unreachable", "refusing", "unknownState"]) }),
  ])();
  const troubleMs = Math.round(atMs + chance.between(15_000, 35_000));
  return [broken, { atMs: troubleMs, forMs: Math.round(chance.between(1_000, 20_000)), act: trouble }];
}

function lossOf(chance: Chance, node: string): Act {
  return chance.pick<Act>([
    { kind: "powerCut", node },
    { kind: "hang", node },
    { kind: "cutNodeApi", node },
  ]);
}

function shuffled<T>(chance: Chance, list: readonly T[]): readonly T[] {
  return list
    .map((one) => ({ one, rank: chance.next() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ one }) => one);
}
