// `disarm` and `arm`: stay the operator's hand for planned work on the network or the power, and let it go again.
import { API_VERSION } from "../../api/kind.ts";
import type { ApiTransport } from "../../kube/transport.ts";
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import { DISARMS, readDisarms } from "../disarm.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { create, failureText, ownPath } from "../objects.ts";
import { parseSelector } from "../selector-text.ts";
import { counted } from "../terminal.ts";
import { whoami } from "../whoami.ts";

export const disarm: Command = {
  name: "disarm",
  summary: "Fence nothing for a while: planned work on the network, the power, or the BMCs.",
  about: [
    "Writes a FencingDisarm: until it runs out, no node (or none that -l selects) is powered off. The operator goes on watching, judging and reporting, and still live-migrates VMs off cordoned nodes.",
    "A disarm always ends by itself; --for is how long it may last. While it stands, the VMs of a node that is really lost stay down. `kubectl holdfast arm` ends it early.",
  ],
  args: [],
  flags: [
    { name: "for", value: "DURATION", help: "How long, such as 30m or 2h. Required." },
    { name: "reason", value: "TEXT", help: "Why; shown in status, alerts and the record. Required." },
    { name: "selector", short: "l", value: "LABELS", help: "Only nodes with these labels; else every node." },
    { name: "dry-run", help: "Show what would be written; write nothing." },
  ],
  examples: [
    [
      'kubectl holdfast disarm --for=2h --reason="switch firmware, rack b"',
      "nothing is fenced for two hours",
    ],
    ['kubectl holdfast disarm --for=30m --reason="PDU swap" -l rack=b', "only the nodes of that rack"],
    ["kubectl holdfast arm", "the work is done"],
  ],
  run: async (context) => {
    const forMs = context.durationMs("for");
    const reason = context.value("reason")?.trim() ?? "";
    if (forMs === undefined || forMs === 0 || reason === "")
      return context.fail(
        "disarm needs --for=DURATION and --reason=TEXT: it must end, and say why",
        EXIT.usage,
      );
    const selector = parseSelector(context.value("selector") ?? "");
    if (!selector.ok) return context.fail(selector.message, EXIT.usage);
    const connection = context.connect();
    if (!connection.ok) return context.fail(connection.message);
    const { transport } = connection.value;
    const user = await whoami(transport);
    if (!user.ok) return context.fail(failureText("ask who you are", user));
    const nowMs = context.world.clock.now().wallMs;
    const until = new Date(nowMs + forMs).toISOString();
    const object = {
      apiVersion: API_VERSION,
      kind: "FencingDisarm",
      metadata: { name: `by-hand-${new Date(nowMs).toISOString().toLowerCase().replaceAll(/[:.]/g, "-")}` },
      spec: {
        reason,
        until,
        requestedBy: user.value,
        ...(context.value("selector") === undefined ? {} : { nodeSelector: selector.value }),
      },
    };
    if (context.has("dry-run")) {
      context.printJson(object);
      return EXIT.ok;
    }
    const made = await create(transport, ownPath(DISARMS), object);
    if (!made.ok) return context.fail(disarmFailure("write a FencingDisarm", made));
    if (context.json) context.printJson(made.value);
    else context.print(`Disarmed until ${until}. Arm again: kubectl holdfast arm ${object.metadata.name}\n`);
    return EXIT.ok;
  },
};

export const arm: Command = {
  name: "arm",
  summary: "End disarms early: lost nodes are fenced again.",
  about: [
    "Deletes the FencingDisarm named, or all that are in force. A node that is lost at that moment is then fenced at once.",
  ],
  args: [{ name: "NAME", help: "Name of the FencingDisarm; left out: all of them.", optional: true }],
  flags: [{ name: "dry-run", help: "Name what would be deleted; delete nothing." }],
  examples: [
    ["kubectl holdfast arm", "fence again"],
    ["kubectl holdfast arm --dry-run", "is anything disarmed?"],
  ],
  exits: ["0  armed", "5  there is no such FencingDisarm"],
  run: async (context) => {
    const connection = context.connect();
    if (!connection.ok) return context.fail(connection.message);
    const { transport } = connection.value;
    const read = await readDisarms(transport, context.world.clock.now().wallMs);
    if (!read.ok) return context.fail(disarmFailure("list FencingDisarms", read));
    const [only] = context.words;
    const chosen = read.value.filter(({ name }) => only === undefined || name === only);
    if (chosen.length === 0 && only !== undefined)
      return context.fail(`there is no FencingDisarm ${only} in force`, EXIT.notFound);
    return end(
      context,
      transport,
      chosen.map(({ name }) => name),
    );
  },
};

async function end(
  context: CommandContext,
  transport: ApiTransport,
  names: readonly string[],
): Promise<ExitCode> {
  for (const name of context.has("dry-run") ? [] : names) {
    const gone = await transport.request({ method: "DELETE", path: ownPath(DISARMS, { name }) });
    if (!gone.ok && gone.kind !== "notFound")
      return context.fail(disarmFailure(`delete FencingDisarm ${name}`, gone));
  }
  if (context.json) context.printJson({ ended: names, dryRun: context.has("dry-run") });
  else if (names.length === 0) context.print("Nothing is disarmed.\n");
  else
    context.print(
      `${context.has("dry-run") ? "Dry run: would end" : "Ended"} ${counted(names.length, "disarm")}: ${names.join(", ")}\n`,
    );
  return EXIT.ok;
}

function disarmFailure(what: string, failure: Parameters<typeof failureText>[1]): string {
  const text = failureText(what, failure);
  return failure.kind === "notFound"
    ? `${text} (this cluster's Holdfast does not know FencingDisarm: apply its crds/)`
    : text;
}
