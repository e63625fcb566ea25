// Runs the operator's real decision over a virtual cluster until nothing more happens, and says what became of each VM.
import { decide } from "../../decide/decide.ts";
import { protectionOf } from "../../decide/turn.ts";
import type { DecisionPolicy } from "../../model/decision-policy.ts";
import type { Plan } from "../../model/plan.ts";
import type { Conclusions, Snapshot } from "../../model/snapshot.ts";
import type { Sighting } from "../observe-once.ts";
import { ClusterEffects } from "./cluster-effects.ts";
import type { ClusterResources } from "./resources.ts";
import { isBroken, type Scenario, type SimulationResult, type VMFate } from "./scenario.ts";
import { Scheduler } from "./scheduler.ts";
import { VirtualCluster } from "./virtual-cluster.ts";

/** Nothing has moved for this long: whoever is not up by now waits for a person. */
const QUIET_MS = 20 * 60_000;
/** Longest virtual time. */
const HORIZON_MS = 4 * 3_600_000;
/** A simulation of our own making must end, whatever the rules. */
const MAX_TURNS = 50_000;

/** What every simulation of one cluster shares. */
export interface Ground {
  readonly sighting: Sighting;
  readonly resources: ClusterResources;
  readonly policy: DecisionPolicy;
}

/** Plays the scenario. Pure but for its time: the same ground and scenario give the same answer. */
export function simulate(ground: Ground, scenario: Scenario): SimulationResult {
  const cluster = new VirtualCluster(ground.sighting, ground.policy.nodeSuspectAfterMs);
  const effects = new ClusterEffects(cluster, new Scheduler(ground.resources, cluster), scenario);
  const struck = new Map<string, string>();
  for (const node of [...scenario.lose, ...scenario.cordon])
    for (const key of cluster.vmKeysOn(node)) struck.set(key, node);
  for (const node of scenario.cordon) {
    cluster.cordon(node);
    effects.tell(node, "cordoned");
  }
  for (const node of scenario.lose) {
    cluster.lose(node);
    effects.tell(node, scenario.stillOn ? "falls silent, with power" : "loses power");
  }
  effects.resume();
  const last = run(cluster, effects, ground.policy);
  const fates = [...struck].map(([vm, from]) => fateOf({ vm, from, cluster, effects, last, scenario }));
  const broken = (fate: VMFate): number => (isBroken(fate) ? 1 : fate.priority === undefined ? 2 : 0);
  fates.sort(
    (a, b) =>
      broken(a) - broken(b) ||
      (a.order ?? Number.MAX_SAFE_INTEGER) - (b.order ?? Number.MAX_SAFE_INTEGER) ||
      (b.priority ?? 0) - (a.priority ?? 0) ||
      (a.vm < b.vm ? -1 : 1),
  );
  const tookMs = Math.max(0, ...effects.story.map(({ afterMs }) => afterMs));
  return { scenario, vms: fates, story: effects.story, tookMs };
}

function run(cluster: VirtualCluster, effects: ClusterEffects, policy: DecisionPolicy): Plan | undefined {
  let conclusions: Conclusions | undefined;
  let plan: Plan | undefined;
  let movedAtMs = cluster.nowMs;
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const snapshot: Snapshot = cluster.snapshot(conclusions);
    plan = decide(snapshot, policy, { monotonicMs: cluster.nowMs, wallMs: cluster.wallMs });
    conclusions = plan.conclusions;
    effects.verdicts = plan.verdicts;
    const writes = plan.steps.some(({ kind }) => kind === "WriteProtection");
    const moved = plan.steps.map((step) => effects.take(step)).some(Boolean);
    if (moved) movedAtMs = cluster.nowMs;
    if (cluster.nowMs - movedAtMs > QUIET_MS || cluster.elapsedMs > HORIZON_MS) return plan;
    const waits = [effects.nextAtMs, plan.lookAgainAtMs].filter((atMs) => atMs !== undefined);
    // What a turn writes may make the next conclude more, at once.
    const nextMs = moved || writes ? cluster.nowMs + 1 : Math.min(...waits);
    if (!Number.isFinite(nextMs)) return plan;
    cluster.advanceTo(Math.max(nextMs, cluster.nowMs + 1));
    effects.happenDue();
  }
  return plan;
}

interface Case {
  readonly vm: string;
  readonly from: string;
  readonly cluster: VirtualCluster;
  readonly effects: ClusterEffects;
  readonly last: Plan | undefined;
  readonly scenario: Scenario;
}

function fateOf(one: Case): VMFate {
  const { vm, from, cluster, effects, scenario } = one;
  const before = cluster.base.vmis.get(vm);
  const now = cluster.vmis.get(vm);
  const promise = protectionOf(cluster.base, vm);
  const base = { vm, from, priority: promise?.priority, order: effects.order.get(vm) };
  const up = now?.phase === "Running" && now.nodeName !== undefined && !cluster.silent.has(now.nodeName);
  const arrived = effects.story.findLast(
    ({ about, what }) => about === vm && (what.startsWith("up on") || what.startsWith("runs on")),
  );
  if (up && now.nodeName !== from) {
    const fate = now.uid === before?.uid ? "migrated" : "restarted";
    return { ...base, fate, to: now.nodeName, afterMs: arrived?.afterMs, why: undefined };
  }
  const stays = up && scenario.cordon.includes(from);
  return {
    ...base,
    fate: stays ? "stays" : "down",
    to: stays ? from : undefined,
    afterMs: undefined,
    why: whyNot(one),
  };
}

/** The first thing that stands in the way, in the words of whoever said it. */
function whyNot({ vm, from, cluster, effects, last }: Case): string {
  const promise = [...cluster.protections.values()].find(({ vmKey }) => vmKey === vm);
  if (promise === undefined) return "nobody has promised anything for it";
  const unplaced = effects.unplaced.get(vm);
  if (unplaced !== undefined) return unplaced;
  const about = (what: string) => last?.refusals.find((refusal) => refusal.about === what)?.message;
  const { failover, evacuation, conditions } = promise.status;
  const standing = conditions.find(({ type, status }) => type === "Protected" && status !== "True");
  return (
    (failover?.phase === "Blocked" ? failover.message : undefined) ??
    about(`vm/${vm}`) ??
    evacuation?.message ??
    about(`node/${from}`) ??
    standing?.message ??
    "it was still on its way when nothing more happened"
  );
}
