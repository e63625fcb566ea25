// HAVirtualMachine: the promise of availability for one VM. How it stands is ha-virtual-machine-status.ts.
import { z } from "zod";
import { AGE_COLUMN, conditionColumn } from "./columns.ts";
import { duration } from "./duration.ts";
import { HA_VIRTUAL_MACHINE_CONDITIONS, haVirtualMachineStatus } from "./ha-virtual-machine-status.ts";
import { defineKind } from "./kind.ts";
import { keyedList } from "./list.ts";
import { protectionFields } from "./protection.ts";
import { withRule } from "./rule.ts";
import { objectName } from "./scalar.ts";

const MAX_DEPENDENCIES = 16;

/** Longest VM name: KubeVirt makes it the guest's host name and a label's value. */
const MAX_VM_NAME_LENGTH = 63;

/** Those that `kubectl get` does not show: what stands behind them is shown by itself. */
const HIDDEN_CONDITIONS: readonly string[] = ["Accepted", "SLOAtRisk", "SLOViolated"];
const SHOWN_CONDITIONS = HA_VIRTUAL_MACHINE_CONDITIONS.filter((type) => !HIDDEN_CONDITIONS.includes(type));

const dependency = z.object({
  name: objectName().meta({ description: "Name of another HAVirtualMachine in this namespace." }),
  condition: z.enum(["Running", "Ready"]).default("Ready").meta({
    description:
      "What the other VM must have reached first. Running: its guest has been started. Ready: its readiness probe passes, or it runs and has no probe.",
  }),
  timeout: duration({ min: "1s", max: "24h" }).default("5m").meta({
    description:
      "How long to wait for the other VM before this one is restarted all the same: late beats never. From 1s to 24h.",
  }),
});

const spec = z
  .object({
    virtualMachineName: withRule(objectName(MAX_VM_NAME_LENGTH), {
      cel: "self == oldSelf",
      message: "is immutable: make another HAVirtualMachine for another VM",
    }).meta({
      description:
        "Name of the KubeVirt VirtualMachine in this namespace that is kept available. Cannot be changed afterwards.",
    }),
    ...protectionFields,
    dependsOn: keyedList(dependency, { keys: ["name"], max: MAX_DEPENDENCIES })
      .meta({
        description:
          "HAVirtualMachines of this namespace that must be up before this one is restarted after a failover, each named once. It orders restarts only; nothing is stopped because of it.",
      })
      .exactOptional(),
  })
  .meta({ description: "What is promised for the VM." });

export const haVirtualMachine = defineKind({
  kind: "HAVirtualMachine",
  plural: "havirtualmachines",
  singular: "havirtualmachine",
  shortNames: ["havm", "havms"],
  scope: "Namespaced",
  description:
    "HAVirtualMachine keeps one KubeVirt VirtualMachine available: it is live-migrated off a node that is cordoned, and restarted on another node, in order of importance, once its own is lost and proven fenced. Its status says at any time whether the VM is protected, and what would happen if its node died now.",
  columns: [
    {
      name: "VM",
      type: "string",
      jsonPath: ".spec.virtualMachineName",
      description: "The VirtualMachine that is kept available.",
    },
    { name: "Node", type: "string", jsonPath: ".status.node", description: "The node that the VM is on." },
    ...SHOWN_CONDITIONS.map((type) => conditionColumn(type)),
    {
      name: "Priority",
      type: "integer",
      jsonPath: ".spec.priority",
      description: "Higher is evacuated and restarted first.",
    },
    {
      name: "Availability",
      type: "string",
      jsonPath: ".status.availability.figures.availability",
      description: "Percent of the window's service time in which the VM was up.",
    },
    {
      name: "Budget left",
      type: "string",
      jsonPath: ".status.availability.figures.errorBudgetLeft",
      description: "What is left of the error budget.",
    },
    {
      name: "Failover",
      type: "string",
      jsonPath: ".status.failover.phase",
      description: "Phase of the failover under way.",
      wide: true,
    },
    {
      name: "Message",
      type: "string",
      jsonPath: ".status.failover.message",
      description: "What the failover under way waits for.",
      wide: true,
    },
    {
      name: "If node lost",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Restartable")].message',
      description: "What would happen if the VM's node were lost now.",
      wide: true,
    },
    AGE_COLUMN,
  ],
  selectableFields: [".spec.virtualMachineName", ".status.node"],
  spec,
  status: haVirtualMachineStatus,
  rules: [
    {
      cel: "!has(self.spec.dependsOn) || self.spec.dependsOn.all(other, other.name != self.metadata.name)",
      message: "must name other HAVirtualMachines: one cannot wait for itself",
      holds: ({ metadata, spec }) => (spec.dependsOn ?? []).every((other) => other.name !== metadata.name),
      field: ["spec", "dependsOn"],
    },
  ],
});

/** An HAVirtualMachine as the API server returns it, defaults filled in. */
export type HAVirtualMachine = z.output<typeof haVirtualMachine.stored>;
