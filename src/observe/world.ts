// The observed world: all sources, the indexes over them, and the snapshot that a turn decides on.
import type { ApiOutcome, ApiTransport } from "../kube/transport.ts";
import type { Span } from "../model/availability.ts";
import type { Clock } from "../model/clock.ts";
import type { DrillProbing } from "../model/drill.ts";
import type { FencingAttempt, FencingFact } from "../model/fencing.ts";
import type { NodeFact, NodeLeaseFact } from "../model/node.ts";
import type { OutageRecord } from "../model/protection.ts";
import type { Conclusions, ContactState, Snapshot, SourceName, SourceState } from "../model/snapshot.ts";
import { DEFAULT_KUBEVIRT_CONFIG, type MigrationFact } from "../model/virtual-machine.ts";
import { Contact, CONTACT_GAP_MS } from "./contact.ts";
import { Indexes } from "./indexes.ts";
import { ObservationGaps } from "./observation-gaps.ts";
import { disarmedBy } from "./standing-disarms.ts";
import { NodeProber } from "./node-prober.ts";
import { probeConnection } from "./probe-connection.ts";
import { createReflectors, type Listeners, NODE_LEASE_NAMESPACE, type Reflectors } from "./sources.ts";
import type { WorldOptions } from "./world-options.ts";

/** What a fresh reading of a node and its Lease shows; see act's `FactsPort`. */
interface NodeReading {
  readonly uid: string;
  readonly bootID: string | undefined;
  readonly ready: NodeFact["ready"];
  readonly resourceVersion: string;
  readonly leaseRenewTime: string | undefined;
  readonly leaseChanged: boolean;
  readonly leaseChangedAtMs: number | undefined;
}

/** Sources whose objects we write ourselves; own writes are seen at once. */
type OwnWritable = Exclude<SourceName, "leases" | "namespaces" | "kubeVirt">;

/**
 * Watches everything a decision needs. Guarantees: facts are parsed once; indexes and changes follow every change of a
 * fact; nothing here writes. Assumption: `snapshot` is used within the same synchronous turn, since its maps are live.
 */
export class World {
  readonly #transport: ApiTransport;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #onMigrationEnded: (migration: MigrationFact) => void;
  readonly #onAttemptEnded: (attempt: FencingAttempt) => void;
  readonly #onFailoverEnded: (outage: OutageRecord) => void;
  readonly #drillProbings: () => ReadonlyMap<string, DrillProbing>;
  readonly #shooting: () => ReadonlySet<string>;
  readonly #contact: Contact;
  readonly #gaps = new ObservationGaps();
  /** Wall time at which the last leader was last alive, until it is clear from when on we have watched. */
  #lastWatchedWallMs: number | undefined;
  #syncedSinceMs: number | undefined;
  readonly #indexes = new Indexes();
  readonly #reflectors: Reflectors;
  readonly #prober: NodeProber | undefined;
  #attended: ReadonlySet<string> = new Set();
  #rulesChanged = true;
  #everythingChanged = true;

  constructor(options: WorldOptions) {
    this.#transport = options.transport;
    this.#clock = options.clock;
    this.#onChange = options.onChange;
    this.#onMigrationEnded = options.onMigrationEnded ?? (() => undefined);
    this.#onAttemptEnded = options.onAttemptEnded ?? (() => undefined);
    this.#onFailoverEnded = options.onFailoverEnded ?? (() => undefined);
    this.#drillProbings = options.drillProbings ?? (() => new Map());
    this.#shooting = options.shooting ?? (() => new Set());
    this.#contact = new Contact(options.clock, (lengthMs) => {
      const { wallMs } = this.#clock.now();
      this.#gaps.add({ fromMs: wallMs - lengthMs, toMs: wallMs });
    });
    this.#reflectors = createReflectors({
      ...options,
      listeners: this.#listeners(),
      onContact: () => this.heard(),
    });
    if (options.probe === undefined) return;
    this.#prober = new NodeProber({
      clock: options.clock,
      random: options.random,
      settings: options.probe,
      probe: options.probeConnection ?? probeConnection,
      nodes: () => this.#reflectors.nodes.store.values(),
      onChange: options.onChange,
    });
  }

  start(): void {
    for (const reflector of Object.values(this.#reflectors)) reflector.start();
  }

  stop(): void {
    for (const reflector of Object.values(this.#reflectors)) reflector.stop();
  }

  /** Gives up all watches' connections and dials anew: somebody knows the present ones to be dead. */
  redial(): void {
    for (const reflector of Object.values(this.#reflectors)) reflector.redial();
  }

  /** The API server has answered, on whatever connection: also called by the leader election. */
  heard(): void {
    this.#contact.heard();
    if (this.#syncedSinceMs === undefined && this.#isSynced())
      this.#syncedSinceMs = this.#clock.now().monotonicMs;
  }

  /** The API server is known to store what it is given, or has refused to for a reason of its own. */
  stored(isStored: boolean): void {
    this.#contact.stored(isStored);
  }

  /**
   * Takes over the watch from another leader, or from our own past: the gaps it had written down, and when it was last
   * alive. What lies between that and the beginning of our own watch, if anything, is one more gap.
   */
  takeOver(gaps: string | undefined, lastWatchedWallMs: number | undefined): void {
    this.#gaps.replace(gaps);
    this.#lastWatchedWallMs = lastWatchedWallMs;
  }

  /** Times in which no replica watched. */
  get unobserved(): readonly Span[] {
    return this.#gaps.spans;
  }

  /** The gaps in the watch, as a text for `takeOver`. */
  get gaps(): string | undefined {
    return this.#gaps.text;
  }

  get contact(): ContactState {
    return this.#contact.state();
  }

  get reflectors(): Reflectors {
    return this.#reflectors;
  }

  /** The kubelet's Lease of a node as last heard. */
  leaseOf(node: string): NodeLeaseFact | undefined {
    return this.#reflectors.leases.store.get(leaseKeyOf(node));
  }

  /** Nodes whose next sign of life is to be acted on at once; of all others it only postpones a judgement. */
  attend(nodes: ReadonlySet<string>): void {
    this.#attended = nodes;
    this.#prober?.attend(nodes);
  }

  /** Begins to probe nodes, where that is wanted: only who leads needs to know. */
  startProbing(): void {
    this.#prober?.start();
  }

  stopProbing(): void {
    this.#prober?.stop();
  }

  /** The world as it is now; takes the changes since the last snapshot. `last` is what the last turn concluded. */
  snapshot(last: Conclusions | undefined): Snapshot {
    const r = this.#reflectors;
    this.#closeTakeOver();
    const changes = {
      everything: this.#everythingChanged,
      rules: this.#rulesChanged,
      vmKeys: this.#indexes.takeChangedVMs(),
    };
    this.#everythingChanged = false;
    this.#rulesChanged = false;
    return {
      sources: this.sources(),
      contact: this.#contact.state(),
      unobserved: this.#gaps.spans,
      nodes: r.nodes.store,
      leases: { get: (node) => r.leases.store.get(leaseKeyOf(node)) },
      probes: { get: (node) => this.#prober?.get(node) },
      leaseAsOfMs: (node) => r.leases.objectAsOfMs(leaseKeyOf(node)) ?? 0,
      vms: r.virtualMachines.store,
      vmis: r.virtualMachineInstances.store,
      migrations: r.migrations.store,
      pods: r.launcherPods.store,
      protections: r.protections.store,
      policies: r.policies.store,
      topologies: r.topologies.store,
      fencings: r.fencings.store,
      shooting: this.#shooting(),
      disarms: r.disarms.store,
      drills: r.drills.store,
      drillProbings: this.#drillProbings(),
      namespaces: r.namespaces.store,
      kubeVirt: r.kubeVirt.store.values().next().value ?? DEFAULT_KUBEVIRT_CONFIG,
      index: this.#indexes.index,
      changes,
      last,
    };
  }

  #isSynced(): boolean {
    return Object.values(this.#reflectors).every(({ synced }) => synced);
  }

  #closeTakeOver(): void {
    if (this.#lastWatchedWallMs === undefined || !this.#isSynced()) return;
    const { monotonicMs, wallMs } = this.#clock.now();
    const sinceMs = Math.max(this.#contact.state().unbrokenSinceMs, this.#syncedSinceMs ?? monotonicMs);
    const watched = { fromMs: this.#lastWatchedWallMs, toMs: wallMs - (monotonicMs - sinceMs) };
    this.#lastWatchedWallMs = undefined;
    // A leader's last sign of life is always a little old.
    if (watched.toMs - watched.fromMs > CONTACT_GAP_MS) this.#gaps.add(watched);
  }

  /** A turn could not use its snapshot: its changes count again. */
  lookAtEverything(): void {
    this.#everythingChanged = true;
  }

  /** How far each source can be trusted. */
  sources(): Readonly<Record<SourceName, SourceState>> {
    const states: Partial<Record<SourceName, SourceState>> = {};
    for (const [name, reflector] of Object.entries(this.#reflectors)) {
      states[name as SourceName] = { synced: reflector.synced, asOfMs: reflector.asOfMs ?? 0 };
    }
    return states as Record<SourceName, SourceState>;
  }

  applyOwnWrite(source: OwnWritable, raw: unknown): void {
    this.#reflectors[source].applyOwnWrite(raw);
  }

  applyOwnDelete(source: OwnWritable, key: string, uid: string): void {
    this.#reflectors[source].applyOwnDelete(key, uid);
  }

  /** Reads a node and its Lease with quorum; both readings enter the facts. */
  async refreshNode(name: string): Promise<ApiOutcome<NodeReading>> {
    const before = this.#reflectors.leases.store.get(leaseKeyOf(name))?.renewal;
    const [node, lease] = await Promise.all([
      this.#reflectors.nodes.refresh(name),
      this.#reflectors.leases.refresh(leaseKeyOf(name)),
    ]);
    this.#onChange();
    if (!node.ok) return node;
    if (!lease.ok) return lease;
    if (node.value === undefined) {
      return { ok: false, kind: "notFound", status: 404, message: `there is no node ${name}` };
    }
    const renewal = lease.value?.renewal;
    const value = {
      uid: node.value.uid,
      bootID: node.value.bootID,
      ready: node.value.ready,
      resourceVersion: this.#reflectors.nodes.versionOf(name)?.resourceVersion ?? "",
      leaseRenewTime: renewal?.value,
      leaseChanged: renewal?.value !== before?.value,
      leaseChangedAtMs: renewal?.changedAtMs,
    };
    return { ok: true, status: 200, value };
  }

  /** Why the node must not be shot by the FencingDisarms that stand on the server now. */
  disarmedBy(name: string): Promise<ApiOutcome<string | undefined>> {
    const labels = this.#reflectors.nodes.store.get(name)?.placement.labels ?? {};
    return disarmedBy({ transport: this.#transport, clock: this.#clock }, labels);
  }

  #listeners(): Listeners {
    const rules = (): void => {
      this.#rulesChanged = true;
      this.#onChange();
    };
    const noted =
      <A extends unknown[]>(note: (...args: A) => void) =>
      (...args: A): void => {
        note(...args);
        this.#onChange();
      };
    return {
      nodes: (name, before, after) => {
        if (this.#attended.has(name) || matters(before, after)) this.#onChange();
      },
      leases: (key) => {
        if (this.#attended.has(nodeOfLease(key))) this.#onChange();
      },
      virtualMachines: noted((key, before, after) => this.#indexes.vmChanged(key, before, after)),
      virtualMachineInstances: noted((key, before, after) => this.#indexes.vmiChanged(key, before, after)),
      migrations: noted((key, before, after) => {
        this.#indexes.migrationChanged(key, before, after);
        if (after?.finished && before?.finished === false && after.purpose !== undefined)
          this.#onMigrationEnded(after);
      }),
      launcherPods: noted((key, before, after) =>
        this.#indexes.podChanged(key, before, after, this.#clock.now()),
      ),
      protections: noted((key, before, after) => {
        this.#indexes.protectionChanged(key, before, after);
        const newest = after?.status.outages[0];
        if (
          newest !== undefined &&
          before !== undefined &&
          newest.lostAt !== before.status.outages[0]?.lostAt
        )
          this.#onFailoverEnded(newest);
      }),
      policies: rules,
      topologies: rules,
      fencings: noted((_key, before, after) => {
        for (const attempt of after === undefined || before === undefined ? [] : endedAttempts(before, after))
          this.#onAttemptEnded(attempt);
      }),
      disarms: () => this.#onChange(),
      drills: () => this.#onChange(),
      namespaces: (name) => {
        // Namespaces come and go all day; looking at every VM for each would cost a large cluster most of a second.
        if (!this.#everythingChanged)
          this.#indexes.namespaceChanged(name, this.#reflectors.virtualMachines.store.keys());
        this.#onChange();
      },
      kubeVirt: rules,
    };
  }
}

/** Attempts that one version of a ledger has ended and the version before had not. */
function endedAttempts(before: FencingFact, after: FencingFact): readonly FencingAttempt[] {
  const ended = new Set(
    before.status.attempts.filter(({ outcome }) => outcome !== "Started").map(({ number }) => number),
  );
  return after.status.attempts.filter(({ number, outcome }) => outcome !== "Started" && !ended.has(number));
}

/** Leases are namespaced; their name is the node's. */
function leaseKeyOf(node: string): string {
  return `${NODE_LEASE_NAMESPACE}/${node}`;
}

function nodeOfLease(key: string): string {
  return key.slice(NODE_LEASE_NAMESPACE.length + 1);
}

/** Whether a node's change is more than a sign of life. */
function matters(before: NodeFact | undefined, after: NodeFact | undefined): boolean {
  if (before === undefined || after === undefined) return true;
  return (
    before.uid !== after.uid ||
    before.bootID !== after.bootID ||
    before.ready !== after.ready ||
    before.placement !== after.placement ||
    before.fencing !== after.fencing
  );
}
