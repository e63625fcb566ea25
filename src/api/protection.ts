// What may be promised for a VM without naming it: the fields that HAVirtualMachine and HAVirtualMachinePolicy share.
import { z } from "zod";
import { availabilityField } from "./availability.ts";
import { duration } from "./duration.ts";
import { labelPairs } from "./label-selector.ts";

/** Most labels in one of the node selectors below. */
const MAX_NODE_LABELS = 8;

const evacuation = z
  .object({
    strategy: z.enum(["LiveMigrate", "LiveMigrateOrRestart", "None"]).default("LiveMigrate").meta({
      description:
        "What happens to the VM when its node is cordoned or put into maintenance. LiveMigrate: it moves without a break, and stays where it is, with a condition saying why, when it cannot move. LiveMigrateOrRestart: where it cannot be live-migrated it is shut down and started on another node, which is a planned outage. None: nothing; the VM is left to whoever drains the node.",
    }),
    targetSelector: labelPairs(MAX_NODE_LABELS)
      .meta({
        description:
          "Labels that a node must carry to be a target of the migration, on top of what the VM itself asks for. Left out, any node that can host the VM will do.",
      })
      .exactOptional(),
    timeout: duration({ min: "30s", max: "24h" }).default("15m").meta({
      description:
        "How long one migration may take before it is given up and tried again, or the VM restarted where strategy allows that. From 30s to 24h.",
    }),
  })
  .prefault({})
  .meta({
    description: "How the VM leaves a node that is cordoned or put into maintenance while it still works.",
  });

const failover = z
  .object({
    enabled: z.boolean().default(true).meta({
      description:
        "Whether the VM is restarted on another node once its own is lost and proven fenced. With false it waits for its node to come back.",
    }),
    restartOnce: z.boolean().default(false).meta({
      description:
        "Whether a VM with runStrategy Once may be started a second time after the loss of its node. KubeVirt itself never does that, since Once promises a single run; say true only where running again does no harm.",
    }),
    startManual: z.boolean().default(true).meta({
      description:
        "Whether a VM with runStrategy Manual that was running when its node was lost is started again. KubeVirt leaves it stopped.",
    }),
    maxRestarts: z.int().min(1).max(100).default(3).meta({
      description:
        "Most failovers of this VM within restartWindow. One more is refused and reported, since a VM that takes down node after node must not take down the next. From 1 to 100.",
    }),
    restartWindow: duration({ min: "1m", max: "168h" }).default("1h").meta({
      description: "The span in which failovers count against maxRestarts. From 1m to 168h (7 days).",
    }),
  })
  .prefault({})
  .meta({ description: "How the VM comes back after its node is lost." });

const failback = z
  .object({
    policy: z.enum(["Never", "Automatic"]).default("Never").meta({
      description:
        "Whether a VM that was moved by an evacuation or a failover goes back. Never: it stays where it is. Automatic: it is live-migrated home once a home node has been healthy for delay.",
    }),
    delay: duration({ min: "0s", max: "24h" }).default("5m").meta({
      description: "How long a home node must have been healthy before a VM goes back to it. From 0s to 24h.",
    }),
    nodeSelector: labelPairs(MAX_NODE_LABELS)
      .meta({
        description:
          "Labels of the nodes that count as home. Left out, home is the node that the VM was displaced from (status.displacedFrom).",
      })
      .exactOptional(),
  })
  .prefault({})
  .meta({ description: "Whether and when the VM returns to where it was before it had to move." });

/** The shared fields, for a spec or a template to spread into its own. Leaving any of them out means its defaults. */
export const protectionFields = {
  priority: z.int().min(0).max(1_000).default(500).meta({
    description:
      "How important the VM is among all: higher is evacuated first and restarted first. From 0 to 1000. VMs of equal priority go in an order of Holdfast's choosing.",
  }),
  evacuation,
  failover,
  failback,
  availability: availabilityField,
};
