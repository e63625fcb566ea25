// The proof in a NodeFencing's status. What each type must hold is enforced by the API server too: a proof of nothing, or
// a weak one that no topology accepts, cannot be written down.
import { z } from "zod";
import { type RecordedProof, STRONG_REMEDIATIONS, weakNameOf } from "../model/proof.ts";
import { celString, withRule } from "./rule.ts";
import { count, identifier, labelName, objectName, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_DETAIL_LENGTH = 512;
const MAX_API_VERSION_LENGTH = 253;
const MAX_KIND_LENGTH = 63;
/** Longest user name kept; an OIDC name can be an e-mail address with a long prefix. */
const MAX_PERSON_LENGTH = 256;
/** Field managers have at most 128 characters. */
const MAX_FIELD_MANAGER_LENGTH = 128;
/** Addresses of one node; the same bound as in the record of them (model/storage-clients.ts). */
const MAX_CIDRS = 16;
/** An IPv6 prefix takes at most 43 characters. */
const MAX_CIDR_LENGTH = 64;

const TYPES = [
  "PowerOff",
  "Rebooted",
  "StorageFenced",
  "SelfFenced",
  "Remediated",
  "Confirmed",
] as const satisfies readonly RecordedProof["type"][];

const remediation = z.object({
  apiVersion: text(MAX_API_VERSION_LENGTH).meta({ description: "Its apiVersion." }),
  kind: text(MAX_KIND_LENGTH).meta({ description: "Its kind." }),
  namespace: labelName().meta({ description: "Its namespace." }).exactOptional(),
  name: objectName().meta({ description: "Its name." }),
  uid: identifier().meta({ description: "Its UID." }),
});

const proofFields = z.object({
  type: z.enum(TYPES).meta({
    description:
      "What proves that the incarnation is over. PowerOff: its power was read back as off. Rebooted: the node reports another boot ID; releases nothing by force. StorageFenced: the storage refuses the addresses that the node had before it failed; its guests may run on without their disks. SelfFenced: by its horizon the node's own watchdog must have reset it. Remediated: a remediation operator says so. Confirmed: a person says so.",
  }),
  bootID: identifier().meta({
    description:
      "The boot ID that the proof speaks of: that of the spec, and with Rebooted the one seen in its place.",
  }),
  observedAt: timestamp().meta({ description: "When that was observed." }),
  detail: text(MAX_DETAIL_LENGTH).meta({ description: "What was observed, and by what." }),
  attempt: count().meta({ description: "Number of the attempt that brought it." }).exactOptional(),
  acceptedAs: text(MAX_KIND_LENGTH)
    .meta({
      description:
        "With a proof that does not show that the guests have stopped: the name by which the topology's level accepts it (acceptWeakProof).",
    })
    .exactOptional(),
  horizon: timestamp()
    .meta({ description: "With SelfFenced: when the node must have reset itself at the latest." })
    .exactOptional(),
  remediation: remediation
    .meta({ description: "With Remediated and SelfFenced: the remediation that says so." })
    .exactOptional(),
  cidrs: z
    .array(text(MAX_CIDR_LENGTH))
    .min(1)
    .max(MAX_CIDRS)
    .meta({
      "x-kubernetes-list-type": "atomic",
      description: "With StorageFenced: the addresses that the storage was read back to refuse.",
    })
    .exactOptional(),
  confirmedBy: text(MAX_PERSON_LENGTH).meta({ description: "With Confirmed: who said so." }).exactOptional(),
  confirmedAt: timestamp()
    .meta({ description: "With Confirmed: when that was written, as far as the object tells." })
    .exactOptional(),
  confirmedWith: text(MAX_FIELD_MANAGER_LENGTH)
    .meta({ description: "With Confirmed: the field manager of that write, as far as the object tells." })
    .exactOptional(),
});

type Proof = z.output<typeof proofFields>;

const STRONG = `[${STRONG_REMEDIATIONS.map(celString).join(", ")}]`;
/** `weakNameOf` in CEL; "" where the proof is not weak. */
const WEAK_NAME = [
  "self.type == 'StorageFenced' ? 'StorageFenced'",
  "self.type == 'SelfFenced' ? (has(self.remediation) ? self.remediation.kind : 'SelfFenced')",
  "self.type == 'Remediated' && !has(self.remediation) ? 'Remediated'",
  `self.type == 'Remediated' && !(self.remediation.kind in ${STRONG}) ? self.remediation.kind`,
  "''",
].join(" : ");

const rules = [
  {
    cel: "(self.type == 'SelfFenced') == has(self.horizon)",
    message: "must be set with type SelfFenced, and with no other",
    holds: (proof: Proof) => (proof.type === "SelfFenced") === (proof.horizon !== undefined),
    field: ["horizon"],
  },
  {
    cel: "self.type == 'SelfFenced' || (self.type == 'Remediated') == has(self.remediation)",
    message: "must be set with type Remediated, and may be with SelfFenced only",
    holds: (proof: Proof) =>
      proof.type === "SelfFenced" || (proof.type === "Remediated") === (proof.remediation !== undefined),
    field: ["remediation"],
  },
  {
    cel: "(self.type == 'StorageFenced') == has(self.cidrs)",
    message: "must be set with type StorageFenced, and with no other",
    holds: (proof: Proof) => (proof.type === "StorageFenced") === (proof.cidrs !== undefined),
    field: ["cidrs"],
  },
  {
    cel: "(self.type == 'Confirmed') == (has(self.confirmedBy) && self.confirmedBy != '')",
    message: "must be set with type Confirmed, and with no other",
    holds: (proof: Proof) => (proof.type === "Confirmed") === Boolean(proof.confirmedBy),
    field: ["confirmedBy"],
  },
  {
    cel: `(${WEAK_NAME}) == (has(self.acceptedAs) ? self.acceptedAs : '')`,
    message:
      "must name what makes the proof weak (StorageFenced, or the kind of the remediation), since without the topology's acceptance by name it releases nothing; and must not be set with a proof that is not weak",
    holds: (proof: Proof) => (weakNameOf(proof) ?? "") === (proof.acceptedAs ?? ""),
    field: ["acceptedAs"],
  },
];

/** What proves that an incarnation of a node is over, and which of the members each type has. */
export const fenceProof = rules.reduce((schema, rule) => withRule(schema, rule), proofFields);
