// A cluster in virtual time: begins as it was seen, changes fact by fact through the operator's own indexes, and shows the
// operator's decision a snapshot whenever that asks for one.
import type { FencingFact } from "../../model/fencing.ts";
import type { NodeFact, NodeLeaseFact, Taint } from "../../model/node.ts";
import type { ProtectionFact } from "../../model/protection.ts";
import type { Conclusions, Snapshot, SourceName, SourceState } from "../../model/snapshot.ts";
import type { LauncherPodFact, MigrationFact, VMIFact } from "../../model/virtual-machine.ts";
import { Indexes } from "../../observe/indexes.ts";
import type { Sighting } from "../observe-once.ts";

/** How long before its loss a node renewed its Lease last: half of the kubelets' period. */
const LAST_RENEWAL_MS = 5_000;
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";

/** The world of one simulation. Nothing of the sighting is changed. */
export class VirtualCluster {
  nowMs: number;
  wallMs: number;
  readonly startedMs: number;
  readonly base: Snapshot;
  readonly nodes: Map<string, NodeFact>;
  readonly leases = new Map<string, NodeLeaseFact>();
  readonly vmis: Map<string, VMIFact>;
  readonly pods: Map<string, LauncherPodFact>;
  readonly migrations: Map<string, MigrationFact>;
  readonly protections: Map<string, ProtectionFact>;
  readonly fencings: Map<string, FencingFact>;
  /** Nodes that renew no Lease any more. */
  readonly silent = new Set<string>();
  readonly #indexes = new Indexes();
  #everything = true;

  constructor({ snapshot, now }: Sighting, silentAfterMs: number) {
    this.base = snapshot;
    // Whole milliseconds, so that sums of times stay exact.
    this.nowMs = Math.floor(now.monotonicMs);
    this.wallMs = Math.floor(now.wallMs);
    this.startedMs = this.nowMs;
    this.nodes = new Map(snapshot.nodes);
    this.vmis = new Map(snapshot.vmis);
    this.pods = new Map(snapshot.pods);
    this.migrations = new Map(snapshot.migrations);
    this.protections = new Map(snapshot.protections);
    this.fencings = new Map(snapshot.fencings);
    for (const name of snapshot.nodes.keys()) {
      const lease = snapshot.leases.get(name);
      if (lease === undefined) continue;
      this.leases.set(name, lease);
      if (this.nowMs - lease.renewal.changedAtMs > silentAfterMs) this.silent.add(name);
    }
    const at = { monotonicMs: this.nowMs, wallMs: this.wallMs };
    for (const [key, fact] of snapshot.vms) this.#indexes.vmChanged(key, undefined, fact);
    for (const [key, fact] of this.vmis) this.#indexes.vmiChanged(key, undefined, fact);
    for (const [key, fact] of this.pods) this.#indexes.podChanged(key, undefined, fact, at);
    for (const [key, fact] of this.migrations) this.#indexes.migrationChanged(key, undefined, fact);
    for (const [key, fact] of this.protections) this.#indexes.protectionChanged(key, undefined, fact);
  }

  /** Milliseconds since the simulation began. */
  get elapsedMs(): number {
    return this.nowMs - this.startedMs;
  }

  advanceTo(atMs: number): void {
    this.wallMs += atMs - this.nowMs;
    this.nowMs = atMs;
  }

  /** The node falls silent at this moment. */
  lose(name: string): void {
    this.silent.add(name);
    const at = this.nowMs - LAST_RENEWAL_MS;
    this.leases.set(name, {
      renewal: { value: new Date(this.wallMs - LAST_RENEWAL_MS).toISOString(), changedAtMs: at },
      renewedBeforeMs: at - 10_000,
    });
  }

  cordon(name: string): void {
    this.#place(name, (placement) => ({
      ...placement,
      unschedulable: true,
      taints: [...placement.taints, { key: UNSCHEDULABLE, value: undefined, effect: "NoSchedule" }],
    }));
  }

  taint(name: string, taint: Taint): void {
    this.#place(name, (placement) => ({ ...placement, taints: [...placement.taints, taint] }));
  }

  #place(name: string, change: (placement: NodeFact["placement"]) => NodeFact["placement"]): void {
    const node = this.nodes.get(name);
    if (node === undefined) return;
    this.nodes.set(name, {
      ...node,
      placement: change(node.placement),
      placementChangedAtMs: this.nowMs,
    });
  }

  setVMI(key: string, after: VMIFact | undefined): void {
    const before = this.vmis.get(key);
    put(this.vmis, key, after);
    this.#indexes.vmiChanged(key, before, after);
  }

  setPod(key: string, after: LauncherPodFact | undefined): void {
    const before = this.pods.get(key);
    put(this.pods, key, after);
    this.#indexes.podChanged(key, before, after, { monotonicMs: this.nowMs, wallMs: this.wallMs });
  }

  setMigration(key: string, after: MigrationFact | undefined): void {
    const before = this.migrations.get(key);
    put(this.migrations, key, after);
    this.#indexes.migrationChanged(key, before, after);
  }

  setProtection(key: string, after: ProtectionFact | undefined): void {
    const before = this.protections.get(key);
    put(this.protections, key, after);
    this.#indexes.protectionChanged(key, before, after);
  }

  setFencing(after: FencingFact): void {
    this.fencings.set(after.name, after);
  }

  podsOf(vmKey: string): readonly LauncherPodFact[] {
    return [...(this.#indexes.index.podsByVM.get(vmKey) ?? [])].flatMap((key) => this.pods.get(key) ?? []);
  }

  vmKeysOn(node: string): readonly string[] {
    return [...(this.#indexes.index.vmisByNode.get(node) ?? [])];
  }

  /** The world as a turn sees it now: every node that is not silent has just been heard. */
  snapshot(last: Conclusions | undefined): Snapshot {
    const { nowMs } = this;
    for (const name of this.leases.keys()) if (!this.silent.has(name)) this.#renew(name);
    const sources = Object.fromEntries(
      Object.keys(this.base.sources).map((name) => [name, { synced: true, asOfMs: nowMs }]),
    ) as Record<SourceName, SourceState>;
    const everything = this.#everything;
    this.#everything = false;
    return {
      ...this.base,
      sources,
      contact: { lastOkMs: nowMs, unbrokenSinceMs: this.base.contact.unbrokenSinceMs },
      nodes: this.nodes,
      leases: this.leases,
      leaseAsOfMs: () => nowMs,
      vmis: this.vmis,
      pods: this.pods,
      migrations: this.migrations,
      protections: this.protections,
      fencings: this.fencings,
      index: this.#indexes.index,
      changes: { everything, rules: everything, vmKeys: this.#indexes.takeChangedVMs() },
      last,
    };
  }

  #renew(name: string): void {
    const value = new Date(this.wallMs).toISOString();
    this.leases.set(name, { renewal: { value, changedAtMs: this.nowMs } });
  }
}

function put<T>(map: Map<string, T>, key: string, fact: T | undefined): void {
  if (fact === undefined) map.delete(key);
  else map.set(key, fact);
}
