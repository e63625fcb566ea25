// Budget 7 of design §10: resident memory of the bundled operator, idle in the lab and with a synthetic cluster of 1,000 nodes
// and 50,000 VMs; and how long it takes to be ready.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { KubeConfig } from "@kubernetes/client-node";
import { releasedLease } from "../src/run/lease-record.ts";
import { waitFor } from "../lab/cluster/wait-for.ts";
import { HOLDFAST_NAMESPACE } from "../lab/holdfast/install.ts";
import { type ReplicaProcess, startReplicaProcess } from "../lab/holdfast/replica-process.ts";
import type { Bench, BenchContext } from "./bench.ts";
import { imageFlags } from "./image-flags.ts";
import { ListWatchServer } from "./list-watch-server.ts";
import { LONG_MS, Scene } from "./scene.ts";
import { captureCluster, type Collection, TEMPLATE } from "./synthetic-cluster.ts";
import type { Line } from "./table.ts";

const SIZE = { nodes: 1_000, vms: 50_000, namespaces: 200 };
const IDLE_NODES = 3;
const IDLE_VMS = 12;
/** Memory is looked at this often, over a minute. */
const SAMPLES = 12;
const SAMPLE_EVERY_MS = 5_000;
/** No write for this long: the replica has said about every VM what it has to say. */
const QUIET_MS = 5_000;

const LEASE_PATH = `/apis/coordination.k8s.io/v1/namespaces/${HOLDFAST_NAMESPACE}/leases/holdfast`;
const ROOT = new URL("..", import.meta.url).pathname;
const execute = promisify(execFile);

export const memory: Bench = {
  name: "memory",
  about:
    "resident memory of the bundled operator: idle, and with 1,000 nodes and 50,000 VMs; time to be ready",
  minutes: 10,
  run,
};

interface Measured {
  readonly readyS: number;
  /** Start → no status left to be written. */
  readonly settledS: number;
  readonly residentMB: readonly number[];
  /** Highest ever; undefined where the machine does not tell. */
  readonly peakMB: number | undefined;
}

async function run({ progress }: BenchContext): Promise<readonly Line[]> {
  progress("npm run build");
  await execute("npm", ["run", "--silent", "build"], { cwd: ROOT });
  const { idle, collections, virtController } = await inLab(progress);
  const { first, again } = await inSyntheticCluster(collections, progress);
  const size = `${SIZE.nodes.toLocaleString("en")} nodes, ${SIZE.vms.toLocaleString("en")} VMs`;
  return [
    ...linesOf(`${IDLE_NODES} nodes, ${IDLE_VMS} VMs`, idle, 130).map((line) => ({
      ...line,
      virtController,
    })),
    ...linesOf(size, again, 400),
    ...linesOf(`${size}, first start`, first, 400),
    figure("start → every status written: first start", "s", [first.settledS]),
  ];
}

function linesOf(where: string, { residentMB, peakMB, readyS }: Measured, atMostMB: number): readonly Line[] {
  return [
    {
      ...figure(`resident, idle leader: ${where}`, "MB", residentMB),
      budget: { of: "median", atMost: atMostMB },
    },
    ...(peakMB === undefined ? [] : [figure("… highest since its start", "MB", [peakMB])]),
    figure(`start → /readyz: ${where}`, "s", [readyS]),
  ];
}

function figure(what: string, unit: string, samples: readonly number[]): Line {
  return { bench: memory.name, what, unit, samples };
}

/** The idle operator in a small lab; and one object of each kind from it, for the large one. */
async function inLab(
  progress: (message: string) => void,
): Promise<{ idle: Measured; collections: readonly Collection[]; virtController: "stand-in" | "real" }> {
  const others = Array.from({ length: IDLE_NODES - 1 }, () => ({}));
  const scene = await Scene.set({
    nodes: [{ name: TEMPLATE.node }, ...others],
    progress,
    namespace: TEMPLATE.namespace,
  });
  try {
    const names = [TEMPLATE.vm, ...Array.from({ length: IDLE_VMS - 1 }, (_, i) => `vm-${i}`)];
    await scene.createRunning(
      names.map((name) => ({
        name,
        priority: 500,
        ...(name === TEMPLATE.vm ? { affinity: on(TEMPLATE.node) } : {}),
      })),
    );
    const idle = await measure(
      scene.cluster.controlPlane,
      async () => {
        await scene.untilJudged(names);
      },
      progress,
    );
    const collections = await captureCluster(scene.cluster.controlPlane.admin, SIZE);
    return { idle, collections, virtController: scene.virtController };
  } finally {
    await scene.stop();
  }
}

/** Starts there and could run anywhere. */
function on(node: string): object {
  const matchExpressions = [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }];
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: { matchExpressions } }],
    },
  };
}

/** Twice: at its first start it has a status to write for every VM; when it starts again, none. */
async function inSyntheticCluster(
  collections: readonly Collection[],
  progress: (message: string) => void,
): Promise<{ readonly first: Measured; readonly again: Measured }> {
  const bytes = collections.reduce(
    (sum, one) => sum + (one.count === 0 ? 0 : one.count * one.text(0).length),
    0,
  );
  progress(`synthetic cluster: ${Math.round(bytes / 1e6)} MB of JSON`);
  const server = new ListWatchServer(collections, {
    [LEASE_PATH]: releasedLease("holdfast", HOLDFAST_NAMESPACE),
  });
  const address = await server.listen();
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const where = { directory, kubeConfigFor: () => kubeConfigOf(address) };
  try {
    const first = await measure(where, () => untilWritten(server, SIZE.vms, progress), progress);
    const again = await measure(where, () => untilWritten(server, server.writes, progress), progress);
    return { first, again };
  } finally {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function untilWritten(
  server: ListWatchServer,
  atLeast: number,
  progress: (message: string) => void,
): Promise<void> {
  let before = -1;
  await waitFor(
    "Holdfast has said about every VM what it has to say",
    async (saw) => {
      saw(`${server.writes} writes`);
      if (server.writes >= atLeast && server.writes === before) return true;
      before = server.writes;
      progress(`${before} statuses written`);
      await sleep(QUIET_MS);
      return undefined;
    },
    2 * LONG_MS,
  );
}

function kubeConfigOf(server: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({
    // Without it client-node refuses plain HTTP.
    clusters: [{ name: "synthetic", server, skipTLSVerify: true }],
    users: [{ name: "nobody" }],
    contexts: [{ name: "synthetic", cluster: "synthetic", user: "nobody" }],
    currentContext: "synthetic",
  });
  return kubeConfig;
}

/** Starts the bundle, waits until it has settled, and watches its memory for a minute. */
async function measure(
  where: Parameters<typeof startReplicaProcess>[0],
  settled: () => Promise<void>,
  progress: (message: string) => void,
): Promise<Measured> {
  const startedMs = performance.now();
  const replica = await startReplicaProcess(where, {
    name: "bundled",
    program: join(ROOT, "dist/holdfast.mjs"),
    nodeFlags: imageFlags(),
    readyDeadlineMs: LONG_MS,
  });
  try {
    const readyS = (performance.now() - startedMs) / 1000;
    progress(`ready after ${readyS.toFixed(1)} s`);
    await settled();
    const settledS = (performance.now() - startedMs) / 1000;
    const residentMB: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      await sleep(SAMPLE_EVERY_MS);
      residentMB.push(await residentOf(replica));
    }
    return { readyS, settledS, residentMB, peakMB: peakOf(replica) };
  } finally {
    await replica.stop();
  }
}

async function residentOf({ pid }: ReplicaProcess): Promise<number> {
  const { stdout } = await execute("ps", ["-o", "rss=", "-p", String(pid)]);
  return Number(stdout) / 1024;
}

/** Linux alone keeps it. */
function peakOf({ pid }: ReplicaProcess): number | undefined {
  if (process.platform !== "linux") return undefined;
  const peakKB = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return peakKB === undefined ? undefined : Number(peakKB) / 1024;
}
