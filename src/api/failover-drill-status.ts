// The status of a FailoverDrill: the run under way, what came of those before, and what they amount to.
import { z } from "zod";
import { DRILL_PHASES, MAX_DRILL_PROBES, MAX_DRILL_RUNS, MAX_DRILLED_VMS } from "../model/drill.ts";
import { conditions } from "./conditions.ts";
import { atomicList } from "./list.ts";
import { withRule } from "./rule.ts";
import { count, identifier, labelName, objectName, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const MAX_MESSAGE_LENGTH = 4_096;
const MAX_REASON_LENGTH = 128;
/** Epochs are a Lease's transitions, which Kubernetes counts in 32 bits. */
const MAX_EPOCH = 2 ** 31 - 1;
/** More than any run lasts; an interval may reach as far below 0 as above. */
const MAX_MS = 1_000_000_000_000;
/** Every probe, and the VM's own account. */
const MAX_MEASURES = MAX_DRILL_PROBES + 1;

const ms = (description: string) => count(MAX_MS).meta({ description });
const signedMs = (description: string) =>
  z.int().min(-MAX_MS).max(MAX_MS).meta({ description }).exactOptional();

const run = z.object({
  number: count(MAX_DRILL_RUNS).meta({ description: "Number of the run in its series, from 1." }),
  step: z.enum(["Starting", "Acting", "Settling"]).meta({
    description:
      "Starting: intended, nothing has been done yet. Acting: it is being done. Settling: it is done, and what follows is watched.",
  }),
  startedAt: timestamp().meta({ description: "When it was intended." }),
  actedAt: timestamp()
    .meta({ description: "When the disturbance began; written before it." })
    .exactOptional(),
  settledAt: timestamp().meta({ description: "When all VMs were up elsewhere." }).exactOptional(),
  node: objectName().meta({ description: "The node that the VMs are to leave." }),
  nodeUID: identifier().meta({ description: "UID of that Node object." }),
  bootID: identifier().meta({ description: "Boot ID of the node as the run began." }),
  effect: objectName()
    .meta({ description: "Name of the live migration, or of the NodeFencing, that does it." })
    .exactOptional(),
  virtualMachines: atomicList(
    z.object({
      namespace: labelName().meta({ description: "Namespace of the VM." }),
      name: objectName().meta({ description: "Name of the VM." }),
      vmiUID: identifier().meta({ description: "UID of its VirtualMachineInstance as the run began." }),
    }),
    { max: MAX_DRILLED_VMS },
  ).meta({ description: "The VMs that it disturbs, the most important first." }),
});

const measure = z.object({
  name: labelName().meta({
    description: "Name of the probe, or virtual-machine: by the VM's own account of its outages.",
  }),
  sent: count().meta({ description: "Questions asked." }),
  lost: count().meta({ description: "Questions that nobody answered: lost packets, with UDP." }),
  skipped: count().meta({ description: "Questions that Holdfast did not get to ask in time." }),
  outageMs: ms("Milliseconds without the service after the disturbance, all outages together."),
  longestOutageMs: ms("The longest of them."),
  convergenceMs: ms(
    "From the disturbance until nothing was lost any more and latency was as before; left out where that was not seen.",
  ).exactOptional(),
  answeredBefore: z.boolean().meta({ description: "Whether the service answered before the disturbance." }),
  restored: z.boolean().meta({ description: "Whether it answered at the end." }),
});

const result = z.object({
  number: count(MAX_DRILL_RUNS).meta({ description: "Number of the run in its series, from 1." }),
  startedAt: timestamp().meta({ description: "When it began." }),
  endedAt: timestamp().meta({ description: "When it ended." }),
  outcome: z
    .enum(["Passed", "Failed", "Inconclusive", "Refused", "Interrupted"])
    .meta({ description: "How it ended; see phase." }),
  reason: text(MAX_REASON_LENGTH).meta({
    description: "Why, as one word in CamelCase; docs/reasons.md explains each.",
  }),
  message: text(MAX_MESSAGE_LENGTH).meta({ description: "Why, for people, with the numbers." }),
  node: objectName().meta({ description: "The node that the VMs left." }).exactOptional(),
  virtualMachines: count().meta({ description: "How many VMs it disturbed." }),
  measures: atomicList(measure, { max: MAX_MEASURES }).meta({
    description: "What was measured; of several VMs the worst of each figure, and packets added up.",
  }),
});

const mean = (description: string) =>
  z
    .object({
      meanMs: ms("The mean, in milliseconds."),
      standardDeviationMs: ms("Of the sample; left out for a single run.").exactOptional(),
      lowMs: signedMs("Lower end of the 95 percent confidence interval of the mean, by Student's t."),
      highMs: signedMs("Its upper end."),
    })
    .meta({ description });

const statistics = z.object({
  name: labelName().meta({ description: "Name of the measure." }),
  runs: count().meta({ description: "How many runs it is made of." }),
  sent: count().meta({ description: "Questions asked in all of them." }),
  lost: count().meta({ description: "Questions lost in all of them." }),
  outage: mean("The outage of a run."),
  longestOutageMs: ms("The longest single outage."),
  convergence: mean("From the disturbance to the stable state.").exactOptional(),
  converged: count().meta({ description: "In how many runs the stable state was seen." }),
});

/** The status of a FailoverDrill. */
export const failoverDrillStatus = withRule(
  z.object({
    observedGeneration: count()
      .meta({ description: "The metadata.generation that this status was written for." })
      .exactOptional(),
    epoch: count(MAX_EPOCH).meta({
      description:
        "Epoch of the leader that wrote this last. It never decreases: a leader that was replaced is refused.",
    }),
    phase: z.enum(DRILL_PHASES).meta({
      description:
        "How it stands, or how the last series ended. Pending: a run is waited for. Running: one is under way. Passed: every run kept the promise. Failed: one did not. Inconclusive: nothing broke the promise, yet not every run can be relied on. Refused: something stood in the way; nothing was done. Interrupted: somebody or something came between, or the leader changed in the middle.",
    }),
    message: text(MAX_MESSAGE_LENGTH).meta({ description: "Why, for people." }),
    nextRunAt: timestamp().meta({ description: "When the next run is due." }).exactOptional(),
    run: run.meta({ description: "The run under way." }).exactOptional(),
    runs: atomicList(result, { max: MAX_DRILL_RUNS })
      .meta({ description: `The runs of the last series, at most ${MAX_DRILL_RUNS}.` })
      .exactOptional(),
    statistics: atomicList(statistics, { max: MAX_MEASURES })
      .meta({ description: "What these runs amount to, per measure." })
      .exactOptional(),
    lastEndedAt: timestamp().meta({ description: "When a series last ended." }).exactOptional(),
    lastPassedAt: timestamp()
      .meta({ description: "When one last passed; HoldfastDrillOverdue goes by it." })
      .exactOptional(),
    conditions: conditions(["Progressing", "Passed"]).exactOptional(),
  }),
  {
    cel: "self.epoch >= oldSelf.epoch",
    message: "must not decrease: a leader with a higher epoch has written here, so this one was replaced",
    field: ["epoch"],
  },
).meta({ description: "How it stands and what came of it. Written by Holdfast." });
