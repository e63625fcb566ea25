// `drill` and `drills`: have a failover tried on purpose, and see what came of those that were.
import { API_VERSION } from "../../api/kind.ts";
import { failoverDrill } from "../../api/failover-drill.ts";
import type { DrillType } from "../../model/drill.ts";
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import type { Outcome } from "../cli-world.ts";
import { unconfirmed } from "../confirmation.ts";
import { DRILLS, drillText, listText, needsAttention, parseProbe, readDrills } from "../drill.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { create, failureText, ownPath } from "../objects.ts";
import { whoami } from "../whoami.ts";

const TYPES: Readonly<Record<string, DrillType>> = {
  migrate: "LiveMigration",
  evacuate: "NodeEvacuation",
  lose: "NodeLoss",
};

export const drill: Command = {
  name: "drill",
  summary: "Try a failover on purpose, and measure it: migrate a VM, empty a node, or lose one for real.",
  about: [
    "Writes a FailoverDrill. The operator carries it out only while the cluster is at rest and can bear it; else it is refused, with the reason.",
    "`lose` cuts the power of a node with the guests on it, by its FencingTopology, and measures how they come back. Every VM on it must allow that: label its HAVirtualMachine or its namespace holdfast.dev/node-loss-drills=allowed. You are asked to type the node's name.",
    "Probes ask the VMs from the operator's pod, at the address in their VirtualMachineInstance.",
  ],
  args: [
    { name: "KIND", help: "migrate, evacuate or lose.", completes: () => Object.keys(TYPES) },
    {
      name: "TARGET",
      help: "The VM (in the namespace of -n, or as namespace/name), or the node.",
      completes: ([kind]) => (kind === "migrate" ? "vms" : "nodes"),
    },
  ],
  flags: [
    { name: "runs", value: "N", help: "How often. Default: 1." },
    { name: "interval", value: "DURATION", help: "From one run to the next, at least. Default: 30s." },
    { name: "rto", value: "DURATION", help: "It passes if everything is back within this time." },
    { name: "outage-budget", value: "DURATION", help: "It passes if no run costs more than this." },
    {
      name: "probe",
      value: "PROBE",
      help: "udp:PORT[:RATE], tcp:PORT, http:PORT[/PATH] or transfer:PORT[/PATH].",
      repeats: true,
    },
    { name: "reason", value: "TEXT", help: "Why, for the record." },
    { name: "yes", short: "y", help: "Confirmed beforehand; for scripts." },
    { name: "dry-run", help: "Show what would be written; write nothing." },
  ],
  examples: [
    ["kubectl holdfast drill migrate shop/db --runs=10 --rto=1s --probe=udp:7:100", "ten hand-overs"],
    ["kubectl holdfast drill evacuate worker-2", "cordoned, emptied, uncordoned"],
    ["kubectl holdfast drill lose worker-3 --rto=2m --probe=http:80/healthz", "after typing its name"],
    ["kubectl holdfast drills", "what came of them"],
  ],
  exits: ["0  the FailoverDrill was written (or would be)", "4  nothing was changed: not confirmed"],
  run: async (context) => {
    const [kind = "", target = ""] = context.words;
    const type = TYPES[kind];
    if (type === undefined)
      return context.fail(`found "${kind}" where migrate, evacuate or lose is wanted`, EXIT.usage);
    const connection = context.connect();
    if (!connection.ok) return context.fail(connection.message);
    const { transport } = connection.value;
    const user = await whoami(transport);
    if (!user.ok) return context.fail(failureText("ask who you are", user));
    const vm = target.includes("/") ? target : `${context.namespaceOf(connection.value)}/${target}`;
    const object = manifestOf(context, {
      type,
      target: type === "LiveMigration" ? vm : target,
      by: user.value,
    });
    if (!object.ok) return context.fail(object.message, EXIT.usage);
    if (context.has("dry-run")) {
      context.printJson(object.value);
      return EXIT.ok;
    }
    if (type === "NodeLoss") {
      const question = `This cuts the power of ${target} with the guests on it.\nType the node's name to have it lost:`;
      const refusal = await unconfirmed(context, target, question);
      if (refusal !== undefined) return context.fail(refusal, EXIT.declined);
    }
    const { name } = object.value.metadata;
    const made = await create(transport, ownPath(DRILLS), object.value);
    if (!made.ok) return context.fail(drillFailure(`write FailoverDrill ${name}`, made));
    if (context.json) context.printJson(made.value);
    else context.print(`FailoverDrill ${name} written. Follow it: kubectl holdfast drills ${name}\n`);
    return EXIT.ok;
  },
};

interface Wanted {
  readonly type: DrillType;
  readonly target: string;
  readonly by: string;
}

/** The FailoverDrill that the flags ask for; what the API server would refuse of it is refused here, with its words. */
function manifestOf(context: CommandContext, { type, target, by }: Wanted) {
  const [namespace, name] = target.split("/");
  const probes = [];
  for (const text of context.values("probe")) {
    const probe = parseProbe(text);
    if (!probe.ok) return probe;
    probes.push(probe.value);
  }
  const at = new Date(context.world.clock.now().wallMs).toISOString().toLowerCase().replaceAll(/[:.]/g, "-");
  const runs = context.value("runs");
  const promise = {
    ...flag(context, "rto", "recoveryTime"),
    ...flag(context, "outage-budget", "outageBudget"),
  };
  const object = {
    apiVersion: API_VERSION,
    kind: "FailoverDrill",
    metadata: { name: `${(name ?? target).slice(0, 200)}-${at}` },
    spec: {
      type,
      ...(type === "LiveMigration" ? { virtualMachine: { namespace, name } } : { nodeName: target }),
      ...(runs === undefined ? {} : { runs: Number(runs) }),
      ...flag(context, "interval", "interval"),
      ...(Object.keys(promise).length === 0 ? {} : { promise }),
      ...(probes.length === 0 ? {} : { probes }),
      ...flag(context, "reason", "reason"),
      requestedBy: by.slice(0, 256),
    },
  };
  const [issue] = failoverDrill.manifest.safeParse(object).error?.issues ?? [];
  const checked: Outcome<typeof object> =
    issue === undefined
      ? { ok: true, value: object }
      : { ok: false, message: `${issue.path.join(".")}: ${issue.message}` };
  return checked;
}

function flag(context: CommandContext, name: string, field: string): Readonly<Record<string, string>> {
  const value = context.value(name);
  return value === undefined ? {} : { [field]: value };
}

export const drills: Command = {
  name: "drills",
  summary: "What came of drills: each with its last verdict, or one with every run and its statistics.",
  about: [
    "Without a name: every FailoverDrill, whether its last series kept the promise, and when one last did.",
    "With a name: each run by each measure (the VMs' own accounts, and every probe), then mean and deviation, the 95 % confidence interval of the mean, and how long it took until the state was stable.",
  ],
  args: [{ name: "NAME", help: "Name of the FailoverDrill; left out: all of them.", optional: true }],
  flags: [],
  examples: [
    ["kubectl holdfast drills", "all of them"],
    ["kubectl holdfast drills db-migration", "one, with its table"],
    ["kubectl holdfast drills db-migration -o json", "for programs"],
  ],
  exits: [
    "0  shown",
    "3  shown, and a last series failed, was refused, interrupted, or could not be measured",
    "5  there is no such FailoverDrill",
  ],
  run: async (context) => {
    const connection = context.connect();
    if (!connection.ok) return context.fail(connection.message);
    const read = await readDrills(connection.value.transport);
    if (!read.ok) return context.fail(drillFailure("list FailoverDrills", read));
    const [only] = context.words;
    const chosen = read.value.filter(({ metadata }) => only === undefined || metadata.name === only);
    const [first] = chosen;
    if (first === undefined && only !== undefined)
      return context.fail(`there is no FailoverDrill ${only}`, EXIT.notFound);
    if (context.json) context.printJson(only === undefined ? chosen : first);
    else if (first === undefined) context.print("There is no FailoverDrill.\n");
    else
      context.print(only === undefined ? listText(context.paint, chosen) : drillText(context.paint, first));
    return verdictOf(chosen.some(needsAttention));
  },
};

function verdictOf(attention: boolean): ExitCode {
  return attention ? EXIT.attention : EXIT.ok;
}

function drillFailure(what: string, failure: Parameters<typeof failureText>[1]): string {
  const text = failureText(what, failure);
  return failure.kind === "notFound"
    ? `${text} (this cluster's Holdfast does not know FailoverDrill: apply its crds/)`
    : text;
}
