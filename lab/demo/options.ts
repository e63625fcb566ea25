// What `npm run demo` can be asked for.
import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly nodes: number;
  readonly vms: number;
  readonly report: string | undefined;
  readonly keep: boolean;
}

export type DemoRequest =
  | { readonly kind: "run"; readonly options: DemoOptions }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly problem: string };

export const HELP = `npm run demo -- [options]

Starts a real Kubernetes control plane with simulated nodes on this machine, runs Holdfast on it, and shows its main job:
cordon, failback, power loss, a node cut off while its VMs run, a node whose first fence device is dead, a drill that
measures the outage of a live migration, and VMs that cannot be helped. Nothing outside this machine is touched.

  --nodes N      nodes, 3 to 20 (default 3)
  --vms N        VMs, 14 to 200 (default 14)
  --report FILE  write the same as JSON
  --keep         leave the cluster running at the end, to be played with by hand
  --help         this text

Environment:
  KUBEVIRT_ASSETS=DIR   run KubeVirt's own virt-controller and virt-api from DIR (with crds/*.yaml) instead of the stand-in
  HOLDFAST_ASSETS=DIR   take kube-apiserver, etcd and the rest from DIR

Exit code 0 only if everything held that the closing lines name.`;

const LIMITS = { nodes: { min: 3, max: 20, default: 3 }, vms: { min: 14, max: 200, default: 14 } } as const;

/** Reads the command line; a wrong one is told with what was found and what is allowed. */
export function readOptions(argv: readonly string[]): DemoRequest {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        nodes: { type: "string" },
        vms: { type: "string" },
        report: { type: "string" },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return { kind: "help" };
    const nodes = numberIn("nodes", values.nodes);
    const vms = numberIn("vms", values.vms);
    if (typeof nodes === "string") return { kind: "wrong", problem: nodes };
    if (typeof vms === "string") return { kind: "wrong", problem: vms };
    return { kind: "run", options: { nodes, vms, report: values.report, keep: values.keep } };
  } catch (error) {
    return { kind: "wrong", problem: error instanceof Error ? error.message : String(error) };
  }
}

function numberIn(name: keyof typeof LIMITS, text: string | undefined): number | string {
  const { min, max, default: usual } = LIMITS[name];
  const value = text === undefined ? usual : Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  return `--${name}: found ${JSON.stringify(text)}, allowed is a whole number from ${min} to ${max}`;
}
