// Budgets 1 to 3 of design §10: from the death of a node to the verdict and to the first request at its fence device, with
// default settings; also when the leader dies with the node.
import type { ReplicaProcess } from "../lab/holdfast/replica-process.ts";
import { waitFor } from "../lab/cluster/wait-for.ts";
import { expectOk } from "../lab/kubevirt/calls.ts";
import type { Bench, BenchContext } from "./bench.ts";
import { firstLogged } from "./replica-log.ts";
import { atRandomMoment, LONG_MS, type ProtectedVM, Scene } from "./scene.ts";
import type { Line } from "./table.ts";

const NODES = 9;
const VMS = 2 * NODES;
/** Deaths of a node while the leader lives, and of both at once. */
const PLAIN_DEATHS = 5;
const LEADER_DEATHS = 3;
/** Kubelets renew this often, and a little jitter: a death at a random moment of it. */
const LEASE_PERIOD_MS = 10_400;
const DEFAULT_NODE_LOST_AFTER_MS = 22_000;

/** Spread over the nodes as far as the scheduler can. */
const SPREAD = {
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 100,
        podAffinityTerm: {
          topologyKey: "kubernetes.io/hostname",
          labelSelector: { matchLabels: { bench: "node-loss" } },
        },
      },
    ],
  },
};

export const nodeLoss: Bench = {
  name: "node-loss",
  about: "node dead → verdict → first request at its fence device; also when the leader dies with it",
  minutes: 6,
  run,
};

/** Milliseconds after the power was cut, unless said. */
interface Death {
  readonly verdictMs: number;
  /** How much later than `node-lost-after` had passed since the node's last renewal. */
  readonly lateMs: number;
  readonly ledgerMs: number;
  readonly afterVerdict: { readonly deviceMs: number };
  /** Another replica led; undefined where the leader lived. */
  readonly takeoverMs: number | undefined;
}

async function run({ progress }: BenchContext): Promise<readonly Line[]> {
  const scene = await Scene.set({ nodes: NODES, progress });
  try {
    const vms = Array.from(
      { length: VMS },
      (_, i): ProtectedVM => ({
        name: `vm-${i}`,
        priority: 500,
        affinity: SPREAD,
        labels: { bench: "node-loss" },
      }),
    );
    progress(`creating ${VMS} VMs`);
    await scene.createRunning(vms);
    await scene.startReplica();
    await scene.startReplica();
    await scene.untilJudged(vms.map((vm) => vm.name));
    const deaths: Death[] = [];
    for (let i = 0; i < PLAIN_DEATHS + LEADER_DEATHS; i++) {
      const node = scene.cluster.fleet.nodes[i]?.name ?? "";
      const death = await kill(scene, node, i >= PLAIN_DEATHS);
      progress(
        `${node}${i >= PLAIN_DEATHS ? " and the leader" : ""} dead → lost: ${seconds(death.verdictMs)} s`,
      );
      deaths.push(death);
    }
    return linesOf(deaths, scene.virtController);
  } finally {
    await scene.stop();
  }
}

async function kill(scene: Scene, name: string, withLeader: boolean): Promise<Death> {
  const node = scene.cluster.fleet.node(name);
  await waitFor(`a VM runs on ${name}`, () => (node.guests.length > 0 ? true : undefined), LONG_MS);
  const leader = await scene.leader();
  await atRandomMoment(LEASE_PERIOD_MS);
  const cutAtMs = Date.now();
  await node.power.off();
  if (withLeader) leader.kill();
  const fencing = await scene.untilFencing(name, (one) => one.status?.proof !== undefined);
  const heir = withLeader ? await scene.leader() : leader;
  const verdictAtMs = await logged(heir, `node ${name} is lost`, cutAtMs);
  const requests = scene.bmcs.of(name).requests.map((request) => wallMsOf(request.atMs));
  const firstRequestAtMs = requests.find((atMs) => atMs >= cutAtMs) ?? Number.NaN;
  const death: Death = {
    verdictMs: verdictAtMs - cutAtMs,
    lateMs: verdictAtMs - (await lastRenewalMs(scene, name)) - DEFAULT_NODE_LOST_AFTER_MS,
    ledgerMs: (scene.fencingSeenAtMs.get(fencing.metadata.name) ?? Number.NaN) - cutAtMs,
    afterVerdict: { deviceMs: firstRequestAtMs - verdictAtMs },
    takeoverMs: withLeader ? (await logged(heir, "leading", cutAtMs)) - cutAtMs : undefined,
  };
  if (withLeader) await scene.startReplica();
  return death;
}

function logged(replica: ReplicaProcess, message: string, sinceMs: number): Promise<number> {
  return waitFor(`${replica.name} logs "${message}"`, () => firstLogged(replica, message, sinceMs));
}

/** The dead kubelet's last word, by the clock that it shares with us here. */
async function lastRenewalMs(scene: Scene, node: string): Promise<number> {
  const read = await scene.cluster.controlPlane.admin.request<{
    readonly spec: { readonly renewTime: string };
  }>({ method: "GET", path: `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${node}` });
  return Date.parse(expectOk(read, `read the Lease of ${node}`).spec.renewTime);
}

function wallMsOf(monotonicMs: number): number {
  return monotonicMs + (Date.now() - performance.now());
}

function linesOf(deaths: readonly Death[], virtController: "stand-in" | "real"): readonly Line[] {
  const plain = deaths.filter((death) => death.takeoverMs === undefined);
  const withLeader = deaths.filter((death) => death.takeoverMs !== undefined);
  const line = (
    what: string,
    unit: "s" | "ms",
    samplesMs: readonly number[],
    budget?: Line["budget"],
  ): Line => ({
    bench: nodeLoss.name,
    what,
    unit,
    samples: unit === "s" ? samplesMs.map((ms) => ms / 1000) : samplesMs,
    virtController,
    ...(budget === undefined ? {} : { budget }),
  });
  const of = <T>(some: readonly Death[], read: (death: Death) => T): readonly T[] => some.map(read);
  return [
    line(
      "node dead → verdict lost",
      "s",
      of(plain, (one) => one.verdictMs),
      { of: "max", atMost: 25 },
    ),
    line(
      "… of it beyond node-lost-after (22 s) since its last Lease renewal",
      "ms",
      of(plain, (one) => one.lateMs),
    ),
    line(
      "node dead → NodeFencing on the API server",
      "s",
      of(plain, (one) => one.ledgerMs),
    ),
    line(
      "verdict → first request at the fence device",
      "ms",
      of(deaths, (one) => one.afterVerdict.deviceMs),
      { of: "max", atMost: 200 },
    ),
    line(
      "node and leader dead → other replica leads",
      "s",
      of(withLeader, (one) => one.takeoverMs ?? Number.NaN),
      { of: "max", atMost: 12 },
    ),
    line(
      "node and leader dead → verdict lost",
      "s",
      of(withLeader, (one) => one.verdictMs),
      { of: "max", atMost: 37, because: "25 + 12" },
    ),
    line(
      "… of it beyond node-lost-after (22 s) since its last Lease renewal",
      "ms",
      of(withLeader, (one) => one.lateMs),
    ),
  ];
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
