// What --help says, from the commands' own tables.
import type { Command } from "./command.ts";
import { COMMON_FLAGS, type Flag } from "./flag.ts";
import { type Paint, wrap } from "./terminal.ts";

interface Page {
  readonly paint: Paint;
  readonly columns: number;
}

const MAX_COLUMNS = 100;

/** The list of commands. */
export function overview(commands: readonly Command[], page: Page): string {
  const { paint } = page;
  const shown = commands.filter((command) => command.hidden !== true);
  const width = Math.max(...shown.map(({ name }) => name.length));
  return [
    "kubectl holdfast: see, understand and steer the high availability of KubeVirt virtual machines\n",
    `${paint("strong", "Usage:")}\n  kubectl holdfast COMMAND [ARGUMENT ...] [FLAG ...]\n`,
    `${paint("strong", "Commands:")}\n${shown.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}\n`).join("")}`,
    `${paint("strong", "Flags of every command:")}\n${flagLines(COMMON_FLAGS, page)}`,
    "`kubectl holdfast COMMAND --help` explains a command, with examples.\n" +
      "A kubeconfig is all it needs; what you may not read or change in the cluster, it cannot either.\n",
  ].join("\n");
}

/** Everything about one command. */
export function commandHelp(command: Command, page: Page): string {
  const { paint } = page;
  const columns = Math.min(page.columns, MAX_COLUMNS);
  const args = command.args.map(({ name, optional }) => (optional ? ` [${name}]` : ` ${name}`)).join("");
  const parts = [
    ...command.about.map((paragraph) => wrap(paragraph, "", columns)),
    `${paint("strong", "Usage:")}\n  kubectl holdfast ${command.name}${args} [FLAG ...]\n`,
  ];
  if (command.args.length > 0) {
    const lines = command.args.map(({ name, help }) => `  ${name}\n${wrap(help, "      ", columns)}`);
    parts.push(`${paint("strong", "Arguments:")}\n${lines.join("")}`);
  }
  if (command.flags.length > 0)
    parts.push(`${paint("strong", "Flags:")}\n${flagLines(command.flags, { ...page, columns })}`);
  const examples = command.examples.map(([line, what]) => `  ${paint("dim", `# ${what}`)}\n  ${line}\n`);
  parts.push(`${paint("strong", "Examples:")}\n${examples.join("")}`);
  if (command.exits !== undefined)
    parts.push(
      `${paint("strong", "Exit codes:")}\n${command.exits.map((line) => wrap(line, "  ", columns)).join("")}`,
    );
  parts.push("Flags of every command: `kubectl holdfast --help`.\n");
  return parts.join("\n");
}

function flagLines(flags: readonly Flag[], page: Page): string {
  const columns = Math.min(page.columns, MAX_COLUMNS);
  return flags
    .map(({ name, short, value, help }) => {
      const long = `--${name}${value === undefined ? "" : `=${value}`}`;
      return `  ${short === undefined ? "" : `-${short}, `}${long}\n${wrap(help, "      ", columns)}`;
    })
    .join("");
}
