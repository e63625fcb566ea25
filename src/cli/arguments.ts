// Takes a command line apart by the flags a command knows. Every mistake is named at once; nothing is guessed.
import type { Flag } from "./flag.ts";

/** What was given: values by flag name, and the words that belong to no flag. */
export interface Given {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly switches: ReadonlySet<string>;
  readonly words: readonly string[];
}

export interface Parsed {
  readonly given: Given;
  readonly problems: readonly string[];
}

/** Reads `--flag=value`, `--flag value`, `-f value`, `-fvalue`, switches, and `--` as the end of flags. */
export function parseArguments(argv: readonly string[], flags: readonly Flag[]): Parsed {
  const values = new Map<string, string[]>();
  const switches = new Set<string>();
  const words: string[] = [];
  const problems: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (word === "--") {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const { flag, attached } = flagOf(word, flags);
    if (flag === undefined) {
      problems.push(`${word.split("=")[0]} is no flag of this command${nearest(word, flags)}`);
      continue;
    }
    if (flag.value === undefined) {
      if (attached === undefined || attached === "true") switches.add(flag.name);
      else if (attached !== "false") problems.push(`--${flag.name} takes no value, found ${attached}`);
      continue;
    }
    const value = attached ?? argv[++i];
    if (value === undefined) problems.push(`--${flag.name} needs a value: --${flag.name}=${flag.value}`);
    else addValue(values, flag, value, problems);
  }
  return { given: { values, switches, words }, problems };
}

function addValue(values: Map<string, string[]>, flag: Flag, value: string, problems: string[]): void {
  const before = values.get(flag.name) ?? [];
  if (before.length > 0 && flag.repeats !== true)
    problems.push(`--${flag.name} was given twice: ${before[0] ?? ""} and ${value}`);
  values.set(flag.name, [...before, value]);
}

function flagOf(
  word: string,
  flags: readonly Flag[],
): { readonly flag: Flag | undefined; readonly attached: string | undefined } {
  if (word.startsWith("--")) {
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    return {
      flag: flags.find((flag) => flag.name === name),
      attached: equals < 0 ? undefined : word.slice(equals + 1),
    };
  }
  const flag = flags.find(({ short }) => short !== undefined && word.startsWith(`-${short}`));
  const rest = word.slice(2);
  return { flag, attached: rest === "" ? undefined : rest.replace(/^=/, "") };
}

/** A flag that the person may have meant: one that begins the same way. */
function nearest(word: string, flags: readonly Flag[]): string {
  const typed = word.replace(/^-+/, "").split("=")[0] ?? "";
  const meant = flags.find(({ name }) => typed.length >= 2 && name.startsWith(typed.slice(0, 3)));
  return meant === undefined ? "" : `; did you mean --${meant.name}?`;
}
