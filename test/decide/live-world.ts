// A world that goes on: facts change one by one through the real indexes, time passes, and what a turn writes about our own
// objects is there in the next. What the cluster does in answer is up to each test.
import { decide } from "../../src/decide/decide.ts";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import type { FencingFact } from "../../src/model/fencing.ts";
import type { Plan, Step } from "../../src/model/plan.ts";
import type { OptInPolicyFact, ProtectionFact } from "../../src/model/protection.ts";
import type { Conclusions, Snapshot } from "../../src/model/snapshot.ts";
import type { LauncherPodFact, MigrationFact, VMFact, VMIFact } from "../../src/model/virtual-machine.ts";
import { Indexes } from "../../src/observe/indexes.ts";
import { type Cluster, NOW_MS, NOW_WALL_MS, POLICY } from "./builder.ts";

export class LiveWorld {
  readonly cluster: Cluster;
  nowMs = NOW_MS;
  wallMs = NOW_WALL_MS;
  policy: DecisionPolicy = POLICY;
  /** Writes of HAVirtualMachine statuses so far, by name. */
  readonly statusWrites = new Map<string, number>();
  #indexes = new Indexes();
  #last: Conclusions | undefined;
  #everything = true;
  #rules = true;
  #version = 100;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    const at = { monotonicMs: this.nowMs, wallMs: this.wallMs };
    for (const [key, fact] of cluster.vms) this.#indexes.vmChanged(key, undefined, fact);
    for (const [key, fact] of cluster.vmis) this.#indexes.vmiChanged(key, undefined, fact);
    for (const [key, fact] of cluster.pods) this.#indexes.podChanged(key, undefined, fact, at);
    for (const [key, fact] of cluster.migrations) this.#indexes.migrationChanged(key, undefined, fact);
    for (const [key, fact] of cluster.protections) this.#indexes.protectionChanged(key, undefined, fact);
  }

  /** Lets time pass: the watches stay in contact, and every node but the silent ones renews its Lease. */
  pass(ms: number, silent: readonly string[] = []): this {
    this.nowMs += ms;
    this.wallMs += ms;
    for (const name of this.cluster.leases.keys()) if (!silent.includes(name)) this.renew(name);
    for (const source of this.cluster.sources.keys())
      this.cluster.sources.set(source, { synced: true, asOfMs: this.nowMs });
    return this;
  }

  renew(node: string): this {
    this.cluster.leases.set(node, {
      renewal: { value: `renewed at ${this.nowMs}`, changedAtMs: this.nowMs },
    });
    return this;
  }

  vm(key: string, change: Partial<VMFact> | undefined): this {
    const before = this.cluster.vms.get(key);
    const after = changed(before, change);
    put(this.cluster.vms, key, after);
    this.#indexes.vmChanged(key, before, after);
    return this;
  }

  vmi(key: string, change: Partial<VMIFact> | undefined): this {
    const before = this.cluster.vmis.get(key);
    const after = changed(before, change);
    put(this.cluster.vmis, key, after);
    this.#indexes.vmiChanged(key, before, after);
    return this;
  }

  /** Another instance of the VM in place of the present one. */
  newVMI(key: string, fact: Partial<VMIFact>): this {
    const model = this.cluster.vmis.get(key);
    this.vmi(key, undefined);
    this.cluster.vmis.delete(key);
    const blank = { scheduledAtWallMs: undefined, runningAtWallMs: undefined, readyAtWallMs: undefined };
    if (model === undefined) throw new Error(`no VMI ${key} to make another of`);
    const after = {
      ...model,
      ...blank,
      migration: undefined,
      deleting: false,
      firstSeenMs: this.nowMs,
      ...fact,
    };
    this.cluster.vmis.set(key, after);
    this.#indexes.vmiChanged(key, undefined, after);
    return this;
  }

  pod(key: string, change: Partial<LauncherPodFact> | undefined): this {
    const before = this.cluster.pods.get(key);
    const after = changed(before, change);
    put(this.cluster.pods, key, after);
    this.#indexes.podChanged(key, before, after, { monotonicMs: this.nowMs, wallMs: this.wallMs });
    return this;
  }

  migration(key: string, change: Partial<MigrationFact> | undefined): this {
    const before = this.cluster.migrations.get(key);
    const after = changed(before, change);
    put(this.cluster.migrations, key, after);
    this.#indexes.migrationChanged(key, before, after);
    return this;
  }

  protection(key: string, change: Partial<ProtectionFact> | undefined): this {
    const before = this.cluster.protections.get(key);
    const after = changed(before, change);
    put(this.cluster.protections, key, after);
    this.#indexes.protectionChanged(key, before, after);
    return this;
  }

  /** Adds what the cluster's builder made after this world was begun. */
  adopt(kind: "vms" | "vmis" | "pods" | "migrations" | "protections", key: string): this {
    const at = { monotonicMs: this.nowMs, wallMs: this.wallMs };
    if (kind === "vms") this.#indexes.vmChanged(key, undefined, this.cluster.vms.get(key));
    if (kind === "vmis") this.#indexes.vmiChanged(key, undefined, this.cluster.vmis.get(key));
    if (kind === "pods") this.#indexes.podChanged(key, undefined, this.cluster.pods.get(key), at);
    if (kind === "migrations")
      this.#indexes.migrationChanged(key, undefined, this.cluster.migrations.get(key));
    if (kind === "protections")
      this.#indexes.protectionChanged(key, undefined, this.cluster.protections.get(key));
    return this;
  }

  namespace(name: string, labels: Readonly<Record<string, string>>): this {
    this.cluster.namespaces.set(name, labels);
    this.#indexes.namespaceChanged(name, this.cluster.vms.keys());
    return this;
  }

  fencing(name: string, change: Partial<FencingFact> | undefined): this {
    const before = this.cluster.fencings.get(name);
    put(this.cluster.fencings, name, changed(before, change));
    return this;
  }

  policyObject(name: string, change: Partial<OptInPolicyFact> | undefined): this {
    put(this.cluster.policies, name, changed(this.cluster.policies.get(name), change));
    return this.rulesChanged();
  }

  rulesChanged(): this {
    this.#rules = true;
    return this;
  }

  snapshot(last: Conclusions | undefined, changes: Snapshot["changes"]): Snapshot {
    return {
      ...this.cluster.facts(),
      contact: { lastOkMs: this.nowMs, unbrokenSinceMs: this.cluster.contactSinceMs },
      index: this.#indexes.index,
      changes,
      last,
    };
  }

  /** One turn as the loop takes it: with what the last one concluded, and what has changed since. */
  turn(): Plan {
    const changes = {
      everything: this.#everything,
      rules: this.#rules,
      vmKeys: this.#indexes.takeChangedVMs(),
    };
    const plan = this.#decide(this.snapshot(this.#last, changes));
    this.#everything = plan.notJudged !== undefined;
    this.#rules = false;
    if (plan.conclusions !== undefined) this.#last = plan.conclusions;
    return plan;
  }

  /** The turn that looks at everything; leaves no trace. */
  fullTurn(): Plan {
    return this.#decide(this.snapshot(undefined, { everything: true, rules: true, vmKeys: new Set() }));
  }

  #decide(snapshot: Snapshot): Plan {
    return decide(snapshot, this.policy, { monotonicMs: this.nowMs, wallMs: this.wallMs });
  }

  /** Turns until no more of our own objects are to be written; returns all steps taken on the way, in order. */
  settle(limit = 10): readonly Step[] {
    const taken: Step[] = [];
    for (let i = 0; i < limit; i++) {
      const plan = this.turn();
      taken.push(...plan.steps);
      if (this.write(plan) === 0) return taken;
    }
    throw new Error(`the writes do not come to an end: ${JSON.stringify(taken.slice(-3))}`);
  }

  /** Carries out what the plan writes about our own objects; returns how many writes those were. */
  write(plan: Plan): number {
    let writes = 0;
    for (const step of plan.steps) if (this.#perform(step)) writes += 1;
    return writes;
  }

  #perform(step: Step): boolean {
    const version = String(this.#version++);
    switch (step.kind) {
      case "WriteProtection": {
        const { key, name } = step.protection;
        if (!this.cluster.protections.has(key)) return false;
        this.statusWrites.set(name, (this.statusWrites.get(name) ?? 0) + 1);
        this.protection(key, { status: step.status, resourceVersion: version });
        return true;
      }
      case "DeleteProtection":
        this.protection(`${step.namespace}/${step.name}`, undefined);
        return true;
      case "OpenFencing": {
        const { name, node, nodeUID, bootID, topology, detectedAt, lastSeenAt } = step;
        const status = { phase: "Pending" as const, epoch: 1, attempts: [], releasedVMs: [], conditions: [] };
        const seen = { changedAtMs: this.nowMs, provenAtMs: undefined, uid: `uid-${name}` };
        const spec = { name, nodeName: node, nodeUID, bootID, topology, detectedAt, lastSeenAt };
        this.cluster.fencings.set(name, { ...spec, ...seen, status, resourceVersion: version });
        return true;
      }
      case "WriteFencing":
        this.fencing(step.fencing.name, {
          status: step.status,
          resourceVersion: version,
          changedAtMs: this.nowMs,
        });
        return true;
      case "WriteSummary":
        this.#writeSummary(step, version);
        return true;
      case "WriteDrill":
      case "Cordon":
      case "Uncordon":
      case "StartDrillProbes":
      case "StopDrillProbes":
        return false;
      case "RefreshNode":
      case "Fence":
      case "ConfirmOff":
      case "Taint":
      case "Untaint":
      case "Quarantine":
      case "Release":
      case "StartVM":
      case "DeleteVMI":
      case "RestartVM":
      case "PowerOn":
      case "LiftRemediation":
      case "UnfenceStorage":
      case "RecordStorageClients":
      case "CreateMigration":
      case "AbortMigration":
      case "ApplyProtection":
        return false;
    }
  }

  #writeSummary(step: Extract<Step, { kind: "WriteSummary" }>, resourceVersion: string): void {
    const { topologies, policies, disarms } = this.cluster;
    const objects = {
      fencingtopologies: topologies,
      havirtualmachinepolicies: policies,
      fencingdisarms: disarms,
    }[step.resource];
    const before = objects.get(step.name);
    // Written from the same status type that decide has computed it as.
    if (before !== undefined) Object.assign(before, { status: step.status, resourceVersion });
  }
}

function changed<T extends object>(before: T | undefined, change: Partial<T> | undefined): T | undefined {
  if (change === undefined) return undefined;
  if (before === undefined) throw new Error("there is nothing to change");
  return { ...before, ...change };
}

function put<T>(map: Map<string, T>, key: string, fact: T | undefined): void {
  if (fact === undefined) map.delete(key);
  else map.set(key, fact);
}
