// script.yaml: what happens to a scenario's world and when, and what must hold whatever the expectation says.
import { z } from "zod";
import type { Act, ScriptEvent } from "../world/world-plan.ts";
import { durationMs, labels, name, names } from "./values.ts";
import { vmSchema, DEFAULT_NAMESPACE } from "./world-file.ts";

const BMC_FAULTS = [
  "unreachable",
  "slow",
  "deaf",
  "erringButActing",
  "refusing",
  "lateOff",
  "unknownState",
  "saysOffOnce",
  "saysOff",
  "restoresPower",
] as const;
const SAFETY = ["never two", "release needs proof"] as const;
const DEFAULT_DISARM_MS = 3_600_000;

/** Acts on nodes that need nothing but names. */
const NODE_ACTS = [
  "powerCut",
  "hang",
  "cutNodeApi",
  "killKubelet",
  "killVirtHandler",
  "reboot",
  "foreignReboot",
  "powerOn",
  "cordon",
  "drain",
  "deleteNode",
] as const;
/** Acts on replicas that need nothing but a name; `leader` is whoever leads then. */
const REPLICA_ACTS = ["cutReplicaFromBmcs", "freeze", "breakWatches"] as const;
const VM_ACTS = [
  "deleteVM",
  "migrateVM",
  "stopVM",
  "restartVM",
  "deletePod",
  "forceDeletePod",
  "failProbe",
  "pauseVM",
  "startVM",
] as const;

const vmKey = z
  .string()
  .regex(/^[a-z0-9.-]+(\/[a-z0-9.-]+)?$/, "must be NAME or NAMESPACE/NAME")
  .transform((key) => (key.includes("/") ? key : `${DEFAULT_NAMESPACE}/${key}`));

function each<const N extends string, T>(members: readonly N[], make: () => T): { [K in N]: T } {
  return Object.fromEntries(members.map((member) => [member, make()])) as { [K in N]: T };
}

const acts = {
  ...each(NODE_ACTS, () => names.exactOptional()),
  ...each(REPLICA_ACTS, () => name.exactOptional()),
  ...each(VM_ACTS, () => vmKey.exactOptional()),
  bmc: z.strictObject({ node: names, fault: z.enum(BMC_FAULTS) }).exactOptional(),
  cutReplica: z
    .strictObject({ replica: name, way: z.enum(["both", "out", "back"]).default("both") })
    .exactOptional(),
  slowReplica: z.strictObject({ replica: name, delay: durationMs }).exactOptional(),
  staleWatches: z.strictObject({ replica: name, delay: durationMs }).exactOptional(),
  crash: z
    .strictObject({
      replica: name,
      writesLeft: z.int().min(0).default(0),
      when: z.enum(["before", "after"]).default("before"),
    })
    .exactOptional(),
  wallClockJump: z
    .strictObject({ replica: name, ahead: durationMs.default(0), back: durationMs.default(0) })
    .exactOptional(),
  apiServer: z.enum(["refusing", "mute", "erring"]).exactOptional(),
  compact: z.literal(true).exactOptional(),
  notReady: z.strictObject({ node: names, because: z.string().min(1) }).exactOptional(),
  refuseWrites: z
    .strictObject({
      plural: z.string().min(1),
      status: z.literal([403, 429, 507]),
      whose: z.enum(["ours", "everybody"]).exactOptional(),
    })
    .exactOptional(),
  createVM: vmSchema.exactOptional(),
  deleteLeaderLease: z.literal(true).exactOptional(),
  confirmOff: z.strictObject({ node: name, by: z.string() }).exactOptional(),
  requestFencing: z.strictObject({ node: name, by: z.string() }).exactOptional(),
  disarm: z
    .strictObject({
      nodeLabels: labels.exactOptional(),
      until: durationMs.default(DEFAULT_DISARM_MS),
      reason: z.string().min(1),
    })
    .exactOptional(),
};
const ACTS = Object.keys(acts) as (keyof typeof acts)[];

const event = z
  .strictObject({ at: durationMs, for: durationMs.exactOptional(), ...acts })
  .superRefine((written, context) => {
    const said = ACTS.filter((act) => written[act] !== undefined);
    if (said.length !== 1)
      context.addIssue({
        code: "custom",
        message: `must hold exactly one act and holds ${said.length === 0 ? "none" : said.join(", ")}; acts: ${ACTS.join(", ")}`,
      });
  });
type WrittenEvent = z.output<typeof event>;

/** What must hold in every run; no expectation that is recorded anew can change it. */
const must = z.strictObject({
  /** Nodes that were powered off by us, and no others. */
  cutPowerOf: z.array(name).exactOptional(),
  /** Nodes whose fencing was proven, by whatever, and no others. */
  prove: z.array(name).exactOptional(),
  /** Reasons that must have been given for not acting. */
  refuse: z.array(z.string()).exactOptional(),
  /** Conditions that the status of a VM must have had, with their reason. */
  tell: z
    .array(
      z.strictObject({
        vm: z.string(),
        type: z.enum(["Available", "Protected", "Migratable", "Restartable"]),
        reason: z.string(),
      }),
    )
    .exactOptional(),
  /** The node each VM runs on at the end; `nowhere`, or `somewhere`. */
  run: z.record(z.string(), name).exactOptional(),
  /** VMs that were down for not an instant. */
  stayUp: z.array(z.string()).exactOptional(),
  /** The order in which these were released from a lost node. */
  releaseInOrder: z.array(z.string()).exactOptional(),
  /** The order in which these came up again after the first event. */
  comeUpInOrder: z.array(z.string()).exactOptional(),
  /** At the end every VM runs, every node is clean, every ledger closed. */
  beWell: z.literal(true).exactOptional(),
});

/** The whole of script.yaml. */
export const scriptFile = z.strictObject({
  title: z.string().min(1),
  story: z.string().min(1),
  seed: z.int().default(1),
  events: z.array(event).max(200),
  until: durationMs,
  must: must.default({}),
  /** Promises that this disaster breaks by its nature, and why nobody could keep them. */
  concedes: z
    .strictObject({ checks: z.array(z.enum(SAFETY)).min(1), because: z.string().min(1) })
    .exactOptional(),
});

export type ScriptFile = z.output<typeof scriptFile>;

/** The events of a script, one for each node or VM that it names. */
export function scriptEventsOf({ events }: ScriptFile): ScriptEvent[] {
  return events.flatMap((written) =>
    actsOf(written).map((act) => ({
      atMs: written.at,
      ...(written.for === undefined ? {} : { forMs: written.for }),
      act,
    })),
  );
}

function actsOf(written: WrittenEvent): Act[] {
  for (const kind of NODE_ACTS) {
    const nodes = written[kind];
    if (nodes !== undefined) return nodes.map((node) => ({ kind, node }));
  }
  for (const kind of REPLICA_ACTS) {
    const replica = written[kind];
    if (replica !== undefined) return [{ kind, replica }];
  }
  for (const kind of VM_ACTS) {
    const vm = written[kind];
    if (vm !== undefined) return [{ kind, vm }];
  }
  return otherActsOf(written);
}

function otherActsOf(written: WrittenEvent): Act[] {
  const { bmc, slowReplica, staleWatches, wallClockJump, apiServer, createVM, disarm } = written;
  if (written.notReady !== undefined) {
    const { node, because } = written.notReady;
    return node.map((one) => ({ kind: "notReady", node: one, because }));
  }
  if (bmc !== undefined) return bmc.node.map((node) => ({ kind: "bmc", node, fault: bmc.fault }));
  if (slowReplica !== undefined)
    return [{ kind: "slowReplica", replica: slowReplica.replica, delayMs: slowReplica.delay }];
  if (staleWatches !== undefined)
    return [{ kind: "staleWatches", replica: staleWatches.replica, delayMs: staleWatches.delay }];
  if (wallClockJump !== undefined) {
    const { replica, ahead, back } = wallClockJump;
    return [{ kind: "wallClockJump", replica, byMs: ahead - back }];
  }
  if (disarm !== undefined) {
    const { until, nodeLabels, reason } = disarm;
    return [{ kind: "disarm", untilMs: until, reason, ...(nodeLabels === undefined ? {} : { nodeLabels }) }];
  }
  if (apiServer !== undefined) return [{ kind: "apiServer", state: apiServer }];
  if (createVM !== undefined) return [{ kind: "createVM", vm: createVM }];
  if (written.compact !== undefined) return [{ kind: "compact" }];
  if (written.deleteLeaderLease !== undefined) return [{ kind: "deleteLeaderLease" }];
  for (const kind of ["cutReplica", "crash"] as const) {
    const parts = written[kind];
    if (parts !== undefined) return [{ kind, ...parts } as Act];
  }
  for (const kind of ["confirmOff", "requestFencing"] as const) {
    const parts = written[kind];
    if (parts !== undefined) return [{ kind, ...parts }];
  }
  const { refuseWrites } = written;
  return refuseWrites === undefined ? [] : [{ kind: "refuseWrites", ...refuseWrites }];
}
