// The world as one turn sees it: facts by key, the indexes a turn needs, and how far each source can be trusted.
import type { Span } from "./availability.ts";
import type { Instant } from "./clock.ts";
import type { DisarmFact } from "./disarm.ts";
import type { DrillFact, DrillProbing } from "./drill.ts";
import type { FencingFact, FencingTopologyFact } from "./fencing.ts";
import type { NodeFact, NodeLeaseFact, NodePlacement } from "./node.ts";
import type { PathProbe } from "./probe.ts";
import type { OptInPolicyFact, ProtectionFact } from "./protection.ts";
import type { KubeVirtConfig, LauncherPodFact, MigrationFact, VMFact, VMIFact } from "./virtual-machine.ts";

export type SourceName =
  | "nodes"
  | "leases"
  | "virtualMachines"
  | "virtualMachineInstances"
  | "migrations"
  | "launcherPods"
  | "protections"
  | "policies"
  | "topologies"
  | "fencings"
  | "disarms"
  | "drills"
  | "namespaces"
  | "kubeVirt";

export interface SourceState {
  /** A full list has been taken. Nothing is judged on an unsynced source. */
  readonly synced: boolean;
  /** Monotonic time of the last word from the server on this source. */
  readonly asOfMs: number;
}

/** Our contact with the API server, on whatever connection. */
export interface ContactState {
  /** Monotonic time of the last answer of any kind. */
  readonly lastOkMs: number;
  /**
   * Since when contact has been unbroken. After a gap every silence is counted anew: while the API server was away no
   * kubelet could have renewed anything.
   */
  readonly unbrokenSinceMs: number;
  /** Monotonic time of the last answer before that; undefined where none was ever heard. */
  readonly brokenSinceMs?: number;
}

/** What changed since the last turn; `everything` at the first turn and after a relist. */
export interface Changes {
  readonly everything: boolean;
  readonly vmKeys: ReadonlySet<string>;
  /** Topologies, policies or KubeVirt's configuration changed: all statuses are to be looked at. */
  readonly rules: boolean;
}

/** What the last turn concluded, so that the next one can see what its conclusions change. Carried, never hidden. */
export interface Conclusions {
  readonly nodes: ReadonlyMap<string, NodeConclusion>;
  /** Per placement constraint key: nodes that can host it, as many as are ever counted and one more. */
  readonly candidates: ReadonlyMap<string, readonly string[]>;
  /**
   * VMs for which the plan writes, makes or removes something of ours. They are looked at again, so that a write that
   * failed, or did not fit into the queue, is planned until the world shows it.
   */
  readonly unwritten: ReadonlySet<string>;
  /** VMs whose statuses were not looked at, for there was enough to write already; looked at first in the next turn. */
  readonly postponed: ReadonlySet<string>;
  /** Hours since 1970 at the last turn: each hour some accounts are due for their daily write. */
  readonly hour: number;
}

export interface NodeConclusion {
  /** Verdict, cordon and coverage in one word; a change of it concerns every VM on the node. */
  readonly word: string;
  readonly placement: NodePlacement;
  readonly canHost: boolean;
}

export interface Snapshot {
  readonly sources: Readonly<Record<SourceName, SourceState>>;
  readonly contact: ContactState;
  /** Wall time in which no replica watched, as far as it is remembered; ascending. */
  readonly unobserved: readonly Span[];
  readonly nodes: ReadonlyMap<string, NodeFact>;
  /** The kubelets' Leases by the name of the node. */
  readonly leases: { get(node: string): NodeLeaseFact | undefined };
  /** What direct probes have found, by the name of the node; undefined where it is not probed. */
  readonly probes: { get(node: string): readonly PathProbe[] | undefined };
  /** Monotonic time of the newest word on one node's Lease: the stream's, or a fresh read's. */
  readonly leaseAsOfMs: (node: string) => number;
  readonly vms: ReadonlyMap<string, VMFact>;
  readonly vmis: ReadonlyMap<string, VMIFact>;
  readonly migrations: ReadonlyMap<string, MigrationFact>;
  readonly pods: ReadonlyMap<string, LauncherPodFact>;
  readonly protections: ReadonlyMap<string, ProtectionFact>;
  readonly policies: ReadonlyMap<string, OptInPolicyFact>;
  readonly topologies: ReadonlyMap<string, FencingTopologyFact>;
  readonly fencings: ReadonlyMap<string, FencingFact>;
  /** NodeFencings for which this replica is just cutting power: that they have begun may not be seen in their ledgers yet. */
  readonly shooting: ReadonlySet<string>;
  readonly disarms: ReadonlyMap<string, DisarmFact>;
  readonly drills: ReadonlyMap<string, DrillFact>;
  /** What this replica's probes of drilled VMs have found, by the run's key; of runs that another leader began, nothing. */
  readonly drillProbings: ReadonlyMap<string, DrillProbing>;
  /** Labels of each namespace. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly kubeVirt: KubeVirtConfig;
  readonly index: SnapshotIndex;
  readonly changes: Changes;
  readonly last: Conclusions | undefined;
}

/** Lookups that observe keeps up to date, so that a turn's work follows what changed and not the cluster's size. */
export interface SnapshotIndex {
  /** Keys of VMIs whose `status.nodeName` is the node. */
  readonly vmisByNode: ReadonlyMap<string, ReadonlySet<string>>;
  /** Keys of launcher and hot-plug pods bound to the node. */
  readonly podsByNode: ReadonlyMap<string, ReadonlySet<string>>;
  readonly podsByVM: ReadonlyMap<string, ReadonlySet<string>>;
  readonly migrationsByVM: ReadonlyMap<string, ReadonlySet<string>>;
  /** Keys of the HAVirtualMachines that name the VM. */
  readonly protectionsByVM: ReadonlyMap<string, ReadonlySet<string>>;
  /** Keys of VMs by the key of their placement constraints. */
  readonly vmsByConstraints: ReadonlyMap<string, ReadonlySet<string>>;
  /**
   * HAVirtualMachines whose status says that something is under way (failover, evacuation, a place to go back to) or says
   * what time alone will make untrue.
   */
  readonly unsettled: ReadonlySet<string>;
  /** HAVirtualMachines on whose account a day stands: their figures change as days leave the window. */
  readonly everDown: ReadonlySet<string>;
  /** Keys of unfinished migrations, whoever made them. */
  readonly unfinishedMigrations: ReadonlySet<string>;
  /** The launcher pod of each VM that we last saw go; of those that went before we watched nothing is known. */
  readonly podsGone: ReadonlyMap<string, PodGone>;
  /** HAVirtualMachines that each policy had made. */
  readonly madeByPolicy: ReadonlyMap<string, MadeCount>;
}

export interface PodGone {
  /** The node it was bound to. */
  readonly node: string;
  readonly at: Instant;
}

export interface MadeCount {
  readonly selected: number;
  /** Of these, how many say of themselves that they are protected. */
  readonly protectedVMs: number;
}
