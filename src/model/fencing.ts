// Fencing in domain values: which nodes can be fenced how (topology), the ledger of one fencing, and the proof it ends in.
import type { Confirmation, RefusedConfirmation } from "./confirmation.ts";
import type { Condition } from "./protection.ts";
import type { LabelSelector } from "./label-selector.ts";
import type { NodeFact } from "./node.ts";
import { type RecordedProof, releasesByForce } from "./proof.ts";

export interface SecretKeyRef {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly key: string;
}

export interface SecretRef {
  readonly name: string;
  /** Undefined: the operator's own. */
  readonly namespace: string | undefined;
}

/** How to reach a Redfish service; `address` and `systemId` may hold `${node.…}` templates. */
export interface RedfishSettings {
  readonly address: string;
  readonly systemId: string | undefined;
  readonly auth: "Auto" | "Session" | "Basic";
  readonly credentialsSecret: SecretRef;
  readonly caSecret: SecretKeyRef | undefined;
  readonly insecureSkipVerify: boolean;
}

/** Which fence agent to run with which parameters; their values may hold `${node.…}` templates. */
export interface FenceAgentSettings {
  /** Name of the program, without a path. */
  readonly agent: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Each key of this Secret is a parameter. */
  readonly parametersSecret: SecretRef | undefined;
  readonly caSecret: SecretKeyRef | undefined;
}

/** A method that speaks to one device with a power state that can be read. */
export type DeviceSettings =
  | { readonly method: "Redfish"; readonly redfish: RedfishSettings }
  | { readonly method: "FenceAgent"; readonly fenceAgent: FenceAgentSettings };

export type NamedDevice = DeviceSettings & { readonly name: string };

/**
 * Methods that cut power and read it back. `AllOf`: every one of the devices is switched off, and only all of them
 * together count.
 */
export type PowerMethod =
  | DeviceSettings
  | { readonly method: "AllOf"; readonly devices: readonly NamedDevice[] };

/** A template of the medik8s contract; its kind ends in `Template`. */
export interface RemediationTemplateRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Undefined for kinds without a namespace. */
  readonly namespace: string | undefined;
}

/** Which NetworkFenceClass cuts the node's storage. */
export interface NetworkFenceSettings {
  readonly className: string;
  /** Templates of CIDRs; empty: those that the class's driver reported for the node. */
  readonly cidrs: readonly string[];
}

/** Methods whose device is somebody else's controller; what it says may be weak, and then has to be accepted by name. */
export type ExternalMethod = (
  | { readonly method: "Remediation"; readonly remediation: { readonly template: RemediationTemplateRef } }
  | { readonly method: "NetworkFence"; readonly networkFence: NetworkFenceSettings }
) & { readonly acceptWeakProof: readonly string[] };

/** What a level does, with the settings for it. */
export type LevelMethod = PowerMethod | ExternalMethod;

/** How patiently a level is tried. */
export interface LevelLimits {
  readonly name: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly backoffMs: number;
}

export type PowerLevel = LevelLimits & PowerMethod;
export type ExternalLevel = LevelLimits & ExternalMethod;
export type FencingLevel = PowerLevel | ExternalLevel;

/** Whether the level leaves the act to somebody else's controller. */
export function isExternal(level: FencingLevel): level is ExternalLevel {
  return level.method === "Remediation" || level.method === "NetworkFence";
}

export interface FencingTopologyFact {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly precedence: number;
  readonly nodeSelector: LabelSelector;
  readonly afterFencing: "PowerOn" | "StayOff";
  readonly levels: readonly FencingLevel[];
  readonly status: {
    readonly observedGeneration?: number;
    readonly coveredNodes?: number;
    readonly readyNodes?: number;
    readonly conditions: readonly Condition[];
  };
}

export type FencingPhase =
  | "Pending"
  | "Fencing"
  | "Fenced"
  | "Releasing"
  | "Released"
  | "Returned"
  | "Aborted";

export type AttemptOutcome =
  | "Started"
  | "PoweredOff"
  | "AlreadyOff"
  | "Remediated"
  | "StorageFenced"
  | "Refused"
  | "TimedOut"
  | "Unreachable"
  | "Denied"
  | "StillOn"
  | "Abandoned"
  | "Misconfigured"
  | "Doubted";

export interface FencingAttempt {
  readonly number: number;
  readonly level: string;
  readonly method: string;
  readonly epoch: number;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly outcome: AttemptOutcome;
  readonly answer?: string;
  readonly powerState?: string;
  /** The device said On of this incarnation during the attempt, which vouches for an Off that it says later. */
  readonly seenOn?: boolean;
  /** Where the devices of a doubted word were asked, as digests: two levels at one address are one opinion. */
  readonly addresses?: readonly string[];
  /** With method Remediation: what it had made, written before it is, so that whoever leads can undo it. */
  readonly remediation?: Omit<RemediationTemplateRef, "name" | "namespace"> & { readonly namespace?: string };
}

export interface ReleasedVM {
  readonly namespace: string;
  readonly name: string;
  readonly priority: number;
  readonly wave: number;
  readonly releasedAt: string;
}

export interface FencingStatus {
  readonly observedGeneration?: number;
  readonly phase: FencingPhase;
  /** Epoch of the leader that wrote this; a leader with a smaller one must not write. */
  readonly epoch: number;
  readonly attempts: readonly FencingAttempt[];
  readonly proof?: RecordedProof;
  readonly refusedConfirmation?: RefusedConfirmation;
  readonly releasedVMs: readonly ReleasedVM[];
  readonly releasedAt?: string;
  readonly powerOnRequestedAt?: string;
  /** When everything that was made for it with other operators was undone. */
  readonly remediationsLiftedAt?: string;
  readonly storageUnfencedAt?: string;
  readonly returnedAt?: string;
  readonly returnedBootID?: string;
  readonly message?: string;
  readonly conditions: readonly Condition[];
}

export interface FencingFact {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly nodeName: string;
  readonly nodeUID: string;
  /** The incarnation being fenced. */
  readonly bootID: string;
  readonly topology: string | undefined;
  /** Asked for by a person or another controller: the node may be alive, and is fenced all the same. */
  readonly requested?: true;
  /** The drill that asked for it, as `DRILL_ANNOTATION` names it. */
  readonly drill?: string;
  readonly detectedAt: string;
  readonly lastSeenAt: string;
  readonly status: FencingStatus;
  /** A person's word that the node is off, whether it is to be taken or not. */
  readonly confirmation?: Confirmation;
  /** Monotonic time at which we saw the ledger change: what back-off is counted from. */
  readonly changedAtMs: number;
  /** Monotonic time at which we first saw the proof. */
  readonly provenAtMs: number | undefined;
}

/** Attempts kept in one ledger; after so many the fencing stays blocked until a person or the node resolves it. */
export const MAX_FENCING_ATTEMPTS = 60;

/** Released VMs named in one ledger. */
export const MAX_RELEASED_NAMED = 500;

/** Whether the ledger is closed: nothing more will be done under it. */
export function isClosed(fencing: FencingFact): boolean {
  return fencing.status.phase === "Returned" || fencing.status.phase === "Aborted";
}

declare const confirmed: unique symbol;

/**
 * Leave to release the VMs of one incarnation of one node. Cannot be written down, only parsed from a ledger that
 * holds a confirmed observation; a release step without one does not type-check.
 */
export interface FenceProof {
  readonly [confirmed]: true;
  readonly fencing: string;
  readonly nodeName: string;
  readonly nodeUID: string;
  readonly bootID: string;
  readonly observedAt: string;
}

/**
 * Reads the proof that lets VMs go from the incarnation named in the ledger, or undefined where there is none that
 * still holds: no proof recorded, for another incarnation, weak and not accepted by name, or contradicted by the node
 * itself (`node` is the newest we know of it: any other boot ID than the fenced one means that a kubelet is in charge
 * there again, and deletes by force would hit live pods). A `Rebooted` proof releases nothing by force for that reason.
 */
export function parseFenceProof(fencing: FencingFact, node: NodeFact | undefined): FenceProof | undefined {
  const proof = fencing.status.proof;
  if (proof === undefined || !releasesByForce(proof) || proof.bootID !== fencing.bootID) return undefined;
  if (node !== undefined && (node.uid !== fencing.nodeUID || node.bootID !== fencing.bootID))
    return undefined;
  const value = {
    fencing: fencing.name,
    nodeName: fencing.nodeName,
    nodeUID: fencing.nodeUID,
    bootID: proof.bootID,
    observedAt: proof.observedAt,
  };
  return value as FenceProof;
}
