// kube-scheduler as far as VMs meet it: node selectors, node affinity, taints, anti-affinity by host, room.
import {
  type ControllerPorts,
  isOver,
  merge,
  type NodeObject,
  type NodeTerm,
  nodesOf,
  onChanges,
  type PodObject,
  podPath,
  podsOf,
  tolerates,
  write,
} from "./controller-ports.ts";

const USER = "kube-scheduler";
const LOOK_AFTER_MS = 20;
const LOOK_EVERY_MS = 5_000;
/** From the choice of a node to the binding. */
const BIND_MS = 15;

export interface SchedulerOptions {
  /** Launcher pods that one node has room for. */
  readonly room: (node: string) => number;
}

/** Binds pods; one that fits nowhere is marked Unschedulable and looked at again whenever a node or pod changes. */
export function startScheduler(ports: ControllerPorts, options: SchedulerOptions): void {
  const choosing = new Set<string>();
  onChanges(
    ports,
    { resources: ["v1/pods", "v1/nodes"], afterMs: LOOK_AFTER_MS, everyMs: LOOK_EVERY_MS },
    async () => {
      const pods = podsOf(ports);
      const nodes = nodesOf(ports);
      for (const pod of pods) {
        const { nodeName } = pod.spec;
        if (
          nodeName !== undefined ||
          pod.metadata.deletionTimestamp !== undefined ||
          choosing.has(pod.metadata.uid)
        )
          continue;
        const fitting = nodes.filter((node) =>
          fits(pod, node, { pods, room: options.room(node.metadata.name) }),
        );
        if (fitting.length === 0) {
          await markUnschedulable(ports, pod, nodes.length);
          continue;
        }
        const liked = mostLiked(pod, fitting);
        const loads = liked.map((node) => loadOf(node, pods));
        const least = Math.min(...loads);
        const chosen = ports.chance.pick(liked.filter((_, at) => loads[at] === least));
        choosing.add(pod.metadata.uid);
        ports.time.schedule(BIND_MS, () => {
          choosing.delete(pod.metadata.uid);
          if (ports.reachable()) void bind(ports, pod, chosen.metadata.name);
        });
      }
    },
  );
}

async function bind(ports: ControllerPorts, pod: PodObject, node: string): Promise<void> {
  await write(ports, USER, {
    method: "POST",
    path: `${podPath(pod)}/binding`,
    body: {
      metadata: { name: pod.metadata.name, uid: pod.metadata.uid },
      target: { kind: "Node", name: node },
    },
  });
}

async function markUnschedulable(ports: ControllerPorts, pod: PodObject, nodes: number): Promise<void> {
  if (pod.status?.conditions?.some(({ type, status }) => type === "PodScheduled" && status === "False"))
    return;
  const condition = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message: `0/${nodes} nodes are available`,
  };
  const conditions = [
    ...(pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled"),
    condition,
  ];
  await merge(ports, USER, `${podPath(pod)}/status`, {
    metadata: { uid: pod.metadata.uid },
    status: { conditions },
  });
}

function fits(
  pod: PodObject,
  node: NodeObject,
  { pods, room }: { pods: readonly PodObject[]; room: number },
): boolean {
  const labels = node.metadata.labels ?? {};
  const selector = Object.entries(pod.spec.nodeSelector ?? {});
  if (!selector.every(([key, value]) => labels[key] === value)) return false;
  if (node.spec?.unschedulable === true) return false;
  const barriers = (node.spec?.taints ?? []).filter(({ effect }) => effect !== "PreferNoSchedule");
  if (!barriers.every((taint) => tolerates(pod, taint) !== undefined)) return false;
  if (!matchesAffinity(pod, labels)) return false;
  // A pod that has ended is nobody to the scheduler: it takes no room and repels none.
  const here = pods.filter((other) => other.spec.nodeName === node.metadata.name && !isOver(other));
  const apart = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const { labelSelector } of apart) {
    const wanted = Object.entries(labelSelector?.matchLabels ?? {});
    if (here.some(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value)))
      return false;
  }
  return here.length < room;
}

function matchesAffinity(pod: PodObject, labels: Readonly<Record<string, string>>): boolean {
  const terms =
    pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => matchesTerm(term, labels));
}

function matchesTerm({ matchExpressions = [] }: NodeTerm, labels: Readonly<Record<string, string>>): boolean {
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        throw new Error(`the simulated scheduler does not know the operator ${operator}`);
    }
  });
}

/** Preferences come before load here; the real scheduler weighs both. */
function mostLiked(pod: PodObject, nodes: readonly NodeObject[]): readonly NodeObject[] {
  const preferences = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  if (preferences.length === 0) return nodes;
  const scores = nodes.map(({ metadata: { labels = {} } }) =>
    preferences.reduce(
      (sum, { weight, preference }) => sum + (matchesTerm(preference, labels) ? weight : 0),
      0,
    ),
  );
  const best = Math.max(...scores);
  return nodes.filter((_, at) => scores[at] === best);
}

function loadOf(node: NodeObject, pods: readonly PodObject[]): number {
  return pods.filter((pod) => pod.spec.nodeName === node.metadata.name && !isOver(pod)).length;
}
