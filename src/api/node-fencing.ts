// NodeFencing: the ledger of one fencing of one incarnation of one node. Audit trail and crash-safe state at once, so
// the API server itself refuses what would falsify it: a proof that changes, a phase that goes back, a stale leader.
import { z } from "zod";
import { AGE_COLUMN } from "./columns.ts";
import { conditions } from "./conditions.ts";
import { fenceProof } from "./fence-proof.ts";
import { defineKind } from "./kind.ts";
import { atomicList, keyedList } from "./list.ts";
import { celString, withRule } from "./rule.ts";
import { count, identifier, labelName, objectName, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_ATTEMPTS = 64;
const MAX_RELEASED = 1_000;
/** What a person may write. */
const MAX_REASON_MESSAGE_LENGTH = 1_024;
/** What we write: longer, since it may quote others. */
const MAX_MESSAGE_LENGTH = 4_096;
const MAX_DETAIL_LENGTH = 512;
const MAX_METHOD_LENGTH = 63;
const MAX_POWER_STATE_LENGTH = 253;
/** As many as a level has devices. */
const MAX_ADDRESSES = 4;
/** Epochs are a Lease's transitions, which Kubernetes counts in 32 bits. */
const MAX_EPOCH = 2 ** 31 - 1;

/** Phases in their order; Returned and Aborted are both ends. */
const PHASES = ["Pending", "Fencing", "Fenced", "Releasing", "Released", "Returned", "Aborted"] as const;
const FINAL_PHASES: readonly string[] = ["Returned", "Aborted"];
const PROVEN_PHASES: readonly string[] = ["Fenced", "Releasing", "Released"];

/** A CEL map from phase to its place, so that two phases can be compared. */
const PHASE_ORDER = `{${PHASES.map((phase, place) => `${celString(phase)}: ${place}`).join(", ")}}`;

const celList = (values: readonly string[]) => `[${values.map(celString).join(", ")}]`;

const spec = withRule(
  z.object({
    nodeName: objectName().meta({ description: "Name of the node to be fenced." }),
    nodeUID: identifier().meta({
      description: "UID of that Node object: a node made anew under the same name is another.",
    }),
    bootID: identifier().meta({
      description:
        "Boot ID (status.nodeInfo.bootID) of the incarnation to be fenced. Once the node reports another one, this incarnation is gone by itself.",
    }),
    topology: objectName()
      .meta({ description: "The FencingTopology to fence by. Left out: the one that covers the node." })
      .exactOptional(),
    reason: z.enum(["NodeLost", "Requested"]).meta({
      description:
        "Why. NodeLost: Holdfast judged the node lost. Requested: a person or another controller asks for it.",
    }),
    message: text(MAX_REASON_MESSAGE_LENGTH).meta({ description: "Why, for people." }).exactOptional(),
    detectedAt: timestamp().meta({ description: "When the node was judged lost, or its fencing asked for." }),
    lastSeenAt: timestamp().meta({ description: "When the node last gave a sign of life." }),
  }),
  {
    cel: "self == oldSelf",
    message:
      "is immutable: a ledger is about one incarnation of one node; make another NodeFencing for another",
  },
).meta({ description: "Which incarnation of which node is fenced, and why. Cannot be changed afterwards." });

const attempt = z.object({
  number: count().meta({ description: "Number of the attempt, counted through all levels." }),
  level: labelName().meta({ description: "The level of the topology that was tried." }),
  method: text(MAX_METHOD_LENGTH).meta({ description: "The method of that level." }),
  epoch: count(MAX_EPOCH).meta({ description: "Epoch of the leader that made it." }),
  startedAt: timestamp().meta({ description: "When it began; written before the device is asked." }),
  endedAt: timestamp().meta({ description: "When its outcome was known." }).exactOptional(),
  outcome: z
    .enum([
      "Started",
      "PoweredOff",
      "AlreadyOff",
      "Remediated",
      "StorageFenced",
      "Refused",
      "TimedOut",
      "Unreachable",
      "Denied",
      "StillOn",
      "Abandoned",
      "Misconfigured",
      "Doubted",
    ])
    .meta({
      description:
        "How it ended. Started: it has not yet. PoweredOff and AlreadyOff: the node was read back as off. Remediated: the remediation gave its signal. StorageFenced: the storage was read back to refuse the node. StillOn: the device agreed, yet the node was read back as on. Refused: the device said no. Denied: wrong credentials. Unreachable: no connection. TimedOut: no answer in time. Misconfigured: the settings do not lead to a device. Abandoned: its leader went away before it knew. Doubted: the device said Off already, and nothing vouches for its word.",
    }),
  answer: text(MAX_DETAIL_LENGTH).meta({ description: "What the device said, in short." }).exactOptional(),
  powerState: text(MAX_POWER_STATE_LENGTH)
    .meta({
      description:
        "The power state that was read back, in the device's own word; of several devices, where they differ, each.",
    })
    .exactOptional(),
  seenOn: z
    .boolean()
    .meta({
      description:
        "Whether the device said On of the node during the attempt, which vouches for an Off that it says later.",
    })
    .exactOptional(),
  addresses: atomicList(text(MAX_METHOD_LENGTH), { max: MAX_ADDRESSES })
    .meta({
      description:
        "With outcome Doubted: digests of the addresses at which its devices were asked. A level that asks at one of them as well is no second opinion.",
    })
    .exactOptional(),
  remediation: z
    .object({
      apiVersion: text(MAX_DETAIL_LENGTH).meta({ description: "Its apiVersion." }),
      kind: text(MAX_METHOD_LENGTH).meta({ description: "Its kind." }),
      namespace: labelName().meta({ description: "Its namespace." }).exactOptional(),
    })
    .meta({ description: "With method Remediation: what is made for the node; found by its label." })
    .exactOptional(),
});

const releasedVM = z.object({
  namespace: labelName().meta({ description: "Namespace of the VM." }),
  name: objectName().meta({ description: "Name of the VM." }),
  priority: z.int().min(0).max(1_000).meta({ description: "Its priority at that time." }),
  wave: count().meta({ description: "The restart wave it was released in." }),
  releasedAt: timestamp().meta({ description: "When it was released from the node." }),
});

const statusFields = z.object({
  observedGeneration: count()
    .meta({ description: "The metadata.generation that this status was written for." })
    .exactOptional(),
  phase: z.enum(PHASES).meta({
    description:
      "How far the fencing is; it never goes back. Pending: intended. Fencing: a device has been asked. Fenced: proven. Releasing and Released: the VMs are being, and have been, let go. Returned: the node is back and trusted. Aborted: nothing more will be done, and message says why.",
  }),
  epoch: count(MAX_EPOCH).meta({
    description:
      "Epoch of the leader that wrote this last. It never decreases: a leader that was replaced is refused.",
  }),
  attempts: keyedList(attempt, { keys: ["number"], max: MAX_ATTEMPTS })
    .meta({ description: "What was tried, in order; at most 64." })
    .exactOptional(),
  proof: fenceProof
    .meta({
      description: "The proof that the incarnation is gone. Once written it cannot be changed or removed.",
    })
    .exactOptional(),
  refusedConfirmation: z
    .object({
      bootID: text(MAX_DETAIL_LENGTH).meta({ description: "The boot ID it named." }),
      by: text(MAX_DETAIL_LENGTH).meta({ description: "Whose it was." }),
      writtenAt: timestamp().meta({ description: "When it was written." }).exactOptional(),
      refusedAt: timestamp().meta({ description: "When it was refused." }),
      message: text(MAX_MESSAGE_LENGTH).meta({ description: "Why, and what would be taken." }),
    })
    .meta({
      description:
        "The last word of a person (annotations holdfast.dev/confirm-off and holdfast.dev/confirm-off-by) that was not taken. It is not taken later either: it has to be written anew.",
    })
    .exactOptional(),
  releasedVMs: keyedList(releasedVM, { keys: ["namespace", "name"], max: MAX_RELEASED })
    .meta({ description: "The VMs that were let go, in order; at most 1000 are named." })
    .exactOptional(),
  releasedAt: timestamp().meta({ description: "When the last of them was let go." }).exactOptional(),
  powerOnRequestedAt: timestamp()
    .meta({ description: "When the node was asked to switch on again." })
    .exactOptional(),
  remediationsLiftedAt: timestamp()
    .meta({ description: "When the remediations made for it were withdrawn." })
    .exactOptional(),
  storageUnfencedAt: timestamp()
    .meta({ description: "When the node was let reach its storage again." })
    .exactOptional(),
  returnedAt: timestamp().meta({ description: "When the node was trusted again." }).exactOptional(),
  returnedBootID: identifier().meta({ description: "The boot ID it came back with." }).exactOptional(),
  message: text(MAX_MESSAGE_LENGTH)
    .meta({ description: "What is being waited for, or what is in the way and what would clear it." })
    .exactOptional(),
  conditions: conditions([]).exactOptional(),
});

const guarded = [
  {
    cel: "!has(oldSelf.proof) || (has(self.proof) && self.proof == oldSelf.proof)",
    message: "is immutable once set: VMs may have been released on the strength of it",
    field: ["proof"],
  },
  {
    cel: `!(self.phase in ${celList(PROVEN_PHASES)}) || (has(self.proof) && self.proof.type != 'Rebooted')`,
    message: `must not be ${PROVEN_PHASES.join(", ")} without a proof that releases VMs, which Rebooted is not`,
    holds: (status: z.output<typeof statusFields>) =>
      !PROVEN_PHASES.includes(status.phase) ||
      (status.proof !== undefined && status.proof.type !== "Rebooted"),
    field: ["phase"],
  },
  {
    cel: `self.phase == oldSelf.phase || (!(oldSelf.phase in ${celList(FINAL_PHASES)}) && ${PHASE_ORDER}[self.phase] > ${PHASE_ORDER}[oldSelf.phase])`,
    message: `must stay or go forward (${PHASES.slice(0, -1).join(", ")}; or Aborted from any of them but Returned); Returned and Aborted are final`,
    field: ["phase"],
  },
  {
    cel: "self.epoch >= oldSelf.epoch",
    message: "must not decrease: a leader with a higher epoch has written here, so this one was replaced",
    field: ["epoch"],
  },
];

const status = guarded
  .reduce((schema, rule) => withRule(schema, rule), statusFields)
  .meta({ description: "How far the fencing is, and everything that was done. Written by Holdfast." });

export const nodeFencing = defineKind({
  kind: "NodeFencing",
  plural: "nodefencings",
  singular: "nodefencing",
  shortNames: ["nf"],
  scope: "Cluster",
  description:
    "NodeFencing is the ledger of one fencing of one incarnation of a node: why it was fenced, what was tried, what proves that it is off, which VMs were released on that proof, and how the node came back. Holdfast writes one when it judges a node lost; writing one with reason Requested has a node fenced.",
  columns: [
    { name: "Node", type: "string", jsonPath: ".spec.nodeName", description: "The node." },
    { name: "Phase", type: "string", jsonPath: ".status.phase", description: "How far the fencing is." },
    {
      name: "Proof",
      type: "string",
      jsonPath: ".status.proof.type",
      description: "What proves that the incarnation is over.",
    },
    {
      name: "Attempts",
      type: "integer",
      jsonPath: ".status.attempts[-1:].number",
      description: "Number of the last attempt.",
    },
    { name: "Reason", type: "string", jsonPath: ".spec.reason", description: "Why the node is fenced." },
    {
      name: "Outcome",
      type: "string",
      jsonPath: ".status.attempts[-1:].outcome",
      description: "How the last attempt ended.",
      wide: true,
    },
    {
      name: "Message",
      type: "string",
      jsonPath: ".status.message",
      description: "What is being waited for.",
      wide: true,
    },
    AGE_COLUMN,
  ],
  selectableFields: [".spec.nodeName", ".status.phase"],
  spec,
  status,
  rules: [
    {
      cel: "!has(oldSelf.status) || has(self.status)",
      message: "must not be removed: it says what has been done to the node",
      field: ["status"],
    },
    {
      cel: "!has(self.status) || !has(self.status.proof) || (self.status.proof.type != 'Rebooted') == (self.status.proof.bootID == self.spec.bootID)",
      message:
        "must hold spec.bootID with any type but Rebooted (it is that incarnation that is over), and another boot ID with type Rebooted (it has been replaced)",
      holds: ({ spec, status }) =>
        status?.proof === undefined ||
        (status.proof.type !== "Rebooted") === (status.proof.bootID === spec.bootID),
      field: ["status", "proof", "bootID"],
    },
  ],
});

/** A NodeFencing as the API server returns it. */
export type NodeFencing = z.output<typeof nodeFencing.stored>;
