// A whole lab with Holdfast on it for the tests of one file: cluster, rights, BMCs, protected VMs, and replicas in this
// process that can be watched and stopped at any write. After each test the oracle must have seen no VM twice.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type Cluster, type ClusterOptions, startCluster } from "../../lab/cluster.ts";
import type { VmRequest } from "../../lab/cluster/vm-manifest.ts";
import type { Migration } from "../../lab/cluster/cluster-view.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { findAssetFolder } from "../../lab/control-plane/asset-folders.ts";
import { type Fencing, type Havm, HoldfastView } from "../../lab/demo/holdfast-view.ts";
import { type Bmcs, startBmcs } from "../../lab/holdfast/bmcs.ts";
import { type ReplicaOptions, startReplica } from "../../lab/holdfast/in-process-replica.ts";
import { apply, installHoldfast } from "../../lab/holdfast/install.ts";
import { expectOk } from "../../lab/kubevirt/calls.ts";
import type { NodeDelays } from "../../lab/nodes/delays.ts";
import type { SimulatedNode } from "../../lab/nodes/simulated-node.ts";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import type { Operator } from "../../src/run/operator.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { ReplicaLife } from "./replica-life.ts";

/** Faster than life where speed is not the subject: kubelets renew every second, guests and machines boot at once. */
export const FAST_DELAYS: Partial<NodeDelays> = {
  podStartMs: 100,
  guestBootMs: 200,
  preCopyMs: 800,
  guestShutdownMs: 100,
  nodeBootMs: 500,
  leaseRenewMs: 1_000,
  retryMs: 200,
};

/** Goes with `FAST_DELAYS`. */
export const FAST_POLICY: Partial<DecisionPolicy> = {
  nodeSuspectAfterMs: 3_000,
  nodeLostAfterMs: 5_000,
  migrationBackoffMs: 1_000,
};

/** Longest wait for something that takes seconds on a free machine. */
export const LONG_MS = 60_000;

export interface OperatorRigOptions extends Partial<ClusterOptions> {
  readonly policy?: Partial<DecisionPolicy>;
  readonly topology?: Parameters<typeof startBmcs>[1];
}

/** A VM and the promise made for it. */
export interface ProtectedVM extends Omit<VmRequest, "namespace"> {
  /** Node it should start on, and goes back to where the scheduler is free to choose; others will do as well. */
  readonly on?: string;
  /** Further fields of the HAVirtualMachine's spec; `none` leaves the VM without one. */
  readonly promise?: object | "none";
}

/** A running replica. */
export interface RigReplica {
  readonly name: string;
  readonly operator: Operator;
  readonly life: ReplicaLife;
  /** What it logged, one line each. */
  readonly log: readonly string[];
}

/** Starts a rig before the file's tests and stops it after them. */
export function useOperatorRig(options: OperatorRigOptions): () => OperatorRig {
  let rig: OperatorRig | undefined;
  const current = () => {
    if (!rig) throw new Error("the rig exists only inside tests and hooks");
    return rig;
  };
  beforeAll(async () => {
    rig = await OperatorRig.start(options);
  });
  beforeEach(() => current().beginTest());
  afterEach(() => current().endTest());
  afterAll(() => rig?.stop());
  return current;
}

export class OperatorRig {
  readonly cluster: Cluster;
  readonly bmcs: Bmcs;
  readonly view: HoldfastView;
  /** Writes that took away what protected a running guest and that the test meant to happen. */
  unsafeWritesExpected = 0;
  readonly #policy: Partial<DecisionPolicy>;
  #replicas: RigReplica[] = [];
  #tests = 0;
  #started = 0;
  #unsafeBefore = 0;

  private constructor(parts: { cluster: Cluster; bmcs: Bmcs; policy: Partial<DecisionPolicy> }) {
    this.cluster = parts.cluster;
    this.bmcs = parts.bmcs;
    this.#policy = parts.policy;
    const nothing = () => undefined;
    this.view = new HoldfastView(this.cluster.controlPlane.admin, { protection: nothing, fencing: nothing });
  }

  static async start({ policy, topology, ...cluster }: OperatorRigOptions): Promise<OperatorRig> {
    const lab = await startCluster({ nodes: 4, delays: FAST_DELAYS, ...cluster });
    try {
      await installHoldfast(lab.controlPlane.admin);
      const bmcs = await startBmcs(lab, { retries: 1, timeout: "10s", ...topology });
      return new OperatorRig({ cluster: lab, bmcs, policy: { ...FAST_POLICY, ...policy } });
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /** Each test has a namespace of its own. */
  get namespace(): string {
    return `test-${this.#tests}`;
  }

  get admin() {
    return this.cluster.controlPlane.admin;
  }

  get replicas(): readonly RigReplica[] {
    return this.#replicas;
  }

  node(name: string): SimulatedNode {
    return this.cluster.fleet.node(name);
  }

  beginTest(): void {
    this.#tests += 1;
    this.unsafeWritesExpected = 0;
    this.#unsafeBefore = this.cluster.oracle.unsafeWrites.length;
  }

  /** Checks what must hold whatever happened, then makes the lab whole again for the next test. */
  async endTest(): Promise<void> {
    const { oracle } = this.cluster;
    const overlaps = [...oracle.overlaps];
    const unsafe = oracle.unsafeWrites.slice(this.#unsafeBefore);
    await this.#heal();
    expect(overlaps, "a VM ran twice").toEqual([]);
    if (unsafe.length !== this.unsafeWritesExpected) expect(unsafe).toEqual([]);
  }

  async stop(): Promise<void> {
    await this.stopReplicas();
    this.view.stop();
    await this.bmcs.stop();
    await this.cluster.stop();
  }

  /** Starts a replica under Holdfast's ServiceAccount. */
  startReplica(options: Partial<ReplicaOptions> = {}): RigReplica {
    this.#started += 1;
    const name = options.name ?? `replica-${this.#started}`;
    const life = new ReplicaLife();
    const log: string[] = [];
    const operator = startReplica(this.cluster.controlPlane, {
      ...options,
      name,
      policy: { ...this.#policy, ...options.policy },
      clock: life.clock(createRealClock()),
      openDevice: life.openDevice,
      wrapTransport: (transport) => life.transport(transport),
      log: (level, message, fields) => log.push(`${level} ${message} ${JSON.stringify(fields)}`),
    });
    const replica = { name, operator, life, log };
    this.#replicas.push(replica);
    return replica;
  }

  /** Starts a replica and waits until it leads. */
  async startLeader(options: Partial<ReplicaOptions> = {}): Promise<RigReplica> {
    const replica = this.startReplica(options);
    await waitFor(`${replica.name} leads`, () => replica.operator.leading || undefined, LONG_MS);
    return replica;
  }

  /** The living replica that leads. */
  async leader(): Promise<RigReplica> {
    return waitFor(
      "a replica leads",
      () => this.#replicas.find(({ life, operator }) => !life.dead && operator.leading),
      LONG_MS,
    );
  }

  /** Ends all replicas: the living in good order, the dead as they are. */
  async stopReplicas(): Promise<void> {
    const living = this.#replicas.filter(({ life }) => !life.dead);
    this.#replicas = [];
    for (const { life } of living) life.heal();
    await Promise.all(living.map(({ operator }) => operator.stop()));
    for (const { life } of living) life.die();
  }

  /** Creates a VM, starts it where its run strategy leaves that to others, and promises its availability. Answers its key. */
  async createVM({ on, promise = {}, ...request }: ProtectedVM): Promise<string> {
    const { namespace } = this;
    const affinity = request.affinity ?? (on === undefined ? undefined : preferring(on));
    await this.cluster.createVM({ ...request, namespace, ...(affinity === undefined ? {} : { affinity }) });
    if (request.runStrategy === "Manual") await this.startVM(request.name);
    if (promise !== "none") await this.promise(request.name, promise);
    return `${namespace}/${request.name}`;
  }

  /** Creates VMs and waits until their guests are up. */
  async createRunning(...vms: readonly ProtectedVM[]): Promise<readonly string[]> {
    const keys = await Promise.all(vms.map((vm) => this.createVM(vm)));
    await this.untilUp(keys);
    return keys;
  }

  /** Writes an HAVirtualMachine; it has the VM's name unless said. */
  async promise(vmName: string, spec: object = {}, name: string = vmName): Promise<void> {
    await apply(this.admin, {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "HAVirtualMachine",
      metadata: { namespace: this.namespace, name },
      spec: { virtualMachineName: vmName, ...spec },
    } as never);
  }

  async startVM(name: string): Promise<void> {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/${this.namespace}/virtualmachines/${name}/start`;
    await waitFor(`${name} takes a start call`, async (saw) => {
      const started = await this.admin.request({ method: "PUT", path, body: {} });
      saw(started);
      return started.ok ? true : undefined;
    });
  }

  async cordon(node: string, cordoned = true): Promise<void> {
    await this.patch(`/api/v1/nodes/${node}`, { spec: { unschedulable: cordoned ? true : null } });
  }

  /** Merges `change` into an object, as an administrator. */
  async patch(path: string, change: object): Promise<void> {
    const contentType = "application/merge-patch+json";
    expectOk(await this.admin.request({ method: "PATCH", path, contentType, body: change }), `patch ${path}`);
  }

  async remove(path: string): Promise<void> {
    expectOk(await this.admin.request({ method: "DELETE", path }), `delete ${path}`);
  }

  async list<T>(path: string): Promise<readonly T[]> {
    const listed = await this.admin.request<{ readonly items: readonly T[] }>({ method: "GET", path });
    return expectOk(listed, `list ${path}`).items;
  }

  /** Runs kubectl as cluster administrator; throws with its words when it fails. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const kubectl = join(findAssetFolder(process.env)?.directory ?? "", "kubectl");
    const { stdout } = await promisify(execFile)(kubectl, [
      `--kubeconfig=${this.cluster.controlPlane.kubeconfigPath}`,
      ...args,
    ]);
    return stdout;
  }

  /** The node whose guest of that VM runs, by the oracle. */
  nodeOf(vmKey: string): string | undefined {
    return this.cluster.oracle.running(vmKey)[0]?.node;
  }

  /** Waits until one guest of each VM is up, by the oracle, on a node other than `except`. */
  async untilUp(vmKeys: readonly string[], except?: string, deadlineMs: number = LONG_MS): Promise<void> {
    await waitFor(
      `${vmKeys.join(", ")} up${except === undefined ? "" : ` elsewhere than ${except}`}`,
      (saw) => {
        const missing = vmKeys.filter((key) => {
          const [run] = this.cluster.oracle.running(key);
          const ready = this.cluster.view.vmis.get(key)?.status?.phase === "Running";
          return !ready || run?.upAtMs === undefined || run.node === except;
        });
        saw(missing.map((key) => [key, this.nodeOf(key), this.view.protections.get(key)?.status?.failover]));
        return missing.length === 0 ? true : undefined;
      },
      deadlineMs,
    );
  }

  /** Waits until the HAVirtualMachine satisfies `holds`. */
  untilPromise(
    key: string,
    what: string,
    holds: (havm: Havm) => boolean,
    deadlineMs: number = LONG_MS,
  ): Promise<Havm> {
    return waitFor(
      `HAVirtualMachine ${key}: ${what}`,
      (saw) => {
        const havm = this.view.protections.get(key);
        saw(havm?.status);
        return havm !== undefined && holds(havm) ? havm : undefined;
      },
      deadlineMs,
    );
  }

  /** Waits until a condition of the HAVirtualMachine has that status and, where said, that reason. */
  untilCondition(key: string, type: string, status: string, reason?: string): Promise<Havm> {
    return this.untilPromise(key, `${type}=${status} ${reason ?? ""}`, (havm) => {
      const condition = conditionOf(havm, type);
      return condition?.status === status && (reason === undefined || condition.reason === reason);
    });
  }

  /** Ledgers of one node, the oldest first. */
  fencings(node: string): readonly Fencing[] {
    return [...this.view.fencings.values()]
      .filter(({ spec }) => spec.nodeName === node)
      .sort((a, b) => (a.spec.detectedAt < b.spec.detectedAt ? -1 : 1));
  }

  /** Waits until the newest ledger of the node satisfies `holds`. */
  untilFencing(
    node: string,
    what: string,
    holds: (fencing: Fencing) => boolean,
    deadlineMs: number = LONG_MS,
  ): Promise<Fencing> {
    return waitFor(
      `NodeFencing of ${node}: ${what}`,
      (saw) => {
        const fencing = this.fencings(node).at(-1);
        saw(fencing?.status);
        return fencing !== undefined && holds(fencing) ? fencing : undefined;
      },
      deadlineMs,
    );
  }

  /** Waits until the newest ledger of the node is closed as returned, and the node takes pods again. */
  async untilReturned(node: string): Promise<Fencing> {
    const fencing = await this.untilFencing(node, "Returned", ({ status }) => status?.phase === "Returned");
    await waitFor(`${node} is free of taints`, (saw) => {
      const taints = this.cluster.view.nodes.get(node)?.spec?.taints ?? [];
      saw(taints);
      return taints.length === 0 ? true : undefined;
    });
    return fencing;
  }

  async #heal(): Promise<void> {
    await this.stopReplicas();
    await Promise.all(this.cluster.fleet.nodes.map((node) => this.#healNode(node)));
    const root = "/apis/holdfast.dev/v1alpha1";
    for (const havm of this.view.protections.values())
      await this.admin.request({
        method: "DELETE",
        path: `${root}/namespaces/${havm.metadata.namespace}/havirtualmachines/${havm.metadata.name}`,
      });
    for (const vm of this.cluster.view.vms.values())
      await this.admin.request({
        method: "DELETE",
        path: `/apis/kubevirt.io/v1/namespaces/${vm.metadata.namespace}/virtualmachines/${vm.metadata.name}`,
      });
    await this.admin.request({ method: "DELETE", path: `${root}/nodefencings` });
    await this.admin.request({ method: "DELETE", path: `${root}/havirtualmachinepolicies` });
    await waitFor(
      "the lab is whole again",
      (saw) => {
        const unready = this.cluster.fleet.nodes.filter(({ name }) => !this.#isWhole(name));
        const guests = this.cluster.oracle.running().map(({ vm }) => vm);
        saw({ unready: unready.map(({ name }) => name), guests });
        return unready.length === 0 && guests.length === 0 ? true : undefined;
      },
      LONG_MS,
    );
  }

  async #healNode(node: SimulatedNode): Promise<void> {
    await this.bmcs.of(node.name).faults.clear();
    node.healApi();
    if (node.state === "hung") await node.power.off();
    if (node.state === "off") await node.power.on();
    node.startKubelet();
    node.startVirtHandler();
    await this.patch(`/api/v1/nodes/${node.name}`, { spec: { unschedulable: null, taints: null } });
  }

  #isWhole(name: string): boolean {
    const node = this.cluster.view.nodes.get(name);
    const ready = node?.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
    const bootID = node?.status?.nodeInfo?.["bootID"];
    return (
      ready &&
      bootID === this.node(name).bootID &&
      (node?.spec?.taints ?? []).length === 0 &&
      node?.metadata.labels?.["kubevirt.io/schedulable"] === "true"
    );
  }
}

/** A condition of an HAVirtualMachine, or undefined. */
export function conditionOf(havm: Havm | undefined, type: string) {
  return havm?.status?.conditions?.find((condition) => condition.type === type);
}

/** Whether KubeVirt has nothing more to do for the migration. */
export function isFinishedMigration({ status }: Migration): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

function preferring(node: string): object {
  const matchExpressions = [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }];
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: { matchExpressions } }],
    },
  };
}
