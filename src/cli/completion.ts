// What may come next on a command line: commands, flags, words, or names read from the cluster. Silent where it cannot know.
import type { CliWorld } from "./cli-world.ts";
import { parseArguments } from "./arguments.ts";
import { CommandContext } from "./command-context.ts";
import { type Command, flagsOf } from "./command.ts";
import type { Completes } from "./flag.ts";
import { COMMANDS } from "./commands.ts";
import { listAll } from "./objects.ts";

/** A shell waits for this; slower clusters complete nothing. */
const LOOKUP_TIMEOUT = "2s";

/** Candidates for the last of `words`, each maybe with a tab and a description. */
export async function candidates(world: CliWorld, words: readonly string[]): Promise<readonly string[]> {
  const current = words.at(-1) ?? "";
  const [name, ...before] = words.slice(0, -1);
  const command = COMMANDS.find((one) => one.name === name);
  if (name === undefined)
    return startingWith(
      COMMANDS.map((one) => `${one.name}\t${one.summary}`),
      current,
    );
  if (command === undefined) return [];
  const flags = flagsOf(command);
  const last = before.at(-1) ?? "";
  const awaiting = flags.find(
    (flag) => flag.value !== undefined && (last === `--${flag.name}` || last === `-${flag.short ?? ""}`),
  );
  if (awaiting !== undefined)
    return offer(world, command, { before, current, completes: awaiting.completes });
  const assigned = /^(--[a-z-]+=)(.*)$/.exec(current);
  if (assigned !== null) {
    const [, prefix = "", typed = ""] = assigned;
    const completes = flags.find((flag) => `--${flag.name}=` === prefix)?.completes;
    const found = await offer(world, command, { before, current: typed, completes });
    return found.map((word) => prefix + word);
  }
  if (current.startsWith("-"))
    return startingWith(
      flags.map((flag) => `--${flag.name}${flag.value === undefined ? "" : "="}\t${flag.help}`),
      current,
    );
  const { given } = parseArguments(before, flags);
  const argument = command.args[Math.min(given.words.length, command.args.length - 1)];
  return offer(world, command, { before, current, completes: argument?.completes?.(given.words) });
}

interface Wanted {
  readonly before: readonly string[];
  readonly current: string;
  readonly completes: Completes | undefined;
}

async function offer(world: CliWorld, command: Command, wanted: Wanted): Promise<readonly string[]> {
  const { completes, current, before } = wanted;
  if (completes === undefined || completes === "contexts") return [];
  if (typeof completes !== "string") return startingWith(completes, current);
  const { given } = parseArguments(before, flagsOf(command));
  const values = new Map([...given.values, ["request-timeout", [LOOKUP_TIMEOUT]]]);
  const context = new CommandContext(world, { ...given, values }, given.words);
  try {
    return startingWith(await namesOf(context, completes), current);
  } finally {
    await context.close();
  }
}

async function namesOf(
  context: CommandContext,
  what: "nodes" | "vms" | "namespaces",
): Promise<readonly string[]> {
  const connection = context.connect();
  if (!connection.ok) return [];
  const namespace = encodeURIComponent(context.namespaceOf(connection.value));
  const paths = {
    nodes: "/api/v1/nodes",
    namespaces: "/api/v1/namespaces",
    vms: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines`,
  };
  const listed = await listAll<{ readonly metadata?: { readonly name?: string } }>(
    connection.value.transport,
    paths[what],
  );
  return listed.ok ? listed.value.flatMap(({ metadata }) => metadata?.name ?? []) : [];
}

function startingWith(words: readonly string[], typed: string): readonly string[] {
  return words.filter((word) => word.startsWith(typed));
}
