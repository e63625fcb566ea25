// The node lifecycle controller and taint eviction: a silent kubelet's node becomes Unknown and tainted, and its pods are
// deleted after their toleration, at a limited rate and not at all where too much looks dead.
import { resourceNamed } from "../api/resources.ts";
import { BEGAN_WALL_MS } from "../world/sim-time.ts";
import {
  type ControllerPorts,
  type LeaseObject,
  merge,
  type NodeObject,
  nodesOf,
  podPath,
  podsOf,
  repeatedly,
  type Taint,
  tolerates,
  write,
} from "./controller-ports.ts";

const USER = "node-controller";
const MONITOR_MS = 5_000;
/** `--node-monitor-grace-period` since Kubernetes 1.32. */
const GRACE_MS = 50_000;
const TAINT_CHECK_MS = 1_000;
/** One node in ten seconds at most. */
const EVICTION_EVERY_MS = 10_000;
/** From this share of unready nodes on, a small cluster's nodes are not evicted at all. */
const UNHEALTHY_ZONE_SHARE = 0.55;
const UNREACHABLE = "node.kubernetes.io/unreachable";
const NOT_READY = "node.kubernetes.io/not-ready";
const LEASES = resourceNamed("coordination.k8s.io/v1/leases");

/** Marks, taints and evicts. */
export function startNodeLifecycle(ports: ControllerPorts): void {
  const heard = new Map<string, { renewTime: string; atMs: number }>();
  let lastEvictionMs = Number.NEGATIVE_INFINITY;
  repeatedly(ports, MONITOR_MS, async () => {
    const nodes = nodesOf(ports);
    const silent = nodes.filter((node) => ports.time.nowMs - heardAtMs(ports, node, heard) > GRACE_MS);
    for (const node of nodes) await mark(ports, node, silent.includes(node));
    const unready = nodesOf(ports).filter((node) => readyOf(node) !== "True").length;
    const mayEvict =
      nodes.length > 0 &&
      (unready <= 2 || unready / nodes.length <= UNHEALTHY_ZONE_SHARE) &&
      unready < nodes.length;
    for (const node of nodesOf(ports)) {
      const wanted = taintsFor(
        node,
        mayEvict && ports.time.nowMs - lastEvictionMs >= EVICTION_EVERY_MS,
        ports,
      );
      if (wanted === undefined) continue;
      if (wanted.some(({ effect }) => effect === "NoExecute")) lastEvictionMs = ports.time.nowMs;
      await merge(ports, USER, `/api/v1/nodes/${node.metadata.name}`, {
        metadata: { resourceVersion: node.metadata.resourceVersion },
        spec: { taints: wanted },
      });
    }
  });
  repeatedly(ports, TAINT_CHECK_MS, () => evict(ports));
}

function heardAtMs(
  ports: ControllerPorts,
  node: NodeObject,
  heard: Map<string, { renewTime: string; atMs: number }>,
): number {
  const { name } = node.metadata;
  const lease = ports.server.store.get(LEASES, "kube-node-lease", name)?.object as unknown as
    | LeaseObject
    | undefined;
  const renewTime = lease?.spec?.renewTime ?? "";
  const known = heard.get(name);
  if (known?.renewTime === renewTime) return known.atMs;
  heard.set(name, { renewTime, atMs: ports.time.nowMs });
  return ports.time.nowMs;
}

function readyOf(node: NodeObject): string | undefined {
  return node.status?.conditions?.find(({ type }) => type === "Ready")?.status;
}

/** What the controller takes back when a kubelet is silent; conditions of others stand. */
const KUBELET_CONDITIONS: readonly string[] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

async function mark(ports: ControllerPorts, node: NodeObject, isSilent: boolean): Promise<void> {
  if (!isSilent || readyOf(node) === "Unknown") return;
  const at = `${new Date(BEGAN_WALL_MS + ports.time.nowMs).toISOString().slice(0, 19)}Z`;
  const unknown = {
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "Kubelet stopped posting node status.",
    lastTransitionTime: at,
  };
  const conditions = (node.status?.conditions ?? []).map((condition) =>
    KUBELET_CONDITIONS.includes(condition.type) ? { ...condition, ...unknown } : condition,
  );
  await merge(ports, USER, `/api/v1/nodes/${node.metadata.name}/status`, { status: { conditions } });
}

/** The node's taints as they should be; undefined where they are. */
function taintsFor(
  node: NodeObject,
  mayEvict: boolean,
  ports: ControllerPorts,
): readonly Taint[] | undefined {
  const now = node.spec?.taints ?? [];
  const ready = readyOf(node);
  const key = ready === "Unknown" ? UNREACHABLE : ready === "False" ? NOT_READY : undefined;
  const others = now.filter((taint) => taint.key !== UNREACHABLE && taint.key !== NOT_READY);
  if (key === undefined) return others.length === now.length ? undefined : others;
  const has = (effect: string) => now.some((taint) => taint.key === key && taint.effect === effect);
  const timeAdded = `${new Date(BEGAN_WALL_MS + ports.time.nowMs).toISOString().slice(0, 19)}Z`;
  const added: Taint[] = [];
  if (!has("NoSchedule")) added.push({ key, effect: "NoSchedule", timeAdded });
  if (!has("NoExecute") && mayEvict) added.push({ key, effect: "NoExecute", timeAdded });
  return added.length === 0
    ? undefined
    : [...now.filter((taint) => taint.key === key || others.includes(taint)), ...added];
}

async function evict(ports: ControllerPorts): Promise<void> {
  const taintsByNode = new Map<string, readonly Taint[]>();
  for (const node of nodesOf(ports)) {
    const taints = (node.spec?.taints ?? []).filter(({ effect }) => effect === "NoExecute");
    if (taints.length > 0) taintsByNode.set(node.metadata.name, taints);
  }
  if (taintsByNode.size === 0) return;
  for (const pod of podsOf(ports)) {
    const taints = taintsByNode.get(pod.spec.nodeName ?? "");
    if (taints === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
    const isDue = taints.some((taint) => {
      const toleration = tolerates(pod, taint);
      if (toleration === undefined) return true;
      if (toleration.tolerationSeconds === undefined) return false;
      const sinceMs = taint.timeAdded === undefined ? 0 : Date.parse(taint.timeAdded) - BEGAN_WALL_MS;
      return ports.time.nowMs - sinceMs >= toleration.tolerationSeconds * 1_000;
    });
    if (isDue)
      await write(ports, "taint-eviction", {
        method: "DELETE",
        path: podPath(pod),
        body: { preconditions: { uid: pod.metadata.uid } },
      });
  }
}
