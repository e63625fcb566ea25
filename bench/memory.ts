// Budget 7 of design §10: resident memory of the bundled operator, idle in the lab and with a synthetic cluster of 1,000 nodes
// and 50,000 VMs; and how long it takes to be ready.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { KubeConfig } from "@kubernetes/client-node";
import { waitFor } from "../lab/cluster/wait-for.ts";
import { type ReplicaProcess, startReplicaProcess } from "../lab/holdfast/replica-process.ts";
import type { Bench, BenchContext } from "./bench.ts";
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

const ROOT = new URL("..", import.meta.url).pathname;
const execute = promisify(execFile);

export const memory: Bench = {
  name: "memory",
  about:
    "resident memory of the bundled operator: idle, and with 1,000 nodes and 50,000 VMs; time to be ready",
  minutes: 6,
  run,
};

interface Measured {
  readonly readyS: number;
  readonly residentMB: readonly number[];
  /** Highest ever; undefined where the machine does not tell. */
  readonly peakMB: number | undefined;
}

async function run({ progress }: BenchContext): Promise<readonly Line[]> {
  progress("npm run build");
  await execute("npm", ["run", "--silent", "build"], { cwd: ROOT });
  const { idle, collections, virtController } = await inLab(progress);
  const large = await inSyntheticCluster(collections, progress);
  const size = `${SIZE.nodes.toLocaleString("en")} nodes, ${SIZE.vms.toLocaleString("en")} VMs`;
  return [
    ...linesOf(`idle leader, ${IDLE_NODES} nodes, ${IDLE_VMS} VMs`, idle, { atMostMB: 130, virtController }),
    ...linesOf(`idle leader, ${size}`, large, { atMostMB: 400 }),
  ];
}

function linesOf(
  what: string,
  { residentMB, peakMB, readyS }: Measured,
  about: { readonly atMostMB: number; readonly virtController?: Line["virtController"] },
): readonly Line[] {
  const { atMostMB, virtController } = about;
  const base = { bench: memory.name, ...(virtController === undefined ? {} : { virtController }) };
  return [
    {
      ...base,
      what: `resident: ${what}`,
      unit: "MB",
      samples: residentMB,
      budget: { of: "median", atMost: atMostMB },
    },
    ...(peakMB === undefined
      ? []
      : [{ ...base, what: "… highest since its start", unit: "MB", samples: [peakMB] }]),
    { ...base, what: `start → /readyz: ${what.replace("idle leader, ", "")}`, unit: "s", samples: [readyS] },
  ];
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

async function inSyntheticCluster(
  collections: readonly Collection[],
  progress: (message: string) => void,
): Promise<Measured> {
  const bytes = collections.reduce(
    (sum, one) => sum + (one.count === 0 ? 0 : one.count * one.text(0).length),
    0,
  );
  progress(`synthetic cluster: ${Math.round(bytes / 1e6)} MB of JSON`);
  const server = new ListWatchServer(collections);
  const address = await server.listen();
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  try {
    return await measure(
      { directory, kubeConfigFor: () => kubeConfigOf(address) },
      async () => {
        let before = -1;
        await waitFor(
          "Holdfast has said about every VM what it has to say",
          async (saw) => {
            saw(`${server.writes} writes`);
            if (server.writes === before) return true;
            before = server.writes;
            progress(`${before} statuses written`);
            await sleep(QUIET_MS);
            return undefined;
          },
          2 * LONG_MS,
        );
      },
      progress,
    );
  } finally {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function kubeConfigOf(server: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({
    clusters: [{ name: "synthetic", server }],
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
    readyDeadlineMs: LONG_MS,
  });
  try {
    const readyS = (performance.now() - startedMs) / 1000;
    progress(`ready after ${readyS.toFixed(1)} s`);
    await settled();
    const residentMB: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      await sleep(SAMPLE_EVERY_MS);
      residentMB.push(await residentOf(replica));
    }
    return { readyS, residentMB, peakMB: peakOf(replica) };
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
