// `status`: the cluster at a glance, once or for as long as somebody watches.
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import { FROM_FLAG } from "../flag.ts";
import type { Outcome } from "../cli-world.ts";
import { type ClusterStatus, clusterStatus, type NodeStatus } from "../cluster-status.ts";
import { readDisarms } from "../disarm.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { readOperatorLease } from "../operator-lease.ts";
import { type Cell, counted, table, type Tone } from "../terminal.ts";

const DEFAULT_INTERVAL_MS = 5_000;
/** VMs listed without --all. */
const MAX_LISTED = 20;
const CLEAR = "\u001b[H\u001b[2J\u001b[3J";

export const status: Command = {
  name: "status",
  summary: "The cluster at a glance: operator, nodes, VMs that need attention.",
  about: [
    "Shows whether an operator leads, how each node is judged (by the operator's own rules, from the signs of life that the API server shows now), whether its loss could be proven, which fencings are open, and which VMs are down, recovering, not protected, or have broken their promise.",
    "It only reads. A node's verdict is lost, for instance, when its kubelet's Lease is far behind those of the others; the operator itself also asks for witnesses over time, so it may be slower to agree.",
  ],
  args: [],
  flags: [
    FROM_FLAG,
    { name: "watch", short: "w", help: "Show it again whenever it changes, until Ctrl-C." },
    { name: "interval", value: "DURATION", help: "How often --watch looks. Default: 5s." },
    { name: "all", help: `List every troubled VM; else the first ${MAX_LISTED}.` },
  ],
  examples: [
    ["kubectl holdfast status", "what is going on"],
    ["kubectl holdfast status --watch", "and keep an eye on it"],
    ["kubectl holdfast status -o json | jq -r '.troubled[].vm'", "names of the VMs that need attention"],
  ],
  exits: [
    "0  an operator leads, every node is healthy, every promise holds, nothing is disarmed",
    "3  something needs attention",
  ],
  run: async (context) => (context.has("watch") ? watch(context) : once(context)),
};

async function once(context: CommandContext): Promise<ExitCode> {
  const read = await readStatus(context);
  if (!read.ok) return context.fail(read.message);
  if (context.json) context.printJson(read.value);
  else context.print(render(context, read.value));
  return read.value.attention ? EXIT.attention : EXIT.ok;
}

async function watch(context: CommandContext): Promise<ExitCode> {
  const { world } = context;
  let shown = "";
  let code: ExitCode = EXIT.ok;
  while (!world.interrupted.aborted) {
    const read = await readStatus(context);
    if (world.interrupted.aborted) break;
    const text = read.ok
      ? context.json
        ? `${JSON.stringify(read.value)}\n`
        : render(context, read.value)
      : `${context.paint("bad", "error:")} ${read.message}\n`;
    code = read.ok ? (read.value.attention ? EXIT.attention : EXIT.ok) : EXIT.failed;
    const told = read.ok ? text.replace(read.value.at, "") : text;
    if (told !== shown) context.print(world.terminal.isTerminal && !context.json ? CLEAR + text : text);
    shown = told;
    await world.pause(context.durationMs("interval") ?? DEFAULT_INTERVAL_MS);
  }
  return code;
}

async function readStatus(context: CommandContext): Promise<Outcome<ClusterStatus>> {
  const look = await context.look();
  if (!look.ok) return look;
  const { transport, server, snapshot, now } = look.value;
  const operator = await readOperatorLease(transport, context.holdfastNamespace, snapshot);
  const disarms = await readDisarms(transport, now.wallMs);
  if (!disarms.ok) return { ok: false, message: `cannot list FencingDisarms: ${disarms.message}` };
  return { ok: true, value: clusterStatus(look.value, { server, operator, disarms: disarms.value }) };
}

function render(context: CommandContext, seen: ClusterStatus): string {
  const { paint } = context;
  const { operator } = seen;
  const head: string[] = [
    `${paint("strong", seen.server)}   ${paint("dim", seen.at)}\n\n`,
    `Operator   ${paint(operator.state === "leading" ? "good" : "bad", operator.message)}\n`,
    `Nodes      ${nodeCounts(seen)}\n`,
    `VMs        ${vmCounts(seen)}\n`,
    ...seen.disarms.map((disarm) => {
      const where = disarm.nodeSelector === undefined ? "every node" : "some nodes";
      const who = disarm.requestedBy === undefined ? "" : ` by ${disarm.requestedBy}`;
      return `${paint("warn", `DISARMED   ${where} until ${disarm.until}${who}: ${disarm.reason}`)}\n`;
    }),
  ];
  const nodes = table(
    paint,
    ["node", "verdict", "fenced by", "VMs", "protected", "note"],
    seen.nodes.map((node) => nodeRow(node)),
  );
  return `${head.join("")}\n${nodes}${troubledTable(context, seen)}${unreadableNote(context, seen)}`;
}

function nodeCounts({ nodes }: ClusterStatus): string {
  const kinds = Map.groupBy(nodes, ({ verdict }) => verdict);
  return [...kinds].map(([verdict, of]) => `${of.length} ${verdict}`).join(", ") || "none";
}

function vmCounts({ vms }: ClusterStatus): string {
  const { total, withoutPromise, well, ...rest } = vms;
  const parts = Object.entries(rest).flatMap(([state, count]) => (count === 0 ? [] : [`${count} ${state}`]));
  return `${total} in all: ${[`${well} well`, ...parts, `${withoutPromise} without a promise`].join(", ")}`;
}

const VERDICT_TONES: Readonly<Record<string, Tone>> = { healthy: "good", lost: "bad", isolated: "bad" };

function nodeRow(node: NodeStatus): readonly Cell[] {
  const notes = [
    ...(node.cordoned ? ["cordoned"] : []),
    ...(node.fencing === undefined ? [] : [`${node.fencing.name} ${node.fencing.phase}`]),
    ...node.notes,
  ];
  return [
    node.name,
    { text: node.verdict, tone: VERDICT_TONES[node.verdict] ?? "warn" },
    node.fencingTopology ?? { text: "nobody", tone: "warn" },
    String(node.vms),
    String(node.protectedVMs),
    notes.join("; "),
  ];
}

const STATE_TONES: Readonly<Record<string, Tone>> = {
  blocked: "bad",
  down: "bad",
  violated: "bad",
  moving: "dim",
};

function troubledTable(context: CommandContext, { troubled }: ClusterStatus): string {
  if (troubled.length === 0) return `\n${context.paint("good", "Every promise holds.")}\n`;
  const shown = context.has("all") ? troubled : troubled.slice(0, MAX_LISTED);
  const rows = shown.map(({ vm, state, node, why }): readonly Cell[] => [
    vm,
    { text: state, tone: STATE_TONES[state] ?? "warn" },
    node ?? "-",
    why,
  ]);
  const more = troubled.length - shown.length;
  const rest = more > 0 ? `… and ${counted(more, "VM")} more: --all lists them\n` : "";
  return `\n${table(context.paint, ["VM", "state", "node", "why"], rows)}${rest}`;
}

function unreadableNote(context: CommandContext, { unreadable }: ClusterStatus): string {
  if (unreadable.length === 0) return "";
  const head = context.paint("warn", `${counted(unreadable.length, "object")} could not be read:`);
  return `\n${head}\n${unreadable.map((line) => `  ${line}\n`).join("")}`;
}
