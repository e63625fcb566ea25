// Every collection we watch: where it is, what selects it, and how its objects are read.
import { collectionPath } from "../api/kind.ts";
import { failoverDrill } from "../api/failover-drill.ts";
import { fencingDisarm } from "../api/fencing-disarm.ts";
import { fencingTopology } from "../api/fencing-topology.ts";
import { haVirtualMachine } from "../api/ha-virtual-machine.ts";
import { haVirtualMachinePolicy } from "../api/ha-virtual-machine-policy.ts";
import { nodeFencing } from "../api/node-fencing.ts";
import type { ApiTransport } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { DisarmFact } from "../model/disarm.ts";
import type { DrillFact } from "../model/drill.ts";
import type { FencingFact, FencingTopologyFact } from "../model/fencing.ts";
import type { NodeFact, NodeLeaseFact } from "../model/node.ts";
import type { OptInPolicyFact, ProtectionFact } from "../model/protection.ts";
import type {
  KubeVirtConfig,
  LauncherPodFact,
  MigrationFact,
  VMFact,
  VMIFact,
} from "../model/virtual-machine.ts";
import { sameData } from "../model/equal.ts";
import { readDisarm } from "./facts/disarm.ts";
import { readDrill } from "./facts/drill.ts";
import { readFencing, readTopology } from "./facts/fencing.ts";
import { readKubeVirtConfig } from "./facts/kubevirt-config.ts";
import { LAUNCHER_POD_SELECTOR, readLauncherPod } from "./facts/launcher-pod.ts";
import { readMigration } from "./facts/migration.ts";
import { readNode, readNodeLease } from "./facts/node.ts";
import { readNamespace, readPolicy, readProtection } from "./facts/protection.ts";
import type { Reading, ReadingContext } from "./facts/reading.ts";
import { readVMI } from "./facts/virtual-machine-instance.ts";
import { VMReader } from "./facts/virtual-machine.ts";
import { Reflector } from "./reflector.ts";
import type { ChangeListener } from "./watch-store.ts";

const KUBEVIRT = "/apis/kubevirt.io/v1";

/** Where kubelets keep their Leases. */
export const NODE_LEASE_NAMESPACE = "kube-node-lease";

/** The kind of fact each source holds. */
export interface SourceFacts {
  nodes: NodeFact;
  leases: NodeLeaseFact;
  virtualMachines: VMFact;
  virtualMachineInstances: VMIFact;
  migrations: MigrationFact;
  launcherPods: LauncherPodFact;
  protections: ProtectionFact;
  policies: OptInPolicyFact;
  topologies: FencingTopologyFact;
  fencings: FencingFact;
  disarms: DisarmFact;
  drills: DrillFact;
  namespaces: Readonly<Record<string, string>>;
  kubeVirt: KubeVirtConfig;
}

export type Reflectors = { readonly [S in keyof SourceFacts]: Reflector<SourceFacts[S]> };
export type Listeners = { readonly [S in keyof SourceFacts]: ChangeListener<SourceFacts[S]> };

interface SourcesOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly listeners: Listeners;
  readonly onContact: () => void;
}

/** One reflector per source, not yet started. */
export function createReflectors(options: SourcesOptions): Reflectors {
  const { listeners, ...shared } = options;
  const vmReader = new VMReader();
  const make = <S extends keyof SourceFacts>(
    name: S,
    scope: { readonly path: string; readonly labelSelector?: string },
    read: (raw: unknown, context: ReadingContext<SourceFacts[S]>) => Reading<SourceFacts[S]>,
  ): Reflector<SourceFacts[S]> =>
    new Reflector<SourceFacts[S]>({
      name,
      ...shared,
      ...scope,
      onChange: listeners[name],
      parse: (raw, context) => {
        const reading = read(raw, { ...context, seenAtWallMs: options.clock.now().wallMs });
        if (!reading.ok) return { skip: reading.reason };
        // What we do not read changes all the time; only what we read is a change.
        return {
          fact:
            context.previous !== undefined && sameData(context.previous, reading.fact)
              ? context.previous
              : reading.fact,
        };
      },
    });
  return {
    nodes: make("nodes", { path: "/api/v1/nodes" }, readNode),
    leases: make(
      "leases",
      { path: `/apis/coordination.k8s.io/v1/namespaces/${NODE_LEASE_NAMESPACE}/leases` },
      readNodeLease,
    ),
    virtualMachines: make("virtualMachines", { path: `${KUBEVIRT}/virtualmachines` }, (raw) =>
      vmReader.read(raw),
    ),
    virtualMachineInstances: make(
      "virtualMachineInstances",
      { path: `${KUBEVIRT}/virtualmachineinstances` },
      readVMI,
    ),
    migrations: make("migrations", { path: `${KUBEVIRT}/virtualmachineinstancemigrations` }, readMigration),
    launcherPods: make(
      "launcherPods",
      { path: "/api/v1/pods", labelSelector: LAUNCHER_POD_SELECTOR },
      readLauncherPod,
    ),
    protections: make("protections", { path: collectionPath(haVirtualMachine) }, readProtection),
    policies: make("policies", { path: collectionPath(haVirtualMachinePolicy) }, readPolicy),
    topologies: make("topologies", { path: collectionPath(fencingTopology) }, readTopology),
    fencings: make("fencings", { path: collectionPath(nodeFencing) }, readFencing),
    disarms: make("disarms", { path: collectionPath(fencingDisarm) }, readDisarm),
    drills: make("drills", { path: collectionPath(failoverDrill) }, readDrill),
    namespaces: make("namespaces", { path: "/api/v1/namespaces" }, readNamespace),
    kubeVirt: make("kubeVirt", { path: `${KUBEVIRT}/kubevirts` }, readKubeVirtConfig),
  };
}
