// What a command of the plugin is: its words on the command line, what --help teaches about it, and what it does.
import type { CommandContext } from "./command-context.ts";
import type { ExitCode } from "./exit-codes.ts";
import { COMMON_FLAGS, type Completes, type Flag } from "./flag.ts";

export interface Argument {
  /** `NODE`, `NAME`. */
  readonly name: string;
  readonly help: string;
  readonly optional?: true;
  /** Depends on the arguments before it. */
  readonly completes?: (before: readonly string[]) => Completes;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Paragraphs: what it does, what it never does, how to read its answer. */
  readonly about: readonly string[];
  readonly args: readonly Argument[];
  readonly flags: readonly Flag[];
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** What the exit codes mean for this command, where it is more than the common table. */
  readonly exits?: readonly string[];
  readonly hidden?: true;
  readonly run: (context: CommandContext) => Promise<ExitCode>;
}

/** All flags of a command: its own, and those of every command that it does not word differently. */
export function flagsOf({ flags }: Command): readonly Flag[] {
  return [...flags, ...COMMON_FLAGS.filter(({ name }) => !flags.some((own) => own.name === name))];
}
