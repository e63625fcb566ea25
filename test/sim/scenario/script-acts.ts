// What may happen in a script, act by act: how each is written, and what the world is told to do then.
import { z } from "zod";
import type { Act } from "../world/world-plan.ts";
import { durationMs, labels, name, names } from "./values.ts";
import { DEFAULT_NAMESPACE, vmSchema } from "./world-file.ts";

const DEVICE_FAULTS = [
  "unreachable",
  "slow",
  "deaf",
  "erringButActing",
  "refusing",
  "denied",
  "lateOff",
  "unknownState",
  "saysOffOnce",
  "saysOff",
  "restoresPower",
] as const;
const DEFAULT_DISARM_MS = 3_600_000;

/** Acts on nodes that need nothing but names. */
const NODE_ACTS = [
  "powerCut",
  "breakDown",
  "hang",
  "killKubelet",
  "killVirtHandler",
  "reboot",
  "foreignReboot",
  "powerOn",
  "cordon",
  "drain",
  "deleteNode",
  "untaint",
  "deleteLedger",
] as const;
/** Acts on replicas that need nothing but a name; `leader` is whoever leads then. */
const REPLICA_ACTS = ["cutReplicaFromBmcs", "freeze", "breakWatches", "repeatWatches"] as const;
const VM_ACTS = [
  "deleteVM",
  "migrateVM",
  "startVM",
  "stopVM",
  "restartVM",
  "deletePod",
  "forceDeletePod",
  "failProbe",
  "pauseVM",
  "editVM",
  "deleteVMI",
  "editPromise",
  "deletePromise",
] as const;
/** Acts that need nothing at all: `true`. */
const BARE_ACTS = ["compact", "deleteLeaderLease", "pauseHealthCheck", "editTopology"] as const;

const vmKey = z
  .string()
  .regex(/^[a-z0-9.-]+(\/[a-z0-9.-]+)?$/, "must be NAME or NAMESPACE/NAME")
  .transform((key) => (key.includes("/") ? key : `${DEFAULT_NAMESPACE}/${key}`));
const way = z.enum(["both", "out", "back"]).default("both");
const person = z.strictObject({ node: name, by: z.string() });

type Acts = readonly Act[];

/** The same for several members, each an optional field of an event. */
function each<const N extends Act["kind"], T extends z.ZodType<Acts>>(
  kinds: readonly N[],
  make: (kind: N) => T,
): { [K in N]: z.ZodExactOptional<T> } {
  return Object.fromEntries(kinds.map((kind) => [kind, z.exactOptional(make(kind))])) as {
    [K in N]: z.ZodExactOptional<T>;
  };
}

const nodeAct = (kind: (typeof NODE_ACTS)[number]) =>
  names.transform((nodes): Acts => nodes.map((node) => ({ kind, node })));

/** The acts by the field that each is in an event; each becomes what the world is told, once for every node it names. */
export const acts = {
  ...each(NODE_ACTS, nodeAct),
  ...each(REPLICA_ACTS, (kind) => name.transform((replica): Acts => [{ kind, replica }])),
  ...each(VM_ACTS, (kind) => vmKey.transform((vm): Acts => [{ kind, vm }])),
  ...each(BARE_ACTS, (kind) => z.literal(true).transform((): Acts => [{ kind }])),
  cutNodeApi: z
    .union([
      names.transform((node) => ({ node, way: "both" as const })),
      z.strictObject({ node: names, way }),
    ])
    .transform((cut): Acts => cut.node.map((node) => ({ kind: "cutNodeApi", node, way: cut.way })))
    .exactOptional(),
  cutPlane: z
    .strictObject({ plane: z.enum(["vmNetwork", "storage", "bmc"]), nodes: names })
    .transform(({ plane, nodes }): Acts => [{ kind: "cutPlane", plane, nodes }])
    .exactOptional(),
  notReady: z
    .strictObject({ node: names, because: z.string().min(1) })
    .transform(({ node, because }): Acts => node.map((one) => ({ kind: "notReady", node: one, because })))
    .exactOptional(),
  bmc: z
    .strictObject({ node: names, fault: z.enum(DEVICE_FAULTS) })
    .transform(({ node, fault }): Acts => node.map((one) => ({ kind: "bmc", node: one, fault })))
    .exactOptional(),
  outlet: z
    .strictObject({ node: names, outlet: z.int().min(0), fault: z.enum(DEVICE_FAULTS) })
    .transform(
      ({ node, outlet, fault }): Acts => node.map((one) => ({ kind: "bmc", node: one, fault, outlet })),
    )
    .exactOptional(),
  remediator: z
    .enum(["down", "slow", "failing", "actsAndFails", "tellsLate"])
    .transform((fault): Acts => [{ kind: "remediator", fault }])
    .exactOptional(),
  storageFencer: z
    .enum(["down", "slow", "failing"])
    .transform((fault): Acts => [{ kind: "storageFencer", fault }])
    .exactOptional(),
  storageClient: z
    .strictObject({ node: name, tellsAddressOf: name })
    .transform(({ node, tellsAddressOf }): Acts => [{ kind: "storageClient", node, tellsAddressOf }])
    .exactOptional(),
  cutReplica: z
    .strictObject({ replica: name, way })
    .transform((cut): Acts => [{ kind: "cutReplica", ...cut }])
    .exactOptional(),
  slowReplica: z
    .strictObject({ replica: name, delay: durationMs })
    .transform(({ replica, delay }): Acts => [{ kind: "slowReplica", replica, delayMs: delay }])
    .exactOptional(),
  staleWatches: z
    .strictObject({ replica: name, delay: durationMs, plural: z.string().exactOptional() })
    .transform(({ delay, ...lag }): Acts => [{ kind: "staleWatches", delayMs: delay, ...lag }])
    .exactOptional(),
  crash: z
    .strictObject({
      replica: name,
      writesLeft: z.int().min(0).default(0),
      when: z.enum(["before", "after"]).default("before"),
    })
    .transform((crash): Acts => [{ kind: "crash", ...crash }])
    .exactOptional(),
  wallClockJump: z
    .strictObject({ replica: name, ahead: durationMs.default(0), back: durationMs.default(0) })
    .transform(({ replica, ahead, back }): Acts => [{ kind: "wallClockJump", replica, byMs: ahead - back }])
    .exactOptional(),
  apiServer: z
    .enum(["refusing", "mute", "erring", "full"])
    .transform((state): Acts => [{ kind: "apiServer", state }])
    .exactOptional(),
  refuseWrites: z
    .strictObject({
      plural: z.string().min(1),
      status: z.literal([403, 429, 507]),
      whose: z.enum(["ours", "everybody"]).exactOptional(),
    })
    .transform((refusal): Acts => [{ kind: "refuseWrites", ...refusal }])
    .exactOptional(),
  quota: z
    .strictObject({ namespace: name })
    .transform(({ namespace }): Acts => [{ kind: "quota", namespace }])
    .exactOptional(),
  createVM: vmSchema.transform((vm): Acts => [{ kind: "createVM", vm }]).exactOptional(),
  confirmOff: person.transform((said): Acts => [{ kind: "confirmOff", ...said }]).exactOptional(),
  requestFencing: person.transform((said): Acts => [{ kind: "requestFencing", ...said }]).exactOptional(),
  disarm: z
    .strictObject({
      nodeLabels: labels.exactOptional(),
      until: durationMs.default(DEFAULT_DISARM_MS),
      reason: z.string().min(1),
    })
    .transform(({ until, ...disarm }): Acts => [{ kind: "disarm", untilMs: until, ...disarm }])
    .exactOptional(),
};
