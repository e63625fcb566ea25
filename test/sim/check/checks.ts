// What must hold at every instant of a history, judged from the truth that no controller can see.
import type { ApiRequest } from "../../../src/kube/transport.ts";
import { isObject, listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Change } from "../api/store.ts";
import { leaderOf } from "../world/acts.ts";
import { ADMIN } from "../world/install.ts";
import { HOLDFAST_NAMESPACE, HOLDFAST_USER } from "../world/replica.ts";
import type { World } from "../world/world.ts";
import { AttemptChecks } from "./attempt-checks.ts";
import { hearsInTime } from "./hearing.ts";
import { PathChecks } from "./path-checks.ts";
import { ShotChecks } from "./shot-checks.ts";
import { Signs } from "./signs.ts";
import { StatusChecks } from "./status-checks.ts";

export interface Violation {
  /** Which promise was broken. */
  readonly check: string;
  readonly atMs: number;
  readonly message: string;
}

const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
/** How long an old leader may not know of its successor's Lease. */
const TAKEN_OVER_MS = 1_000;
/** A delete of a replica whose requests are slow may be on its way for so long. */
const UNTAINTED_LATELY_MS = 45_000;
/** A pod bound a moment ago may not have been seen yet, by who hears in time and by others. */
const YOUNG_POD_MS = { heard: 3_000, late: 60_000 } as const;
const PODS = resourceNamed("v1/pods");
const PROMISES = resourceNamed("holdfast.dev/v1alpha1/havirtualmachines");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");

interface LedgerStatus {
  readonly phase?: string;
  readonly epoch?: number;
  readonly proof?: { readonly type: string; readonly bootID: string };
  readonly attempts?: readonly { readonly number: number; readonly outcome: string }[];
}

export class Checks {
  readonly violations: Violation[] = [];
  /** What happened at all. */
  readonly counts = { shots: 0, proofs: 0, failovers: 0, migrations: 0 };
  readonly #world: World;
  readonly #signs: Signs;
  readonly #attempts: AttemptChecks;
  readonly #shots: ShotChecks;
  readonly #statuses: StatusChecks;
  /** When somebody else last took the taint off a node. */
  readonly #taintStoodAtMs = new Map<string, number>();
  /** When each pod came to its node. */
  readonly #boundAtMs = new Map<string, number>();
  #highestEpoch = 0;
  #overlapsSeen = 0;
  #leader: { holder: string; sinceMs: number } | undefined;
  #lastHolder = "";
  /** Nodes on which an administrator removed the protection from running guests: what follows there is not ours. */
  readonly #meddled = new Set<string>();

  /** Probes and storage. */
  readonly paths: PathChecks;

  constructor(world: World) {
    this.#world = world;
    const report = (check: string, message: string) => this.#report(check, message);
    this.#signs = new Signs(world);
    this.#attempts = new AttemptChecks(world, this.#signs, report);
    this.#shots = new ShotChecks(world, {
      signs: this.#signs,
      attemptBeganMs: (node) => this.#attempts.beganMs(node),
      report,
    });
    this.#statuses = new StatusChecks(world, report);
    this.paths = new PathChecks(world, report);
    world.server.store.onEveryChange((change) => this.#changed(change));
  }

  /** After every step of the world. */
  look(): void {
    this.#signs.look();
    const { overlaps } = this.#world.oracle;
    for (; this.#overlapsSeen < overlaps.length; this.#overlapsSeen += 1) {
      const overlap = overlaps[this.#overlapsSeen];
      if (overlap === undefined || this.#meddled.has(overlap.vm) || this.paths.isAccepted(overlap)) continue;
      this.#report("never two", `${overlap.vm} runs on ${overlap.nodes.join(" and ")}`);
    }
  }

  /** A request to cut a node's power leaves a replica, or one to somebody else to fence it. */
  shot(life: string, name: string): void {
    this.counts.shots += 1;
    this.#judgeLeader(life, `shoots ${name}`);
    this.#shots.shot(life, name);
  }

  /** A write (the election's not counted) leaves a replica. */
  wrote(life: string, request: ApiRequest): void {
    const { method, path, body } = request;
    const line = `${method} ${path}`;
    this.paths.wrote(life, request);
    const node = method === "POST" ? nodeHandedOver(path, body) : undefined;
    if (node !== undefined) this.shot(life, node);
    if (method === "DELETE" && objectIn(body, "preconditions")["uid"] === undefined)
      this.#report("only the one meant", `${life} sends ${line} without a UID`);
    this.#judgeLeader(life, `sends ${line}`);
  }

  /** Nothing is done by one whose successor has led for a while. */
  #judgeLeader(life: string, does: string): void {
    const leader = this.#leader;
    const { nowMs } = this.#world.time;
    if (leader !== undefined && leader.holder !== life && nowMs - leader.sinceMs > TAKEN_OVER_MS)
      this.#report(
        "no stale leader",
        `${life} ${does}, while ${leader.holder} has led for ${Math.round(nowMs - leader.sinceMs)} ms`,
      );
  }

  bug(replica: string, error: unknown): void {
    this.#report(
      "no bugs",
      `${replica}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }

  #report(check: string, message: string): void {
    this.violations.push({ check, atMs: this.#world.time.nowMs, message });
  }

  #changed(change: Change): void {
    this.#signs.changed(change);
    this.#statuses.changed(change);
    switch (change.object.kind) {
      case "Lease":
        return this.#leaseChanged(change);
      case "Pod":
        return this.#podChanged(change);
      case "Node":
        return this.#nodeChanged(change);
      case "VirtualMachineInstance":
        return this.#instanceChanged(change);
      case "VirtualMachineInstanceMigration":
        if (change.type === "ADDED") this.counts.migrations += 1;
        return undefined;
      case "NodeFencing":
        return this.#ledgerChanged(change);
      default:
        return undefined;
    }
  }

  #leaseChanged({ object, type }: Change): void {
    const { nowMs } = this.#world.time;
    if (object.metadata["namespace"] !== HOLDFAST_NAMESPACE) return;
    // With the Lease goes what it knew; what still counts then is what the ledgers carry.
    if (type === "DELETED") this.#highestEpoch = this.#highestOnRecord();
    const leader = type === "DELETED" ? undefined : leaderOf(this.#world);
    if (leader !== undefined && leader.holder !== this.#leader?.holder) {
      if (leader.epoch <= this.#highestEpoch && leader.holder !== this.#lastHolder)
        this.#report(
          "no stale leader",
          `${leader.holder} leads with epoch ${leader.epoch}, which is not new`,
        );
      this.#highestEpoch = Math.max(this.#highestEpoch, leader.epoch);
      this.#lastHolder = leader.holder;
    }
    if (leader?.holder !== this.#leader?.holder)
      this.#leader = leader === undefined ? undefined : { holder: leader.holder, sinceMs: nowMs };
  }

  #highestOnRecord(): number {
    const epochs = this.#world.server.store
      .list(FENCINGS)
      .map((fencing) => (objectIn(fencing, "status") as LedgerStatus).epoch ?? 0);
    return Math.max(0, ...epochs);
  }

  #podChanged({ type, object, before, by }: Change): void {
    const { uid } = object.metadata;
    const isBound = (pod: unknown) => objectIn(pod, "spec")["nodeName"] !== undefined;
    if (isBound(object) && !isBound(before)) this.#boundAtMs.set(uid, this.#world.time.nowMs);
    if (type !== "DELETED") return;
    this.#boundAtMs.delete(uid);
    if (by.startsWith(HOLDFAST_USER)) {
      this.counts.failovers += 1;
      const node = textOf(objectIn(object, "spec")["nodeName"]);
      // A Node that somebody deleted cannot be tainted, and nothing is bound to it any more.
      // Nor is it our doing where somebody took the taint away while the delete was on its way.
      const stoodMsAgo =
        this.#world.time.nowMs - (this.#taintStoodAtMs.get(node) ?? Number.NEGATIVE_INFINITY);
      if (this.#isKnown(node) && this.#outOfServiceBy(node) === undefined && stoodMsAgo > UNTAINTED_LATELY_MS)
        this.#report(
          "taint first",
          `${by} removed ${object.metadata.name} from ${node} before it was called out of service`,
        );
    }
    const guests = this.#world.oracle.running().filter(({ podUid }) => podUid === uid);
    for (const { vm, node, bootID } of guests) {
      if (this.paths.isStorageFenced(node)) continue;
      if (by === ADMIN || by.startsWith("system:node:")) this.#meddled.add(vm);
      else if (by.startsWith(HOLDFAST_USER))
        this.#report(
          "release needs proof",
          `${by} removed the pod of ${vm}, whose guest holds its disk on ${node} (boot ${bootID})`,
        );
      else if (this.#outOfServiceBy(node) === "holdfast")
        this.#report(
          "release needs proof",
          `${by} removed the pod of ${vm} on ${node} on the strength of our taint, and its guest runs`,
        );
      // A remediator's own, which it may set when the node lives its next life already: no remediation can be called back.
      else if (this.#outOfServiceBy(node) !== undefined) this.#meddled.add(vm);
    }
  }

  #isKnown(name: string): boolean {
    return this.#world.server.store.get(resourceNamed("v1/nodes"), undefined, name) !== undefined;
  }

  /** The value of the node's out-of-service taint: ours is `holdfast`. */
  #outOfServiceBy(name: string): string | undefined {
    const node = this.#world.server.store.get(resourceNamed("v1/nodes"), undefined, name)?.object;
    const taints = listIn(objectIn(node, "spec"), "taints") as readonly {
      readonly key?: string;
      readonly value?: string;
    }[];
    const taint = taints.find(({ key }) => key === OUT_OF_SERVICE);
    return taint === undefined ? undefined : (taint.value ?? "");
  }

  /** Holdfast deletes instances that have ended, and no others. */
  #instanceChanged({ object, before, by }: Change): void {
    const isMarked =
      object.metadata["deletionTimestamp"] !== undefined &&
      before?.metadata["deletionTimestamp"] === undefined;
    if (!isMarked || !by.startsWith(HOLDFAST_USER)) return;
    const phase = textOf(objectIn(object, "status")["phase"]);
    if (phase !== "Failed" && phase !== "Succeeded")
      this.#report("do no harm", `${by} deletes the VMI ${object.metadata.name}, which is ${phase}`);
  }

  #nodeChanged({ object, before, by }: Change): void {
    const has = (node: unknown) =>
      (listIn(objectIn(node, "spec"), "taints") as readonly { readonly key?: string }[]).some(
        ({ key }) => key === OUT_OF_SERVICE,
      );
    if (!by.startsWith(HOLDFAST_USER)) {
      if (has(before) && !has(object)) this.#taintStoodAtMs.set(object.metadata.name, this.#world.time.nowMs);
      return;
    }
    if (!has(object) || has(before)) return;
    const guests = this.#world.oracle.running().filter(({ node }) => node === object.metadata.name);
    if (guests.length > 0 && !this.paths.isStorageFenced(object.metadata.name))
      this.#report(
        "release needs proof",
        `${by} called ${object.metadata.name} out of service, where ${guests.map(({ vm }) => vm).join(", ")} still hold their disks`,
      );
  }

  #ledgerChanged(change: Change): void {
    const { object, before, type } = change;
    if (type === "DELETED") this.#shots.ledgerDeleted(change);
    if (type === "DELETED" || !isObject(object["status"])) return;
    this.#attempts.changed(change);
    const status = object["status"] as LedgerStatus;
    const old = objectIn(before, "status") as LedgerStatus;
    if (status.phase === "Released" && old.phase !== "Released")
      this.#judgeReleased(textOf(objectIn(object, "spec")["nodeName"]), change.by);
    if (status.proof === undefined || old.proof !== undefined) return;
    this.counts.proofs += 1;
    const { nodeName, bootID } = objectIn(object, "spec");
    const node = this.#world.fleet.node(textOf(nodeName));
    if (node.bootID === bootID && !this.paths.isStorageFenced(node.name))
      this.#report(
        "release needs proof",
        `${object.metadata.name} holds a proof of boot ${textOf(bootID)}, which is ${node.state} on ${textOf(nodeName)}`,
      );
  }

  /** "Released" means that no pod is left there of a VM that somebody protects. */
  #judgeReleased(node: string, by: string): void {
    const { server, time } = this.#world;
    const youngMs = hearsInTime(this.#world, by) ? YOUNG_POD_MS.heard : YOUNG_POD_MS.late;
    // As it stands now: promises are made and withdrawn meanwhile.
    const promised = new Set(
      server.store
        .list(PROMISES)
        .map((promise) => objectIn(promise, "spec"))
        .filter((spec) => objectIn(spec, "failover")["enabled"] !== false)
        .map((spec) => textOf(spec["virtualMachineName"])),
    );
    for (const pod of server.store.list(PODS)) {
      const labels = objectIn(pod.metadata, "labels");
      const phase = objectIn(pod, "status")["phase"];
      const isOver = phase === "Succeeded" || phase === "Failed";
      const ageMs = time.nowMs - (this.#boundAtMs.get(pod.metadata.uid) ?? time.nowMs);
      if (
        objectIn(pod, "spec")["nodeName"] !== node ||
        labels["kubevirt.io"] !== "virt-launcher" ||
        isOver ||
        ageMs < youngMs
      )
        continue;
      if (promised.has(textOf(labels["vm.kubevirt.io/name"])))
        this.#report(
          "statuses agree",
          `the ledger of ${node} says Released, and ${pod.metadata.name} is still there`,
        );
    }
  }
}

/** The node that such a request hands over to somebody else to be fenced; undefined for every other request. */
function nodeHandedOver(path: string, body: unknown): string | undefined {
  if (!path.endsWith("/networkfences") && !path.endsWith("/fenceagentsremediations")) return undefined;
  const annotations = objectIn(objectIn(body, "metadata"), "annotations");
  return textOf(annotations["holdfast.dev/node"] ?? annotations["remediation.medik8s.io/node-name"]);
}
