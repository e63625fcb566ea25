// Everything the demo plays on: cluster, BMCs, two replicas of Holdfast, the VMs, and the view of it all.
import { type Cluster, startCluster } from "../cluster.ts";
import { waitFor } from "../cluster/wait-for.ts";
import { AuditLog } from "../holdfast/audit-log.ts";
import { type Bmcs, startBmcs } from "../holdfast/bmcs.ts";
import { releasedLease } from "../../src/run/lease-record.ts";
import { apply, HOLDFAST_NAMESPACE, installHoldfast } from "../holdfast/install.ts";
import { type ReplicaProcess, startReplicaProcess } from "../holdfast/replica-process.ts";
import { expectOk } from "../kubevirt/calls.ts";
import {
  CORDONED_NODE,
  type CastMember,
  castOf,
  isRunning,
  NAMESPACE,
  STARTS_ON_CORDONED,
  WEB_POLICY,
} from "./cast.ts";
import { tellFencing, tellMigration, tellProtection } from "./chronicle.ts";
import { HoldfastView } from "./holdfast-view.ts";
import type { DemoOptions } from "./options.ts";
import type { Timeline } from "./timeline.ts";

export interface Stage {
  readonly cluster: Cluster;
  readonly bmcs: Bmcs;
  readonly replicas: readonly ReplicaProcess[];
  readonly cast: readonly CastMember[];
  readonly view: HoldfastView;
  readonly timeline: Timeline;
  /** What Holdfast asked of the API server, under its ServiceAccount. */
  readonly audit: AuditLog;
  /** `kubectl cordon` and `kubectl uncordon`. */
  cordon(node: string, cordoned: boolean): Promise<void>;
  /** Notes which VMs are about to be evacuated. */
  remember(leaving: readonly string[]): void;
  /** Those of them whose promise is to go home. */
  homesick(): readonly string[];
  /** Names of VMs whose guest runs on the node, by the oracle. */
  vmsOn(node: string): readonly string[];
  stop(): Promise<void>;
}

/** Builds the stage: the VMs run, each HAVirtualMachine has been judged, and a replica leads. */
export async function setStage(options: DemoOptions, timeline: Timeline): Promise<Stage> {
  const closers: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const audit = new AuditLog();
    closers.push(() => audit.remove());
    const cluster = await startCluster({
      nodes: options.nodes,
      controlPlane: { apiServerFlags: audit.apiServerFlags },
      // Each guest needs an address of its own on loopback, which only Linux gives without being told to.
      ...(process.platform === "linux" ? { guestServices: {} } : {}),
      onProgress: (message) => timeline.tell("lab", message),
    });
    closers.push(() => cluster.stop());
    const { admin, version } = cluster.controlPlane;
    timeline.tell("lab", `Kubernetes ${version}, KubeVirt ${cluster.kubevirt.kind}, ${options.nodes} nodes`);
    await installHoldfast(admin);
    const bmcs = await startBmcs(cluster);
    closers.push(() => bmcs.stop());
    timeline.tell("lab", "a BMC per node, and Holdfast's CRDs and rights installed");
    const cast = castOf(options.vms);
    const stage = { cluster, bmcs, cast, timeline, ...operations(cluster, cast) };
    await enter(stage);
    const view = new HoldfastView(admin, {
      protection: (now, before) => tellProtection(timeline, now, before),
      fencing: (now, before) => tellFencing(timeline, now, before),
    });
    closers.push(() => view.stop());
    closers.push(followMigrations(cluster, timeline));
    await apply(admin, releasedLease("holdfast", HOLDFAST_NAMESPACE) as never);
    await apply(admin, WEB_POLICY);
    for (const { vm, protection } of cast) {
      if (protection === undefined) continue;
      const metadata = { namespace: NAMESPACE, name: vm.name };
      await apply(admin, {
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "HAVirtualMachine",
        metadata,
        spec: protection,
      } as never);
    }
    const replicas = await Promise.all(
      // Simulated nodes have no host behind their addresses; on some machines a proxy answers in its place.
      ["holdfast-0", "holdfast-1"].map((name) =>
        startReplicaProcess(cluster.controlPlane, { name, flags: ["--probe-method=off"] }),
      ),
    );
    closers.push(async () => {
      await Promise.all(replicas.map((replica) => replica.stop()));
    });
    await judged(view, cast);
    timeline.tell("holdfast", `two replicas run, ${cast.length} VMs are in care`, "good");
    return { ...stage, replicas, view, audit, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function operations(
  cluster: Cluster,
  cast: readonly CastMember[],
): Pick<Stage, "cordon" | "vmsOn" | "remember" | "homesick"> {
  let evacuated: readonly string[] = [];
  return {
    remember: (leaving) => {
      evacuated = leaving;
    },
    homesick: () =>
      cast
        .filter((member) => member.protection === undefined && evacuated.includes(member.vm.name))
        .map(({ vm }) => vm.name),
    cordon: async (node, cordoned) => {
      const patched = await cluster.controlPlane.admin.request({
        method: "PATCH",
        path: `/api/v1/nodes/${node}`,
        contentType: "application/merge-patch+json",
        body: { spec: { unschedulable: cordoned ? true : null } },
      });
      expectOk(patched, `cordon ${node}`);
    },
    vmsOn: (node) =>
      cluster.oracle
        .running()
        .filter((run) => run.node === node)
        .map((run) => run.vm.split("/")[1] ?? run.vm)
        .sort(),
  };
}

/** Creates the VMs; the first two while only the node that will be cordoned takes VMs: one cannot leave it, one comes back. */
async function enter({
  cluster,
  cast,
  timeline,
  cordon,
}: Pick<Stage, "cluster" | "cast" | "timeline" | "cordon">): Promise<void> {
  const others = cluster.fleet.nodes.filter((node) => node.name !== CORDONED_NODE);
  const first = cast.filter(({ vm }) => STARTS_ON_CORDONED.includes(vm.name));
  const rest = cast.filter((member) => !first.includes(member));
  for (const node of others) await cordon(node.name, true);
  for (const { vm } of first) await cluster.createVM(vm);
  for (const { vm } of first) await cluster.waitForRunning(`${NAMESPACE}/${vm.name}`);
  for (const node of others) await cordon(node.name, false);
  for (const member of rest) {
    await cluster.createVM(member.vm);
    if (member.vm.runStrategy === "Manual") await start(cluster, member.vm.name);
  }
  for (const member of rest) {
    if (isRunning(member))
      await cluster.waitForRunning(`${NAMESPACE}/${member.vm.name}`, { deadlineMs: 120_000 });
  }
  timeline.tell("lab", `${cast.length} VMs made, ${cluster.oracle.running().length} run`);
}

async function start(cluster: Cluster, name: string): Promise<void> {
  await waitFor(`${name} takes a start call`, async (saw) => {
    const started = await cluster.controlPlane.admin.request({
      method: "PUT",
      path: `/apis/subresources.kubevirt.io/v1/namespaces/${NAMESPACE}/virtualmachines/${name}/start`,
      body: {},
    });
    saw(started);
    return started.ok ? true : undefined;
  });
}

function followMigrations(cluster: Cluster, timeline: Timeline): () => void {
  const known = new Map<string, string>();
  return cluster.view.listen((kind, object, change) => {
    if (kind === "Migration" && change === "changed") tellMigration(timeline, object as never, known);
  });
}

async function judged(view: HoldfastView, cast: readonly CastMember[]): Promise<void> {
  await waitFor(
    "every VM has a standing verdict",
    (saw) => {
      const missing = cast.filter(({ vm }) => {
        const conditions = view.protections.get(`${NAMESPACE}/${vm.name}`)?.status?.conditions ?? [];
        return !conditions.some((condition) => condition.type === "Protected");
      });
      saw(`not judged: ${missing.map(({ vm }) => vm.name).join(", ")}`);
      return missing.length === 0 ? true : undefined;
    },
    60_000,
  );
}
