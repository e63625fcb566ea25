// What `explain` found, as text: the answer first, the evidence after.
import type { FencingLevel } from "../model/fencing.ts";
import type { Taint } from "../model/node.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { Refusal } from "../model/plan.ts";
import type {
  Condition,
  DisplacedFrom,
  EvacuationRecord,
  FailoverRecord,
  OutageRecord,
} from "../model/protection.ts";
import type { CommandContext } from "./command-context.ts";
import type { EventLine } from "./events.ts";
import { outagePhases, type StoryLine } from "./ledger-story.ts";
import { type Cell, durationText, type Paint, table, type Tone } from "./terminal.ts";

const MAX_EVENTS = 12;

interface VMExplanation {
  readonly vm: string;
  readonly runStrategy: string;
  readonly phase: string | undefined;
  readonly node: string | undefined;
  readonly nodeVerdict: string | undefined;
  readonly promise:
    | {
        readonly name: string;
        readonly madeByPolicy: string | undefined;
        readonly priority: number;
        readonly dependsOn: readonly string[];
      }
    | undefined;
  readonly state: string;
  readonly why: string;
  readonly conditions: readonly Condition[];
  readonly failover: FailoverRecord | undefined;
  readonly evacuation: EvacuationRecord | undefined;
  readonly displacedFrom: DisplacedFrom | undefined;
  readonly outages: readonly OutageRecord[];
  readonly refusals: readonly Refusal[];
  readonly ledger: readonly StoryLine[];
  readonly events: readonly EventLine[];
}

interface NodeExplanation {
  readonly node: string;
  readonly verdict: NodeVerdict | undefined;
  readonly bootID: string | undefined;
  readonly ready: string | undefined;
  readonly cordoned: boolean;
  readonly taints: readonly Taint[];
  readonly topology:
    | {
        readonly name: string;
        readonly afterFencing: string;
        readonly levels: readonly Pick<FencingLevel, "name" | "method">[];
        readonly conditions: readonly Condition[];
      }
    | undefined;
  readonly ledgers: readonly {
    readonly name: string;
    readonly phase: string;
    readonly message: string | undefined;
    readonly story: readonly StoryLine[];
  }[];
  readonly refusals: readonly Refusal[];
  readonly vms: readonly {
    readonly vm: string;
    readonly priority: number | undefined;
    readonly fate: string;
  }[];
  readonly events: readonly EventLine[];
}

/** The page about a VM. */
export function renderVM({ paint }: CommandContext, vm: VMExplanation): string {
  const where = vm.node === undefined ? "on no node" : `on ${vm.node} (${vm.nodeVerdict ?? "unknown"})`;
  const tone: Tone = vm.state === "well" ? "good" : vm.state === "moving" ? "warn" : "bad";
  const promise =
    vm.promise === undefined
      ? `${paint("bad", "none")}: kubectl holdfast protect ${vm.vm.slice(vm.vm.indexOf("/") + 1)} -n ${vm.vm.slice(0, vm.vm.indexOf("/"))}`
      : `HAVirtualMachine ${vm.promise.name}, priority ${vm.promise.priority}${vm.promise.madeByPolicy === undefined ? "" : `, made by policy ${vm.promise.madeByPolicy}`}${vm.promise.dependsOn.length === 0 ? "" : `, after ${vm.promise.dependsOn.join(", ")}`}`;
  return [
    `${paint("strong", vm.vm)}   ${vm.phase ?? "no instance"} ${where}, run strategy ${vm.runStrategy}\n`,
    `State     ${paint(tone, vm.state)}${vm.why === "" ? "" : `: ${vm.why}`}\n`,
    `Promise   ${promise}\n`,
    line(paint, "Failover", vm.failover && `${vm.failover.phase}: ${vm.failover.message}`),
    line(paint, "Moving", vm.evacuation && `${vm.evacuation.phase}: ${vm.evacuation.message}`),
    line(
      paint,
      "Away from",
      vm.displacedFrom &&
        `${vm.displacedFrom.node} since ${vm.displacedFrom.since} (${vm.displacedFrom.cause})`,
    ),
    section(paint, "Refused now", refusalLines(vm.refusals)),
    section(paint, "Conditions", conditionTable(paint, vm.conditions)),
    section(paint, "Ledger of its node's fencing", storyLines(paint, vm.ledger)),
    section(paint, "Last outages", vm.outages.map(outageLine).join("")),
    section(paint, "Events", eventLines(paint, vm.events)),
  ].join("");
}

/** The page about a node. */
export function renderNode({ paint }: CommandContext, node: NodeExplanation): string {
  const kind = node.verdict?.kind ?? "unknown";
  const { topology } = node;
  const levels = topology?.levels.map(({ name, method }) => `${name} (${method})`).join(", then ");
  return [
    `${paint("strong", node.node)}   boot ${node.bootID ?? "never reported"}\n`,
    `Verdict   ${paint(kind === "healthy" ? "good" : "bad", kind)}${signs(node.verdict)}; Ready is ${node.ready ?? "not reported"}\n`,
    topology === undefined
      ? `Fencing   ${paint("bad", "no FencingTopology covers it")}: its loss could not be proven, so its VMs would stay down\n`
      : `Fencing   ${topology.name}: ${levels ?? ""}; afterwards ${topology.afterFencing}\n`,
    node.cordoned ? `Cordoned  ${paint("warn", "yes: Holdfast moves the VMs in its care away")}\n` : "",
    line(paint, "Taints", node.taints.map(({ key, effect }) => `${key}:${effect}`).join(", ")),
    section(paint, "Refused now", refusalLines(node.refusals)),
    section(
      paint,
      `Conditions of ${topology?.name ?? ""}`,
      conditionTable(paint, topology?.conditions ?? []),
    ),
    ...node.ledgers.map((ledger) =>
      section(
        paint,
        `${ledger.name}: ${ledger.phase}${ledger.message === undefined ? "" : `, ${ledger.message}`}`,
        storyLines(paint, ledger.story),
      ),
    ),
    section(
      paint,
      "VMs on it, the most important first",
      node.vms.length === 0
        ? ""
        : table(
            paint,
            ["VM", "priority", "what becomes of it"],
            node.vms.map(({ vm, priority, fate }) => [vm, String(priority ?? "-"), fate]),
          ),
    ),
    section(paint, "Events", eventLines(paint, node.events)),
  ].join("");
}

function line(paint: Paint, label: string, text: string | undefined): string {
  return text === undefined || text === "" ? "" : `${paint("plain", label.padEnd(9))} ${text}\n`;
}

function section(paint: Paint, title: string, body: string): string {
  return body === "" ? "" : `\n${paint("strong", title)}\n${body}`;
}

function signs(verdict: NodeVerdict | undefined): string {
  if (verdict === undefined) return "";
  switch (verdict.kind) {
    case "suspect":
    case "lost":
    case "isolated": {
      const { leaseMs, heartbeatMs } = verdict.silence;
      const age = (ms: number | undefined): string =>
        ms === undefined ? "never heard" : `silent for ${durationText(ms)}`;
      return `: kubelet ${age(leaseMs)}, virt-handler ${age(heartbeatMs)}`;
    }
    case "returning":
      return verdict.missing === "" ? "" : `: waiting for ${verdict.missing}`;
    case "unknown":
      return `: ${verdict.why}`;
    case "healthy":
      return "";
  }
}

function refusalLines(refusals: readonly Refusal[]): string {
  return refusals.map(({ reason, message }) => `  ${reason}: ${message}\n`).join("");
}

function conditionTable(paint: Paint, conditions: readonly Condition[]): string {
  if (conditions.length === 0) return "";
  return table(
    paint,
    ["condition", "status", "reason", "since", "message"],
    conditions.map(({ type, status, reason, lastTransitionTime, message }): readonly Cell[] => [
      type,
      { text: status, tone: status === "True" ? "good" : "warn" },
      reason,
      lastTransitionTime,
      message,
    ]),
  );
}

function storyLines(paint: Paint, story: readonly StoryLine[]): string {
  return story.map(({ at, what }) => `  ${paint("dim", at)}  ${what}\n`).join("");
}

function outageLine(outage: OutageRecord): string {
  const phases = outagePhases(outage);
  const totalMs = phases.reduce((sum, { ms }) => sum + ms, 0);
  const parts = phases.map(({ phase, ms }) => `${phase} ${(ms / 1000).toFixed(1)}`).join(", ");
  return `  ${outage.lastGoodAt}  ${outage.cause} on ${outage.fromNode}, ${outage.toNode === undefined ? "not up again" : `up on ${outage.toNode}`} after ${durationText(totalMs)} (seconds: ${parts})\n`;
}

function eventLines(paint: Paint, events: readonly EventLine[]): string {
  return events
    .slice(-MAX_EVENTS)
    .map(
      ({ at, type, reason, message, about, count }) =>
        `  ${paint("dim", at)}  ${paint(type === "Warning" ? "warn" : "plain", reason)} (${about}${count > 1 ? `, ${count} times` : ""}): ${message}\n`,
    )
    .join("");
}
