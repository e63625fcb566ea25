// From arguments and environment to values: flags win over the environment, which wins over defaults. Reports every
// problem at once. Knows how to read; the settings themselves are in the table.
import { formatDuration } from "./duration.ts";
import type { Setting } from "./setting.ts";
import { environmentName, type SettingName, SETTINGS, type SettingValues } from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SettingsRead {
  readonly values: SettingValues;
  /** Empty where all is well; only then are the values to be used. Each names the flag, what was found, what is allowed. */
  readonly problems: readonly string[];
  /** What looks like a mistake and harms nothing. */
  readonly warnings: readonly string[];
}

interface Written {
  readonly text: string;
  /** Where it was found, where that is not the flag itself. */
  readonly from: string;
}

const NAMES = Object.keys(SETTINGS) as SettingName[];

/** Variables that Kubernetes sets in every pod of a namespace that has a Service named `holdfast…`. */
const SERVICE_LINK =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

/** Where the lab finds its binaries; no setting of the operator. */
const FOREIGN_VARIABLES: readonly string[] = ["HOLDFAST_ASSETS"];

/** Reads all settings. `argv` begins after the script's name. */
export function readSettings(argv: readonly string[], environment: Environment): SettingsRead {
  const problems: string[] = [];
  const flags = readFlags(argv, problems);
  const values: Record<string, unknown> = {};
  for (const name of NAMES) {
    const variable = environmentName(name);
    const inherited = environment[variable];
    const written: Written | undefined =
      flags.get(name) ?? (inherited ? { text: inherited, from: ` (${variable})` } : undefined);
    values[name] = valueOf(name, written, problems);
  }
  const complete = values as SettingValues;
  if (problems.length === 0) problems.push(...contradictions(complete));
  return { values: complete, problems, warnings: unknownVariables(environment) };
}

function valueOf(name: SettingName, written: Written | undefined, problems: string[]): unknown {
  const setting: Setting<unknown> = SETTINGS[name];
  if (!written && "value" in setting.default) return setting.default.value;
  const text = written?.text ?? ("text" in setting.default ? setting.default.text : "");
  const parsed = setting.schema.safeParse(text);
  if (parsed.success) return parsed.data;
  problems.push(
    `--${name}: found ${JSON.stringify(text)}${written?.from ?? ""}; allowed: ${setting.allowed}`,
  );
  return undefined;
}

function readFlags(argv: readonly string[], problems: string[]): Map<SettingName, Written> {
  const flags = new Map<SettingName, Written>();
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? "";
    const [, name, text] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    if (name === undefined) {
      problems.push(
        `found ${JSON.stringify(argument)}; allowed: flags only, as --name=value${argument === "true" || argument === "false" ? " (a boolean needs the =)" : ""}`,
      );
      continue;
    }
    if (!isSettingName(name)) {
      problems.push(`--${name}: found a flag that does not exist; ${suggestion(name, NAMES, "--")}`);
      // Its value, if it follows, would only be reported a second time.
      if (text === undefined && argv[index + 1]?.startsWith("--") === false) index += 1;
      continue;
    }
    const setting: Setting<unknown> = SETTINGS[name];
    let value = text;
    if (value === undefined && setting.bare) value = "true";
    if (value === undefined && argv[index + 1]?.startsWith("--") === false) value = argv[++index];
    if (value === undefined) {
      problems.push(`--${name}: found no value; allowed: ${setting.allowed}`);
      continue;
    }
    if (flags.has(name)) problems.push(`--${name}: found twice; allowed: once`);
    flags.set(name, { text: value, from: "" });
  }
  return flags;
}

function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** What is wrong between settings that are right one by one. */
function contradictions(values: SettingValues): string[] {
  const problems: string[] = [];
  const mustBeLonger = (longer: DurationName, shorter: DurationName, factor = 1): void => {
    if (values[longer] > values[shorter] * factor) return;
    const times = factor === 1 ? "" : `${factor} times `;
    problems.push(
      `--${longer}: found ${formatDuration(values[longer])}; allowed: longer than ${times}--${shorter} (${formatDuration(values[shorter])})`,
    );
  };
  mustBeLonger("leader-elect-lease-duration", "leader-elect-renew-deadline");
  mustBeLonger("leader-elect-renew-deadline", "leader-elect-retry-period", RENEW_MARGIN);
  mustBeLonger("node-lost-after", "node-suspect-after");
  return problems;
}

/** A renewal may come a fifth later than its period; the election asserts the same. */
const RENEW_MARGIN = 1.2;

type DurationName =
  | "leader-elect-lease-duration"
  | "leader-elect-renew-deadline"
  | "leader-elect-retry-period"
  | "node-lost-after"
  | "node-suspect-after";

function unknownVariables(environment: Environment): string[] {
  const known = NAMES.map(environmentName);
  return Object.keys(environment)
    .filter((variable) => variable.startsWith("HOLDFAST_"))
    .filter((variable) => !known.includes(variable) && !FOREIGN_VARIABLES.includes(variable))
    .filter((variable) => !SERVICE_LINK.test(variable))
    .map((variable) => `${variable}: no such setting, ignored; ${suggestion(variable, known, "")}`);
}

/** Names the nearest known name where one is near, for a slip of the finger. */
function suggestion(name: string, known: readonly string[], prefix: string): string {
  const nearest = known
    .map((other) => ({ other, distance: editDistance(name, other) }))
    .reduce((best, next) => (next.distance < best.distance ? next : best));
  const isNear = nearest.distance <= Math.max(2, Math.floor(name.length / 4));
  return isNear ? `did you mean ${prefix}${nearest.other}?` : "see --help";
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [index, letter] of Array.from(a).entries()) {
    const next = [index + 1];
    for (let column = 0; column < b.length; column += 1) {
      const replaced = (row[column] ?? 0) + (letter === b[column] ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
