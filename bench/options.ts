// What `npm run bench` can be asked for.
import { parseArgs } from "node:util";
import type { Bench } from "./bench.ts";

export type BenchRequest =
  | {
      readonly kind: "run";
      readonly benches: readonly Bench[];
      readonly json: boolean;
      readonly windows: readonly number[];
    }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly problem: string };

const MAX_WINDOW = 10_000;

export function helpText(benches: readonly Bench[]): string {
  const width = Math.max(...benches.map((bench) => bench.name.length));
  const list = benches.map(
    ({ name, about, minutes }) => `  ${name.padEnd(width)}  ${about} (about ${minutes} min)`,
  );
  return `npm run bench -- [NAME…] [options]

Measures what Holdfast promises about speed and size, and shows each figure beside its budget. Without a NAME, everything.
Real etcd, kube-apiserver, kube-controller-manager and kube-scheduler; nodes and guests are simulated on this machine.

${list.join("\n")}

  -o, --output FORMAT  table (default) or json; json also has every single sample
  --windows N,N,…      restart: measure these values of --max-restarts-in-flight too
  -h, --help           this text

Environment:
  KUBEVIRT_ASSETS=DIR  KubeVirt's own virt-controller and virt-api from DIR (with crds/*.yaml) instead of the stand-in
  HOLDFAST_ASSETS=DIR  kube-apiserver, etcd and the rest from DIR

Progress goes to stderr, the answer to stdout. Exit code 0 also when a budget is missed: the table shows, it does not
judge. Another code only where something could not be measured. docs/benchmarks.md says what each line means.`;
}

/** Reads the command line; a wrong one is told with what was found and what is allowed. */
export function readOptions(argv: readonly string[], all: readonly Bench[]): BenchRequest {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        output: { type: "string", short: "o", default: "table" },
        windows: { type: "string", default: "" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return { kind: "help" };
    const unknown = positionals.filter((name) => !all.some((bench) => bench.name === name));
    if (unknown.length > 0) {
      const allowed = all.map((bench) => bench.name).join(", ");
      return { kind: "wrong", problem: `no benchmark ${unknown.join(", ")}: there are ${allowed}` };
    }
    if (values.output !== "table" && values.output !== "json")
      return { kind: "wrong", problem: `--output: found "${values.output}", allowed: table, json` };
    const windows = values.windows === "" ? [] : values.windows.split(",").map(Number);
    if (!windows.every((size) => Number.isInteger(size) && size >= 1 && size <= MAX_WINDOW)) {
      const allowed = `whole numbers from 1 to ${MAX_WINDOW}, with commas`;
      return { kind: "wrong", problem: `--windows: found "${values.windows}", allowed: ${allowed}` };
    }
    const benches = all.filter((bench) => positionals.length === 0 || positionals.includes(bench.name));
    return { kind: "run", benches, json: values.output === "json", windows };
  } catch (error) {
    return { kind: "wrong", problem: error instanceof Error ? error.message : String(error) };
  }
}
