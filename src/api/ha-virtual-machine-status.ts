// The status of an HAVirtualMachine: how the promise stands, what is under way, and what has been.
import { z } from "zod";
import { availabilityStatus } from "./availability-status.ts";
import { conditions } from "./conditions.ts";
import { atomicList } from "./list.ts";
import { count, identifier, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_OUTAGES = 10;
const MAX_CANDIDATES_NAMED = 3;
const MAX_NAME_LENGTH = 253;
/** Messages may quote KubeVirt or the scheduler. */
const MAX_MESSAGE_LENGTH = 4_096;

/** Condition types of an HAVirtualMachine. */
export const HA_VIRTUAL_MACHINE_CONDITIONS = [
  "Accepted",
  "Protected",
  "Available",
  "Restartable",
  "Migratable",
  "SLOAtRisk",
  "SLOViolated",
] as const;

const nodeName = () => text(MAX_NAME_LENGTH);

const failoverStatus = z.object({
  fencing: text(MAX_NAME_LENGTH)
    .meta({
      description:
        "The NodeFencing that this failover goes by. Left out while none could be opened; message says why.",
    })
    .exactOptional(),
  fromNode: nodeName().meta({ description: "The node that was lost." }),
  vmiUID: identifier().meta({
    description: "UID of the VirtualMachineInstance that was lost with the node.",
  }),
  lastGoodAt: timestamp().meta({ description: "When the VM was last known to be up." }),
  lostAt: timestamp().meta({ description: "When the node was judged lost." }),
  provedAt: timestamp().meta({ description: "When the node was proven fenced." }).exactOptional(),
  releasedAt: timestamp()
    .meta({ description: "When the VM was released from the lost node." })
    .exactOptional(),
  phase: z.enum(["Recovering", "Blocked"]).meta({
    description:
      "Recovering: it is under way; how far, the NodeFencing says. Blocked: something must change first, and message says what.",
  }),
  message: text(MAX_MESSAGE_LENGTH).meta({
    description: "What is being waited for, or what is in the way and what would clear it.",
  }),
});

const evacuationStatus = z.object({
  fromNode: nodeName().meta({ description: "The node that is being left." }),
  migration: text(MAX_NAME_LENGTH)
    .meta({ description: "Name of the VirtualMachineInstanceMigration that moves the VM." })
    .exactOptional(),
  attempt: count()
    .meta({ description: "How many migrations have been started for this evacuation." })
    .exactOptional(),
  startedAt: timestamp().meta({ description: "When the evacuation began." }),
  phase: z.enum(["Waiting", "Migrating", "Restarting", "Refused", "Done"]).meta({
    description:
      "How far the evacuation is. Waiting: for a free migration slot, or after a failed attempt. Migrating and Restarting: under way. Refused: it cannot leave, and message says why. Done: it runs on another node.",
  }),
  message: text(MAX_MESSAGE_LENGTH).meta({
    description: "What is being waited for, or why the VM cannot leave and what would change that.",
  }),
});

const displacedFrom = z.object({
  node: nodeName().meta({ description: "The node that the VM was on before it had to move." }),
  cause: z.enum(["Evacuation", "Failover"]).meta({ description: "Why it had to move." }),
  since: timestamp().meta({ description: "When it moved." }),
});

const outage = z.object({
  cause: z.enum(["NodeLost", "Evacuation", "Other"]).meta({
    description:
      "Why the VM was down. NodeLost: its node was lost. Evacuation: it was restarted because it could not be live-migrated. Other: anything else.",
  }),
  fencing: text(MAX_NAME_LENGTH)
    .meta({ description: "The NodeFencing that belongs to it, where there is one." })
    .exactOptional(),
  fromNode: nodeName().meta({ description: "The node the VM was on." }),
  toNode: nodeName().meta({ description: "The node it came up on." }).exactOptional(),
  vmiUID: identifier().meta({ description: "UID of the VirtualMachineInstance that went down." }),
  newVMIUID: identifier()
    .meta({ description: "UID of the VirtualMachineInstance that replaced it." })
    .exactOptional(),
  lastGoodAt: timestamp().meta({
    description: "When the VM was last known to be up: where the outage begins.",
  }),
  lostAt: timestamp().meta({ description: "When the loss was noticed." }),
  provedAt: timestamp().meta({ description: "When the node was proven fenced." }).exactOptional(),
  releasedAt: timestamp()
    .meta({ description: "When the VM was released from its old node." })
    .exactOptional(),
  scheduledAt: timestamp().meta({ description: "When the new instance had a node." }).exactOptional(),
  runningAt: timestamp().meta({ description: "When the new instance's guest was started." }).exactOptional(),
  readyAt: timestamp()
    .meta({ description: "When the new instance was ready: where the outage ends." })
    .exactOptional(),
});

const candidates = z.object({
  count: count().meta({ description: "How many other nodes could host the VM now; 3 stands for 3 or more." }),
  nodes: atomicList(nodeName(), { max: MAX_CANDIDATES_NAMED }).meta({
    description: "Their names where they are fewer than 3, else none.",
  }),
});

/** The status of an HAVirtualMachine. */
export const haVirtualMachineStatus = z
  .object({
    observedGeneration: count()
      .meta({ description: "The metadata.generation that this status was written for." })
      .exactOptional(),
    conditions: conditions(HA_VIRTUAL_MACHINE_CONDITIONS).exactOptional(),
    node: nodeName().meta({ description: "The node that the VM is on." }).exactOptional(),
    vmiUID: identifier()
      .meta({ description: "UID of the VM's current VirtualMachineInstance." })
      .exactOptional(),
    failover: failoverStatus.meta({ description: "The failover under way, if any." }).exactOptional(),
    evacuation: evacuationStatus.meta({ description: "The evacuation under way, if any." }).exactOptional(),
    displacedFrom: displacedFrom
      .meta({ description: "Where the VM was before it had to move; failback looks here." })
      .exactOptional(),
    outages: atomicList(outage, { max: MAX_OUTAGES })
      .meta({ description: "The last outages, with the time of every phase; at most 10." })
      .exactOptional(),
    availability: availabilityStatus.exactOptional(),
    candidates: candidates
      .meta({ description: "Where the VM could be restarted if its node were lost now." })
      .exactOptional(),
  })
  .meta({ description: "How the promise stands. Written by Holdfast." });
