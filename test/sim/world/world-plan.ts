// A history written down: what the world is made of, and what happens to it when. Plain data, so that it can be drawn from a
// seed, shrunk, kept in a file, or written by hand.
import type { DecisionPolicy, ReadinessPace } from "../../../src/model/decision-policy.ts";
import type { ClockSkew } from "./sim-time.ts";

export interface NodePlan {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Launcher pods it has room for. */
  readonly room: number;
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
  | "lateOff"
  | "unknownState"
  | "saysOffOnce"
  | "saysOff"
  | "restoresPower";

/** What can happen. Everything with a duration is undone after it, and at healing. */
export type Act =
  | {
      readonly kind: "powerCut" | "hang" | "cutNodeApi" | "killKubelet" | "killVirtHandler";
      readonly node: string;
    }
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
  | { readonly kind: "bmc"; readonly node: string; readonly fault: BmcFault }
  | { readonly kind: "cutReplica"; readonly replica: string; readonly way: "both" | "out" | "back" }
  | { readonly kind: "cutReplicaFromBmcs" | "freeze" | "breakWatches"; readonly replica: string }
  | { readonly kind: "slowReplica" | "staleWatches"; readonly replica: string; readonly delayMs: number }
  | {
      readonly kind: "crash";
      readonly replica: string;
      readonly writesLeft: number;
      readonly when: "before" | "after";
    }
  | { readonly kind: "wallClockJump"; readonly replica: string; readonly byMs: number }
  | { readonly kind: "apiServer"; readonly state: "refusing" | "mute" | "erring" }
  | { readonly kind: "compact" }
  /** `whose: "everybody"`: also those of kubelets and controllers. `plural: "all"`: whatever is written. */
  | {
      readonly kind: "refuseWrites";
      readonly plural: string;
      readonly status: 403 | 429 | 507;
      readonly whose?: "ours" | "everybody";
    }
  | { readonly kind: "createVM"; readonly vm: VMPlan }
  | {
      readonly kind: "deleteVM" | "migrateVM" | "stopVM" | "deletePod" | "forceDeletePod" | "restartVM";
      readonly vm: string;
    }
  /** `failProbe`: its readiness probe fails while it runs on; `pauseVM`: it stands still and holds its disk. */
  | { readonly kind: "failProbe" | "pauseVM"; readonly vm: string }
  | { readonly kind: "startVM"; readonly vm: string }
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
  /** How fence devices are checked beforehand; absent: not at all. */
  readonly readiness?: ReadinessPace;
  readonly topology: {
    readonly afterFencing: "PowerOn" | "StayOff";
    readonly timeout: string;
    readonly retries: number;
    readonly backoff: string;
  };
  /** Events begin after the world has settled, times count from there. */
  readonly events: readonly ScriptEvent[];
  /** From here on nothing goes wrong any more, and what went wrong is mended. */
  readonly healAtMs: number;
}
