// `confirm-off NODE`: a person's word that a node is off, where no device could be made to say so.
import { defaultPolicy } from "../../config.ts";
import { decide } from "../../decide/decide.ts";
import type { ApiTransport } from "../../kube/transport.ts";
import { CONFIRM_OFF_ANNOTATION, CONFIRM_OFF_BY_ANNOTATION } from "../../model/confirmation.ts";
import type { FencingFact } from "../../model/fencing.ts";
import { openFencing } from "../cluster-status.ts";
import type { CommandContext } from "../command-context.ts";
import type { Command } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { FIELD_MANAGER, failureText, ownPath } from "../objects.ts";
import { whoami } from "../whoami.ts";

export const confirmOff: Command = {
  name: "confirm-off",
  summary: "Give your word that a lost node is off, where no fence device could prove it.",
  about: [
    "Tells the operator that you have made sure yourself that the node is without power: you pulled the plug, or stand before it. It annotates the node's open NodeFencing with the boot ID that you repeat and with your user name as the API server knows it; the operator then takes that as the proof, and releases the node's VMs.",
    "If you are wrong, a guest may run twice, and two guests that write to one disk destroy it. Nothing checks you but yourself: a node that does not answer is not a node that is off.",
    "The boot ID must be repeated so that the word cannot be about another life of the node. Only an open NodeFencing can be confirmed; a node that is heard is refused.",
  ],
  args: [{ name: "NODE", help: "Name of the node.", completes: () => "nodes" }],
  flags: [
    { name: "boot-id", value: "ID", help: "The boot ID, in place of typing it when asked." },
    { name: "dry-run", help: "Say what would be written; write nothing." },
  ],
  examples: [
    ["kubectl holdfast confirm-off worker-3", "shows the ledger, then asks for the boot ID"],
    [
      "kubectl holdfast confirm-off worker-3 --boot-id=0e5f8a8c-2c53-4a44-8a0f-0a4c3f3b7d10",
      "without being asked",
    ],
  ],
  exits: [
    "0  your word is on record",
    "4  nothing was changed: the boot ID is another, no fencing is open, it is proven already, or the node is heard",
    "5  there is no open NodeFencing for the node",
  ],
  run: async (context) => {
    const look = await context.look();
    if (!look.ok) return context.fail(look.message);
    const { transport, snapshot, now } = look.value;
    const [name = ""] = context.words;
    const fencing = openFencing(snapshot, name);
    if (fencing === undefined)
      return context.fail(`no NodeFencing is open for ${name}: there is nothing to confirm`, EXIT.notFound);
    if (fencing.status.proof !== undefined)
      return context.fail(`${fencing.name} is proven already: ${fencing.status.proof.detail}`, EXIT.declined);
    const verdict = decide(snapshot, defaultPolicy(), now).verdicts.get(name);
    if (verdict?.kind === "healthy")
      return context.fail(`${name} is heard by the API server at this moment: it is not off`, EXIT.declined);
    return confirm(context, transport, fencing);
  },
};

async function confirm(
  context: CommandContext,
  transport: ApiTransport,
  fencing: FencingFact,
): Promise<ExitCode> {
  const user = await whoami(transport);
  if (!user.ok) return context.fail(failureText("ask who you are", user));
  const typed = context.value("boot-id") ?? (await askBootID(context, fencing, user.value));
  if (typed === undefined)
    return context.fail("nobody is there to ask: say --boot-id=ID if you mean it", EXIT.declined);
  if (typed.trim() !== fencing.bootID) {
    return context.fail(
      `found boot ID "${typed.trim()}", but ${fencing.name} is about ${fencing.bootID}: nothing was changed`,
      EXIT.declined,
    );
  }
  if (context.has("dry-run")) {
    context.print(
      `Dry run: ${fencing.name} would carry ${CONFIRM_OFF_ANNOTATION}=${fencing.bootID} by ${user.value}.\n`,
    );
    return EXIT.ok;
  }
  const written = await transport.request<object>({
    method: "PATCH",
    path: ownPath("nodefencings", { name: fencing.name }),
    query: { fieldManager: FIELD_MANAGER },
    contentType: "application/merge-patch+json",
    body: {
      metadata: {
        // The ledger that was shown, and no later one of the same name.
        uid: fencing.uid,
        annotations: { [CONFIRM_OFF_ANNOTATION]: fencing.bootID, [CONFIRM_OFF_BY_ANNOTATION]: user.value },
      },
    },
  });
  if (!written.ok) return context.fail(failureText(`annotate ${fencing.name}`, written));
  if (context.json) context.printJson(written.value);
  else
    context.print(
      `On record in ${fencing.name}: ${user.value} says that ${fencing.nodeName} (boot ${fencing.bootID}) is off.\n`,
    );
  return EXIT.ok;
}

async function askBootID(
  context: CommandContext,
  fencing: FencingFact,
  user: string,
): Promise<string | undefined> {
  const { paint } = context;
  context.print(
    [
      `${fencing.name} could not yet prove ${paint("strong", fencing.nodeName)} off${fencing.status.message === undefined ? "" : `: ${fencing.status.message}`}\n`,
      `The boot to be confirmed is ${fencing.bootID}, last seen ${fencing.lastSeenAt}.\n`,
      paint("bad", "If the node still runs, its guests will run twice and their disks will be destroyed.\n"),
    ].join(""),
  );
  return context.world.ask(`${user}, type the boot ID if you have made sure yourself that it has no power: `);
}
