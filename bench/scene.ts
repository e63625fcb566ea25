// The lab as the benchmarks use it: cluster, BMCs, Holdfast's kinds and rights, protected VMs, replicas as processes.
import { setTimeout as sleep } from "node:timers/promises";
import { releasedLease } from "../src/run/lease-record.ts";
import { type Cluster, type ClusterOptions, startCluster } from "../lab/cluster.ts";
import type { VmRequest } from "../lab/cluster/vm-manifest.ts";
import { waitFor } from "../lab/cluster/wait-for.ts";
import { type Fencing, HoldfastView } from "../lab/demo/holdfast-view.ts";
import { AuditLog } from "../lab/holdfast/audit-log.ts";
import { type Bmcs, startBmcs } from "../lab/holdfast/bmcs.ts";
import { apply, HOLDFAST_NAMESPACE, installHoldfast } from "../lab/holdfast/install.ts";
import { type ReplicaProcess, startReplicaProcess } from "../lab/holdfast/replica-process.ts";
import { expectOk } from "../lab/kubevirt/calls.ts";

const NAMESPACE = "bench";

/** Longest wait for something that takes a minute on a free machine. */
export const LONG_MS = 300_000;
/** The most an HAVirtualMachine allows. */
const MAX_RESTARTS = 100;

export interface SceneOptions {
  readonly nodes: ClusterOptions["nodes"];
  readonly progress: (message: string) => void;
  readonly afterFencing?: "PowerOn" | "StayOff";
  /** Where the VMs are. */
  readonly namespace?: string;
  readonly guestServices?: ClusterOptions["guestServices"];
}

/** A VM and its restart priority. */
export interface ProtectedVM extends Omit<VmRequest, "namespace"> {
  readonly priority: number;
}

export class Scene {
  readonly cluster: Cluster;
  readonly bmcs: Bmcs;
  readonly view: HoldfastView;
  readonly audit: AuditLog;
  readonly namespace: string;
  /** Wall time at which this process first saw each NodeFencing on the API server. */
  readonly fencingSeenAtMs = new Map<string, number>();
  #replicas: ReplicaProcess[] = [];
  #replicasStarted = 0;

  private constructor(parts: Pick<Scene, "cluster" | "bmcs" | "audit" | "namespace">) {
    this.cluster = parts.cluster;
    this.bmcs = parts.bmcs;
    this.audit = parts.audit;
    this.namespace = parts.namespace;
    this.view = new HoldfastView(this.cluster.controlPlane.admin, {
      protection: () => undefined,
      fencing: ({ metadata }) => {
        if (!this.fencingSeenAtMs.has(metadata.name)) this.fencingSeenAtMs.set(metadata.name, Date.now());
      },
    });
  }

  static async set(options: SceneOptions): Promise<Scene> {
    const { nodes, progress, afterFencing, namespace = NAMESPACE, guestServices } = options;
    const audit = new AuditLog();
    const cluster = await startCluster({
      nodes,
      controlPlane: { apiServerFlags: audit.apiServerFlags },
      ...(guestServices === undefined ? {} : { guestServices }),
      onProgress: progress,
    });
    try {
      const { admin } = cluster.controlPlane;
      await installHoldfast(admin);
      const bmcs = await startBmcs(cluster, afterFencing === undefined ? {} : { afterFencing });
      await apply(admin, releasedLease("holdfast", HOLDFAST_NAMESPACE) as never);
      return new Scene({ cluster, bmcs, audit, namespace });
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get virtController(): "stand-in" | "real" {
    return this.cluster.kubevirt.kind;
  }

  keyOf(name: string): string {
    return `${this.namespace}/${name}`;
  }

  get replicas(): readonly ReplicaProcess[] {
    return this.#replicas.filter((replica) => replica.alive);
  }

  async stop(): Promise<void> {
    await this.stopReplicas();
    this.view.stop();
    await this.bmcs.stop();
    await this.cluster.stop();
    this.audit.remove();
  }

  /** Creates the VMs with an HAVirtualMachine each and waits until their guests are up. */
  async createRunning(vms: readonly ProtectedVM[]): Promise<void> {
    const { namespace } = this;
    for (const { priority, ...vm } of vms) {
      await this.cluster.createVM({ ...vm, namespace });
      await apply(this.cluster.controlPlane.admin, {
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "HAVirtualMachine",
        metadata: { namespace, name: vm.name },
        // A benchmark loses the same VMs again and again.
        spec: { virtualMachineName: vm.name, priority, failover: { maxRestarts: MAX_RESTARTS } },
      } as never);
    }
    await this.untilUp(
      vms.map((vm) => vm.name),
      () => true,
    );
  }

  /** Waits until a guest of each VM is up on a node that counts. */
  async untilUp(names: readonly string[], counts: (node: string) => boolean): Promise<void> {
    await waitFor(
      `${names.length} VMs run`,
      (saw) => {
        const missing = names.filter(
          (name) =>
            !this.cluster.oracle
              .running(this.keyOf(name))
              .some((run) => run.upAtMs !== undefined && counts(run.node)),
        );
        saw(`${missing.length} not yet: ${missing.slice(0, 10).join(", ")}`);
        return missing.length === 0 ? true : undefined;
      },
      LONG_MS,
    );
  }

  /** Starts a replica and waits until it is ready. */
  async startReplica(flags: readonly string[] = []): Promise<ReplicaProcess> {
    this.#replicasStarted += 1;
    const name = `holdfast-${this.#replicasStarted}`;
    const replica = await startReplicaProcess(this.cluster.controlPlane, { name, flags });
    this.#replicas.push(replica);
    return replica;
  }

  async stopReplicas(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    this.#replicas = [];
  }

  /** The replica that says it leads. */
  leader(): Promise<ReplicaProcess> {
    return waitFor("a replica leads", async () => {
      for (const replica of this.replicas)
        if ((await metricsOf(replica, "holdfast_leader")) === 1) return replica;
      return undefined;
    });
  }

  /** Waits until the leader has judged every VM and has had nothing to write for a while. */
  async untilJudged(names: readonly string[]): Promise<void> {
    await waitFor(
      "every VM has a standing verdict",
      (saw) => {
        const missing = names.filter((name) => !this.#isProtected(name));
        saw(`not yet: ${missing.slice(0, 10).join(", ")}`);
        return missing.length === 0 ? true : undefined;
      },
      LONG_MS,
    );
    const { audit } = this;
    await waitFor("Holdfast is quiet", () => (isQuiet(audit) ? true : undefined), LONG_MS);
  }

  #isProtected(name: string): boolean {
    const conditions = this.view.protections.get(this.keyOf(name))?.status?.conditions ?? [];
    return conditions.some((condition) => condition.type === "Protected" && condition.status === "True");
  }

  /** The newest ledger of a node that the test accepts. */
  untilFencing(node: string, accepts: (fencing: Fencing) => boolean): Promise<Fencing> {
    return waitFor(
      `the NodeFencing of ${node}`,
      (saw) => {
        const ofNode = [...this.view.fencings.values()].filter((one) => one.spec.nodeName === node);
        saw(ofNode.map((one) => [one.metadata.name, one.status?.phase, one.status?.message]));
        return ofNode.find(accepts);
      },
      LONG_MS,
    );
  }

  async cordon(node: string, cordoned: boolean): Promise<void> {
    const patched = await this.cluster.controlPlane.admin.request({
      method: "PATCH",
      path: `/api/v1/nodes/${node}`,
      contentType: "application/merge-patch+json",
      body: { spec: { unschedulable: cordoned ? true : null } },
    });
    expectOk(patched, `cordon ${node}`);
  }
}

const QUIET_MS = 3_000;

function isQuiet(audit: AuditLog): boolean {
  return audit.writes(Date.now() - QUIET_MS).length === 0;
}

/** One metric of a replica, summed over the label sets that count. */
export async function metricsOf(
  replica: ReplicaProcess,
  name: string,
  counts: (labels: string) => boolean = () => true,
): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${replica.port}/metrics`);
  const text = await answer.text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter((line) => counts(line.slice(name.length, line.lastIndexOf(" "))))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Waits a random time within a period, so that what follows meets periodic things at any of their moments. */
export async function atRandomMoment(periodMs: number): Promise<void> {
  await sleep(Math.random() * periodMs);
}
