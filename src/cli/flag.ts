// What a flag is, and those that every command takes.

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
