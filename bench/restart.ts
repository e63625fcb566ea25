// Budgets 4 and 5 of design §10: 100 VMs lost with one node. Released in order and paced by the restart window, against all
// at once, in the same cluster one after the other.
import { waitFor } from "../lab/cluster/wait-for.ts";
import { oracleNowMs } from "../lab/oracle/oracle.ts";
import type { Bench, BenchContext } from "./bench.ts";
import { LONG_MS, type ProtectedVM, Scene } from "./scene.ts";
import type { Line } from "./table.ts";

const NODES = 5;
/** All VMs are on this node when it dies. */
const HOME = "node-1";
const VMS = 100;
const MOST_IMPORTANT = 10;
/** A window that holds nobody back. */
const ALL_AT_ONCE = 1_000;
/** Simulated pod start and guest boot, which no operator can shorten. */
const OWN_BOOT_S = 0.8;
/** Importance must not follow the alphabet, which KubeVirt's own queue might. Coprime to the number of VMs. */
const SHUFFLE = 37;

export const restart: Bench = {
  name: "restart",
  about: "100 VMs lost with one node: released in order and paced, against all at once; API writes",
  minutes: 8,
  run,
};

/** One loss of the node; times in seconds after the proof. */
interface Round {
  /** Undefined: the default. */
  readonly window: number | undefined;
  readonly lastDeleteS: number;
  readonly writes: number;
  /** When each VM's guest was up again, the most important VM first. */
  readonly upS: readonly number[];
}

async function run({ progress, windows }: BenchContext): Promise<readonly Line[]> {
  const scene = await Scene.set({ nodes: NODES, progress, afterFencing: "StayOff" });
  try {
    const vms = Array.from(
      { length: VMS },
      (_, i): ProtectedVM => ({ name: nameOf(i), priority: 1_000 - i }),
    );
    await cordonOthers(scene, true);
    progress(`creating ${VMS} VMs on ${HOME}`);
    await scene.createRunning(vms);
    await cordonOthers(scene, false);
    const names = vms.map((vm) => vm.name);
    const rounds: Round[] = [];
    for (const window of [undefined, ALL_AT_ONCE, ...windows]) {
      if (rounds.length > 0) await gather(scene, names, progress);
      const round = await lose(scene, names, window);
      progress(`${windowName(window)}: ${told(round)}`);
      rounds.push(round);
    }
    return linesOf(rounds, scene.virtController);
  } finally {
    await scene.stop();
  }
}

/** Name of the i-th most important VM. */
function nameOf(i: number): string {
  return `vm-${String((i * SHUFFLE) % VMS).padStart(3, "0")}`;
}

async function cordonOthers(scene: Scene, cordoned: boolean): Promise<void> {
  for (const { name } of scene.cluster.fleet.nodes) if (name !== HOME) await scene.cordon(name, cordoned);
}

/** Brings the node and its VMs back to where they were, without Holdfast: it would migrate them off the cordoned nodes. */
async function gather(
  scene: Scene,
  names: readonly string[],
  progress: (message: string) => void,
): Promise<void> {
  progress("everything back to its place");
  await scene.cluster.fleet.node(HOME).power.on();
  await scene.untilFencing(
    HOME,
    (one) => isNewest(scene, one.metadata.name) && one.status?.phase === "Returned",
  );
  await scene.stopReplicas();
  await cordonOthers(scene, true);
  const { admin } = scene.cluster.controlPlane;
  const path = `/apis/kubevirt.io/v1/namespaces/${scene.namespace}/virtualmachineinstances`;
  await Promise.all(
    names.map((name) => admin.request({ method: "DELETE", path: `${path}/${name}`, deadlineMs: LONG_MS })),
  );
  await scene.untilUp(names, (node) => node === HOME);
  await cordonOthers(scene, false);
}

function isNewest(scene: Scene, name: string): boolean {
  return [...scene.fencingSeenAtMs.keys()].at(-1) === name;
}

async function lose(scene: Scene, names: readonly string[], window: number | undefined): Promise<Round> {
  await scene.startReplica(window === undefined ? [] : [`--max-restarts-in-flight=${window}`]);
  await scene.untilJudged(names);
  const cutAtMs = Date.now();
  await scene.cluster.fleet.node(HOME).power.off();
  const fencing = await scene.untilFencing(
    HOME,
    (one) => one.status?.proof !== undefined && Date.parse(one.status.proof.observedAt) >= cutAtMs,
  );
  const proofAtMs = Date.parse(fencing.status?.proof?.observedAt ?? "");
  await scene.untilUp(names, (node) => node !== HOME);
  await waitFor(
    "every outage is on record",
    (saw) => {
      const open = names.filter((name) => !isOver(scene, name, cutAtMs));
      saw(`not yet: ${open.slice(0, 10).join(", ")}`);
      return open.length === 0 ? true : undefined;
    },
    LONG_MS,
  );
  await scene.untilJudged(names);
  // From the verdict on: what a cordon before the loss changed about the VMs is still being written when the power goes.
  const writes = scene.audit.writes(Date.parse(fencing.spec.detectedAt));
  const deletes = writes.filter(({ verb, resource }) => verb === "delete" && resource === "pods");
  return {
    window,
    lastDeleteS: (Math.max(...deletes.map(({ atMs }) => atMs)) - proofAtMs) / 1000,
    writes: writes.length,
    upS: names.map((name) => (upAgainAtMs(scene, name) - proofAtMs) / 1000),
  };
}

function isOver(scene: Scene, name: string, sinceMs: number): boolean {
  const status = scene.view.protections.get(scene.keyOf(name))?.status;
  const lostAt = status?.outages?.[0]?.lostAt;
  return status?.failover === undefined && lostAt !== undefined && Date.parse(lostAt) >= sinceMs;
}

/** By the oracle: Holdfast's own record cannot flatter this figure. */
function upAgainAtMs(scene: Scene, name: string): number {
  const upAtMs = scene.cluster.oracle.running(scene.keyOf(name))[0]?.upAtMs ?? Number.NaN;
  return upAtMs + (Date.now() - oracleNowMs());
}

function windowName(window: number | undefined): string {
  if (window === undefined) return "default window";
  return window === ALL_AT_ONCE ? "all at once" : `window ${window}`;
}

function topOf({ upS }: Round): readonly number[] {
  return upS.slice(0, MOST_IMPORTANT);
}

/** How many of the ten most important are among the ten that were up first. */
function topFirst(round: Round): number {
  const tenth = [...round.upS].sort((a, b) => a - b)[MOST_IMPORTANT - 1] ?? 0;
  return topOf(round).filter((s) => s <= tenth).length;
}

function medianOf({ upS }: Round): number {
  const sorted = [...upS].sort((a, b) => a - b);
  return ((sorted[VMS / 2 - 1] ?? 0) + (sorted[VMS / 2] ?? 0)) / 2;
}

function told(round: Round): string {
  const of = (s: number): string => s.toFixed(1);
  return `ten most important by ${of(Math.max(...topOf(round)))} s (${topFirst(round)} of the first ten), median ${of(medianOf(round))} s, last ${of(Math.max(...round.upS))} s, ${round.writes} writes`;
}

function linesOf(rounds: readonly Round[], virtController: "stand-in" | "real"): readonly Line[] {
  const line = (what: string, unit: string, samples: readonly number[], budget?: Line["budget"]): Line => ({
    bench: restart.name,
    what,
    unit,
    samples,
    virtController,
    ...(budget === undefined ? {} : { budget }),
  });
  const atOnce = rounds.filter((round) => round.window === ALL_AT_ONCE);
  const lastAtOnce = Math.max(...atOnce.flatMap((round) => round.upS));
  const byWindow = [...new Set(rounds.map((round) => round.window))].flatMap((window) => {
    const some = rounds.filter((round) => round.window === window);
    const name = windowName(window);
    const paced = window !== ALL_AT_ONCE;
    const lasts = some.map((round) => Math.max(...round.upS));
    return [
      line(`proof → running, ten most important: ${name}`, "s", some.flatMap(topOf), {
        of: "max",
        atMost: 3 + OWN_BOOT_S,
        because: "3 + own boot",
      }),
      line(`of the first ten running, most important: ${name}`, "VMs", some.map(topFirst), {
        of: "min",
        atLeast: MOST_IMPORTANT,
      }),
      line(`proof → running, median of 100: ${name}`, "s", some.map(medianOf)),
      line(
        `proof → running, last of 100: ${name}`,
        "s",
        lasts,
        paced ? { of: "max", atMost: lastAtOnce, because: "all at once" } : undefined,
      ),
    ];
  });
  return [
    line(
      "proof → last of 100 launcher pods deleted: all at once",
      "s",
      atOnce.map((round) => round.lastDeleteS),
      { of: "max", atMost: 1.5 },
    ),
    line(
      "API writes of one failover of 100 VMs",
      "writes",
      rounds.map((round) => round.writes),
      { of: "max", atMost: 3 * VMS + 10, because: "3 per VM + 10" },
    ),
    ...byWindow,
  ];
}
