// HAVirtualMachinePolicy: opts VMs in by their labels, so that nobody writes five thousand HAVirtualMachines.
import { z } from "zod";
import { AGE_COLUMN, conditionColumn } from "./columns.ts";
import { conditions } from "./conditions.ts";
import { defineKind } from "./kind.ts";
import { labelSelector } from "./label-selector.ts";
import { protectionFields } from "./protection.ts";
import { count } from "./scalar.ts";

const spec = z
  .object({
    precedence: z.int().min(0).max(1_000).default(0).meta({
      description:
        "Which policy wins where several select one VM: the one with the higher precedence, then the one whose name comes first. From 0 to 1000.",
    }),
    namespaceSelector: labelSelector()
      .meta({
        description:
          "The namespaces that the policy looks into, by their labels. Left out or {}: all of them.",
      })
      .exactOptional(),
    selector: labelSelector().meta({
      description:
        "The VMs that the policy opts in, by the labels of the VirtualMachine (not of its template). {} selects every VM in those namespaces.",
    }),
    template: z.object(protectionFields).prefault({}).meta({
      description:
        "What is promised for each selected VM: the spec of the HAVirtualMachine that Holdfast makes for it. A VM for which somebody wrote an HAVirtualMachine keeps that one.",
    }),
  })
  .meta({ description: "Which VMs are opted in, and with what promise." });

const status = z
  .object({
    observedGeneration: count()
      .meta({ description: "The metadata.generation that this status was written for." })
      .exactOptional(),
    selected: count().meta({ description: "How many VMs the policy selects." }).exactOptional(),
    protectedVMs: count()
      .meta({ description: "How many of them are protected; the HAVirtualMachines of the rest say why not." })
      .exactOptional(),
    conditions: conditions(["Accepted"]).exactOptional(),
  })
  .meta({ description: "What the policy has come to. Written by Holdfast." });

export const haVirtualMachinePolicy = defineKind({
  kind: "HAVirtualMachinePolicy",
  plural: "havirtualmachinepolicies",
  singular: "havirtualmachinepolicy",
  shortNames: ["havmp"],
  scope: "Cluster",
  description:
    "HAVirtualMachinePolicy makes an HAVirtualMachine for every VirtualMachine that its selectors match, in any namespace, now and later.",
  columns: [
    {
      name: "Selected",
      type: "integer",
      jsonPath: ".status.selected",
      description: "VMs that the policy selects.",
    },
    {
      name: "Protected",
      type: "integer",
      jsonPath: ".status.protectedVMs",
      description: "Selected VMs that are protected.",
    },
    conditionColumn("Accepted"),
    AGE_COLUMN,
  ],
  spec,
  status,
});

/** An HAVirtualMachinePolicy as the API server returns it, defaults filled in. */
export type HAVirtualMachinePolicy = z.output<typeof haVirtualMachinePolicy.stored>;
