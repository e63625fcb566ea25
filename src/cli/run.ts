// Finds the command that the words mean, checks its words and flags, and runs it.
import { parseDurationMs } from "../api/duration.ts";
import { type Given, parseArguments } from "./arguments.ts";
import type { CliWorld } from "./cli-world.ts";
import { CommandContext } from "./command-context.ts";
import { type Command, flagsOf } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { candidates } from "./completion.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { commandHelp, overview } from "./help.ts";
import { painter } from "./terminal.ts";

const FORMATS: readonly string[] = ["json", "text"];
/** What shells and kubectl call for completion; see cobra's ShellCompDirectiveNoFileComp. */
const COMPLETE = "__complete";
const NO_FILES = ":4";

/** Runs one command line to its end. Never throws for what a person or a cluster can cause. */
export async function runCli(world: CliWorld): Promise<ExitCode> {
  const [first, ...rest] = world.argv;
  const page = { paint: painter(world.terminal, world.environment), columns: world.terminal.columns };
  if (first === COMPLETE) {
    const found = await candidates(world, rest);
    world.write(`${[...found, NO_FILES].join("\n")}\n`);
    return EXIT.ok;
  }
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    const about = COMMANDS.find(({ name }) => first === "help" && name === rest[0]);
    world.write(about === undefined ? overview(COMMANDS, page) : commandHelp(about, page));
    return EXIT.ok;
  }
  const command = COMMANDS.find(({ name }) => name === first);
  if (command === undefined) {
    world.complain(`error: ${first} is no command; kubectl holdfast --help lists them\n`);
    return EXIT.usage;
  }
  const { given, problems } = parseArguments(rest, flagsOf(command));
  if (given.switches.has("help")) {
    world.write(commandHelp(command, page));
    return EXIT.ok;
  }
  const all = [...problems, ...wordProblems(command, given), ...valueProblems(command, given)];
  if (all.length > 0) {
    world.complain(
      `${all.map((problem) => `error: ${problem}\n`).join("")}See kubectl holdfast ${command.name} --help\n`,
    );
    return EXIT.usage;
  }
  const context = new CommandContext(world, given, given.words);
  try {
    return await command.run(context);
  } finally {
    await context.close();
  }
}

function wordProblems(command: Command, { words }: Given): readonly string[] {
  const needed = command.args.filter(({ optional }) => optional !== true);
  const missing = needed.slice(words.length).map(({ name, help }) => `${name} is missing: ${help}`);
  const endless = command.args.at(-1)?.name.endsWith("...") === true;
  const extra = endless ? [] : words.slice(command.args.length);
  return [...missing, ...extra.map((word) => `"${word}" is one word too many`)];
}

function valueProblems(command: Command, { values }: Given): readonly string[] {
  const problems: string[] = [];
  for (const flag of flagsOf(command)) {
    for (const value of values.get(flag.name) ?? []) {
      if (flag.value === "DURATION" && parseDurationMs(value) === undefined)
        problems.push(`--${flag.name}: found ${value}; allowed: a duration, such as 30s, 5m or 1h30m`);
      if ((flag.value === "FILE" || flag.value === "NODE") && value.trim() === "")
        problems.push(`--${flag.name} needs a value: --${flag.name}=${flag.value}`);
      const formats = Array.isArray(flag.completes) ? flag.completes : FORMATS;
      if (flag.value === "FORMAT" && !formats.includes(value))
        problems.push(`--${flag.name}: found ${value}; allowed: ${formats.join(", ")}`);
    }
  }
  return problems;
}
