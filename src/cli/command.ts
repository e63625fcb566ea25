// What a command of the plugin is: its words on the command line, what --help teaches about it, and what it does.
import type { CommandContext } from "./command-context.ts";
import type { ExitCode } from "./exit-codes.ts";

/** A flag; without `value` it is a switch. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** Stands for the value in help, for instance `DURATION`. */
  readonly value?: string;
  readonly help: string;
  /** May be given several times. */
  readonly repeats?: true;
  /** What completion offers for the value. */
  readonly completes?: Completes;
}

/** What completion can offer: words, or names of objects in the cluster. */
export type Completes = "nodes" | "vms" | "namespaces" | "contexts" | readonly string[];

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

/** Flags that every command takes. */
export const COMMON_FLAGS: readonly Flag[] = [
  { name: "kubeconfig", value: "FILE", help: "Kubeconfig file; else KUBECONFIG, else ~/.kube/config." },
  {
    name: "context",
    value: "NAME",
    help: "Context of the kubeconfig; else its current one.",
    completes: "contexts",
  },
  {
    name: "namespace",
    short: "n",
    value: "NAME",
    help: "Namespace; else the context's own, else default.",
    completes: "namespaces",
  },
  {
    name: "output",
    short: "o",
    value: "FORMAT",
    help: "json for programs; text unless said.",
    completes: ["json", "text"],
  },
  {
    name: "request-timeout",
    value: "DURATION",
    help: "Deadline of every single request to the API server. Default: 10s.",
  },
  {
    name: "holdfast-namespace",
    value: "NAME",
    help: "Namespace that the operator runs in. Default: holdfast-system.",
    completes: "namespaces",
  },
  { name: "help", short: "h", help: "Explain the command and exit." },
];

/** Read a file in place of the cluster; for commands that only read. */
export const FROM_FLAG: Flag = {
  name: "from",
  value: "FILE",
  help: "Read a dump (kubectl get -o yaml, or json) in place of the live cluster.",
};

/** All flags of a command: its own, and those of every command that it does not word differently. */
export function flagsOf({ flags }: Command): readonly Flag[] {
  return [...flags, ...COMMON_FLAGS.filter(({ name }) => !flags.some((own) => own.name === name))];
}
