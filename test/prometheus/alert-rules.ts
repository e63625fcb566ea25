// The rules as they are shipped, read for tests.
import { readFileSync } from "node:fs";
import { parse } from "yaml";

export const RULES_FILE = new URL("../../deploy/prometheus/holdfast.rules.yaml", import.meta.url).pathname;

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

/** Every rule of the shipped file. */
export function readRules(): readonly Rule[] {
  const file = parse(readFileSync(RULES_FILE, "utf8")) as RuleFile;
  return file.groups.flatMap(({ rules }) => rules);
}
