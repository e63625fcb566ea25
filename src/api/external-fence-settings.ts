// Settings of the methods that leave the act to somebody else's controller: a remediation template, or a storage class of
// CSI-Addons.
import { z } from "zod";
import { STRONG_REMEDIATIONS } from "../model/proof.ts";
import { nodeTemplate } from "./node-template.ts";
import { celString, type Rule } from "./rule.ts";
import { labelName, matching, objectName } from "./scalar.ts";

const MAX_API_VERSION_LENGTH = 253;
const MAX_KIND_LENGTH = 63;
const MAX_ACCEPTED = 4;
const MAX_CIDR_TEMPLATES = 8;
const MAX_CIDR_TEMPLATE_LENGTH = 256;

/** A kind of the contract: what it makes is called the same without `Template`. */
const TEMPLATE_KIND = /^[A-Z][A-Za-z0-9]*[A-Za-z0-9]Template$/;

export const remediation = z.object({
  templateRef: z
    .object({
      apiVersion: matching(/^[a-z0-9.-]+\/v[a-z0-9]+$/, {
        maxLength: MAX_API_VERSION_LENGTH,
        message: "must be group/version, like fence-agents-remediation.medik8s.io/v1alpha1",
      }).meta({ description: "Its apiVersion." }),
      kind: matching(TEMPLATE_KIND, {
        maxLength: MAX_KIND_LENGTH,
        message: "must end with Template, like FenceAgentsRemediationTemplate",
      }).meta({ description: "Its kind." }),
      name: objectName().meta({ description: "Its name." }),
      namespace: labelName()
        .meta({
          description: "Its namespace, where the remediation is made as well. Left out for kinds without.",
        })
        .exactOptional(),
    })
    .meta({
      description:
        "The template, such as a FenceAgentsRemediationTemplate. Kinds of which the word is strong: FenceAgentsRemediation, MachineDeletionRemediation, and Metal3Remediation, which needs the node's Cluster API Machine in the namespace of the template. Weak, since they go by time or by the node's silence, and used only if acceptWeakProof names them: SelfNodeRemediation, StorageBasedRemediation and every other.",
    }),
});

export const networkFence = z.object({
  networkFenceClassName: objectName().meta({ description: "Name of the NetworkFenceClass." }),
  cidrs: z
    .array(nodeTemplate(MAX_CIDR_TEMPLATE_LENGTH))
    .min(1)
    .max(MAX_CIDR_TEMPLATES)
    .meta({
      "x-kubernetes-list-type": "atomic",
      description:
        "The addresses by which the storage knows the node, each a single one, or several with commas between; may hold ${node.name}, ${node.labels['key']} and ${node.annotations['key']}. Recorded while the node is healthy. Left out: those that its CSIAddonsNode tells.",
    })
    .exactOptional(),
});

export const acceptWeakProof = z
  .array(
    matching(/^[A-Z][A-Za-z0-9]*$/, {
      maxLength: MAX_KIND_LENGTH,
      message: "must be a kind of remediation, like SelfNodeRemediation, or StorageFenced",
    }),
  )
  .max(MAX_ACCEPTED)
  .meta({
    "x-kubernetes-list-type": "set",
    description:
      "Weak proofs that may release VMs all the same, by name: a kind of remediation such as SelfNodeRemediation (nobody has seen the node reset itself), or StorageFenced (its guests may run on without their disks, and answer on the network).",
  });

interface Written {
  readonly method: string;
  readonly remediation?: { readonly templateRef: { readonly kind: string } };
  readonly acceptWeakProof?: readonly string[];
}

const STRONG_TEMPLATES = `[${STRONG_REMEDIATIONS.map((kind) => celString(`${kind}Template`)).join(", ")}]`;

/** A level whose proof could never count is refused when it is written, not when it is needed. */
export const weakProofRules: readonly Rule<Written>[] = [
  {
    cel: "!has(self.acceptWeakProof) || self.method == 'Remediation' || self.method == 'NetworkFence'",
    message:
      "may be set with the methods Remediation and NetworkFence only: the others read the power state back",
    holds: ({ method, acceptWeakProof: accepted }) =>
      accepted === undefined || method === "Remediation" || method === "NetworkFence",
    field: ["acceptWeakProof"],
  },
  {
    cel: "self.method != 'NetworkFence' || (has(self.acceptWeakProof) && 'StorageFenced' in self.acceptWeakProof)",
    message:
      "must name StorageFenced with method NetworkFence: the node's guests may run on without their disks",
    holds: ({ method, acceptWeakProof: accepted }) =>
      method !== "NetworkFence" || accepted?.includes("StorageFenced") === true,
    field: ["acceptWeakProof"],
  },
  {
    cel: `self.method != 'Remediation' || !has(self.remediation) || self.remediation.templateRef.kind in ${STRONG_TEMPLATES} || (has(self.acceptWeakProof) && self.acceptWeakProof.exists(name, name + 'Template' == self.remediation.templateRef.kind))`,
    message:
      "must name the kind of the remediation (without Template) unless its word follows an act on the machine itself: others go by time or by the node's silence",
    holds: ({ method, remediation: settings, acceptWeakProof: accepted = [] }) => {
      if (method !== "Remediation" || settings === undefined) return true;
      const { kind } = settings.templateRef;
      const known = STRONG_REMEDIATIONS.some((strong) => `${strong}Template` === kind);
      return known || accepted.some((name) => `${name}Template` === kind);
    },
    field: ["acceptWeakProof"],
  },
];
