// The whole lab in one call: real control plane, KubeVirt, simulated nodes and storage, and the oracle.
import { createHttpTransport } from "../src/kube/http-transport.ts";
import { ClusterView } from "./cluster/cluster-view.ts";
import { vmManifest, type VmRequest } from "./cluster/vm-manifest.ts";
import { DEFAULT_WAIT_MS, waitFor } from "./cluster/wait-for.ts";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "./control-plane/start.ts";
import { loopbackAddress } from "./guests/guest-address.ts";
import { GuestServices, type GuestServicesOptions } from "./guests/guest-services.ts";
import { createIfAbsent, expectOk } from "./kubevirt/calls.ts";
import type { KubeVirtConfiguration } from "./kubevirt/installation.ts";
import { type KubeVirt, startKubeVirt } from "./kubevirt/start.ts";
import type { NodeDelays } from "./nodes/delays.ts";
import { Fleet } from "./nodes/fleet.ts";
import type { NodeProfile } from "./nodes/node-profile.ts";
import type { Vmi } from "./nodes/vmi.ts";
import { Oracle } from "./oracle/oracle.ts";
import { watchUnsafeWrites } from "./oracle/unsafe-writes.ts";
import { everyWitness } from "./oracle/witness.ts";
import { ATTACHER_DELAYS, startAttacher } from "./storage/attacher.ts";
import { ATTACHER_IDENTITY, CSI_DRIVER, installCsiDriver } from "./storage/csi-driver.ts";
import { createDisk } from "./storage/volumes.ts";

export interface ClusterOptions {
  /** How many nodes of ordinary size (`node-1`, `node-2`, …), or each node's own profile. */
  readonly nodes: number | readonly Partial<Omit<NodeProfile, "index">>[];
  readonly delays?: Partial<NodeDelays>;
  readonly kubevirtConfiguration?: KubeVirtConfiguration;
  readonly controlPlane?: ControlPlaneOptions;
  /** Guests answer UDP, TCP and HTTP at the addresses their VMIs show, while they run. Needs Linux, and sockets. */
  readonly guestServices?: GuestServicesOptions;
  readonly onProgress?: (message: string) => void;
}

/** A running lab. Everything ends with `stop()`. */
export interface Cluster {
  readonly controlPlane: ControlPlane;
  readonly kubevirt: KubeVirt;
  /** The nodes; each node's `power` is what its BMC switches (`startBmc({ power, … })` in `lab/bmc/`). */
  readonly fleet: Fleet;
  readonly oracle: Oracle;
  readonly view: ClusterView;
  /** Creates the namespace where it is missing, the disk, and the VM. Does not wait until it runs. */
  createVM(request: VmRequest): Promise<void>;
  /** Creates a VirtualMachineInstanceMigration; `name` is the VM's where none is given. */
  migrate(vmKey: string, options?: { readonly name?: string; readonly toNode?: string }): Promise<void>;
  /** Waits until the VM's VMI is Running; the VMI is the answer. `except`: the UID of a VMI that does not count. */
  waitForRunning(
    vmKey: string,
    options?: { readonly except?: string; readonly deadlineMs?: number },
  ): Promise<Vmi>;
  stop(): Promise<void>;
}

/** Fifty nodes register in about ten seconds on two cores; the rest is room for a busy machine. */
const NODES_READY_DEADLINE_MS = 120_000;
const REQUEST_DEADLINE_MS = 30_000;

/**
 * Starts a lab and waits until VMs can be scheduled on every node. KubeVirt's own controllers run where the environment
 * variable KUBEVIRT_ASSETS names a folder with them. Errors: throws with what did not come up; nothing is left running.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const progress = options.onProgress ?? (() => undefined);
  const closers: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    progress("control plane");
    const controlPlane = await startControlPlane(options.controlPlane ?? {});
    closers.push(() => controlPlane.stop());
    const { admin } = controlPlane;
    await installCsiDriver(admin);
    const kubevirt = await startKubeVirt(controlPlane, {
      ...(options.kubevirtConfiguration ? { configuration: options.kubevirtConfiguration } : {}),
      onProgress: progress,
    });
    closers.push(() => kubevirt.stop());
    const attacher = controlPlane.transportFor(ATTACHER_IDENTITY);
    closers.push(startAttacher({ transport: attacher, ...ATTACHER_DELAYS }));
    const oracle = new Oracle();
    closers.push(watchUnsafeWrites(oracle, admin));
    const view = new ClusterView(admin);
    closers.push(() => view.stop());
    progress("nodes");
    const guests = options.guestServices && new GuestServices(options.guestServices);
    closers.push(() => guests?.close());
    const fleet = startFleet(controlPlane, { oracle, guests }, options);
    closers.push(() => fleet.close());
    await waitForNodes(fleet, view);
    return { controlPlane, kubevirt, fleet, oracle, view, ...operations(controlPlane, view), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startFleet(
  controlPlane: ControlPlane,
  { oracle, guests }: { readonly oracle: Oracle; readonly guests: GuestServices | undefined },
  options: ClusterOptions,
): Fleet {
  const fleet = new Fleet({
    connect: (identity, userAgent) =>
      createHttpTransport(controlPlane.kubeConfigFor(identity), { userAgent }),
    kubeletVersion: controlPlane.version,
    witness: guests === undefined ? oracle : everyWitness(oracle, guests),
    ...(guests === undefined ? {} : { guestAddress: loopbackAddress }),
    csiDrivers: [CSI_DRIVER],
    ...(options.delays ? { delays: options.delays } : {}),
  });
  const profiles =
    typeof options.nodes === "number" ? Array.from({ length: options.nodes }, () => ({})) : options.nodes;
  for (const profile of profiles) fleet.add(profile);
  return fleet;
}

async function waitForNodes(fleet: Fleet, view: ClusterView): Promise<void> {
  await waitFor(
    "every node is Ready and takes VMs",
    (saw) => {
      const missing = fleet.nodes.filter(({ name }) => {
        const node = view.nodes.get(name);
        const ready = node?.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
        const tainted = node?.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/not-ready");
        return !ready || tainted || node?.metadata.labels?.["kubevirt.io/schedulable"] !== "true";
      });
      saw(`not ready: ${missing.map(({ name }) => name).join(", ")}`);
      return missing.length === 0 ? true : undefined;
    },
    NODES_READY_DEADLINE_MS,
  );
}

function operations(
  { admin }: ControlPlane,
  view: ClusterView,
): Pick<Cluster, "createVM" | "migrate" | "waitForRunning"> {
  return {
    createVM: async (request) => {
      const { namespace, name, disk = "none" } = request;
      await createIfAbsent(
        admin,
        "/api/v1/namespaces",
        { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
        REQUEST_DEADLINE_MS,
      );
      if (disk !== "none") await createDisk(admin, { namespace, name, kind: disk });
      const created = await admin.request({
        method: "POST",
        path: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines`,
        body: vmManifest(request),
        deadlineMs: REQUEST_DEADLINE_MS,
      });
      expectOk(created, `create the VM ${namespace}/${name}`);
    },
    migrate: async (vmKey, { name, toNode } = {}) => {
      const [namespace, vmiName] = vmKey.split("/");
      const created = await admin.request({
        method: "POST",
        path: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstancemigrations`,
        body: {
          apiVersion: "kubevirt.io/v1",
          kind: "VirtualMachineInstanceMigration",
          metadata: { namespace, name: name ?? vmiName },
          spec: {
            vmiName,
            ...(toNode === undefined ? {} : { addedNodeSelector: { "kubernetes.io/hostname": toNode } }),
          },
        },
        deadlineMs: REQUEST_DEADLINE_MS,
      });
      expectOk(created, `migrate ${vmKey}`);
    },
    waitForRunning: (vmKey, { except, deadlineMs = DEFAULT_WAIT_MS } = {}) =>
      waitFor(
        `${vmKey} is Running`,
        (saw) => {
          const vmi = view.vmis.get(vmKey);
          saw({
            vm: view.vms.get(vmKey)?.status,
            vmi: vmi && { uid: vmi.metadata.uid, phase: vmi.status?.phase, node: vmi.status?.nodeName },
            pods: view.launcherPods(vmKey).map(({ spec, status }) => [spec.nodeName, status?.phase]),
          });
          return vmi?.status?.phase === "Running" && vmi.metadata.uid !== except ? vmi : undefined;
        },
        deadlineMs,
      ),
  };
}
