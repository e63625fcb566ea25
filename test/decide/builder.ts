// Builds snapshots for decision tables: a small cluster in plain words, all sources synced, everything changed.
import { DEFAULT_AVAILABILITY_RULE, type Span } from "../../src/model/availability.ts";
import { defaultPolicy } from "../../src/config.ts";
import { decide } from "../../src/decide/decide.ts";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import type {
  FencingFact,
  FencingStatus,
  FencingTopologyFact,
  LevelLimits,
} from "../../src/model/fencing.ts";
import type { DisarmFact } from "../../src/model/disarm.ts";
import type { DrillFact, DrillProbing, DrillStatus } from "../../src/model/drill.ts";
import type { LevelReadiness } from "../../src/model/fencing-readiness.ts";
import type { NodeFact, NodeLeaseFact, Taint } from "../../src/model/node.ts";
import { OUR_TAINT_VALUE, OUT_OF_SERVICE_TAINT, QUARANTINE_TAINT } from "../../src/model/node.ts";
import type { PathProbe } from "../../src/model/probe.ts";
import type { Plan, Step } from "../../src/model/plan.ts";
import type {
  FailoverRecord,
  FailoverRule,
  OptInPolicyFact,
  OutageRecord,
  ProtectionFact,
  ProtectionStatus,
} from "../../src/model/protection.ts";
import type { Changes, Conclusions, Snapshot, SourceName, SourceState } from "../../src/model/snapshot.ts";
import type { LauncherPodFact, MigrationFact, VMFact, VMIFact } from "../../src/model/virtual-machine.ts";
import { DEFAULT_KUBEVIRT_CONFIG } from "../../src/model/virtual-machine.ts";
import { Indexes } from "../../src/observe/indexes.ts";

/** Monotonic now of every table; far from zero, so that "long ago" exists. */
export const NOW_MS = 1_000_000;
export const NOW_WALL_MS = Date.UTC(2026, 10, 22, 12, 0, 0);
const INSTANT = { monotonicMs: NOW_MS, wallMs: NOW_WALL_MS };
/** The time stamp of `NOW_WALL_MS`. */
export const NOW = "2026-11-22T12:00:00.000Z";

export const POLICY: DecisionPolicy = defaultPolicy();

/** What `protect` promises unless said otherwise. */
export const FAILOVER: FailoverRule = {
  enabled: true,
  restartOnce: false,
  startManual: true,
  maxRestarts: 3,
  restartWindowMs: 3_600_000,
};

const SOURCES: readonly SourceName[] = [
  "nodes",
  "leases",
  "virtualMachines",
  "virtualMachineInstances",
  "migrations",
  "launcherPods",
  "protections",
  "policies",
  "topologies",
  "fencings",
  "disarms",
  "drills",
  "namespaces",
  "kubeVirt",
];

export interface NodeWords {
  /** How long its Lease has been silent; 3 s unless said. */
  readonly leaseSilentMs?: number;
  /** How much earlier the renewal before the last was seen; 10 s unless said. */
  readonly leasePeriodMs?: number;
  readonly heartbeatSilentMs?: number;
  readonly bootID?: string | undefined;
  readonly ready?: NodeFact["ready"];
  readonly cordoned?: boolean;
  readonly outOfService?: boolean | string;
  readonly labels?: Record<string, string>;
  /** The value of its quarantine taint. */
  readonly quarantined?: string;
  readonly placementAgeMs?: number;
  readonly noLease?: boolean;
  /** The time in its Lease, by its own clock; none that can be read unless said. */
  readonly leaseStamp?: string;
  readonly fencing?: readonly LevelReadiness[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface VMWords extends Partial<Omit<VMFact, "key">> {
  readonly on?: string | undefined;
  readonly vmi?: Partial<VMIFact> | undefined;
  readonly protection?: Partial<Omit<ProtectionFact, "status">> & {
    readonly status?: Partial<ProtectionStatus>;
  };
  readonly unprotected?: boolean;
  /** No launcher pod although it has a VMI. */
  readonly podGone?: boolean;
  readonly podOn?: string;
}

export interface DrillWords extends Partial<Omit<DrillFact, "status">> {
  readonly status?: Partial<DrillStatus>;
}

/** The verdict of a readiness check. */
export function readiness(ready: boolean, name = "bmc"): LevelReadiness {
  return {
    level: name,
    ready,
    reason: ready ? "DeviceReady" : "DeviceDenied",
    message: ready ? "says On" : "the device answers 401",
    seen: undefined,
    since: undefined,
  };
}

/** A cluster under construction; every method returns it. */
export class Cluster {
  readonly nodes = new Map<string, NodeFact>();
  readonly leases = new Map<string, NodeLeaseFact>();
  readonly vms = new Map<string, VMFact>();
  readonly vmis = new Map<string, VMIFact>();
  readonly migrations = new Map<string, MigrationFact>();
  readonly pods = new Map<string, LauncherPodFact>();
  readonly protections = new Map<string, ProtectionFact>();
  readonly policies = new Map<string, OptInPolicyFact>();
  readonly topologies = new Map<string, FencingTopologyFact>();
  readonly fencings = new Map<string, FencingFact>();
  readonly probes = new Map<string, readonly PathProbe[]>();
  readonly disarms = new Map<string, DisarmFact>();
  readonly drills = new Map<string, DrillFact>();
  readonly shooting = new Set<string>();
  readonly drillProbings = new Map<string, DrillProbing>();
  /** Labels by namespace. */
  readonly namespaces = new Map<string, Readonly<Record<string, string>>>([["ns", {}]]);
  readonly sources = new Map<SourceName, SourceState>(
    SOURCES.map((name) => [name, { synced: true, asOfMs: NOW_MS }]),
  );
  contactSinceMs = 0;
  /** The last answer before that; undefined where the watch began then. */
  contactBrokenMs: number | undefined;
  unobserved: readonly Span[] = [];
  changes: Changes | undefined;
  last: Conclusions | undefined;
  kubeVirt = DEFAULT_KUBEVIRT_CONFIG;

  node(name: string, words: NodeWords = {}): this {
    const taints: Taint[] = [];
    if (words.cordoned)
      taints.push({ key: "node.kubernetes.io/unschedulable", value: undefined, effect: "NoSchedule" });
    if (words.quarantined !== undefined)
      taints.push({ key: QUARANTINE_TAINT, value: words.quarantined, effect: "NoSchedule" });
    if (words.outOfService) {
      const value = words.outOfService === true ? OUR_TAINT_VALUE : words.outOfService;
      taints.push({ key: OUT_OF_SERVICE_TAINT, value, effect: "NoSchedule" });
    }
    const ready = "ready" in words ? words.ready : "True";
    this.nodes.set(name, {
      name,
      uid: `uid-${name}`,
      bootID: "bootID" in words ? words.bootID : `boot-${name}-1`,
      ready,
      placement: {
        labels: { "kubernetes.io/hostname": name, "kubevirt.io/schedulable": "true", ...words.labels },
        taints,
        unschedulable: words.cordoned === true,
        ready: ready === "True",
      },
      placementChangedAtMs: NOW_MS - (words.placementAgeMs ?? 600_000),
      annotations: words.annotations ?? {},
      ...(words.fencing === undefined ? {} : { fencing: words.fencing }),
      heartbeat: { value: "beat", changedAtMs: NOW_MS - (words.heartbeatSilentMs ?? 40_000) },
    });
    if (words.noLease) this.leases.delete(name);
    else {
      this.leases.set(name, {
        renewal: {
          value: words.leaseStamp ?? "renewed",
          changedAtMs: NOW_MS - (words.leaseSilentMs ?? 3_000),
        },
        renewedBeforeMs: NOW_MS - (words.leaseSilentMs ?? 3_000) - (words.leasePeriodMs ?? 10_000),
      });
    }
    return this;
  }

  topology(name = "bmc", change: Partial<FencingTopologyFact> = {}): this {
    this.topologies.set(name, {
      name,
      uid: `uid-${name}`,
      resourceVersion: "1",
      generation: 1,
      precedence: 0,
      nodeSelector: {},
      afterFencing: "StayOff",
      levels: [level("bmc")],
      status: { observedGeneration: 1, coveredNodes: 3, conditions: [] },
      ...change,
    });
    return this;
  }

  vm(name: string, words: VMWords = {}): this {
    const { on, vmi, protection, unprotected, podGone, podOn, ...vm } = words;
    const key = `ns/${name}`;
    this.vms.set(key, {
      key,
      namespace: "ns",
      name,
      uid: `vm-${name}`,
      runStrategy: "Always",
      labels: {},
      constraints: { key: "any", nodeSelector: {}, affinityTerms: [], tolerations: [] },
      printableStatus: "Running",
      deleting: false,
      ...vm,
    });
    if (on !== undefined || vmi !== undefined) {
      this.vmis.set(key, {
        key,
        namespace: "ns",
        name,
        uid: `vmi-${name}-1`,
        phase: "Running",
        nodeName: on,
        ready: true,
        paused: undefined,
        liveMigratable: { status: true, reason: "", message: "" },
        evictionStrategy: undefined,
        evacuationNodeName: undefined,
        migration: undefined,
        deleting: false,
        scheduledAtWallMs: NOW_WALL_MS - 60_000,
        runningAtWallMs: NOW_WALL_MS - 59_000,
        readyAtWallMs: NOW_WALL_MS - 58_000,
        createdAtWallMs: NOW_WALL_MS - 62_000,
        readyChangedAtWallMs: NOW_WALL_MS - 58_000,
        agentConnected: false,
        agentChangedAtWallMs: undefined,
        address: undefined,
        firstSeenMs: NOW_MS - 60_000,
        ...vmi,
      });
    }
    const podNode = podOn ?? on;
    if (podNode !== undefined && !podGone) this.pod(name, { nodeName: podNode });
    if (!unprotected) this.protect(name, protection);
    return this;
  }

  pod(vmName: string, change: Partial<LauncherPodFact> = {}): this {
    const name = change.name ?? `virt-launcher-${vmName}-${this.pods.size}`;
    this.pods.set(`ns/${name}`, {
      key: `ns/${name}`,
      namespace: "ns",
      name,
      uid: `uid-${name}`,
      kind: "launcher",
      nodeName: undefined,
      vmKey: `ns/${vmName}`,
      vmiUID: `vmi-${vmName}-1`,
      finished: false,
      deleting: false,
      unschedulable: undefined,
      ...change,
    });
    return this;
  }

  protect(vmName: string, change: VMWords["protection"] = {}): this {
    const name = change.name ?? vmName;
    const { status, ...rest } = change;
    this.protections.set(`ns/${name}`, {
      key: `ns/${name}`,
      namespace: "ns",
      name,
      uid: `havm-${name}`,
      resourceVersion: "1",
      generation: 1,
      createdAtWallMs: NOW_WALL_MS - 3_600_000,
      vmKey: `ns/${vmName}`,
      vmName,
      dependsOn: [],
      madeByPolicy: undefined,
      policyGeneration: undefined,
      deleting: false,
      priority: 500,
      evacuation: { strategy: "LiveMigrate", targetSelector: {}, timeoutMs: 900_000 },
      failover: FAILOVER,
      failback: { policy: "Never", delayMs: 300_000, nodeSelector: {} },
      availability: DEFAULT_AVAILABILITY_RULE,
      ...rest,
      status: { conditions: [], outages: [], ...status },
    });
    return this;
  }

  migration(vmName: string, change: Partial<MigrationFact> = {}): this {
    const name = change.name ?? `migration-${this.migrations.size}`;
    this.migrations.set(`ns/${name}`, {
      key: `ns/${name}`,
      namespace: "ns",
      name,
      uid: `uid-${name}`,
      vmiKey: `ns/${vmName}`,
      phase: "Running",
      finished: false,
      succeeded: false,
      purpose: "Evacuation",
      forVMI: `vmi-${vmName}-1`,
      deleting: false,
      createdAtWallMs: NOW_WALL_MS - 1_000,
      firstSeenMs: NOW_MS - 1_000,
      finishedAtMs: undefined,
      failureReason: undefined,
      ...change,
    });
    return this;
  }

  /** A fencing of the node's incarnation `boot-<node>-1`. */
  fencing(node: string, status: Partial<FencingStatus> = {}, change: Partial<FencingFact> = {}): this {
    this.fencings.set(`nf-${node}`, {
      name: `nf-${node}`,
      uid: `uid-nf-${node}`,
      resourceVersion: "7",
      nodeName: node,
      nodeUID: `uid-${node}`,
      bootID: `boot-${node}-1`,
      topology: "bmc",
      detectedAt: NOW,
      lastSeenAt: NOW,
      changedAtMs: NOW_MS - 1_000,
      provenAtMs: status.proof === undefined ? undefined : NOW_MS - 1_000,
      status: { phase: "Pending", epoch: 1, attempts: [], releasedVMs: [], conditions: [], ...status },
      ...change,
    });
    return this;
  }

  /** A fencing that is proven: powered off and read back. */
  fenced(node: string, status: Partial<FencingStatus> = {}, change: Partial<FencingFact> = {}): this {
    return this.fencing(
      node,
      {
        phase: "Fenced",
        attempts: [attempt({ outcome: "PoweredOff" })],
        proof: { type: "PowerOff", bootID: `boot-${node}-1`, observedAt: NOW, detail: "read back Off twice" },
        ...status,
      },
      change,
    );
  }

  /** How the node answers direct probes, network by network: ago in milliseconds, or how. */
  probed(node: string, ...networks: readonly ("answers" | "silent" | "never")[]): this {
    this.probes.set(
      node,
      networks.map((state, i) => ({
        network: i === 0 ? "InternalIP" : `example.com/net-${i}`,
        answeredAtMs: state === "never" ? undefined : NOW_MS - (state === "answers" ? 1_000 : 60_000),
        silentSinceMs: state === "answers" ? undefined : NOW_MS - 30_000,
        failures: state === "answers" ? 0 : 5,
      })),
    );
    return this;
  }

  /** A FencingDisarm for all nodes that ends in an hour and is in force. */
  disarm(name: string, change: Partial<DisarmFact> = {}): this {
    this.disarms.set(name, {
      name,
      uid: `uid-${name}`,
      resourceVersion: "1",
      generation: 1,
      reason: "switch work",
      until: new Date(NOW_WALL_MS + 3_600_000).toISOString(),
      requestedBy: undefined,
      nodeSelector: {},
      untilMs: NOW_MS + 3_600_000,
      status: { heldNodes: [], conditions: [] },
      ...change,
    });
    return this;
  }

  /** A drill that live-migrates ns/a once; due now, and nothing promised. */
  drill(name: string, { status, ...change }: DrillWords = {}): this {
    this.drills.set(name, {
      name,
      uid: `uid-${name}`,
      resourceVersion: "1",
      generation: 1,
      deleting: false,
      type: "LiveMigration",
      vmKey: change.type === undefined || change.type === "LiveMigration" ? "ns/a" : undefined,
      nodeName: change.type === undefined || change.type === "LiveMigration" ? undefined : "n1",
      runs: 1,
      intervalMs: 30_000,
      schedule: undefined,
      suspended: false,
      startTimeoutMs: 60_000,
      runTimeoutMs: 600_000,
      promise: {},
      probes: [],
      ...change,
      status: {
        epoch: 1,
        phase: "Pending",
        message: "",
        runs: [],
        statistics: [],
        conditions: [],
        ...status,
      },
    });
    return this;
  }

  snapshot(): Snapshot {
    const indexes = new Indexes();
    for (const [key, fact] of this.vms) indexes.vmChanged(key, undefined, fact);
    for (const [key, fact] of this.vmis) indexes.vmiChanged(key, undefined, fact);
    for (const [key, fact] of this.pods) indexes.podChanged(key, undefined, fact, INSTANT);
    for (const [key, fact] of this.migrations) indexes.migrationChanged(key, undefined, fact);
    for (const [key, fact] of this.protections) indexes.protectionChanged(key, undefined, fact);
    return {
      ...this.facts(),
      contact: {
        lastOkMs: NOW_MS,
        unbrokenSinceMs: this.contactSinceMs,
        ...(this.contactBrokenMs === undefined ? {} : { brokenSinceMs: this.contactBrokenMs }),
      },
      index: indexes.index,
      changes: this.changes ?? { everything: true, rules: true, vmKeys: new Set() },
      last: this.last,
    };
  }

  /** The snapshot without what is kept from change to change. */
  facts(): Omit<Snapshot, "contact" | "index" | "changes" | "last"> {
    const leases = this.sources.get("leases");
    return {
      sources: Object.fromEntries(this.sources) as Snapshot["sources"],
      nodes: this.nodes,
      leases: this.leases,
      probes: this.probes,
      leaseAsOfMs: () => leases?.asOfMs ?? 0,
      vms: this.vms,
      vmis: this.vmis,
      migrations: this.migrations,
      pods: this.pods,
      protections: this.protections,
      policies: this.policies,
      topologies: this.topologies,
      fencings: this.fencings,
      shooting: this.shooting,
      disarms: this.disarms,
      drills: this.drills,
      drillProbings: this.drillProbings,
      namespaces: this.namespaces,
      unobserved: this.unobserved,
      kubeVirt: this.kubeVirt,
    };
  }

  decide(policy: Partial<DecisionPolicy> = {}): Plan {
    return decide(this.snapshot(), { ...POLICY, ...policy }, { monotonicMs: NOW_MS, wallMs: NOW_WALL_MS });
  }
}

export function level(name: string, change: Partial<LevelLimits> = {}) {
  return {
    name,
    method: "Redfish" as const,
    timeoutMs: 60_000,
    retries: 2,
    backoffMs: 5_000,
    redfish: {
      address: "https://bmc",
      systemId: undefined,
      auth: "Auto" as const,
      credentialsSecret: { name: "bmc", namespace: undefined },
      caSecret: undefined,
      insecureSkipVerify: false,
    },
    ...change,
  };
}

export function attempt(
  change: Partial<FencingStatus["attempts"][number]> = {},
): FencingStatus["attempts"][number] {
  return {
    number: 1,
    level: "bmc",
    method: "Redfish",
    epoch: 1,
    startedAt: NOW,
    outcome: "TimedOut",
    ...change,
  };
}

/** A failover on record: the VM's first instance was lost with the node. */
export function lostWith(vm: string, node: string, change: Partial<FailoverRecord> = {}): FailoverRecord {
  return {
    fencing: `nf-${node}`,
    fromNode: node,
    vmiUID: `vmi-${vm}-1`,
    lastGoodAt: NOW,
    lostAt: NOW,
    phase: "Recovering",
    message: `${node} is lost; progress is in NodeFencing nf-${node}`,
    ...change,
  };
}

/** An outage that is over. */
export function outage(agoMs: number, change: Partial<OutageRecord> = {}): OutageRecord {
  const lostAt = new Date(NOW_WALL_MS - agoMs).toISOString();
  return { cause: "NodeLost", fromNode: "n9", vmiUID: "vmi-old", lastGoodAt: lostAt, lostAt, ...change };
}

/** Three healthy nodes and one topology for all. */
export function threeNodes(): Cluster {
  return new Cluster().node("n1").node("n2").node("n3").topology();
}

/** A policy for every VM labelled `ha: yes`. */
export function optInPolicy(name: string, change: Partial<OptInPolicyFact> = {}): OptInPolicyFact {
  return {
    name,
    uid: `uid-${name}`,
    resourceVersion: "1",
    generation: 1,
    precedence: 0,
    namespaceSelector: {},
    selector: { matchLabels: { ha: "yes" } },
    rules: {
      priority: 500,
      evacuation: { strategy: "LiveMigrate", targetSelector: {}, timeoutMs: 900_000 },
      failover: FAILOVER,
      failback: { policy: "Never", delayMs: 300_000, nodeSelector: {} },
      availability: DEFAULT_AVAILABILITY_RULE,
    },
    template: {},
    deleting: false,
    status: { conditions: [] },
    ...change,
  };
}

/** The steps of one kind. */
export function stepsOf<K extends Step["kind"]>(plan: Plan, kind: K): Extract<Step, { kind: K }>[] {
  return plan.steps.filter((step): step is Extract<Step, { kind: K }> => step.kind === kind);
}

/** Steps that touch the world beyond our own records: what must be empty where the right answer is to do nothing. */
export function effectsOf(plan: Plan): Step[] {
  const records: readonly Step["kind"][] = ["WriteProtection", "WriteSummary", "RefreshNode"];
  return plan.steps.filter((step) => !records.includes(step.kind));
}

/** The status that the plan writes for one HAVirtualMachine; throws where it writes none. */
export function statusOf(plan: Plan, name: string): ProtectionStatus {
  const write = stepsOf(plan, "WriteProtection").find((step) => step.protection.name === name);
  if (write === undefined) throw new Error(`the plan writes no status for ${name}`);
  return write.status;
}

/** One condition of that status, as `Status/Reason`. */
export function conditionOf(plan: Plan, name: string, type: string): string {
  const condition = statusOf(plan, name).conditions.find((one) => one.type === type);
  return `${condition?.status ?? "absent"}/${condition?.reason ?? ""}`;
}

export function refusalsOf(plan: Plan, about: string): string[] {
  return plan.refusals.filter((refusal) => refusal.about === about).map((refusal) => refusal.reason);
}
