// Budget 6 of design §10: how long one turn takes at 1,000 nodes and 50,000 VMs when one thing changed. Facts and indexes are
// the operator's own; no API server, no watch, no parsing: `memory` has those.
import { setImmediate as breathe } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Step } from "../src/model/plan.ts";
import { LiveWorld } from "../test/decide/live-world.ts";
import type { Bench, BenchContext } from "./bench.ts";
import { type Line, renderJson, renderTable } from "./table.ts";
import { largeCluster, nodeName, TURN_WORLD, vmKeyOn } from "./turn-world.ts";

const P99_BUDGET_MS = 20;
/** Samples of each figure; a p99 of fewer would be the largest. */
const RUNS = 400;
/** Turns before the first that counts: a process that has run for a minute has compiled what a turn needs. */
const WARM_UP = 40;
const SILENT_MS = 23_000;

export const turn: Bench = {
  name: "turn",
  about: "how long a turn takes with 1,000 nodes and 50,000 VMs when one thing changed",
  minutes: 1,
  run,
};

/** One thing that happens, and how it is undone, so that every sample begins with a world at rest. */
interface Change {
  readonly what: string;
  /** The step by which the turn shows that it has seen it. */
  readonly step?: Step["kind"];
  /** Makes it happen to the node of that number; returns how to undo it. */
  happen(world: LiveWorld, node: number): () => void;
}

const CHANGES: readonly Change[] = [
  {
    what: "nothing but time",
    happen: (world) => {
      world.pass(1_000);
      return () => undefined;
    },
  },
  {
    what: "one instance not Ready",
    step: "WriteProtection",
    happen: (world, node) => {
      const key = vmKeyOn(node, 0);
      world.vmi(key, { ready: false });
      return () => void world.vmi(key, { ready: true });
    },
  },
  {
    what: "one node cordoned, its 50 VMs to move",
    step: "CreateMigration",
    happen: (world, node) => setNode(world, node, { cordoned: true }),
  },
  {
    what: "one node lost, 50 failovers begun",
    step: "OpenFencing",
    happen: (world, node) => {
      world.pass(SILENT_MS, [nodeName(node)]);
      return () => {
        world.cluster.fencings.clear();
        world.pass(100);
      };
    },
  },
  {
    what: "one node proven off, the first of 50 VMs released",
    step: "Release",
    happen: (world, node) => {
      world.pass(SILENT_MS, [nodeName(node)]).settle();
      const undo = setNode(world, node, { outOfService: true });
      for (const [name, fencing] of world.cluster.fencings) {
        const observedAt = fencing.detectedAt;
        const proof = { type: "PowerOff", bootID: fencing.bootID, observedAt, detail: "" } as const;
        world.fencing(name, {
          status: { ...fencing.status, phase: "Fenced", proof },
          provenAtMs: world.nowMs,
        });
      }
      return () => {
        undo();
        world.cluster.fencings.clear();
        world.pass(100);
      };
    },
  },
];

/** Judged for its size alone: a fifth of all nodes falls silent at once, and nothing is shot. */
const STORM_NODES = 200;

async function run({ progress }: BenchContext): Promise<readonly Line[]> {
  progress(`a world of ${TURN_WORLD.nodes} nodes and ${TURN_WORLD.vms} VMs`);
  const emptyMB = heapMB();
  const world = new LiveWorld(largeCluster());
  const first = timed(() => world.turn());
  const following: number[] = [];
  let plan = first.result;
  let statuses = 0;
  for (let writes = world.write(plan); writes > 0; writes = world.write(plan)) {
    statuses += writes;
    const next = timed(() => world.turn());
    following.push(next.ms);
    plan = next.result;
  }
  progress(`${statuses} statuses written; ${RUNS} turns of each kind`);
  const lines: Line[] = [
    line("the first turn, 50,000 statuses to write", [first.ms]),
    line("the turns after it, until all are written", following),
  ];
  for (const change of CHANGES) {
    lines.push({
      ...line(change.what, await sample(world, change)),
      budget: { of: "p99", atMost: P99_BUDGET_MS },
    });
  }
  lines.push(
    line("a topology changed: everything is looked at", await everything(world)),
    line(`${STORM_NODES} nodes lost at once: a storm`, await storms(world)),
  );
  const held = {
    ...line("heap held by this world: facts, indexes, conclusions", [heapMB() - emptyMB]),
    unit: "MB",
  };
  return [...lines, held];
}

async function sample(world: LiveWorld, change: Change): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let i = 0; i < WARM_UP + RUNS; i++) {
    const undo = change.happen(world, (i * 7) % TURN_WORLD.nodes);
    const { ms, result } = timed(() => world.turn());
    if (i >= WARM_UP) samples.push(ms);
    if (change.step !== undefined && !result.steps.some((step) => step.kind === change.step))
      throw new Error(`${change.what}: the turn planned no ${change.step}`);
    undo();
    world.settle();
    // Room for the garbage collector, as between the turns of a process that waits for events.
    await breathe();
  }
  return samples;
}

async function everything(world: LiveWorld): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let i = 0; i < 10; i++) {
    world.rulesChanged();
    samples.push(timed(() => world.turn()).ms);
    await breathe();
  }
  return samples;
}

async function storms(world: LiveWorld): Promise<readonly number[]> {
  const silent = Array.from({ length: STORM_NODES }, (_, i) => nodeName(i));
  const samples: number[] = [];
  for (let i = 0; i < 10; i++) {
    world.pass(SILENT_MS, silent);
    samples.push(timed(() => world.turn()).ms);
    world.pass(100).settle();
    await breathe();
  }
  return samples;
}

function setNode(
  world: LiveWorld,
  node: number,
  words: Parameters<LiveWorld["cluster"]["node"]>[1],
): () => void {
  const name = nodeName(node);
  const before = world.cluster.nodes.get(name);
  const lease = world.cluster.leases.get(name);
  if (before === undefined || lease === undefined) throw new Error(`no node ${name}`);
  world.cluster.node(name, { ...words, labels: { ...before.placement.labels } });
  world.cluster.leases.set(name, lease);
  return () => void world.cluster.nodes.set(name, before);
}

function timed<T>(work: () => T): { readonly ms: number; readonly result: T } {
  const startedMs = performance.now();
  const result = work();
  return { ms: performance.now() - startedMs, result };
}

/** What is alive after a collection. What a process with it occupies, and with all it needs besides, `memory` measures. */
function heapMB(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed / 1e6;
}

function line(what: string, samples: readonly number[]): Line {
  return { bench: turn.name, what, unit: "ms", samples };
}

if (import.meta.main) {
  const lines = await run({ progress: (message) => process.stderr.write(`turn: ${message}\n`), windows: [] });
  const asked = process.argv.slice(2).join(" ");
  const json = asked === "-o json" || asked === "--output json";
  console.log(json ? JSON.stringify({ lines: renderJson(lines) }, null, 2) : renderTable(lines));
}
