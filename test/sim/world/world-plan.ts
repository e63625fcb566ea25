// A history written down: what the world is made of, and what happens to it when. Plain data, so that it can be drawn from a
// seed, shrunk, kept in a file, or written by hand.
import type { DecisionPolicy, ReadinessPace } from "../../../src/model/decision-policy.ts";
import type { ClockSkew } from "./sim-time.ts";

export interface NodePlan {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Launcher pods it has room for. */
  readonly room: number;
  /** Power supplies that hang on outlets which can be switched; 0 unless said. */
  readonly outlets?: number;
  /** `behind`: the node whose power its BMC really switches. `isNamed: false`: the BMC does not say of which machine it speaks. */
  readonly bmc?: { readonly behind?: string; readonly isNamed?: boolean };
}

export interface VMPlan {
  readonly namespace: string;
  readonly name: string;
  /** Node it prefers at its first start; any node where unsaid. */
  readonly on?: string;
  readonly runStrategy: "Always" | "RerunOnFailure" | "Manual" | "Halted" | "Once";
  readonly disk: "none" | "rwx" | "rwo";
  readonly evictionStrategy?: "LiveMigrate" | "LiveMigrateIfPossible" | "None" | "External";
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly affinity?: object;
  /** Spec of its HAVirtualMachine, without the VM's name; absent: nobody protects it. */
  readonly promise?: Readonly<Record<string, unknown>>;
}

export interface ReplicaPlan {
  readonly name: string;
  readonly skew: ClockSkew;
  /** Node whose fate its host shares; absent: it lives outside of the cluster. */
  readonly on?: string;
}

/**
 * How a BMC misbehaves. Each is something BMCs do. `saysOffOnce`: does not act, and reports for one reading what it was
 * asked to do. `saysOff`: does not act, and says Off whatever is the case; no history draws it, since no protocol can
 * tell such a BMC from an honest one.
 */
export type BmcFault =
  | "unreachable"
  | "slow"
  | "deaf"
  | "erringButActing"
  | "refusing"
  | "denied"
  | "lateOff"
  | "unknownState"
  | "saysOffOnce"
  | "saysOff"
  | "restoresPower";

/** The networks beside the one to the API server. */
export type PlaneName = "vmNetwork" | "storage" | "bmc";

/**
 * How a remediation operator misbehaves. `down`: nothing moves; `slow`: its agent takes minutes; `failing`: it says so, and
 * has done nothing; `actsAndFails`: it has cut the power and says that it failed; `tellsLate`: it tells long after its act.
 */
export type RemediatorFault = "down" | "slow" | "failing" | "actsAndFails" | "tellsLate";

/** How CSI-Addons misbehaves. `failing`: the storage says no, and is asked again. */
export type StorageFencerFault = "down" | "slow" | "failing";

/** What a fencing level does. `outlets`: all of the node's outlets at once. */
export type LevelMethod = "bmc" | "outlets" | "remediation" | "networkFence";

export interface LevelPlan {
  readonly method: LevelMethod;
  readonly timeout: string;
  readonly retries: number;
  readonly backoff: string;
}

/** What can happen. Everything with a duration is undone after it, and at healing. */
export type Act =
  | {
      readonly kind: "powerCut" | "hang" | "killKubelet" | "killVirtHandler";
      readonly node: string;
    }
  /** Off, and not to be switched on again until it is repaired: which is after all else was mended and found well. */
  | { readonly kind: "breakDown"; readonly node: string }
  /** `out`: what the node sends does not arrive; `back`: answers and watch events do not; both unless said. */
  | { readonly kind: "cutNodeApi"; readonly node: string; readonly way?: "both" | "out" | "back" }
  | { readonly kind: "cutPlane"; readonly plane: PlaneName; readonly nodes: readonly string[] }
  | { readonly kind: "reboot" | "foreignReboot" | "powerOn"; readonly node: string }
  | { readonly kind: "cordon" | "drain" | "deleteNode"; readonly node: string }
  /** Its kubelet says that it is not Ready, and goes on renewing its Lease. */
  | { readonly kind: "notReady"; readonly node: string; readonly because: string }
  | { readonly kind: "confirmOff" | "requestFencing"; readonly node: string; readonly by: string }
  | {
      readonly kind: "disarm";
      readonly nodeLabels?: Readonly<Record<string, string>>;
      readonly untilMs: number;
      readonly reason: string;
    }
  /** `outlet`: the outlet at that place in place of the BMC. */
  | { readonly kind: "bmc"; readonly node: string; readonly fault: BmcFault; readonly outlet?: number }
  | { readonly kind: "remediator"; readonly fault: RemediatorFault }
  | { readonly kind: "storageFencer"; readonly fault: StorageFencerFault }
  /** What the storage says of the node's address from then on is another node's, as after a client has moved. */
  | { readonly kind: "storageClient"; readonly node: string; readonly tellsAddressOf: string }
  | { readonly kind: "pauseHealthCheck" }
  | { readonly kind: "cutReplica"; readonly replica: string; readonly way: "both" | "out" | "back" }
  | { readonly kind: "cutReplicaFromBmcs" | "freeze" | "breakWatches"; readonly replica: string }
  /** Watches tell many things twice. */
  | { readonly kind: "repeatWatches"; readonly replica: string }
  | { readonly kind: "slowReplica"; readonly replica: string; readonly delayMs: number }
  /** `plural`: of one kind alone, so that what happened later of others is heard first; of all unless said. */
  | {
      readonly kind: "staleWatches";
      readonly replica: string;
      readonly delayMs: number;
      readonly plural?: string;
    }
  | {
      readonly kind: "crash";
      readonly replica: string;
      readonly writesLeft: number;
      readonly when: "before" | "after";
    }
  | { readonly kind: "wallClockJump"; readonly replica: string; readonly byMs: number }
  | { readonly kind: "apiServer"; readonly state: "refusing" | "mute" | "erring" | "full" }
  | { readonly kind: "compact" }
  /** `whose: "everybody"`: also those of kubelets and controllers. `plural: "all"`: whatever is written. */
  | {
      readonly kind: "refuseWrites";
      readonly plural: string;
      readonly status: 403 | 429 | 507;
      readonly whose?: "ours" | "everybody";
    }
  /** The namespace's quota is used up: nobody makes a pod there. */
  | { readonly kind: "quota"; readonly namespace: string }
  | { readonly kind: "createVM"; readonly vm: VMPlan }
  | {
      readonly kind: "deleteVM" | "migrateVM" | "stopVM" | "deletePod" | "forceDeletePod" | "restartVM";
      readonly vm: string;
    }
  /** `failProbe`: its readiness probe fails while it runs on; `pauseVM`: it stands still and holds its disk. */
  | { readonly kind: "failProbe" | "pauseVM"; readonly vm: string }
  | { readonly kind: "startVM"; readonly vm: string }
  /** With kubectl: another VM template, the instance itself, another priority, no promise any more. */
  | { readonly kind: "editVM" | "deleteVMI" | "editPromise" | "deletePromise"; readonly vm: string }
  /** With kubectl: every taint of the node taken off, its ledger deleted. */
  | { readonly kind: "untaint" | "deleteLedger"; readonly node: string }
  | { readonly kind: "editTopology" }
  | { readonly kind: "deleteLeaderLease" };

export interface ScriptEvent {
  readonly atMs: number;
  /** How long it lasts; absent or too long: until healing. */
  readonly forMs?: number;
  readonly act: Act;
}

export interface WorldPlan {
  readonly nodes: readonly NodePlan[];
  readonly vms: readonly VMPlan[];
  readonly replicas: readonly ReplicaPlan[];
  readonly policy: Partial<DecisionPolicy>;
  /** Nodes are probed directly, on these networks. */
  readonly probes?: readonly ("InternalIP" | "vmNetwork")[];
  /** Another controller fences too: NodeHealthCheck, this long after a node has ceased to be Ready. */
  readonly healthCheckAfterMs?: number;
  /** How fence devices are checked beforehand; absent: not at all. */
  readonly readiness?: ReadinessPace;
  readonly topology: {
    readonly afterFencing: "PowerOn" | "StayOff";
    readonly timeout: string;
    readonly retries: number;
    readonly backoff: string;
    /** In order; one of the node's BMC with the limits above where it is left out. */
    readonly levels?: readonly LevelPlan[];
  };
  /** More topologies, of the BMCs, for some nodes: of several that select a node the highest precedence counts. */
  readonly otherTopologies?: readonly {
    readonly name: string;
    readonly precedence: number;
    readonly nodeLabels: Readonly<Record<string, string>>;
    readonly afterFencing: "PowerOn" | "StayOff";
  }[];
  /** Events begin after the world has settled, times count from there. */
  readonly events: readonly ScriptEvent[];
  /** From here on nothing goes wrong any more, and what went wrong is mended. */
  readonly healAtMs: number;
}
