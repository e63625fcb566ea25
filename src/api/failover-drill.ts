// FailoverDrill: a failover on purpose, measured. What is promised and asked for; how it went is failover-drill-status.ts.
import { z } from "zod";
import { DRILL_TYPES, MAX_DRILL_PROBES, MAX_DRILL_RUNS } from "../model/drill.ts";
import { UDP_RATES } from "../model/service-probe.ts";
import { startOfDayTime, timeZone, weekdays } from "./availability.ts";
import { duration } from "./duration.ts";
import { failoverDrillStatus } from "./failover-drill-status.ts";
import { defineKind } from "./kind.ts";
import { keyedList } from "./list.ts";
import { withRule } from "./rule.ts";
import { count, labelName, matching, objectName, text } from "./scalar.ts";

const MAX_REASON_LENGTH = 1_024;
const MAX_REQUESTED_BY_LENGTH = 256;
const MAX_PATH_LENGTH = 1_024;
const MAX_PORT = 65_535;
/** A gigabyte; the file of the experiment that drills repeat had 600 MB. */
const MAX_TRANSFER_BYTES = 1_000_000_000;
/** Longest VM name: KubeVirt makes it the guest's host name and a label's value. */
const MAX_VM_NAME_LENGTH = 63;

const IMMUTABLE = {
  cel: "self == oldSelf",
  message: "is immutable: its results are about one thing; make another FailoverDrill for another",
};

/** Settings that only some types of probe have. */
const PROBE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  UDP: ["packetsPerSecond"],
  TCP: [],
  HTTP: ["path"],
  Transfer: ["path", "bytes"],
};
const allowedFor = (field: string): readonly string[] =>
  Object.keys(PROBE_FIELDS).filter((type) => PROBE_FIELDS[type]?.includes(field));

const probe = ["packetsPerSecond", "path", "bytes"].reduce(
  (schema, field) =>
    withRule(schema, {
      cel: `!has(self.${field}) || self.type in [${allowedFor(field)
        .map((type) => `'${type}'`)
        .join(", ")}]`,
      message: `must be left out: only type ${allowedFor(field).join(" and ")} has ${field}`,
      holds: (one: Readonly<Record<string, unknown>>) =>
        one[field] === undefined || allowedFor(field).includes(String(one["type"])),
      field: [field],
    }),
  z.object({
    name: labelName().meta({ description: "Name under which its results stand." }),
    type: z.enum(["UDP", "TCP", "HTTP", "Transfer"]).meta({
      description:
        "UDP: numbered packets, which the guest is to send back unchanged. TCP: a connection opened and closed, ten times a second. HTTP: a GET ten times a second, answered by any status below 500. Transfer: bytes received over HTTP, taken up again where a connection broke.",
    }),
    port: withRule(count(MAX_PORT), {
      cel: "self >= 1",
      message: "must be a port from 1 to 65535",
      holds: (port) => port >= 1,
    }).meta({ description: "Port at the VM's address. From 1 to 65535." }),
    packetsPerSecond: withRule(count(1_000), {
      cel: `self in [${UDP_RATES.join(", ")}]`,
      message: `must be one of ${UDP_RATES.join(", ")}`,
      holds: (rate) => (UDP_RATES as readonly number[]).includes(rate),
    })
      .meta({ description: "With type UDP: 10, 100 or 1000. Left out: 100." })
      .exactOptional(),
    path: matching(/^\/[!-~]*$/, {
      maxLength: MAX_PATH_LENGTH,
      message: "must be a path like /healthz: it begins with / and has no spaces",
    })
      .meta({ description: "With type HTTP or Transfer: what is asked for. Left out: /." })
      .exactOptional(),
    bytes: withRule(count(MAX_TRANSFER_BYTES), {
      cel: "self >= 1",
      message: `must be from 1 to ${MAX_TRANSFER_BYTES}`,
      holds: (bytes) => bytes >= 1,
    })
      .meta({ description: "With type Transfer: how much is received. Left out: 100000000." })
      .exactOptional(),
  }),
);

const schedule = z.object({
  days: weekdays().meta({
    description: "Days of the week, at least one: Mon, Tue, Wed, Thu, Fri, Sat, Sun.",
  }),
  at: startOfDayTime().meta({ description: "Local time at which a series begins, like 03:30." }),
  timeZone: timeZone
    .default("UTC")
    .meta({ description: "IANA time zone of that time, like Europe/Bucharest." }),
});

const promise = z.object({
  recoveryTime: duration({ min: "1ms", max: "2h" })
    .meta({
      description:
        "The RTO: longest time after which a VM must be up, and its service answer, again. No single outage of a run may be longer.",
    })
    .exactOptional(),
  outageBudget: duration({ min: "1ms", max: "2h" })
    .meta({ description: "Time without the service that one run may cost, all its outages together." })
    .exactOptional(),
});

const fields = z.object({
  type: withRule(z.enum(DRILL_TYPES), IMMUTABLE).meta({
    description:
      "What is done. LiveMigration: a VM is live-migrated. NodeEvacuation: a node is cordoned, emptied, and uncordoned. NodeLoss: a node is fenced for real, by its FencingTopology, with the VMs on it; every one of them must allow that (label holdfast.dev/node-loss-drills: allowed, on its HAVirtualMachine or its namespace). Cannot be changed afterwards.",
  }),
  virtualMachine: withRule(
    z.object({
      namespace: labelName().meta({ description: "Its namespace." }),
      name: objectName(MAX_VM_NAME_LENGTH).meta({ description: "Its name." }),
    }),
    IMMUTABLE,
  )
    .meta({
      description: "With type LiveMigration: the VirtualMachine. It must have an HAVirtualMachine.",
    })
    .exactOptional(),
  nodeName: withRule(objectName(), IMMUTABLE)
    .meta({ description: "With type NodeEvacuation or NodeLoss: the node." })
    .exactOptional(),
  runs: withRule(count(MAX_DRILL_RUNS), {
    cel: "self >= 1",
    message: `must be from 1 to ${MAX_DRILL_RUNS}`,
    holds: (runs) => runs >= 1,
  })
    .default(1)
    .meta({ description: `How often it is done in a series. From 1 to ${MAX_DRILL_RUNS}.` }),
  interval: duration({ min: "1s", max: "24h" }).default("30s").meta({
    description:
      "From the beginning of one run to that of the next, at least: a run begins once the one before is over and nothing stands in its way. From 1s to 24h.",
  }),
  schedule: schedule
    .meta({
      description: "When a series begins, every week. Left out: one series, at once, and no other.",
    })
    .exactOptional(),
  suspend: z.boolean().default(false).meta({
    description: "Begin no further run. One that is under way ends as it would, and the series with it.",
  }),
  startTimeout: duration({ min: "0s", max: "24h" }).default("1m").meta({
    description:
      "How long a run that is due may wait for what stands in its way; after that it is refused, and the series is over. From 0s to 24h.",
  }),
  runTimeout: duration({ min: "10s", max: "2h" }).default("10m").meta({
    description: "How long a run may take before it has failed. From 10s to 2h.",
  }),
  promise: promise
    .meta({
      description:
        "What every run must keep to pass. Left out: that the VMs come back, and their services answer again.",
    })
    .exactOptional(),
  probes: keyedList(probe, { keys: ["name"], max: MAX_DRILL_PROBES })
    .meta({
      description:
        "How the VMs are asked whether they are there while a run goes, from the operator's pod, at the address in their VirtualMachineInstance. Of a node's VMs the ten most important are asked. Left out: outages are those of the VMs' accounts.",
    })
    .exactOptional(),
  reason: text(MAX_REASON_LENGTH).meta({ description: "Why, for people." }).exactOptional(),
  requestedBy: text(MAX_REQUESTED_BY_LENGTH).meta({ description: "Who asked for it." }).exactOptional(),
});

const spec = [
  {
    cel: "has(self.virtualMachine) == (self.type == 'LiveMigration')",
    message: "must be given with type LiveMigration, and with no other",
    holds: (one: z.output<typeof fields>) =>
      (one.virtualMachine !== undefined) === (one.type === "LiveMigration"),
    field: ["virtualMachine"],
  },
  {
    cel: "has(self.nodeName) == (self.type != 'LiveMigration')",
    message: "must be given with type NodeEvacuation or NodeLoss, and with no other",
    holds: (one: z.output<typeof fields>) => (one.nodeName !== undefined) === (one.type !== "LiveMigration"),
    field: ["nodeName"],
  },
]
  .reduce((schema, rule) => withRule(schema, rule), fields)
  .meta({ description: "What is disturbed, how often, and what must hold meanwhile." });

export const failoverDrill = defineKind({
  kind: "FailoverDrill",
  plural: "failoverdrills",
  singular: "failoverdrill",
  shortNames: ["drill", "drills"],
  scope: "Cluster",
  description:
    "FailoverDrill is a failover on purpose, measured: a VM is live-migrated, or a node emptied or fenced for real, as often as asked, while the VMs are asked whether they are there. Its status says how long they were away, with mean and confidence interval, and whether the promise was kept. It is refused, with the reason, whenever the cluster could not bear it.",
  columns: [
    { name: "Type", type: "string", jsonPath: ".spec.type", description: "What is done." },
    { name: "Phase", type: "string", jsonPath: ".status.phase", description: "How it stands, or ended." },
    {
      name: "Run",
      type: "integer",
      jsonPath: ".status.runs[-1:].number",
      description: "Number of the last run that has ended.",
    },
    { name: "Of", type: "integer", jsonPath: ".spec.runs", description: "How many runs make a series." },
    {
      name: "Outage ms",
      type: "integer",
      jsonPath: ".status.statistics[0].longestOutageMs",
      description: "Longest outage by the first measure.",
    },
    {
      name: "Last passed",
      type: "date",
      jsonPath: ".status.lastPassedAt",
      description: "When a series last passed.",
    },
    {
      name: "Next",
      type: "string",
      jsonPath: ".status.nextRunAt",
      description: "When the next run is due.",
      wide: true,
    },
    { name: "VM", type: "string", jsonPath: ".spec.virtualMachine.name", description: "The VM.", wide: true },
    { name: "Node", type: "string", jsonPath: ".spec.nodeName", description: "The node.", wide: true },
    { name: "Message", type: "string", jsonPath: ".status.message", description: "Why.", wide: true },
    {
      name: "Age",
      type: "date",
      jsonPath: ".metadata.creationTimestamp",
      description: "Time since it was created.",
    },
  ],
  selectableFields: [".spec.type", ".status.phase"],
  spec,
  status: failoverDrillStatus,
});

/** A FailoverDrill as the API server returns it, defaults filled in. */
export type FailoverDrill = z.output<typeof failoverDrill.stored>;
