// A small cluster as `kubectl get -o yaml` would dump it, in plain words.
import { stringify } from "yaml";
import { DumpServer, type RawObject } from "../../src/cli/dump-server.ts";
import type { ApiOutcome, ApiRequest } from "../../src/kube/transport.ts";

/** Wall time of the dump's newest signs of life. */
const NEWEST_MS = Date.UTC(2026, 10, 22, 12, 0, 0);

const stamp = (agoMs: number): string => new Date(NEWEST_MS - agoMs).toISOString();

interface NodeWords {
  readonly silentMs?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly cordoned?: boolean;
  readonly memory?: string;
  /** What it can give beside memory, CPU and pods. */
  readonly devices?: Readonly<Record<string, string>>;
  readonly ready?: "True" | "False" | "Unknown";
}

interface VMWords {
  readonly on?: string;
  readonly runStrategy?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly memory?: string;
  /** Spec of its HAVirtualMachine; `none` for a VM without one. */
  readonly promise?: object | "none";
  readonly status?: object;
  readonly migratable?: boolean;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** What KubeVirt has put into its launcher pod beside what it asks for. */
  readonly pod?: PodWords;
}

interface PodWords {
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: object;
  /** Beside memory and CPU: devices. */
  readonly requests?: Readonly<Record<string, string>>;
}

/** Objects under construction; every method returns it. Namespace: shop. */
export class Dump {
  readonly objects: RawObject[] = [];

  add(...objects: readonly RawObject[]): this {
    this.objects.push(...objects);
    return this;
  }

  node(name: string, words: NodeWords = {}): this {
    const silentMs = words.silentMs ?? 0;
    return this.add(
      {
        apiVersion: "v1",
        kind: "Node",
        metadata: {
          name,
          uid: `uid-${name}`,
          labels: { "kubernetes.io/hostname": name, "kubevirt.io/schedulable": "true", ...words.labels },
          annotations: { "kubevirt.io/heartbeat": stamp(silentMs === 0 ? 0 : silentMs + 60_000) },
        },
        spec: words.cordoned
          ? {
              unschedulable: true,
              taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
            }
          : {},
        status: {
          nodeInfo: { bootID: `boot-${name}` },
          conditions: [{ type: "Ready", status: words.ready ?? "True" }],
          allocatable: { memory: words.memory ?? "64Gi", cpu: "32", pods: "110", ...words.devices },
        },
      },
      {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name, namespace: "kube-node-lease" },
        spec: { holderIdentity: name, renewTime: stamp(silentMs) },
      },
    );
  }

  topology(name = "bmc", nodeSelector: object = {}): this {
    return this.add({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FencingTopology",
      metadata: { name },
      spec: {
        nodeSelector,
        afterFencing: "StayOff",
        levels: [
          {
            name: "bmc",
            method: "Redfish",
            redfish: { address: "https://${node.name}.bmc", credentialsSecretRef: { name: "bmc" } },
          },
        ],
      },
    });
  }

  vm(name: string, words: VMWords = {}): this {
    const memory = words.memory ?? "4Gi";
    const requests = { memory, cpu: "1" };
    const template = {
      spec: {
        domain: { resources: { requests } },
        ...(words.nodeSelector ? { nodeSelector: words.nodeSelector } : {}),
      },
    };
    this.add({
      apiVersion: "kubevirt.io/v1",
      kind: "VirtualMachine",
      metadata: {
        name,
        namespace: "shop",
        uid: `vm-${name}`,
        ...(words.labels ? { labels: words.labels } : {}),
      },
      spec: { runStrategy: words.runStrategy ?? "Always", template },
      status: { printableStatus: words.on === undefined ? "Stopped" : "Running" },
    });
    if (words.on !== undefined)
      this.#instance(name, words.on, {
        requests: { ...requests, ...words.pod?.requests },
        migratable: words.migratable !== false,
        pod: words.pod ?? {},
      });
    if (words.promise !== "none") this.promise(name, words.promise, words.status);
    return this;
  }

  /** A live migration that is under way, by somebody else. */
  migration(vm: string, targetNode: string): this {
    const uid = `migration-${vm}`;
    const vmi = this.objects.find(
      ({ kind, metadata }) => kind === "VirtualMachineInstance" && metadata.name === vm,
    );
    Object.assign(vmi?.["status"] ?? {}, { migrationState: { migrationUid: uid, targetNode } });
    return this.add({
      apiVersion: "kubevirt.io/v1",
      kind: "VirtualMachineInstanceMigration",
      metadata: { name: uid, namespace: "shop", uid, creationTimestamp: stamp(10_000) },
      spec: { vmiName: vm },
      status: { phase: "Running" },
    });
  }

  /** A claim of namespace shop and its volume, which only nodes with these labels reach. */
  disk(claim: string, reachedFrom: Readonly<Record<string, string>>): this {
    const matchExpressions = Object.entries(reachedFrom).map(([key, value]) => ({
      key,
      operator: "In",
      values: [value],
    }));
    return this.add(
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: claim, namespace: "shop" },
        spec: { volumeName: `pv-${claim}`, accessModes: ["ReadWriteOnce"] },
      },
      {
        apiVersion: "v1",
        kind: "PersistentVolume",
        metadata: { name: `pv-${claim}` },
        spec: { nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } } },
      },
    );
  }

  promise(name: string, spec: object = {}, status?: object): this {
    return this.add({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "HAVirtualMachine",
      metadata: { name, namespace: "shop", uid: `havm-${name}` },
      spec: { virtualMachineName: name, ...spec },
      ...(status === undefined ? {} : { status }),
    });
  }

  fencing(node: string, status: object = {}, spec: object = {}): this {
    return this.add({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "NodeFencing",
      metadata: { name: `nf-${node}`, uid: `uid-nf-${node}` },
      spec: {
        nodeName: node,
        nodeUID: `uid-${node}`,
        bootID: `boot-${node}`,
        topology: "bmc",
        reason: "NodeLost",
        detectedAt: stamp(30_000),
        lastSeenAt: stamp(60_000),
        ...spec,
      },
      status: { phase: "Fencing", epoch: 3, ...status },
    });
  }

  operator(agoMs = 0): this {
    return this.add({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "holdfast", namespace: "holdfast-system" },
      spec: { holderIdentity: "holdfast-0_ab", leaseTransitions: 3, renewTime: stamp(agoMs) },
    });
  }

  get yaml(): string {
    return stringify({ apiVersion: "v1", kind: "List", items: this.objects });
  }

  /** As an API server that takes writes, and remembers them. */
  server(): WritableDump {
    return new WritableDump(this.objects);
  }

  #instance(
    name: string,
    node: string,
    how: { readonly requests: object; readonly migratable: boolean; readonly pod: PodWords },
  ): void {
    const uid = `vmi-${name}`;
    this.add(
      {
        apiVersion: "kubevirt.io/v1",
        kind: "VirtualMachineInstance",
        metadata: { name, namespace: "shop", uid },
        status: {
          phase: "Running",
          nodeName: node,
          conditions: [
            { type: "Ready", status: "True", lastTransitionTime: stamp(600_000) },
            how.migratable
              ? { type: "LiveMigratable", status: "True" }
              : {
                  type: "LiveMigratable",
                  status: "False",
                  reason: "DisksNotLiveMigratable",
                  message: "local disk",
                },
          ],
        },
      },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: `virt-launcher-${name}-abcde`,
          namespace: "shop",
          uid: `pod-${name}`,
          labels: { "kubevirt.io": "virt-launcher", "kubevirt.io/created-by": uid, ...how.pod.labels },
          ownerReferences: [{ kind: "VirtualMachineInstance", name, uid, controller: true }],
        },
        spec: {
          nodeName: node,
          containers: [{ name: "compute", resources: { requests: how.requests } }],
          ...how.pod.spec,
        },
        status: { phase: "Running" },
      },
    );
  }
}

/** A dump that says yes to every write. */
export class WritableDump extends DumpServer {
  readonly writes: ApiRequest[] = [];
  user = "alice@example.com";
  /** End of the paths that this person may not read. */
  denied: string | undefined;

  override async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    if (this.denied !== undefined && request.path.endsWith(this.denied))
      return { ok: false, kind: "denied", status: 403, message: "nodes is forbidden" };
    if (request.method === "GET") return super.request<T>(request);
    if (request.path.endsWith("/selfsubjectreviews"))
      return { ok: true, status: 201, value: { status: { userInfo: { username: this.user } } } as T };
    this.writes.push(request);
    return { ok: true, status: 200, value: (request.body ?? {}) as T };
  }
}

/** Four nodes in two zones, one topology, an operator, and a few VMs. */
export function shop(): Dump {
  return new Dump()
    .operator()
    .topology()
    .node("node-1", { labels: { zone: "a" } })
    .node("node-2", { labels: { zone: "a" } })
    .node("node-3", { labels: { zone: "b" } })
    .node("node-4", { labels: { zone: "b" } })
    .vm("db", { on: "node-2", promise: { priority: 900 } })
    .vm("web", { on: "node-2", promise: { priority: 500 } })
    .vm("batch", { on: "node-2", promise: "none", labels: { tier: "test" } })
    .vm("cache", { on: "node-3", promise: { priority: 700 } });
}
