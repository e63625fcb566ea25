// FencingDisarm: no fencing and no failover for some nodes until a set time, for planned work on the network or the power.
import { z } from "zod";
import { AGE_COLUMN, conditionColumn } from "./columns.ts";
import { conditions } from "./conditions.ts";
import { defineKind } from "./kind.ts";
import { labelSelector } from "./label-selector.ts";
import { atomicList } from "./list.ts";
import { count, objectName, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_REASON_LENGTH = 1_024;
const MAX_REQUESTED_BY_LENGTH = 256;
const MAX_HELD_NODES = 1_000;

const spec = z
  .object({
    reason: text(MAX_REASON_LENGTH).min(1).meta({
      description: "Why, for people: shown on every VM and node that is held. From 1 to 1024 characters.",
    }),
    until: timestamp().meta({
      description:
        "When it ends by itself; RFC 3339 in UTC. It may be moved, also once it has passed. It counts as passed when both Holdfast's clock and those of most kubelets that are heard say so.",
    }),
    nodeSelector: labelSelector()
      .meta({ description: "The nodes it is about, by their labels. Left out or {}: all of them." })
      .exactOptional(),
    requestedBy: text(MAX_REQUESTED_BY_LENGTH)
      .min(1)
      .meta({ description: "Who asked for it. At most 256 characters." })
      .exactOptional(),
  })
  .meta({ description: "Which nodes are not fenced, why, and until when." });

const status = z
  .object({
    observedGeneration: count()
      .meta({ description: "The metadata.generation that this status was written for." })
      .exactOptional(),
    selectedNodes: count().meta({ description: "How many nodes it covers." }).exactOptional(),
    heldNodes: atomicList(objectName(), { max: MAX_HELD_NODES })
      .meta({
        description:
          "Nodes that would have been fenced meanwhile and were not, in the order in which that came up; at most 500 are named.",
      })
      .exactOptional(),
    conditions: conditions(["Active"]).exactOptional(),
  })
  .meta({ description: "Whether it is in force, and what it has held. Written by Holdfast." });

export const fencingDisarm = defineKind({
  kind: "FencingDisarm",
  plural: "fencingdisarms",
  singular: "fencingdisarm",
  shortNames: ["fdisarm"],
  scope: "Cluster",
  description:
    "FencingDisarm keeps Holdfast from fencing nodes, and so from failing their VMs over, until a set time: for planned work on the network, the power or the fence devices. Evacuation goes on, and so does the failover of a node that was proven off before. It ends by itself; deleting it ends it at once.",
  columns: [
    conditionColumn("Active"),
    { name: "Until", type: "string", jsonPath: ".spec.until", description: "When it ends by itself." },
    {
      name: "Nodes",
      type: "integer",
      jsonPath: ".status.selectedNodes",
      description: "How many nodes it covers.",
    },
    { name: "Reason", type: "string", jsonPath: ".spec.reason", description: "Why." },
    {
      name: "Held",
      type: "string",
      jsonPath: ".status.heldNodes",
      description: "Nodes that would have been fenced meanwhile.",
      wide: true,
    },
    {
      name: "Requested by",
      type: "string",
      jsonPath: ".spec.requestedBy",
      description: "Who asked for it.",
      wide: true,
    },
    AGE_COLUMN,
  ],
  spec,
  status,
});

/** A FencingDisarm as the API server returns it. */
export type FencingDisarm = z.output<typeof fencingDisarm.stored>;
