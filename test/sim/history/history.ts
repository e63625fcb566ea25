// Runs one history: builds the world, lets it settle, lets the script happen, mends everything, and waits until all is well.
import { objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import { Checks, type Violation } from "../check/checks.ts";
import { complaints } from "../check/wellness.ts";
import { perform, type Undo } from "../world/acts.ts";
import { ask } from "../world/admin.ts";
import type { WorldPlan } from "../world/world-plan.ts";
import { World } from "../world/world.ts";
import { Happenings } from "./happenings.ts";
import { settle, until } from "./settle.ts";
import { Story } from "./story.ts";

export interface HistoryOutcome {
  readonly violations: readonly Violation[];
  readonly virtualMs: number;
  /** Timers fired. */
  readonly steps: number;
  /** Follows from every change of every object: two runs of one seed must agree. */
  readonly trace: string;
  readonly story: readonly string[];
  /** What was there to go wrong; a run of histories without shots proves nothing. */
  readonly counts: Checks["counts"];
  /** What else there was. */
  readonly happened: Happenings["counts"];
}

export interface HistoryOptions {
  readonly tells: boolean;
}

/** KubeVirt's longest start back-off is five minutes, a forced detach six, the longest doubts of ours some more. */
const WELL_LIMIT_MS = 30 * 60_000;
const SWITCH_ON_MS = 120_000;
const REBOOT_MS = 2_000;
const NETWORK_FENCES = resourceNamed("csiaddons.openshift.io/v1alpha1/networkfences");
const NETWORK_FENCES_PATH = "/apis/csiaddons.openshift.io/v1alpha1/networkfences";
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");

/** Always the same for the same plan and seed. Errors: throws where the plan itself cannot be carried out. */
export async function runHistory(
  plan: WorldPlan,
  seed: number,
  options: HistoryOptions = { tells: false },
): Promise<HistoryOutcome> {
  let story: Story | undefined;
  let checks: Checks | undefined;
  const world: World = new World(plan, seed, {
    onShot: (replica, node) => {
      story?.tell(`${replica} asks the BMC of ${node} to cut its power`);
      checks?.shot(replica, node);
    },
    onLog: (replica, message, fields) => story?.log(replica, message, fields),
    onBug: (replica, error) => checks?.bug(replica, error),
    onWrite: (life, request) => checks?.wrote(life, request),
    onProbed: (life, address, answer) => checks?.paths.probed(life, address, answer),
  });
  story = new Story(world, options.tells);
  checks = new Checks(world);
  const happenings = new Happenings(world);
  try {
    await tellOf(world, { story, checks });
  } finally {
    world.end();
  }
  return {
    violations: checks.violations,
    virtualMs: world.time.nowMs,
    steps: world.time.steps,
    trace: story.digest,
    story: story.lines,
    counts: checks.counts,
    happened: happenings.counts,
  };
}

interface Watchers {
  readonly story: Story;
  readonly checks: Checks;
}

async function tellOf(world: World, { story, checks }: Watchers): Promise<void> {
  const { time, plan } = world;
  const failed = () => {
    checks.look();
    return checks.violations.length > 0;
  };
  const unsettled = await settle(world, failed);
  if (failed()) return;
  if (unsettled.length > 0) story.tell(`the world did not settle: ${unsettled.join("; ")}`);
  const beganMs = time.nowMs;
  story.tell("the history begins");
  const undos = new Set<Undo>();
  /** Of nodes that have broken down: the last thing to be mended. */
  const repairs = new Map<string, Undo>();
  for (const { atMs, forMs, act } of plan.events)
    time.schedule(atMs, () => {
      story.tell(`--- ${describe(act)}`);
      const undo = perform(world, act);
      if (act.kind === "breakDown") return void repairs.set(act.node, undo);
      const mend = () => {
        if (!undos.delete(mend)) return;
        story.tell(`--- undone: ${describe(act)}`);
        undo();
      };
      undos.add(mend);
      if (forMs !== undefined) time.schedule(forMs, mend);
    });
  await time.run(beganMs + plan.healAtMs, failed);
  if (failed()) return;
  story.tell("--- everything is mended");
  for (const undo of undos) undo();
  const broken = new Set(repairs.keys());
  mend(world, broken);
  await untilWell(world, { failed, checks, without: broken });
  if (failed() || broken.size === 0) return;
  story.tell(`--- ${Array.from(broken).join(", ")} repaired`);
  for (const repair of repairs.values()) repair();
  await untilWell(world, { failed, checks });
}

interface Expectation {
  readonly failed: () => boolean;
  readonly checks: Checks;
  /** Nodes that are still broken: all must be well without them. */
  readonly without?: ReadonlySet<string>;
}

async function untilWell(world: World, { failed, checks, without }: Expectation): Promise<void> {
  await until(world, { limitMs: WELL_LIMIT_MS, done: () => complaints(world, without).length === 0, failed });
  const left = complaints(world, without);
  if (failed() || left.length === 0) return;
  const but = without === undefined || without.size === 0 ? "" : ` but ${Array.from(without).join(", ")}`;
  checks.violations.push({
    check: "never stranded",
    atMs: world.time.nowMs,
    message: `${WELL_LIMIT_MS / 60_000} minutes after everything${but} was mended: ${left.join("; ")}`,
  });
}

function describe(act: object): string {
  return JSON.stringify(act);
}

/** Whatever was done to it, the world is whole again, but for nodes that are broken. */
function mend(world: World, broken: ReadonlySet<string>): void {
  world.setServerState("well");
  for (const node of world.fleet.nodes) {
    if (broken.has(node.name)) continue;
    node.healApi();
    world.setNodeLink(node.name, { cutOut: false, cutBack: false });
    node.resume();
    node.startKubelet();
    node.startVirtHandler();
  }
  for (const bmc of world.bmcs.values()) bmc.heal();
  keepSwitchedOn(world);
  for (const replica of world.replicas) replica.start();
}

/** A shot may still be under way, and some topologies leave the node off: then a person switches it on. */
function keepSwitchedOn(world: World): void {
  for (const machine of world.machines.values()) void machine.switchOn();
  rebootCutOff(world);
  unfenceForgotten(world);
  world.time.schedule(SWITCH_ON_MS, () => keepSwitchedOn(world));
}

/** Whose ledger somebody deleted stays cut off from its storage until a person, as fencing.md asks, gives that back. */
function unfenceForgotten(world: World): void {
  const ledgers = new Set(world.server.store.list(FENCINGS).map(({ metadata }) => metadata.uid));
  for (const { metadata, ...fence } of world.server.store.list(NETWORK_FENCES)) {
    const name = objectIn(metadata, "annotations")["holdfast.dev/node"];
    const isOpen = ledgers.has(textOf(objectIn(metadata, "labels")["holdfast.dev/fencing"]));
    if (name === undefined || isOpen || objectIn(fence, "spec")["fenceState"] !== "Fenced") continue;
    const node = world.fleet.node(textOf(name));
    void node.power.off();
    ask(world, "PATCH", `${NETWORK_FENCES_PATH}/${metadata.name}`, { spec: { fenceState: "Unfenced" } });
    world.time.schedule(REBOOT_MS, () => void world.machines.get(node.name)?.switchOn());
  }
}

/** A node that was cut off from its storage and never rebooted: a person reboots it, as the ledger asks. */
function rebootCutOff(world: World): void {
  for (const fencing of world.server.store.list(FENCINGS)) {
    const { phase, proof } = objectIn(fencing, "status");
    const node = world.fleet.node(textOf(objectIn(fencing, "spec")["nodeName"]));
    const { type, bootID } = objectIn({ proof: proof ?? null }, "proof");
    if (phase === "Returned" || phase === "Aborted" || type !== "StorageFenced" || node.bootID !== bootID)
      continue;
    void node.power.off();
    world.time.schedule(REBOOT_MS, () => void world.machines.get(node.name)?.switchOn());
  }
}
