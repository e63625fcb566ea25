// A whole lab with Holdfast on it for the tests of one file: cluster, rights, BMCs, protected VMs, and replicas in this
// process that can be watched and stopped at any write. After each test the oracle must have seen no VM twice.
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { BmcRequest } from "../../lab/bmc/bmc-exchange.ts";
import { type Cluster, type ClusterOptions, startCluster } from "../../lab/cluster.ts";
import type { VmRequest } from "../../lab/cluster/vm-manifest.ts";
import type { Migration } from "../../lab/cluster/cluster-view.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { AuditLog } from "../../lab/holdfast/audit-log.ts";
import { type Bmcs, startBmcs } from "../../lab/holdfast/bmcs.ts";
import { type ReplicaOptions, startReplica } from "../../lab/holdfast/in-process-replica.ts";
import { apply, installHoldfast } from "../../lab/holdfast/install.ts";
import { expectOk } from "../../lab/kubevirt/calls.ts";
import type { NodeDelays } from "../../lab/nodes/delays.ts";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import type { Operator } from "../../src/run/operator.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { HoldfastLab, LONG_MS } from "./holdfast-lab.ts";
import { healLab } from "./lab-healing.ts";
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
  // The lab's BMCs act at once, or as late as a test says.
  latePowerOffGraceMs: 1_000,
};

/** How much a failed test tells of its replicas. */
const STORY_REPLICAS = 3;
const STORY_LINES = 60;

export interface OperatorRigOptions extends Partial<ClusterOptions> {
  readonly policy?: Partial<DecisionPolicy>;
  readonly topology?: Parameters<typeof startBmcs>[1];
  /** Installs kinds and rights; the repository's own files unless said. */
  readonly install?: (cluster: Cluster) => Promise<void>;
}

/** A VM and the promise made for it. */
export interface ProtectedVM extends Omit<VmRequest, "namespace"> {
  /** Node it starts on; others will do later. */
  readonly on?: string;
  /** Further fields of the HAVirtualMachine's spec; `none` leaves the VM without one. */
  readonly promise?: object | "none";
}

interface NodeIdentity {
  readonly metadata: { readonly uid: string };
  readonly status: { readonly nodeInfo: { readonly bootID: string } };
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
  beforeEach(({ onTestFailed }) => {
    current().beginTest();
    onTestFailed(() => console.log(current().story()));
  });
  afterEach(() => current().endTest());
  afterAll(() => rig?.stop());
  return current;
}

export class OperatorRig extends HoldfastLab {
  /** Writes that took away what protected a running guest and that the test meant to happen. */
  unsafeWritesExpected = 0;
  /** Requests that the test meant to be refused for want of a right. */
  refusalsExpected = 0;
  /** What the replicas asked of the API server, as their ServiceAccount. */
  readonly audit: AuditLog;
  readonly #policy: Partial<DecisionPolicy>;
  #replicas: RigReplica[] = [];
  #everyReplica: RigReplica[] = [];
  #tests = 0;
  #started = 0;
  #unsafeBefore = 0;
  #testBeganMs = 0;
  #testBeganAtMs = 0;

  private constructor(parts: {
    readonly cluster: Cluster;
    readonly bmcs: Bmcs;
    readonly audit: AuditLog;
    readonly policy: Partial<DecisionPolicy>;
  }) {
    super(parts.cluster, parts.bmcs);
    this.audit = parts.audit;
    this.#policy = parts.policy;
  }

  static async start({ policy, topology, install, ...cluster }: OperatorRigOptions): Promise<OperatorRig> {
    const audit = new AuditLog();
    const { apiServerFlags = [], ...controlPlane } = cluster.controlPlane ?? {};
    const lab = await startCluster({
      nodes: 4,
      delays: FAST_DELAYS,
      ...cluster,
      controlPlane: { ...controlPlane, apiServerFlags: [...audit.apiServerFlags, ...apiServerFlags] },
    });
    try {
      await (install?.(lab) ?? installHoldfast(lab.controlPlane.admin));
      const bmcs = await startBmcs(lab, { retries: 1, timeout: "10s", ...topology });
      return new OperatorRig({ cluster: lab, bmcs, audit, policy: { ...FAST_POLICY, ...policy } });
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /** Each test has a namespace of its own. */
  get namespace(): string {
    return `test-${this.#tests}`;
  }

  get replicas(): readonly RigReplica[] {
    return this.#replicas;
  }

  beginTest(): void {
    this.#tests += 1;
    this.#everyReplica = [];
    this.unsafeWritesExpected = 0;
    this.refusalsExpected = 0;
    this.#testBeganMs = performance.now();
    this.#testBeganAtMs = Date.now();
    this.#unsafeBefore = this.cluster.oracle.unsafeWrites.length;
  }

  /** Checks what must hold whatever happened, then makes the lab whole again for the next test. */
  async endTest(): Promise<void> {
    const { oracle } = this.cluster;
    const overlaps = [...oracle.overlaps];
    const unsafe = oracle.unsafeWrites.slice(this.#unsafeBefore);
    await this.stopReplicas();
    const refusals = this.audit.refusals(this.#testBeganAtMs);
    await healLab(this);
    if (refusals.length !== this.refusalsExpected)
      expect(refusals, "a right is missing in deploy/rbac.yaml").toEqual([]);
    expect(overlaps, "a VM ran twice").toEqual([]);
    if (unsafe.length !== this.unsafeWritesExpected) expect(unsafe).toEqual([]);
  }

  async stop(): Promise<void> {
    await this.stopReplicas();
    this.view.stop();
    await this.bmcs.stop();
    await this.cluster.stop();
    this.audit.remove();
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
      log: (level, message, fields) =>
        log.push(`${Math.round(performance.now())} ${level} ${message} ${JSON.stringify(fields)}`),
    });
    const replica = { name, operator, life, log };
    this.#replicas.push(replica);
    this.#everyReplica.push(replica);
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

  /** What this test's replicas logged and wrote lately, for whoever has to find out why it failed. */
  story(): string {
    const lines = this.#everyReplica.slice(-STORY_REPLICAS).flatMap(({ name, log, life, operator }) => {
      const writes = life.writes.slice(-STORY_LINES);
      const plan = operator.lastPlan;
      return [
        `${name}${life.dead ? " (dead)" : ""}`,
        `  last turn at ${operator.turns.lastTurnAtMs} of ${performance.now()}, not judged: ${plan?.notJudged ?? "-"}`,
        `  ${[...(plan?.verdicts ?? [])].map(([node, verdict]) => `${node} ${JSON.stringify(verdict)}`).join(", ")}`,
        ...log.slice(-STORY_LINES),
        ...writes.map(
          ({ write, sentAtMs, method, path, status }) =>
            `  ${Math.round(sentAtMs - performance.timeOrigin)} write ${write}: ${method} ${path} ${status}`,
        ),
      ];
    });
    return lines.join("\n");
  }

  /** Creates a VM, starts it where its run strategy leaves that to others, and promises its availability. Answers its key. */
  async createVM({ promise = {}, ...request }: Omit<ProtectedVM, "on">): Promise<string> {
    const { namespace } = this;
    await this.cluster.createVM({ ...request, namespace });
    if (request.runStrategy === "Manual") await this.startVM(request.name);
    if (promise !== "none") await this.promise(request.name, promise);
    return `${namespace}/${request.name}`;
  }

  /** Creates VMs, each on the node it names, and waits until their guests are up. Answers their keys in that order. */
  async createRunning(...vms: readonly ProtectedVM[]): Promise<readonly string[]> {
    const keys = new Map<ProtectedVM, string>();
    for (const [node, there] of Map.groupBy(vms, ({ on }) => on)) {
      await this.#reserve(node, async () => {
        const created = await Promise.all(there.map((vm) => this.createVM(vm)));
        await this.untilUp(created);
        for (const [i, vm] of there.entries()) keys.set(vm, created[i] ?? "");
      });
    }
    for (const [{ on }, key] of keys)
      if (on !== undefined) expect(this.nodeOf(key), `the lab was to place ${key}`).toBe(on);
    return vms.map((vm) => keys.get(vm) ?? "");
  }

  /** Keeps new pods off all other nodes meanwhile. By a taint that is gone afterwards, so that nothing of it stays with the VMs. */
  async #reserve(node: string | undefined, meanwhile: () => Promise<void>): Promise<void> {
    if (node === undefined) return meanwhile();
    const others = this.cluster.fleet.nodes.filter(({ name }) => name !== node);
    const taints = [{ key: "lab.holdfast.dev/reserved", effect: "NoSchedule" }];
    await Promise.all(others.map(({ name }) => this.patch(`/api/v1/nodes/${name}`, { spec: { taints } })));
    await meanwhile();
    await Promise.all(
      others.map(({ name }) => this.patch(`/api/v1/nodes/${name}`, { spec: { taints: null } })),
    );
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

  /** Has a node fenced by hand, as deploy/samples/node-fencing.yaml shows. Answers the ledger's name. */
  async requestFencing(node: string, change: { readonly bootID?: string } = {}): Promise<string> {
    const path = `/api/v1/nodes/${node}`;
    const { metadata, status } = expectOk(
      await this.admin.request<NodeIdentity>({ method: "GET", path }),
      path,
    );
    const name = `${node}-by-hand-${performance.now().toFixed(0)}`;
    const at = new Date().toISOString();
    const { uid: nodeUID } = metadata;
    const bootID = change.bootID ?? status.nodeInfo.bootID;
    const spec = { nodeName: node, nodeUID, bootID, reason: "Requested", detectedAt: at, lastSeenAt: at };
    const manifest = { apiVersion: "holdfast.dev/v1alpha1", kind: "NodeFencing", metadata: { name }, spec };
    await apply(this.admin, manifest);
    return name;
  }

  async startVM(name: string): Promise<void> {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/${this.namespace}/virtualmachines/${name}/start`;
    await waitFor(`${name} takes a start call`, async (saw) => {
      const started = await this.admin.request({ method: "PUT", path, body: {} });
      saw(started);
      return started.ok ? true : undefined;
    });
  }

  /** Resets that the node's BMC was asked for in this test, `ForceOff` and `On` among them. */
  resets(node: string): readonly BmcRequest[] {
    return this.bmcs
      .of(node)
      .requests.filter(({ resetType, atMs }) => resetType !== undefined && atMs >= this.#testBeganMs);
  }
}

/** Whether KubeVirt has nothing more to do for the migration. */
export function isFinishedMigration({ status }: Migration): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}
