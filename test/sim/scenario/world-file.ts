// world.yaml: what a scenario's cluster is made of. Knows the file and the plan it becomes, and nothing of what happens.
import { z } from "zod";
import { readConfig } from "../../../src/config.ts";
import { haVirtualMachine } from "../../../src/api/ha-virtual-machine.ts";
import type { ReplicaPlan, VMPlan, WorldPlan } from "../world/world-plan.ts";
import { durationMs, labels, name } from "./values.ts";

/** Namespace of VMs that say none. */
export const DEFAULT_NAMESPACE = "vms";
const DEFAULT_ROOM = 20;
const DEFAULT_REPLICAS = [{ name: "replica-1" }, { name: "replica-2" }];

const node = z.strictObject({
  name,
  labels: labels.exactOptional(),
  room: z.int().min(0).default(DEFAULT_ROOM),
  outlets: z.int().min(1).max(4).exactOptional(),
  bmc: z.strictObject({ behind: name.exactOptional(), isNamed: z.boolean().exactOptional() }).exactOptional(),
});

export const vmSchema = z
  .strictObject({
    name,
    namespace: name.default(DEFAULT_NAMESPACE),
    on: name.exactOptional(),
    runStrategy: z.enum(["Always", "RerunOnFailure", "Manual", "Halted", "Once"]).default("Always"),
    disk: z.enum(["none", "rwx", "rwo"]).default("rwx"),
    evictionStrategy: z
      .enum(["LiveMigrate", "LiveMigrateIfPossible", "None", "External"])
      .default("LiveMigrate"),
    nodeSelector: labels.exactOptional(),
    labels: labels.exactOptional(),
    affinity: z.record(z.string(), z.unknown()).exactOptional(),
    isProtected: z.boolean().default(true),
    promise: z.record(z.string(), z.unknown()).exactOptional(),
  })
  .superRefine((vm, context) => {
    if (vm.promise === undefined) return;
    if (!vm.isProtected)
      context.addIssue({
        code: "custom",
        path: ["promise"],
        message: "a VM that nobody protects has no promise",
      });
    const manifest = {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "HAVirtualMachine",
      metadata: { namespace: vm.namespace, name: vm.name },
      spec: { virtualMachineName: vm.name, ...vm.promise },
    };
    const parsed = haVirtualMachine.manifest.safeParse(manifest);
    for (const { path, message } of parsed.error?.issues ?? [])
      context.addIssue({ code: "custom", path: ["promise", ...path.slice(1)], message });
    for (const field of parsed.success ? dropped(manifest.spec, parsed.data.spec) : [])
      context.addIssue({
        code: "custom",
        path: ["promise"],
        message: `HAVirtualMachine has no spec.${field}`,
      });
  })
  .transform(
    ({ isProtected, promise, ...vm }): VMPlan => (isProtected ? { ...vm, promise: promise ?? {} } : vm),
  );

/** Fields that the schema drops without a word, as the API server would. */
function dropped(written: unknown, kept: unknown): string[] {
  if (typeof written !== "object" || written === null) return [];
  const keptFields = (kept ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(written).flatMap(([field, value]) =>
    field in keptFields ? dropped(value, keptFields[field]).map((inner) => `${field}.${inner}`) : [field],
  );
}

const replica = z.strictObject({
  name,
  on: name.exactOptional(),
  clock: z
    .strictObject({
      rate: z.number().min(0.9).max(1.1).default(1),
      ahead: durationMs.default(0),
      behind: durationMs.default(0),
    })
    .exactOptional(),
});

const limits = {
  timeout: z.string().default("30s"),
  retries: z.int().min(0).default(2),
  backoff: z.string().default("5s"),
};
const afterFencing = z.enum(["PowerOn", "StayOff"]).default("PowerOn");
const topology = z.strictObject({
  afterFencing,
  ...limits,
  levels: z
    .array(z.strictObject({ method: z.enum(["bmc", "outlets", "remediation", "networkFence"]), ...limits }))
    .min(1)
    .max(5)
    .exactOptional(),
});
const otherTopology = z.strictObject({
  name,
  precedence: z.int().min(0).default(0),
  nodeLabels: labels.default({}),
  afterFencing,
});

/** The operator's settings by their flags' names, read by the operator's own reader. */
const settings = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
  .default({})
  .transform((flags, context) => {
    const argv = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const outcome = readConfig({
      argv: ["--kubeconfig=unused", ...argv],
      environment: {},
      readFile: () => undefined,
      hostname: "scenario",
      homeDirectory: "/",
      randomSuffix: "scenario",
    });
    if (outcome.kind === "config") return outcome.config;
    const problems = outcome.kind === "invalid" ? outcome.problems : ["help is no setting"];
    for (const message of problems) context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

/** The whole of world.yaml. */
export const worldFile = z.strictObject({
  nodes: z.array(node).min(1).max(100),
  vms: z.array(vmSchema).max(200),
  replicas: z.array(replica).min(1).max(5).default(DEFAULT_REPLICAS),
  settings,
  topology: topology.default({ afterFencing: "PowerOn", timeout: "30s", retries: 2, backoff: "5s" }),
  otherTopologies: z.array(otherTopology).max(5).default([]),
  /** Networks on which nodes are probed directly; none unless said. */
  probes: z
    .array(z.enum(["InternalIP", "vmNetwork"]))
    .min(1)
    .exactOptional(),
  /** NodeHealthCheck is there, too, and remediates a node that has not been Ready for so long. */
  nodeHealthCheckAfter: durationMs.exactOptional(),
});

export type WorldFile = z.output<typeof worldFile>;

/** What stands before anything happens. */
export function worldPlanOf(world: WorldFile): Omit<WorldPlan, "events" | "healAtMs"> {
  const { nodes, vms, topology, otherTopologies, probes, nodeHealthCheckAfter } = world;
  const { policy, readiness } = world.settings;
  return {
    nodes,
    vms,
    topology,
    otherTopologies,
    policy,
    readiness,
    replicas: world.replicas.map(replicaPlanOf),
    ...(probes === undefined ? {} : { probes }),
    ...(nodeHealthCheckAfter === undefined ? {} : { healthCheckAfterMs: nodeHealthCheckAfter }),
  };
}

function replicaPlanOf({ name, on, clock }: WorldFile["replicas"][number]): ReplicaPlan {
  const wallOffsetMs = (clock?.ahead ?? 0) - (clock?.behind ?? 0);
  return {
    name,
    skew: { rate: clock?.rate ?? 1, monotonicOffsetMs: 0, wallOffsetMs },
    ...(on === undefined ? {} : { on }),
  };
}
