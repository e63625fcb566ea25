// Budget 6 of design §10: what a cluster at rest costs the API server. Counted by the API server's own audit log, and per
// replica by its metrics, over long enough that every watch has been renewed once.
import { setTimeout as sleep } from "node:timers/promises";
import type { ReplicaProcess } from "../lab/holdfast/replica-process.ts";
import type { AuditedRequest } from "../lab/holdfast/audit-log.ts";
import type { Bench, BenchContext } from "./bench.ts";
import { metricsOf, Scene } from "./scene.ts";
import type { Line } from "./table.ts";

const NODES = 5;
const VMS = 20;
/** Watches are opened for 4 to 8 minutes. */
const MINUTES = 8;

export const steadyState: Bench = {
  name: "steady-state",
  about: "requests per minute of an idle leader and an idle stand-by",
  minutes: MINUTES + 2,
  run,
};

async function run({ progress }: BenchContext): Promise<readonly Line[]> {
  const scene = await Scene.set({ nodes: NODES, progress });
  try {
    const vms = Array.from({ length: VMS }, (_, i) => ({ name: `vm-${i}`, priority: 500 }));
    await scene.createRunning(vms);
    const first = await scene.startReplica();
    const second = await scene.startReplica();
    await scene.untilJudged(vms.map((vm) => vm.name));
    const leader = await scene.leader();
    const standby = leader === first ? second : first;
    progress(`all is quiet; counting for ${MINUTES} minutes`);
    const before = await Promise.all([leader, standby].map(leaseRequests));
    const fromMs = Date.now();
    await sleep(MINUTES * 60_000);
    const requests = scene.audit.requests(fromMs);
    const after = await Promise.all([leader, standby].map(leaseRequests));
    const lease = after.map((count, i) => count - (before[i] ?? 0));
    return linesOf(requests, { leader: lease[0] ?? 0, standby: lease[1] ?? 0 }, scene.virtController);
  } finally {
    await scene.stop();
  }
}

async function leaseRequests(replica: ReplicaProcess): Promise<number> {
  return metricsOf(replica, "holdfast_api_requests_total", (labels) => labels.includes("leases."));
}

function linesOf(
  requests: readonly AuditedRequest[],
  lease: { readonly leader: number; readonly standby: number },
  virtController: "stand-in" | "real",
): readonly Line[] {
  const line = (what: string, count: number, budget?: Line["budget"]): Line => ({
    bench: steadyState.name,
    what,
    unit: "per min",
    samples: [count / MINUTES],
    virtController,
    ...(budget === undefined ? {} : { budget }),
  });
  const own = requests.filter(({ resource, name }) => resource === "leases" && name !== undefined);
  const watches = requests.filter(({ verb }) => verb === "watch");
  const lists = requests.filter(({ verb }) => verb === "list");
  const rest = requests.length - own.length - watches.length - lists.length;
  return [
    line("leader: requests about its Lease", lease.leader),
    line("stand-by: requests about the Lease", lease.standby),
    line("both: watches opened", watches.length),
    line("both: lists of one object, to prime a new watch", lists.length, {
      of: "max",
      atMost: watches.length / MINUTES,
      because: "one per watch",
    }),
    line("both: anything else", rest, { of: "max", atMost: 0, because: "no polling" }),
  ];
}
