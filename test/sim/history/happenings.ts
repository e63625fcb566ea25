// What really came of the faults of a history: who stepped in, what was proven how, what nobody can draw but only hope for.
// Counts what the API server and the oracle saw; judges nothing.
import { isObject, listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Change } from "../api/store.ts";
import { leaderOf } from "../world/acts.ts";
import { HOLDFAST_NAMESPACE, HOLDFAST_USER } from "../world/replica.ts";
import type { World } from "../world/world.ts";

/** Names, each with what it counts. */
export const HAPPENINGS = {
  "leader changes": "another replica, or another life of one, came to lead",
  "old leader still runs": "leader changes at which the one before was no crashed process",
  "nodes back in mid-fence": "heard with another boot ID while their ledger was open and unproven",
  "spared nodes": "ledgers that were Aborted, since the node was heard again",
  "proofs by PowerOff": "power read back as off",
  "proofs by Rebooted": "another boot ID was seen",
  "proofs by Remediated": "a remediation operator gave its signal",
  "proofs by StorageFenced": "the storage refuses the node",
  "proofs by Confirmed": "a person said so",
  "attempts that failed": "attempts to fence a node that ended without a proof",
  "level changes": "attempts by another level than the one before",
  "remediations of NodeHealthCheck": "made beside ours",
  "guests paused by I/O errors": "seen by KubeVirt as PausedIOError",
  "KubeVirt's evacuations": "migrations that its own drain began",
  "migrations of ours": "that Holdfast began",
  "migrations of others": "that somebody else began",
  "failed migrations": "whoever began them",
  "pods evicted by taints": "by Kubernetes' taint eviction",
  "pods cleared by PodGC": "orphaned, or terminating on a node that is out of service",
  "volumes detached by force": "after six minutes, from a node that is not ready",
  "pods that fit nowhere": "called Unschedulable",
  "starts backed off": "VMs in CrashLoopBackOff",
  "nodes in quarantine": "that had returned too often",
} as const;

export type Happening = keyof typeof HAPPENINGS;

const NODES = resourceNamed("v1/nodes");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");

export class Happenings {
  readonly counts = Object.fromEntries(Object.keys(HAPPENINGS).map((name) => [name, 0])) as Record<
    Happening,
    number
  >;
  readonly #world: World;
  #leader = "";

  constructor(world: World) {
    this.#world = world;
    world.server.store.onEveryChange((change) => this.#changed(change));
  }

  #changed(change: Change): void {
    switch (change.object.kind) {
      case "Lease":
        return this.#leaseChanged(change);
      case "Node":
        return this.#nodeChanged(change);
      case "NodeFencing":
        return this.#ledgerChanged(change);
      case "Pod":
        return this.#podChanged(change);
      case "VirtualMachine":
        return this.#once(change, "starts backed off", isBackedOff);
      case "VirtualMachineInstance":
        return this.#once(change, "guests paused by I/O errors", isPausedByIOError);
      case "VirtualMachineInstanceMigration":
        return this.#migrationChanged(change);
      case "VolumeAttachment":
        return this.#attachmentChanged(change);
      case "FenceAgentsRemediation":
        if (change.type === "ADDED" && change.by.includes("node-healthcheck"))
          this.counts["remediations of NodeHealthCheck"] += 1;
        return undefined;
      default:
        return undefined;
    }
  }

  #leaseChanged({ object }: Change): void {
    if (object.metadata["namespace"] !== HOLDFAST_NAMESPACE) return;
    const holder = leaderOf(this.#world)?.holder ?? "";
    if (holder === "" || holder === this.#leader) return;
    if (this.#leader !== "") {
      this.counts["leader changes"] += 1;
      if (this.#world.replicas.some((replica) => replica.life === this.#leader))
        this.counts["old leader still runs"] += 1;
    }
    this.#leader = holder;
  }

  #nodeChanged(change: Change): void {
    this.#once(change, "nodes in quarantine", (node) =>
      listIn(objectIn(node, "spec"), "taints").some(
        (taint) => isObject(taint) && taint["key"] === "holdfast.dev/quarantine",
      ),
    );
    const bootOf = (node: unknown) => objectIn(objectIn(node, "status"), "nodeInfo")["bootID"];
    const { object, before } = change;
    if (before === undefined || bootOf(before) === bootOf(object) || bootOf(before) === undefined) return;
    const isFenced = this.#world.server.store.list(FENCINGS).some((fencing) => {
      const { phase, proof } = objectIn(fencing, "status");
      const isOpen = phase !== "Returned" && phase !== "Aborted" && proof === undefined;
      return isOpen && objectIn(fencing, "spec")["nodeName"] === object.metadata.name;
    });
    if (isFenced) this.counts["nodes back in mid-fence"] += 1;
  }

  #ledgerChanged(change: Change): void {
    const { object, before, type } = change;
    if (type === "DELETED") return;
    const now = objectIn(object, "status");
    const old = objectIn(before, "status");
    this.#once(change, "spared nodes", (ledger) => objectIn(ledger, "status")["phase"] === "Aborted");
    const proof = `proofs by ${textOf(objectIn(now, "proof")["type"])}`;
    if (old["proof"] === undefined && isHappening(proof)) this.counts[proof] += 1;
    const attempts = listIn(now, "attempts").filter(isObject);
    const known = listIn(old, "attempts").filter(isObject);
    const last = attempts.at(-1);
    if (attempts.length > known.length && known.length > 0 && known.at(-1)?.["level"] !== last?.["level"])
      this.counts["level changes"] += 1;
    const hasEnded = known.at(-1)?.["outcome"] === "Started" && last?.["outcome"] !== "Started";
    if (hasEnded && attempts.length === known.length && now["proof"] === undefined)
      this.counts["attempts that failed"] += 1;
  }

  #podChanged(change: Change): void {
    const { by, type, before, object } = change;
    const isMarked = object.metadata["deletionTimestamp"] !== undefined;
    const wasMarked = before?.metadata["deletionTimestamp"] !== undefined;
    if (by === "system:taint-eviction" && isMarked && !wasMarked) this.counts["pods evicted by taints"] += 1;
    if (by === "system:pod-garbage-collector" && type === "DELETED")
      this.counts["pods cleared by PodGC"] += 1;
    this.#once(change, "pods that fit nowhere", (pod) =>
      listIn(objectIn(pod, "status"), "conditions").some(
        (one) => isObject(one) && one["reason"] === "Unschedulable",
      ),
    );
  }

  #migrationChanged(change: Change): void {
    const { object, type, by } = change;
    if (type === "ADDED") {
      if (object.metadata.name.startsWith("kubevirt-evacuation-")) this.counts["KubeVirt's evacuations"] += 1;
      else if (by.startsWith(HOLDFAST_USER)) this.counts["migrations of ours"] += 1;
      else this.counts["migrations of others"] += 1;
    }
    this.#once(change, "failed migrations", (one) => objectIn(one, "status")["phase"] === "Failed");
  }

  /** While the node still has it in use: that is the six minutes' doing. */
  #attachmentChanged({ object, before, type, by }: Change): void {
    const wasMarked = before?.metadata["deletionTimestamp"] !== undefined;
    const isMarked = type === "DELETED" || object.metadata["deletionTimestamp"] !== undefined;
    if (by !== "system:attachdetach-controller" || wasMarked || !isMarked) return;
    const spec = objectIn(object, "spec");
    const node = this.#world.server.store.get(NODES, undefined, textOf(spec["nodeName"]))?.object;
    const volume = textOf(objectIn(spec, "source")["persistentVolumeName"]);
    const isOutOfService = listIn(objectIn(node, "spec"), "taints").some(
      (taint) => isObject(taint) && taint["key"] === "node.kubernetes.io/out-of-service",
    );
    const inUse = listIn(objectIn(node, "status"), "volumesInUse").some((one) =>
      textOf(one).endsWith(volume),
    );
    if (inUse && !isOutOfService) this.counts["volumes detached by force"] += 1;
  }

  /** Counts when something begins to be so. */
  #once({ object, before, type }: Change, name: Happening, is: (object: unknown) => boolean): void {
    if (type !== "DELETED" && is(object) && !(before !== undefined && is(before))) this.counts[name] += 1;
  }
}

function isHappening(name: string): name is Happening {
  return name in HAPPENINGS;
}

function isBackedOff(vm: unknown): boolean {
  return objectIn(vm, "status")["printableStatus"] === "CrashLoopBackOff";
}

function isPausedByIOError(vmi: unknown): boolean {
  return listIn(objectIn(vmi, "status"), "conditions").some(
    (one) => isObject(one) && one["reason"] === "PausedIOError",
  );
}
