// What every step is performed with: ports to the world, and the little that is remembered between steps.
import type { ApiOutcome } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { DecisionPolicy } from "../model/decision-policy.ts";
import type { SourceName } from "../model/snapshot.ts";
import type { DrillProbes } from "./drill-probes.ts";
import { EventRecorder } from "./event-recorder.ts";
import { StorageClientsSource } from "./external/storage-clients-source.ts";
import { FreshNodes } from "./fresh-nodes.ts";
import type { Caller } from "./guarded-request.ts";
import { InOrder } from "./in-order.ts";
import type { LogPort } from "./log-port.ts";
import { createDeviceOpener, type OpenDevice } from "./open-device.ts";

/** The kinds of objects that we write and that observe also watches. */
export type OwnWritable = Extract<
  SourceName,
  | "nodes"
  | "launcherPods"
  | "virtualMachineInstances"
  | "migrations"
  | "protections"
  | "policies"
  | "topologies"
  | "fencings"
  | "disarms"
  | "drills"
>;

/** A node and its Lease, read from the quorum a moment ago. */
export interface NodeReading {
  readonly uid: string;
  readonly bootID: string | undefined;
  readonly ready: "True" | "False" | "Unknown" | undefined;
  readonly resourceVersion: string;
  /** As the kubelet wrote it; undefined where the node has no Lease. */
  readonly leaseRenewTime: string | undefined;
  /** This very reading found the Lease renewed since we last saw it. */
  readonly leaseChanged: boolean;
  /** Monotonic time at which we last saw the Lease change, this reading included; undefined without a Lease. */
  readonly leaseChangedAtMs: number | undefined;
}

/** The facts' side of acting: our own writes are seen at once, and a node can be read anew. `observe/` implements it. */
interface FactsPort {
  applyOwnWrite(resource: OwnWritable, raw: unknown): void;
  /** `key` is `namespace/name`, or the name alone for cluster-scoped objects. */
  applyOwnDelete(resource: OwnWritable, key: string, uid: string): void;
  refreshNode(node: string): Promise<ApiOutcome<NodeReading>>;
  /** Why the node must not be shot by the FencingDisarms that stand now, read from the quorum; undefined where none does. */
  disarmedBy(node: string): Promise<ApiOutcome<string | undefined>>;
}

export interface ActPorts extends Caller {
  readonly clock: Clock;
  readonly random: Random;
  /** The operator's own namespace: where Secrets are that name none. */
  readonly namespace: string;
  /** `holdfast`: owner of the fields we apply. */
  readonly fieldManager: string;
  readonly facts: FactsPort;
  readonly policy: Pick<DecisionPolicy, "nodeLostAfterMs" | "nodeSuspectAfterMs">;
  readonly log: LogPort;
  /** The probes of drilled VMs; undefined where this replica has none. */
  readonly drillProbes?: DrillProbes;
  /** How a fence device is opened; the real ones unless said. */
  readonly openDevice?: OpenDevice;
}

export interface ActContext extends ActPorts {
  readonly openDevice: OpenDevice;
  readonly nodes: FreshNodes;
  readonly storageClients: StorageClientsSource;
  readonly events: EventRecorder;
  /** The order in which VMs are let go. */
  readonly releases: InOrder;
}

/** Makes the context of one leadership; a new leadership gets a new one, so that nothing remembered outlives it. */
export function createActContext(ports: ActPorts): ActContext {
  return {
    ...ports,
    openDevice: ports.openDevice ?? createDeviceOpener(),
    nodes: new FreshNodes(ports),
    storageClients: new StorageClientsSource(ports),
    events: new EventRecorder(ports),
    releases: new InOrder(ports.clock),
  };
}
