// `npm run bench:drills`: the experiment that drills repeat. A VM is moved, and lost, again and again, while it is asked by
// UDP at three rates, TCP, HTTP and a transfer whether it is there. Prints the tables of docs/drills.md.
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../lab/cluster/wait-for.ts";
import { type DrillRow, renderDrillTable } from "../lab/demo/drill-table.ts";
import { GUEST_PORTS, TRANSFER_PATH } from "../lab/guests/guest-address.ts";
import {
  type DrillPromise,
  drillSummary,
  judgeRuns,
  type Summary,
  summaryOf,
} from "../src/model/drill-statistics.ts";
import type { ServiceProbe } from "../src/model/service-probe.ts";
import { ProberProcess, type Sight } from "./prober-process.ts";
import { LONG_MS, Scene } from "./scene.ts";

const VM = "probed";
const NODES = 3;
const EVERY_MS = 30_000;
const GRACEFUL_RUNS = 5;
const LOSS_RUNS = 3;
const UNDISTURBED_TRANSFERS = 2;
/** Undisturbed time before each failure: what "as before" means is measured in it. */
const BEFORE_MS = 4_000;
const TRANSFER_BYTES = 250_000_000;
/** What the experiment saw at most, on average, in a graceful failure. */
const GRACEFUL_PROMISE: DrillPromise = { outageBudgetMs: 550 };
/** A verdict takes up to 25 s; fencing and the restart come on top. */
const LOSS_PROMISE: DrillPromise = { recoveryTimeMs: 40_000 };

const { udpEcho, http } = GUEST_PORTS;
const TRANSFER: ServiceProbe = {
  kind: "Transfer",
  port: http,
  path: TRANSFER_PATH,
  bytes: TRANSFER_BYTES,
};
const PROBES: readonly (readonly [name: string, probe: ServiceProbe])[] = [
  ["UDP 10/s", { kind: "Udp", port: udpEcho, packetsPerSecond: 10 }],
  ["UDP 100/s", { kind: "Udp", port: udpEcho, packetsPerSecond: 100 }],
  ["UDP 1000/s", { kind: "Udp", port: udpEcho, packetsPerSecond: 1000 }],
  ["TCP", { kind: "Tcp", port: http }],
  ["HTTP", { kind: "Http", port: http, path: "/" }],
  ["transfer", TRANSFER],
];

const nowMs = (): number => performance.timeOrigin + performance.now();

class Experiment {
  readonly #scene: Scene;
  readonly #prober = new ProberProcess();
  readonly #unlisten: () => void;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#unlisten = scene.cluster.view.listen((kind) => {
      if (kind === "VirtualMachineInstance") this.#follow();
    });
    this.#follow();
  }

  async close(): Promise<void> {
    this.#unlisten();
    await this.#prober.close();
  }

  get node(): string {
    return this.#scene.cluster.oracle.running(this.#scene.keyOf(VM))[0]?.node ?? "";
  }

  /** Seconds that a transfer takes when nothing happens. */
  async undisturbed(): Promise<readonly number[]> {
    const seconds: number[] = [];
    for (let i = 0; i < UNDISTURBED_TRANSFERS; i++) {
      this.#prober.start([TRANSFER]);
      await this.#until((sights) => sights.every(transferEnded), nowMs());
      const [sight] = await this.#prober.stop(nowMs());
      seconds.push((sight?.facts.transfer?.durationMs ?? Number.NaN) / 1_000);
    }
    return seconds;
  }

  /** One failure while all probes ask; ends when all of them see the VM stable again. */
  async run(disturb: () => Promise<void>): Promise<readonly Sight[]> {
    this.#prober.start(PROBES.map(([, probe]) => probe));
    await sleep(BEFORE_MS);
    const disturbedAtMs = nowMs();
    await disturb();
    await this.#until((sights) => {
      const [first] = sights;
      const seen = first !== undefined && first.run.outageMs > 0;
      return (
        seen && sights.every(({ run }) => run.convergenceMs !== undefined) && sights.every(transferEnded)
      );
    }, disturbedAtMs);
    return this.#prober.stop(disturbedAtMs);
  }

  async #until(over: (sights: readonly Sight[]) => boolean, disturbedAtMs: number): Promise<void> {
    await waitFor(
      "the probes see a stable state",
      async (saw) => {
        const sights = await this.#prober.look(disturbedAtMs);
        saw(sights.map(({ facts, run }) => ({ ...run, transfer: facts.transfer })));
        await sleep(400);
        return over(sights) ? true : undefined;
      },
      LONG_MS,
    );
  }

  #follow(): void {
    const vmi = this.#scene.cluster.view.vmis.get(this.#scene.keyOf(VM));
    this.#prober.follow(vmi?.status?.interfaces?.[0]?.ipAddress);
  }
}

function transferEnded({ facts }: Sight): boolean {
  return facts.transfer === undefined || facts.transfer.durationMs !== undefined;
}

function rowsOf(runs: readonly (readonly Sight[])[], promise: DrillPromise): readonly DrillRow[] {
  return PROBES.flatMap(([name], index) => {
    const measured = runs.flatMap((sights) => sights[index]?.run ?? []);
    const summary = drillSummary(measured);
    if (summary === undefined) return [];
    const skipped = measured.reduce((sum, one) => sum + one.skipped, 0);
    return [{ name, ...summary, skipped, result: judgeRuns(measured, promise).result }];
  });
}

function slowDownText(runs: readonly (readonly Sight[])[], undisturbed: readonly number[]): string {
  const usual = summaryOf(undisturbed)?.mean ?? Number.NaN;
  const took = runs
    .flatMap((sights) => sights.at(-1)?.facts.transfer?.durationMs ?? [])
    .map((ms) => ms / 1_000);
  const slowDown = summaryOf(took.map((seconds) => seconds - usual));
  return `Transfer of ${TRANSFER_BYTES / 1e6} MB: undisturbed ${usual.toFixed(2)} s (${undisturbed.length} times), slowed down by ${secondsText(slowDown)}.`;
}

function secondsText(summary: Summary | undefined): string {
  if (summary === undefined) return "an unknown time: none came to its end";
  const { mean, confidence95 } = summary;
  const interval =
    confidence95 === undefined
      ? ""
      : ` (95 %: ${confidence95.low.toFixed(2)} to ${confidence95.high.toFixed(2)})`;
  return `${mean.toFixed(2)} s${interval}`;
}

/** Drains the VM's node, and lets the one drained before take VMs again. */
async function gracefulFailures(
  scene: Scene,
  experiment: Experiment,
): Promise<readonly (readonly Sight[])[]> {
  const runs: (readonly Sight[])[] = [];
  for (let i = 0; i < GRACEFUL_RUNS; i++) {
    const beganAtMs = nowMs();
    const { node } = experiment;
    runs.push(await experiment.run(() => scene.cordon(node, true)));
    await scene.cordon(node, false);
    say(`graceful failure ${i + 1} of ${GRACEFUL_RUNS}: ${outagesText(runs.at(-1))}`);
    await sleep(Math.max(0, EVERY_MS - (nowMs() - beganAtMs)));
  }
  return runs;
}

/** Cuts the power of the VM's node, and waits until Holdfast trusts it again. */
async function nodeLosses(scene: Scene, experiment: Experiment): Promise<readonly (readonly Sight[])[]> {
  const runs: (readonly Sight[])[] = [];
  const known = new Set<string>();
  for (let i = 0; i < LOSS_RUNS; i++) {
    const { node } = experiment;
    runs.push(await experiment.run(() => scene.cluster.fleet.node(node).power.off()));
    say(`loss of a node ${i + 1} of ${LOSS_RUNS}: ${outagesText(runs.at(-1))}`);
    const fencing = await scene.untilFencing(
      node,
      ({ metadata, status }) => !known.has(metadata.name) && status?.phase === "Returned",
    );
    known.add(fencing.metadata.name);
  }
  return runs;
}

function outagesText(sights: readonly Sight[] | undefined): string {
  return (sights ?? []).map(({ run }) => `${Math.round(run.outageMs)} ms`).join(", ");
}

function say(message: string): void {
  process.stderr.write(`drills: ${message}\n`);
}

async function main(): Promise<void> {
  const scene = await Scene.set({ nodes: NODES, progress: say, afterFencing: "PowerOn", guestServices: {} });
  try {
    await scene.createRunning([{ name: VM, priority: 500, disk: "rwx" }]);
    await scene.startReplica();
    await scene.startReplica();
    await scene.untilJudged([VM]);
    const experiment = new Experiment(scene);
    try {
      say(`${UNDISTURBED_TRANSFERS} transfers without a failure`);
      const undisturbed = await experiment.undisturbed();
      const graceful = await gracefulFailures(scene, experiment);
      const losses = await nodeLosses(scene, experiment);
      const overlaps = scene.cluster.oracle.overlaps.length;
      console.log(`
Graceful failure every ${EVERY_MS / 1_000} s: the VM's node is cordoned. Outage budget ${GRACEFUL_PROMISE.outageBudgetMs} ms.

${renderDrillTable(rowsOf(graceful, GRACEFUL_PROMISE))}

${slowDownText(graceful, undisturbed)}

Loss of the VM's node: its power is cut. Recovery within ${(LOSS_PROMISE.recoveryTimeMs ?? 0) / 1_000} s.

${renderDrillTable(rowsOf(losses, LOSS_PROMISE))}

${slowDownText(losses, undisturbed)}

${overlaps} overlaps, by the oracle. virt-controller: ${scene.virtController}.`);
    } finally {
      await experiment.close();
    }
  } finally {
    await scene.stop();
  }
}

await main();
process.exit();
