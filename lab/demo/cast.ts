// The VMs of the demo: every run strategy, several priorities, one that cannot be migrated and some that cannot restart.
import type { VmRequest } from "../cluster/vm-manifest.ts";

export const NAMESPACE = "demo";
/** Node that loses its power; one VM is bound to it. */
export const POWERLESS_NODE = "node-2";
/** Node that is cordoned; the VM that cannot be migrated starts there. */
export const CORDONED_NODE = "node-1";
/** VMs that start on that node whatever the scheduler thinks: one that cannot leave it, one that comes back to it. */
export const STARTS_ON_CORDONED: readonly string[] = ["legacy-1", "web-1"];
/** Node that is cut off from the API server. */
export const ISOLATED_NODE = "node-3";

export interface CastMember {
  readonly vm: VmRequest;
  /** Spec of its HAVirtualMachine; undefined where a policy makes it. */
  readonly protection: object | undefined;
  readonly role: string;
}

const TIER = "tier";
const SPREAD = {
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 100,
        podAffinityTerm: {
          topologyKey: "kubernetes.io/hostname",
          labelSelector: { matchLabels: { demo: "holdfast" } },
        },
      },
    ],
  },
};

function member(
  name: string,
  role: string,
  vm: Partial<VmRequest>,
  protection: object | undefined,
): CastMember {
  const request: VmRequest = {
    namespace: NAMESPACE,
    name,
    runStrategy: "Always",
    affinity: SPREAD,
    ...vm,
    labels: { demo: "holdfast", ...vm.labels },
  };
  return {
    vm: request,
    role,
    protection: protection === undefined ? undefined : { virtualMachineName: name, ...protection },
  };
}

/** The cast: fixed parts first, then as many web servers as asked for, which one policy protects. */
export function castOf(vms: number): readonly CastMember[] {
  const fixed = [
    member(
      "legacy-1",
      "has a disk that only one node can use: cannot be live-migrated",
      { disk: "rwo" },
      { priority: 600 },
    ),
    member("db-1", "most important", { disk: "rwx" }, { priority: 900 }),
    member(
      "db-2",
      "most important, restarted by KubeVirt only after failure",
      { disk: "rwx", runStrategy: "RerunOnFailure" },
      { priority: 900 },
    ),
    member("api-1", "waits for db-1", {}, { priority: 700, dependsOn: [{ name: "db-1" }] }),
    member(
      "api-2",
      "waits for db-2",
      { runStrategy: "RerunOnFailure" },
      { priority: 700, dependsOn: [{ name: "db-2" }] },
    ),
    member("desk-1", "run strategy Manual: needs a start call", { runStrategy: "Manual" }, { priority: 400 }),
    member(
      "batch-1",
      "run strategy Once, may run again",
      { runStrategy: "Once" },
      { priority: 300, failover: { restartOnce: true } },
    ),
    member("batch-2", "run strategy Once, must not run again", { runStrategy: "Once" }, { priority: 300 }),
    member(
      "pinned-1",
      `bound to ${POWERLESS_NODE}: cannot restart elsewhere`,
      { nodeSelector: { "kubernetes.io/hostname": POWERLESS_NODE } },
      { priority: 500 },
    ),
    member(
      "parked-1",
      "run strategy Halted: is off and stays off",
      { runStrategy: "Halted" },
      { priority: 100 },
    ),
  ];
  const web = Array.from({ length: vms - fixed.length }, (_, i) =>
    member(
      `web-${i + 1}`,
      "protected by a policy, goes home after an evacuation",
      { labels: { [TIER]: "web" } },
      undefined,
    ),
  );
  return [...fixed, ...web];
}

/** The policy that protects the web servers. */
export const WEB_POLICY = {
  apiVersion: "holdfast.dev/v1alpha1",
  kind: "HAVirtualMachinePolicy",
  metadata: { name: "web" },
  spec: {
    selector: { matchLabels: { [TIER]: "web" } },
    template: { priority: 500, failback: { policy: "Automatic", delay: "3s" } },
  },
} as const;

/** VMs whose guest runs when the curtain rises. */
export function isRunning(member: CastMember): boolean {
  return member.vm.runStrategy !== "Halted";
}
