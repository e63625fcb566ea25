// What status.availability of an HAVirtualMachine holds: the account of its outages, and what it amounts to.
import { z } from "zod";
import { MAX_DAYS_KEPT, MAX_RECENT_OUTAGES, OUTAGE_CAUSES } from "../model/availability.ts";
import { OUTAGE_PHASES } from "../model/outage-phases.ts";
import { atomicList } from "./list.ts";
import { count, identifier, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_NAME_LENGTH = 253;
const MAX_FIGURE_LENGTH = 32;
/** More than any window holds. */
const MAX_BUDGET_MS = 100_000_000_000;
/** Every cause in every class. */
const MAX_TOTALS = OUTAGE_CAUSES.length * 3;

const cause = () => z.enum(OUTAGE_CAUSES).meta({ description: "Why the VM was not up." });
const kind = () =>
  z.enum(["Unplanned", "Planned", "Unobserved"]).meta({
    description:
      "Unplanned: a failure. Planned: somebody meant it, or it lies in a maintenance window. Unobserved: nobody could tell; neither up nor down.",
  });
const node = () =>
  text(MAX_NAME_LENGTH).meta({ description: "The node that the VM was on." }).exactOptional();

const open = z.object({
  cause: cause(),
  class: kind(),
  since: timestamp().meta({
    description: "The last moment at which the VM was known to be up: where the outage begins.",
  }),
  noticedAt: timestamp().meta({ description: "When it was noticed." }),
  node: node(),
  vmiUID: identifier()
    .meta({ description: "UID of the VirtualMachineInstance that went down." })
    .exactOptional(),
});

const past = z.object({
  cause: cause(),
  class: kind(),
  since: timestamp().meta({ description: "The last moment at which the VM was known to be up." }),
  until: timestamp().meta({ description: "When it was really up again." }),
  node: node(),
});

const times = {
  unplannedMs: count().meta({ description: "Milliseconds down by unplanned outages." }),
  plannedMs: count().meta({ description: "Milliseconds down by planned outages." }),
  unobservedMs: count().meta({ description: "Milliseconds in which nobody could tell." }),
  outages: count().meta({ description: "Unplanned outages that began." }),
  plannedOutages: count().meta({ description: "Planned outages that began." }),
};

const day = z.object({
  day: z
    .string()
    .max(10)
    .meta({ description: "The local date, like 2026-11-22, in the time zone of spec.availability." }),
  ...times,
  service: z
    .object(times)
    .meta({ description: "The same within service hours; left out where they are around the clock." })
    .exactOptional(),
});

const totals = z.object({
  cause: cause(),
  class: kind(),
  outages: count().meta({ description: "How many began." }),
  durationMs: count().meta({ description: "Milliseconds they lasted together." }),
});

const figure = (description: string) => text(MAX_FIGURE_LENGTH).meta({ description });

const figures = z.object({
  asOf: timestamp().meta({
    description:
      "When they were worked out: with each outage, and once a day while there is one in the window.",
  }),
  windowFrom: timestamp().meta({ description: "Where the window begins." }),
  windowTo: timestamp().meta({ description: "Where it ends; the end of today, or of the month." }),
  availability: figure(
    "Percent of the observed service time in which the VM was up: up / (up + down), which is MTBF / (MTBF + MTTR).",
  ).exactOptional(),
  nines: figure("The same in nines: 3.52; inf without an outage.").exactOptional(),
  downtimePerYear: figure("What that availability leaves of a year, like 4h22m.").exactOptional(),
  outages: times.outages,
  plannedOutages: times.plannedOutages,
  unplannedMs: times.unplannedMs,
  plannedMs: times.plannedMs,
  unobservedMs: times.unobservedMs,
  mtbfMs: count().meta({ description: "Mean time between failures, in milliseconds." }).exactOptional(),
  mttrMs: count().meta({ description: "Mean time to repair, in milliseconds." }).exactOptional(),
  mttrPhases: atomicList(
    z.object({
      phase: z.enum(OUTAGE_PHASES).meta({
        description:
          "Of a failover. detect: from the last sign of life until the loss was noticed; fence: until the node was proven off; release: until the old pods were gone; schedule: until the new instance had a node; boot: until its guest was started; ready: until it was Ready.",
      }),
      meanMs: count().meta({ description: "How long it took on average, in milliseconds." }),
      failovers: count().meta({ description: "Over how many failovers." }),
    }),
    { max: OUTAGE_PHASES.length },
  )
    .meta({
      description:
        "Mean time to repair after the loss of a node, phase by phase, over the failovers in status.outages that ended in the window. Left out where there was none.",
    })
    .exactOptional(),
  errorBudgetMs: count()
    .meta({ description: "Milliseconds of downtime that the objective allows in the window." })
    .exactOptional(),
  errorBudgetLeftMs: z
    .int()
    .min(-MAX_BUDGET_MS)
    .max(MAX_BUDGET_MS)
    .meta({ description: "What is left of it; negative where more was lost." })
    .exactOptional(),
  errorBudgetLeft: figure("The same in percent of the budget, like 87%.").exactOptional(),
});

/** The field `status.availability`. */
export const availabilityStatus = z
  .object({
    since: timestamp().meta({ description: "When accounting began." }),
    until: timestamp().meta({
      description:
        "Up to here everything is in days, and what no day holds was up. What came after follows from open and from the times in which Holdfast was not watching.",
    }),
    open: open.meta({ description: "The outage under way, if any." }).exactOptional(),
    recent: atomicList(past, { max: MAX_RECENT_OUTAGES }).meta({
      description: `The last outages of any cause, the newest first; at most ${MAX_RECENT_OUTAGES}. Those by loss of a node are in status.outages with their phases.`,
    }),
    days: atomicList(day, { max: MAX_DAYS_KEPT }).meta({
      description: `Totals of each local day on which the VM was not up all the time; at most ${MAX_DAYS_KEPT}.`,
    }),
    totals: atomicList(totals, { max: MAX_TOTALS }).meta({
      description: "Totals by cause and class since accounting began.",
    }),
    burntMs: count().meta({
      description: "Milliseconds that ended outages have taken from the error budget since accounting began.",
    }),
    figures: figures
      .meta({ description: "What the account amounts to in the window of spec.availability." })
      .exactOptional(),
  })
  .meta({
    description: "How available the VM has been. Programs can rely on it; kubectl holdfast report shows it.",
  });
