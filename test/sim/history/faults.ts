// Everything that a history may draw against the operator, by name: what the coverage counts, what docs/simulation.md lists, and
// what a test finds drawn. Knows plans and nothing of what came of them.
import type { Act, WorldPlan } from "../world/world-plan.ts";

/** Names, each with what it is. */
export const FAULTS = {
  "power cut": "a node loses its power",
  "break-down": "a node goes off and cannot be switched on: VMs must run elsewhere before it is repaired",
  hang: "a node hangs: guests stand still and hold their disks",
  reboot: "a node is reset, also by somebody else in the middle of its fencing",
  "kubelet dies": "containers and virt-handler go on without it",
  "virt-handler dies": "it says nothing any more, and its container stays",
  "node not Ready": "by its own word, while it renews its Lease",
  flapping: "a node that is away and back, again and again",
  swizzle: "the same failure on several nodes one after the other, mended in another order",
  "long outage":
    "nothing of ours reaches a node for so long that Kubernetes evicts its pods and, six minutes later, detaches their volumes",
  "API partition: both": "a node is cut off from the API server",
  "API partition: out": "what a node sends does not arrive",
  "API partition: back": "a node hears nothing",
  "vmNetwork partition": "nodes are cut off from the VM network: migrations stall, probes on it fail",
  "storage partition": "nodes are cut off from the storage: guests are paused by I/O errors, and resume",
  "bmc partition": "BMCs or PDUs of some nodes cannot be reached",
  "BMC unreachable": "no route to it",
  "BMC slow": "seconds to most of a minute for each answer",
  "BMC deaf": "agrees and does nothing",
  "BMC erringButActing": "answers with errors, and acts",
  "BMC refusing": "says no",
  "BMC denied": "refuses our password",
  "BMC lateOff": "agrees, and cuts power 45 s later",
  "BMC unknownState": "does not know the power state",
  "BMC saysOffOnce": "does nothing, and says Off for one reading",
  "BMC restoresPower": "what it cuts comes back by itself",
  "outlet fault": "one of a node's PDU outlets misbehaves in one of the ways of a BMC",
  "remediator down": "the remediation operator does not move",
  "remediator slow": "its agent takes minutes, and may act after it was called off",
  "remediator failing": "says so, and has done nothing",
  "remediator actsAndFails": "has cut the power, and says that it failed",
  "remediator tellsLate": "tells long after it has acted",
  "CSI-Addons down": "does not move",
  "CSI-Addons slow": "the storage takes up to a minute",
  "CSI-Addons failing": "the storage says no, and is asked again",
  "API server refusing": "no connection",
  "API server mute": "connections that say nothing",
  "API server erring": "every request fails",
  "API server full": "etcd has no space left: what is there can be read, almost nothing can be written",
  "API server restarted": "watches break off, and what they could go on from is forgotten: 410",
  "writes refused with 403": "by a quota or a policy, of one kind of object",
  "writes refused with 429": "by fairness",
  "writes refused with 507": "for want of space",
  "quota used up": "nobody makes a pod in the VMs' namespace",
  "replica cut off: both": "from the API server",
  "replica cut off: out": "its requests do not arrive",
  "replica cut off: back": "answers and watch events do not come back: an old leader that does not know",
  "replica cut off from BMCs": "from the fence devices alone",
  "replica frozen": "stands still and goes on, its machine's clocks having run",
  "replica slow": "requests take up to 40 s",
  "replica's node fails": "a replica shares the fate of its host",
  "connections break": "all of a replica's at once",
  "watches stale": "all watches of a replica lag",
  "watches out of order": "one kind lags behind all others",
  "watches repeat themselves": "half of what they tell is told twice",
  "crash before a write": "at any of the next writes",
  "crash after a write": "whose answer is never read",
  "clock skew": "wall clocks up to an hour off, at their own rate",
  "clock jump": "a wall clock jumps by up to two hours",
  "leader's Lease deleted": "by somebody",
  "VM created": "meanwhile",
  "VM deleted": "meanwhile",
  "VM migrated": "by somebody else",
  "VM stopped": "and started again",
  "VM restarted": "by its owner",
  "VM edited": "with kubectl",
  "VM paused": "by its user",
  "guest probe fails": "the guest runs on and is not ready",
  "instance deleted": "kubectl delete vmi",
  "pod deleted": "with its grace period",
  "pod deleted by force": "an admin removes what protects a guest",
  cordon: "and what Holdfast makes of it",
  drain: "kubectl drain: KubeVirt's own evacuation",
  "taints removed": "by an admin, in the middle of a failover",
  "Node deleted": "of a node that has broken down; it registers itself anew once it is repaired",
  "ledger deleted": "by an admin, whatever it says",
  "promise edited": "another priority",
  "promise deleted": "in the middle of whatever happens",
  "topology edited": "in the middle of whatever happens",
  "fencing disarmed": "for a while",
  "fencing asked for": "of a node that may be healthy",
  "off confirmed": "a person says that a node is off, which is true",
  NodeHealthCheck: "another controller that fences on its own",
  "NodeHealthCheck paused": "by a pause request",
  "level bmc": "fencing by the BMC's Redfish",
  "level outlets": "two PDU outlets that count only together (AllOf)",
  "level remediation": "another operator fences by a remediation",
  "level networkFence": "the storage refuses the node (CSI-Addons)",
  "several levels": "one after the other",
  probes: "nodes are probed directly, over one network or two",
  "readiness checks": "fence devices are asked beforehand",
  "isolated nodes fenced": "the policy that does not wait for them",
} as const;

export type Fault = keyof typeof FAULTS;

/** What a plan holds of them. */
export function faultsOf(plan: WorldPlan): ReadonlySet<Fault> {
  const acts = plan.events.filter(({ act }) => !isIdle(act, plan));
  const found = new Set<Fault>(acts.map(({ act }) => faultOf(act)));
  const levels = plan.topology.levels ?? [{ method: "bmc" as const }];
  for (const { method } of levels) found.add(`level ${method}`);
  if (levels.length > 1) found.add("several levels");
  if (plan.probes !== undefined) found.add("probes");
  if (plan.readiness !== undefined) found.add("readiness checks");
  if (plan.healthCheckAfterMs !== undefined) found.add("NodeHealthCheck");
  if (plan.policy.onIsolated === "fence") found.add("isolated nodes fenced");
  if (plan.replicas.some(({ skew }) => Math.abs(skew.wallOffsetMs) > SKEWED_MS)) found.add("clock skew");
  for (const fault of patternsOf(plan)) found.add(fault);
  return found;
}

const SKEWED_MS = 60_000;
const LONG_MS = 400_000;
const FLAPS = 3;

/** What lies in how several events go together. */
function* patternsOf({ events, replicas }: WorldPlan): Generator<Fault> {
  const failures = events.filter(({ act }) => NODE_FAILURES.has(act.kind));
  const hosts = new Set(replicas.map(({ on }) => on));
  const nodesOf = (kind: Act["kind"]) =>
    failures.flatMap(({ act }) => (act.kind === kind && "node" in act ? [act.node] : []));
  for (const kind of NODE_FAILURES) {
    const nodes = nodesOf(kind);
    if (new Set(nodes).size > 1) yield "swizzle";
    if (nodes.some((node) => nodes.filter((other) => other === node).length >= FLAPS)) yield "flapping";
    if (nodes.some((node) => hosts.has(node))) yield "replica's node fails";
  }
  if (failures.some(({ forMs = 0 }) => forMs > LONG_MS)) yield "long outage";
}

/** An act on somebody who is not there. */
function isIdle(act: Act, { topology, healthCheckAfterMs }: WorldPlan): boolean {
  const uses = (method: string) => topology.levels?.some((level) => level.method === method) === true;
  switch (act.kind) {
    case "remediator":
      return !uses("remediation") && healthCheckAfterMs === undefined;
    case "storageFencer":
      return !uses("networkFence");
    case "pauseHealthCheck":
      return healthCheckAfterMs === undefined;
    default:
      return false;
  }
}

const NODE_FAILURES: ReadonlySet<Act["kind"]> = new Set([
  "powerCut",
  "breakDown",
  "hang",
  "cutNodeApi",
  "reboot",
  "killKubelet",
]);

/** The name under which an act counts. */
export function faultOf(act: Act): Fault {
  switch (act.kind) {
    case "cutNodeApi":
      return `API partition: ${act.way ?? "both"}`;
    case "cutPlane":
      return `${act.plane} partition`;
    case "bmc":
      if (act.outlet !== undefined) return "outlet fault";
      if (act.fault === "saysOff") break;
      return `BMC ${act.fault}`;
    case "remediator":
      return `remediator ${act.fault}`;
    case "storageFencer":
      return `CSI-Addons ${act.fault}`;
    case "apiServer":
      return `API server ${act.state}`;
    case "refuseWrites":
      return `writes refused with ${act.status}`;
    case "cutReplica":
      return `replica cut off: ${act.way}`;
    case "crash":
      return `crash ${act.when} a write`;
    case "staleWatches":
      return act.plural === undefined ? "watches stale" : "watches out of order";
    case "powerOn":
    case "startVM":
    case "storageClient":
      break;
    default:
      return PLAIN[act.kind];
  }
  throw new Error(`no history draws ${JSON.stringify(act)}: give it a name among FAULTS first`);
}

const PLAIN = {
  powerCut: "power cut",
  breakDown: "break-down",
  hang: "hang",
  reboot: "reboot",
  foreignReboot: "reboot",
  killKubelet: "kubelet dies",
  killVirtHandler: "virt-handler dies",
  notReady: "node not Ready",
  compact: "API server restarted",
  quota: "quota used up",
  cutReplicaFromBmcs: "replica cut off from BMCs",
  freeze: "replica frozen",
  slowReplica: "replica slow",
  breakWatches: "connections break",
  repeatWatches: "watches repeat themselves",
  wallClockJump: "clock jump",
  deleteLeaderLease: "leader's Lease deleted",
  createVM: "VM created",
  deleteVM: "VM deleted",
  migrateVM: "VM migrated",
  stopVM: "VM stopped",
  restartVM: "VM restarted",
  editVM: "VM edited",
  pauseVM: "VM paused",
  failProbe: "guest probe fails",
  deleteVMI: "instance deleted",
  deletePod: "pod deleted",
  forceDeletePod: "pod deleted by force",
  cordon: "cordon",
  drain: "drain",
  untaint: "taints removed",
  deleteNode: "Node deleted",
  deleteLedger: "ledger deleted",
  editPromise: "promise edited",
  deletePromise: "promise deleted",
  editTopology: "topology edited",
  disarm: "fencing disarmed",
  requestFencing: "fencing asked for",
  confirmOff: "off confirmed",
  pauseHealthCheck: "NodeHealthCheck paused",
} as const satisfies Partial<Record<Act["kind"], Fault>>;
