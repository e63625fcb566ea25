// Runs one scenario: the world settles, the script happens, and what is known at its end is gathered.
import { outagesOf } from "../../../lab/oracle/guest-run.ts";
import type { GuestEnd } from "../../../lab/oracle/witness.ts";
import { listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import { Checks } from "../check/checks.ts";
import { complaints } from "../check/wellness.ts";
import { settle } from "../history/settle.ts";
import { leaderOf, perform } from "../world/acts.ts";
import { BEGAN_WALL_MS } from "../world/sim-time.ts";
import type { Act, ScriptEvent } from "../world/world-plan.ts";
import { World } from "../world/world.ts";
import { actText, undoneText } from "./act-text.ts";
import type { FencingFact, NodeFact, Occurrence, ScenarioFacts, VMFact } from "./facts.ts";
import { unmetBy } from "./must.ts";
import { attemptsOf, readyOf, Recorder, replicaOf, taintsOf } from "./recorder.ts";
import type { Scenario } from "./scenario.ts";

const NODES = resourceNamed("v1/nodes");
const VMS = resourceNamed("kubevirt.io/v1/virtualmachines");
const PROMISES = resourceNamed("holdfast.dev/v1alpha1/havirtualmachines");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");

/** Always the same for the same scenario and code. */
export async function runScenario(scenario: Scenario): Promise<ScenarioFacts> {
  const { plan, script } = scenario;
  let checks: Checks | undefined;
  const recorder = new Recorder(() => world);
  const world: World = new World(plan, script.seed, {
    onShot: (replica, node) => {
      recorder.shot(replica, node);
      checks?.shot(replica, node);
    },
    onLog: (replica, message, fields) => recorder.log(replica, message, fields),
    onBug: (replica, error) => checks?.bug(replica, error),
    onWrite: (life, request) => checks?.wrote(life, request),
  });
  const watching = new Checks(world);
  checks = watching;
  world.server.store.onEveryChange((change) => recorder.changed(change));
  const look = () => {
    watching.look();
    recorder.look();
    return false;
  };
  try {
    const unsettled = await settle(world, look);
    recorder.begin();
    const begin = vmFacts(world, recorder.beganMs);
    for (const event of plan.events) play(world, recorder, event);
    await world.time.run(recorder.beganMs + script.until, look);
    const facts = {
      ...gathered(world, recorder, scenario),
      unsettled,
      begin,
      violations: watching.violations,
    };
    return { ...facts, unmet: unmetBy(script, facts) };
  } finally {
    world.end();
  }
}

function play(world: World, recorder: Recorder, { atMs, forMs, act }: ScriptEvent): void {
  world.time.schedule(atMs, () => {
    const meant = withLeader(world, act);
    recorder.tell({ kind: "script", text: actText(meant), ...subjectOf(meant) });
    const undo = perform(world, meant);
    if (forMs === undefined) return;
    world.time.schedule(forMs, () => {
      recorder.tell({ kind: "script", text: undoneText(meant), ...subjectOf(meant) });
      undo();
    });
  });
}

/** `leader` is whoever leads at that moment; where nobody does, the first replica. */
function withLeader(world: World, act: Act): Act {
  if (!("replica" in act) || act.replica !== "leader") return act;
  const holder = leaderOf(world)?.holder;
  return { ...act, replica: holder === undefined ? (world.replicas[0]?.name ?? "") : replicaOf(holder) };
}

function subjectOf(act: Act): Pick<Occurrence, "node" | "replica"> {
  if ("node" in act) return { node: act.node };
  return "replica" in act ? { replica: act.replica } : {};
}

type Gathered = Omit<ScenarioFacts, "unsettled" | "begin" | "violations" | "unmet">;

function gathered(world: World, recorder: Recorder, { name, script }: Scenario): Gathered {
  const { beganMs } = recorder;
  const fencings = fencingFacts(world);
  return {
    scenario: name,
    title: script.title,
    seed: script.seed,
    untilMs: script.until,
    events: [...recorder.events, ...guestEvents(world, beganMs)].sort((one, other) => one.atMs - other.atMs),
    vms: vmFacts(world, beganMs),
    nodes: world.fleet.nodes.map(({ name: node }) => nodeFact(world, node)),
    fencings,
    powerCuts: recorder.powerCuts,
    proven: [...new Set(fencings.flatMap(({ node, proof }) => (proof === undefined ? [] : [node])))].sort(),
    overlaps: world.oracle.overlaps.map(({ vm, nodes, fromMs, toMs }) => ({
      vm,
      nodes,
      fromMs: scriptMs(fromMs, beganMs),
      ...(toMs === undefined ? {} : { toMs: scriptMs(toMs, beganMs) }),
    })),
    refusals: recorder.refusals,
    refusedSteps: recorder.refusedSteps,
    complaints: complaints(world),
  };
}

/** The oracle's time, counted from the script's beginning. */
function scriptMs(oracleMs: number, beganMs: number): number {
  return oracleMs - BEGAN_WALL_MS - beganMs;
}

const ENDS: Readonly<Record<GuestEnd, string>> = {
  shutdown: "shuts down",
  killed: "is killed",
  crashed: "crashes",
  powerLoss: "dies with the power",
  migrated: "",
};

function guestEvents(world: World, beganMs: number): Occurrence[] {
  const events: Occurrence[] = [];
  for (const vm of world.oracle.vms) {
    const runs = world.oracle.history(vm);
    const outages = outagesOf(vm, runs);
    const add = (oracleMs: number | undefined, node: string, text: string) => {
      const atMs = oracleMs === undefined ? -1 : scriptMs(oracleMs, beganMs);
      if (atMs >= 0) events.push({ atMs, kind: "guest", vm, node, text });
    };
    for (const { node, began, startedAtMs, upAtMs, stoppedAtMs, end } of runs) {
      if (began === "migration") add(startedAtMs, node, `${vm} has moved to ${node}`);
      else {
        const outage = outages.find(({ toMs }) => toMs === upAtMs);
        const downSeconds = outage?.toMs === undefined ? undefined : (outage.toMs - outage.fromMs) / 1_000;
        add(startedAtMs, node, `${vm} boots on ${node}`);
        add(
          upAtMs,
          node,
          `${vm} is up on ${node}${downSeconds === undefined ? "" : `, after ${downSeconds.toFixed(0)} s`}`,
        );
      }
      if (end !== undefined && end !== "migrated") add(stoppedAtMs, node, `${vm} ${ENDS[end]} on ${node}`);
    }
  }
  return events;
}

function vmFacts(world: World, beganMs: number): VMFact[] {
  const stored = new Map(
    world.server.store
      .list(VMS)
      .map((vm) => [
        `${textOf(vm.metadata["namespace"])}/${vm.metadata.name}`,
        textOf(objectIn(vm, "spec")["runStrategy"]),
      ]),
  );
  return [...new Set([...stored.keys(), ...world.oracle.vms])].sort().map((name) => {
    const running = world.oracle.running(name);
    return {
      name,
      runStrategy: stored.get(name) ?? "deleted",
      nodes: running.map(({ node }) => node),
      isUp: running.some(({ upAtMs }) => upAtMs !== undefined),
      told: toldOf(world, name),
      outages: world.oracle.outages(name).map(({ fromMs, toMs }) => ({
        fromMs: scriptMs(fromMs, beganMs),
        ...(toMs === undefined ? {} : { toMs: scriptMs(toMs, beganMs) }),
      })),
    };
  });
}

function toldOf(world: World, vm: string): VMFact["told"] {
  const [namespace = "", name = ""] = vm.split("/");
  const promise = world.server.store.get(PROMISES, namespace, name)?.object;
  const conditions = listIn(objectIn(promise, "status"), "conditions").map((one) => objectIn({ one }, "one"));
  return conditions.flatMap(({ type, status, reason }) =>
    status === "True" ? [] : [{ type: textOf(type), status: textOf(status), reason: textOf(reason) }],
  );
}

function nodeFact(world: World, name: string): NodeFact {
  const stored = world.server.store.get(NODES, undefined, name)?.object;
  return {
    name,
    state: world.fleet.node(name).state,
    ...(stored === undefined ? {} : { ready: readyOf(stored) }),
    taints: taintsOf(stored),
    cordoned: objectIn(stored, "spec")["unschedulable"] === true,
  };
}

function fencingFacts(world: World): FencingFact[] {
  return world.server.store.list(FENCINGS).map((fencing) => {
    const status = objectIn(fencing, "status");
    const proof = objectIn(status, "proof")["type"];
    return {
      name: fencing.metadata.name,
      node: textOf(objectIn(fencing, "spec")["nodeName"]),
      phase: textOf(status["phase"]),
      ...(proof === undefined ? {} : { proof: textOf(proof) }),
      attempts: attemptsOf(fencing),
    };
  });
}
