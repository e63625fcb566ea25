// `fence NODE`: asks the operator to fence a node that is lost, after saying what that means for which VMs.
import { API_VERSION } from "../../api/kind.ts";
import { defaultPolicy } from "../../config.ts";
import { decide } from "../../decide/decide.ts";
import { derivedName } from "../../decide/text.ts";
import { topologiesByNode } from "../../decide/topologies.ts";
import { protectionOf } from "../../decide/turn.ts";
import type { NodeFact } from "../../model/node.ts";
import type { NodeVerdict } from "../../model/node-verdict.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { compareNames, openFencing } from "../cluster-status.ts";
import type { CommandContext, Look } from "../command-context.ts";
import type { Command } from "../command.ts";
import { unconfirmed } from "../confirmation.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { create, failureText, ownPath } from "../objects.ts";
import { counted, table } from "../terminal.ts";
import { whoami } from "../whoami.ts";

export const fence: Command = {
  name: "fence",
  summary: "Have a node fenced that Holdfast would not fence by itself, or not yet.",
  about: [
    "Writes a NodeFencing (reason Requested) for the node as it is now: its UID and boot ID. The operator takes it from there, as with a node that it lost itself: it tries the levels of the FencingTopology in charge until the power is read back as off, and only then releases the VMs, the most important first.",
    "Before that it shows which VMs are on the node and what becomes of each, and asks you to type the node's name.",
    "A node that is heard may run its guests: cordon it to have it emptied by live migration. To have its power cut all the same, with its guests in the middle of their work, say --alive, too; the operator then does it if another node is healthy and no storm or disarm holds it.",
  ],
  args: [{ name: "NODE", help: "Name of the node.", completes: () => "nodes" }],
  flags: [
    { name: "reason", value: "TEXT", help: "Why, for the record." },
    { name: "alive", help: "The node is heard, and is to be fenced all the same." },
    { name: "yes", short: "y", help: "Confirmed beforehand; for scripts." },
    { name: "dry-run", help: "Show what would happen; write nothing." },
  ],
  examples: [
    ['kubectl holdfast fence worker-3 --reason="power supply smoking"', "after typing its name"],
    ["kubectl holdfast fence worker-3 --dry-run", "what would become of its VMs?"],
    ["kubectl get nodefencings --watch", "follow it"],
  ],
  exits: [
    "0  the NodeFencing was written (or would be, with --dry-run)",
    "4  nothing was changed: not confirmed, the node is heard, cannot be fenced, or is being fenced already",
    "5  there is no such node",
  ],
  run: async (context) => {
    const look = await context.look();
    if (!look.ok) return context.fail(look.message);
    const [name = ""] = context.words;
    const node = look.value.snapshot.nodes.get(name);
    if (node === undefined) return context.fail(`there is no Node ${name}`, EXIT.notFound);
    return fenceNode(context, look.value, node);
  },
};

async function fenceNode(
  context: CommandContext,
  { transport, snapshot, now }: Look,
  node: NodeFact,
): Promise<ExitCode> {
  const verdict = decide(snapshot, defaultPolicy(), now).verdicts.get(node.name);
  const obstacle = whyNot(context, snapshot, node, verdict);
  if (!context.json) context.print(consequences(context, snapshot, node));
  if (obstacle !== undefined) return context.fail(obstacle, EXIT.declined);
  const user = await whoami(transport);
  if (!user.ok) return context.fail(failureText("ask who you are", user));
  const at = new Date(now.wallMs).toISOString();
  const ledger = {
    apiVersion: API_VERSION,
    kind: "NodeFencing",
    metadata: { name: derivedName("nf", node.name, `${node.uid}/${node.bootID ?? ""}/requested/${at}`) },
    spec: {
      nodeName: node.name,
      nodeUID: node.uid,
      bootID: node.bootID,
      topology: topologiesByNode(snapshot).get(node.name)?.name,
      reason: "Requested",
      message: `${context.value("reason") ?? "no reason given"} (asked for by ${user.value})`.slice(0, 1024),
      detectedAt: at,
      lastSeenAt: lastSeen(snapshot, node, at),
    },
  };
  if (context.has("dry-run")) {
    if (context.json) context.printJson(ledger);
    else
      context.print(
        `\nDry run: NodeFencing ${ledger.metadata.name} would be written; nothing was changed.\n`,
      );
    return EXIT.ok;
  }
  const refusal = await unconfirmed(context, node.name, `\nType the node's name to have it fenced:`);
  if (refusal !== undefined) return context.fail(refusal, EXIT.declined);
  const made = await create(transport, ownPath("nodefencings"), ledger);
  if (!made.ok) return context.fail(failureText(`write NodeFencing ${ledger.metadata.name}`, made));
  if (context.json) context.printJson(made.value);
  else
    context.print(
      `NodeFencing ${ledger.metadata.name} written. Follow it: kubectl holdfast explain node ${node.name}\n`,
    );
  return EXIT.ok;
}

function whyNot(
  context: CommandContext,
  snapshot: Snapshot,
  node: NodeFact,
  verdict: NodeVerdict | undefined,
): string | undefined {
  const open = openFencing(snapshot, node.name);
  if (open !== undefined)
    return `${node.name} is being fenced already: NodeFencing ${open.name} is ${open.status.phase}`;
  if (node.bootID === undefined)
    return `${node.name} has never reported a boot ID, so no proof could name what it is about`;
  if (!topologiesByNode(snapshot).has(node.name))
    return `no FencingTopology covers ${node.name}: write one that says how it is fenced`;
  if ((verdict?.kind === "healthy" || verdict?.kind === "returning") && !context.has("alive"))
    return `${node.name} is heard (${verdict.kind}), so its guests may be running: kubectl cordon ${node.name} empties it by live migration; --alive has it fenced all the same`;
  return undefined;
}

/** What the loss of the node's power means for every VM on it, the most important first. */
function consequences({ paint }: CommandContext, snapshot: Snapshot, node: NodeFact): string {
  const keys = [...(snapshot.index.vmisByNode.get(node.name) ?? [])];
  const head = `Fencing ${paint("strong", node.name)} cuts its power, and with it every guest that may still run there.\n`;
  if (keys.length === 0) return `${head}No VM is on it.\n`;
  const rows = keys
    .map((key) => ({ key, protection: protectionOf(snapshot, key) }))
    .sort(
      (a, b) => (b.protection?.priority ?? -1) - (a.protection?.priority ?? -1) || compareNames(a.key, b.key),
    )
    .map(({ key, protection }) => {
      const standing = protection?.status.conditions.find(({ type }) => type === "Protected");
      const fate = standing?.message ?? "nobody has promised anything for it: it stays down";
      return [key, String(protection?.priority ?? "-"), fate];
    });
  return `${head}${counted(keys.length, "VM")} on it, in the order in which they would be released:\n\n${table(paint, ["VM", "priority", "what becomes of it"], rows)}`;
}

function lastSeen(snapshot: Snapshot, node: NodeFact, fallback: string): string {
  const ms = Date.parse(snapshot.leases.get(node.name)?.renewal.value ?? "");
  return Number.isNaN(ms) ? fallback : new Date(ms).toISOString();
}
