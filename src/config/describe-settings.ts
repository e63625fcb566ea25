// Renders the table of settings for people: `--help` and docs/configuration.md. Knows no value that was read.
import type { Setting } from "./setting.ts";
import { environmentName, GROUPS, SETTINGS } from "./settings.ts";

const WIDTH = 100;
const INDENT = "      ";

type NamedSetting = readonly [name: string, setting: Setting<unknown>];

function settingsOf(group: string): NamedSetting[] {
  const all: NamedSetting[] = Object.entries(SETTINGS);
  return all.filter(([, setting]) => setting.group === group);
}

function defaultOf({ default: fallback }: Setting<unknown>): string {
  return "text" in fallback ? fallback.text : fallback.words.replaceAll("`", "");
}

/** The text of `--help`. */
export function helpText(): string {
  const lines = [
    "holdfast: high availability for KubeVirt virtual machines",
    "",
    "Usage: holdfast [--name=value ...]",
    "",
    ...wrap(
      "Every flag can also be given as an environment variable: HOLDFAST_ and the flag's name in capitals, with _ for -. A flag wins over its variable. Secrets are never settings: credentials of fence devices are read from Kubernetes Secrets.",
      "",
    ),
    "",
    "Examples:",
    "  holdfast --kubeconfig=$HOME/.kube/config --dry-run",
    "  holdfast --node-suspect-after=20s --node-lost-after=30s --storm-max-lost-nodes=2",
    "  HOLDFAST_LOG_LEVEL=debug holdfast --log-format=text",
  ];
  for (const [group, about] of Object.entries(GROUPS)) {
    lines.push("", `${group}: ${about}`.length <= WIDTH ? `${group}: ${about}` : `${group}:`);
    if (`${group}: ${about}`.length > WIDTH) lines.push(...wrap(about, "  "));
    for (const [name, setting] of settingsOf(group)) {
      lines.push(
        "",
        `  --${name}${setting.bare ? "[" : ""}=${setting.placeholder}${setting.bare ? "]" : ""}`,
      );
      lines.push(...wrap(setting.help, INDENT));
      lines.push(...wrap(`Default: ${defaultOf(setting)}.`, INDENT));
      lines.push(...wrap(`Allowed: ${setting.allowed}.`, INDENT));
      if (setting.example !== undefined) lines.push(`${INDENT}Example: --${name}=${setting.example}`);
    }
  }
  lines.push("", "Other:", "", "  --help", `${INDENT}Show this and exit.`);
  return `${lines.join("\n")}\n`;
}

function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > WIDTH && line !== indent) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** The text of docs/configuration.md. */
export function configurationReference(): string {
  const lines = [
    "# Configuration",
    "",
    "<!-- Generated from src/config/settings.ts. After a change there: npx vitest run --project unit test/config -u -->",
    "",
    "Every setting is a flag (`--node-lost-after=30s`) and an environment variable (`HOLDFAST_NODE_LOST_AFTER=30s`); the flag wins, an empty variable counts as unset. `holdfast --help` shows the same. Settings are read once, at the start; every mistake in them is reported at once, and Holdfast then exits with code 64.",
    "",
    "Secrets are never settings: credentials of fence devices are read from Kubernetes Secrets that a `FencingTopology` names.",
  ];
  for (const [group, about] of Object.entries(GROUPS)) {
    lines.push("", `## ${group}`, "", about, "");
    lines.push("| flag, variable | default | allowed | meaning |", "|---|---|---|---|");
    for (const [name, setting] of settingsOf(group)) lines.push(tableRow(name, setting));
  }
  return `${lines.join("\n")}\n`;
}

function tableRow(name: string, setting: Setting<unknown>): string {
  const fallback = "text" in setting.default ? `\`${setting.default.text}\`` : setting.default.words;
  const example = setting.example === undefined ? "" : ` Example: \`${setting.example}\`.`;
  const cells = [
    `\`--${name}\`<br>\`${environmentName(name)}\``,
    fallback,
    setting.allowed,
    setting.help + example,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
