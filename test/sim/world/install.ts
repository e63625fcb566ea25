// What an administrator and KubeVirt's operator have put into the cluster before a history begins, and what they add later.
import { vmManifest } from "../../../lab/cluster/vm-manifest.ts";
import { KUBEVIRT_NAMESPACE } from "../../../lab/kubevirt/names.ts";
import { CSI_DRIVER } from "../../../lab/storage/csi-driver.ts";
import { releasedLease } from "../../../src/run/lease-record.ts";
import { type ControllerPorts, nodesOf, onChanges, podsOf, write } from "../kubernetes/controller-ports.ts";
import type { JsonObject } from "../api/json.ts";
import {
  installOtherFencers,
  namespacesOfOthers,
  REMEDIATION_TEMPLATE,
  STORAGE_CLASS,
} from "./other-fencers.ts";
import { HOLDFAST_NAMESPACE, LEASE_NAME } from "./replica.ts";
import { REMEDIATION_API_VERSION, REMEDIATOR_NAMESPACE } from "../../support/stand-in-remediator.ts";
import type { LevelPlan, NodePlan, VMPlan, WorldPlan } from "./world-plan.ts";
import type { World } from "./world.ts";

const HOLDFAST_API = "/apis/holdfast.dev/v1alpha1";
export const ADMIN = "admin";

/** Creates an object as the administrator; errors: throws where the server refuses it, which is a mistake of the plan. */
async function create(world: World, path: string, body: object): Promise<void> {
  const answer = await world.server.handle({ method: "POST", path, body }, ADMIN);
  if (answer.status >= 300 && answer.status !== 409)
    throw new Error(`POST ${path}: ${JSON.stringify(answer.body)}`);
}

/** Namespaces, KubeVirt's settings, Holdfast's Lease, Secret and topology. */
export function install(world: World): void {
  void installAll(world);
}

async function installAll(world: World): Promise<void> {
  const { plan } = world;
  const namespaces = new Set(plan.vms.map(({ namespace }) => namespace));
  for (const name of [
    "default",
    "kube-system",
    "kube-node-lease",
    KUBEVIRT_NAMESPACE,
    HOLDFAST_NAMESPACE,
    ...namespacesOfOthers(plan),
    ...namespaces,
  ])
    await create(world, "/api/v1/namespaces", { metadata: { name } });
  await create(world, `/apis/kubevirt.io/v1/namespaces/${KUBEVIRT_NAMESPACE}/kubevirts`, {
    metadata: { name: "kubevirt" },
    spec: { configuration: {} },
  });
  await create(
    world,
    `/apis/coordination.k8s.io/v1/namespaces/${HOLDFAST_NAMESPACE}/leases`,
    releasedLease(LEASE_NAME, HOLDFAST_NAMESPACE),
  );
  await create(world, `/api/v1/namespaces/${HOLDFAST_NAMESPACE}/secrets`, {
    metadata: { name: "bmc" },
    stringData: { username: "holdfast", password: "simulated" },
  });
  await create(world, `${HOLDFAST_API}/fencingtopologies`, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FencingTopology",
    metadata: { name: TOPOLOGY_NAME },
    spec: {
      nodeSelector: {},
      afterFencing: plan.topology.afterFencing,
      levels: levelsOf(plan.topology).map((level, at) =>
        levelSpec(level, { name: levelName(level, at), plan }),
      ),
    },
  });
  for (const { name, precedence, nodeLabels, afterFencing } of plan.otherTopologies ?? [])
    await create(world, `${HOLDFAST_API}/fencingtopologies`, {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FencingTopology",
      metadata: { name },
      spec: {
        precedence,
        nodeSelector: { matchLabels: nodeLabels },
        afterFencing,
        levels: [levelSpec({ method: "bmc", ...limitsOf(plan.topology) }, { name, plan })],
      },
    });
  await installOtherFencers(world);
}

export const TOPOLOGY_NAME = "bmc";

/** The levels of a topology, one of the BMC where it names none. */
export function levelsOf({ levels, timeout, retries, backoff }: WorldPlan["topology"]): readonly LevelPlan[] {
  return levels ?? [{ method: "bmc", ...limitsOf({ timeout, retries, backoff }) }];
}

function limitsOf({ timeout, retries, backoff }: Omit<LevelPlan, "method">): Omit<LevelPlan, "method"> {
  return { timeout, retries, backoff };
}

function levelName({ method }: LevelPlan, at: number): string {
  return at === 0 ? method.toLowerCase() : `${method.toLowerCase()}-${at}`;
}

function levelSpec(
  { method, ...limits }: LevelPlan,
  { name, plan }: { readonly name: string; readonly plan: WorldPlan },
): object {
  switch (method) {
    case "bmc":
      return {
        ...limits,
        name,
        method: "Redfish",
        redfish: {
          address: "https://bmc-${node.name}.example",
          credentialsSecretRef: { name: "bmc" },
          tls: { insecureSkipVerify: true },
        },
      };
    case "outlets":
      return { ...limits, name, method: "AllOf", devices: outletDevices(plan.nodes) };
    case "remediation":
      return {
        ...limits,
        name,
        method: "Remediation",
        remediation: {
          templateRef: {
            apiVersion: REMEDIATION_API_VERSION,
            kind: "FenceAgentsRemediationTemplate",
            name: REMEDIATION_TEMPLATE,
            namespace: REMEDIATOR_NAMESPACE,
          },
        },
      };
    case "networkFence":
      return {
        ...limits,
        name,
        method: "NetworkFence",
        networkFence: { networkFenceClassName: STORAGE_CLASS },
        acceptWeakProof: ["StorageFenced"],
      };
  }
}

/** One device for each power supply: every node has as many. */
function outletDevices(nodes: readonly NodePlan[]): readonly object[] {
  const count = Math.max(...nodes.map(({ outlets = 0 }) => outlets));
  return Array.from({ length: count }, (_, at) => ({
    name: `outlet-${at}`,
    method: "FenceAgent",
    fenceAgent: {
      agent: "fence_apc_snmp",
      parameters: { ip: `pdu-${at}.example`, plug: "${node.name}" },
    },
  }));
}

/** Its disk, the VM, and its promise where it has one. */
export async function createVM(world: World, vm: VMPlan): Promise<void> {
  const { namespace, name, disk } = vm;
  if (disk !== "none") await createDisk(world, vm);
  await create(
    world,
    `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines`,
    vmManifest({
      ...vm,
      affinity: { ...(vm.on === undefined ? {} : preferring(vm.on)), ...vm.affinity },
      ...(vm.disk === "none" ? {} : { disk }),
    }),
  );
  if (vm.promise === undefined) return;
  await create(world, `${HOLDFAST_API}/namespaces/${namespace}/havirtualmachines`, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "HAVirtualMachine",
    metadata: { namespace, name },
    spec: { virtualMachineName: name, ...vm.promise },
  });
}

function preferring(node: string): object {
  const matchExpressions = [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }];
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: { matchExpressions } }],
    },
  };
}

async function createDisk(world: World, { namespace, name, disk }: VMPlan): Promise<void> {
  const volumeName = `${namespace}-${name}`;
  const accessModes = [disk === "rwx" ? "ReadWriteMany" : "ReadWriteOnce"];
  await create(world, "/api/v1/persistentvolumes", {
    metadata: { name: volumeName },
    spec: { accessModes, volumeMode: "Block", csi: { driver: CSI_DRIVER, volumeHandle: volumeName } },
  });
  await create(world, `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: { name },
    spec: { accessModes, volumeMode: "Block", volumeName },
  });
}

/** The DaemonSet controller, for the one DaemonSet there is. */
export function startVirtHandlerPods(ports: ControllerPorts): void {
  onChanges(ports, { resources: ["v1/nodes", "v1/pods"], afterMs: 50, everyMs: 5_000 }, async () => {
    const has = new Set(
      podsOf(ports)
        .filter(({ metadata }) => metadata.labels?.["kubevirt.io"] === "virt-handler")
        .map(({ spec }) => spec.nodeName),
    );
    for (const { metadata } of nodesOf(ports)) {
      if (!has.has(metadata.name)) await createVirtHandler(ports, metadata.name);
    }
  });
}

async function createVirtHandler(ports: ControllerPorts, node: string): Promise<void> {
  const body: JsonObject = {
    metadata: { generateName: "virt-handler-", labels: { "kubevirt.io": "virt-handler" } },
    spec: {
      nodeName: node,
      restartPolicy: "Always",
      tolerations: [{ operator: "Exists" }],
      containers: [{ name: "virt-handler", image: "virt-handler" }],
    },
  };
  await write(ports, "daemon-set-controller", {
    method: "POST",
    path: `/api/v1/namespaces/${KUBEVIRT_NAMESPACE}/pods`,
    body,
  });
}
