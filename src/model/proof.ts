// What can prove that one incarnation of a node has ended, how far each proof reaches, and which of them let VMs go.

/**
 * - `PowerOff`: the machine's power was read back as off, twice. The incarnation has ended, its memory with it.
 * - `Rebooted`: the node reports another boot ID. The incarnation has ended, but a kubelet is in charge again, so nothing
 *   is released by force.
 * - `StorageFenced`: the storage refuses the addresses that the node had before it failed. Guests may run on without
 *   their disks, and may still answer on the network.
 * - `SelfFenced`: by `horizon` the node's own watchdog must have reset it. Nobody has seen it do so.
 * - `Remediated`: a remediation operator says so; how much its word is worth depends on its kind.
 * - `Confirmed`: a person has said so, and named the boot ID that the word is about.
 */
export type ProofType = "PowerOff" | "Rebooted" | "StorageFenced" | "SelfFenced" | "Remediated" | "Confirmed";

/** A remediation custom resource of the medik8s contract. */
export interface RemediationRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
}

/** Proof as it stands in the ledger. Only `parseFenceProof` turns it into something that may release a VM. */
export interface RecordedProof {
  readonly type: ProofType;
  /** The incarnation it speaks of; with `Rebooted` the one seen in its place. */
  readonly bootID: string;
  readonly observedAt: string;
  readonly detail: string;
  readonly attempt?: number;
  /** With a weak proof: the name by which the topology's level accepts it. */
  readonly acceptedAs?: string;
  /** With `SelfFenced`: when the node must have reset itself at the latest. */
  readonly horizon?: string;
  /** With `Remediated`, and with `SelfFenced` where a remediation brought it. */
  readonly remediation?: RemediationRef;
  /** With `StorageFenced`: the addresses that the storage was read back to refuse. */
  readonly cidrs?: readonly string[];
  /** With `Confirmed`: the person, when they said it, and the field manager of their write, as far as it is known. */
  readonly confirmedBy?: string;
  readonly confirmedAt?: string;
  readonly confirmedWith?: string;
}

/**
 * Remediations whose signal of success follows an act on the machine itself: its power was cut, or it was removed. All
 * other kinds go by elapsed time or by the node's silence, which is where we started.
 */
export const STRONG_REMEDIATIONS: readonly string[] = [
  "FenceAgentsRemediation",
  "MachineDeletionRemediation",
  "Metal3Remediation",
];

/**
 * The name by which a level must accept the proof, for it does not show that the guests have stopped; undefined for a
 * proof that does.
 */
export function weakNameOf(proof: {
  readonly type: ProofType;
  readonly remediation?: Pick<RemediationRef, "kind">;
}): string | undefined {
  switch (proof.type) {
    case "PowerOff":
    case "Rebooted":
    case "Confirmed":
      return undefined;
    case "StorageFenced":
      return proof.type;
    case "SelfFenced":
      return proof.remediation?.kind ?? proof.type;
    case "Remediated": {
      const kind = proof.remediation?.kind ?? proof.type;
      return STRONG_REMEDIATIONS.includes(kind) ? undefined : kind;
    }
  }
}

/** Whether VMs may be released by force on its strength: it proves the end, or the topology has accepted its weakness. */
export function releasesByForce(proof: RecordedProof): boolean {
  return proof.type !== "Rebooted" && proof.acceptedAs === weakNameOf(proof);
}
