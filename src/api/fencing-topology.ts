// FencingTopology: how the nodes it covers are fenced, level by level, and with which credentials.
import { z } from "zod";
import { AGE_COLUMN, conditionColumn } from "./columns.ts";
import { conditions } from "./conditions.ts";
import { fencingLevel } from "./fencing-level.ts";
import { defineKind } from "./kind.ts";
import { labelSelector } from "./label-selector.ts";
import { keyedList } from "./list.ts";
import { count } from "./scalar.ts";

const MAX_LEVELS = 8;

const spec = z
  .object({
    precedence: z.int().min(0).max(1_000).default(0).meta({
      description:
        "Which topology counts where several select one node: the one with the higher precedence, then the one whose name comes first. From 0 to 1000.",
    }),
    nodeSelector: labelSelector().meta({
      description: "The nodes that are fenced this way, by their labels. {}: all.",
    }),
    afterFencing: z.enum(["PowerOn", "StayOff"]).default("PowerOn").meta({
      description:
        "What becomes of the node once its VMs are released. PowerOn: it is switched on again, and trusted anew when it comes up healthy. StayOff: it waits for a person.",
    }),
    levels: keyedList(fencingLevel, { keys: ["name"], min: 1, max: MAX_LEVELS }).meta({
      description:
        "The ways to fence a node, tried in this order until one of them proves that the node is off. From 1 to 8.",
    }),
  })
  .meta({ description: "Which nodes are fenced, and how." });

const status = z
  .object({
    observedGeneration: count()
      .meta({ description: "The metadata.generation that this status was written for." })
      .exactOptional(),
    coveredNodes: count()
      .meta({ description: "How many nodes would be fenced by this topology." })
      .exactOptional(),
    readyNodes: count()
      .meta({
        description:
          "How many of them every level could fence now, by the last checks. Left out while the first checks go on.",
      })
      .exactOptional(),
    conditions: conditions(["Accepted", "Ready"]).exactOptional(),
  })
  .meta({ description: "What the topology has come to. Written by Holdfast." });

export const fencingTopology = defineKind({
  kind: "FencingTopology",
  plural: "fencingtopologies",
  singular: "fencingtopology",
  shortNames: ["ftopo"],
  scope: "Cluster",
  description:
    "FencingTopology says how a lost node is fenced. Without a topology that covers a VM's node the VM cannot be failed over: nobody could prove that it no longer runs there.",
  columns: [
    {
      name: "Nodes",
      type: "integer",
      jsonPath: ".status.coveredNodes",
      description: "Nodes fenced by this topology.",
    },
    {
      // kubectl shows the first result of a path only, and cannot count: so the first level, under its true name.
      name: "First level",
      type: "string",
      jsonPath: ".spec.levels[0].name",
      description: "The level that is tried first.",
    },
    conditionColumn("Ready", "Whether every level could fence every node now, by the last checks."),
    conditionColumn("Accepted"),
    AGE_COLUMN,
  ],
  spec,
  status,
});

/** A FencingTopology as the API server returns it, defaults filled in. */
export type FencingTopology = z.output<typeof fencingTopology.stored>;
