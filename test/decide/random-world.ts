// Draws clusters at random: plausible ones, in which objects fit together as the real controllers leave them, seen at any
// moment; and absurd ones, in which nothing has to fit anything.
import { DEFAULT_AVAILABILITY_RULE } from "../../src/model/availability.ts";
import fc from "fast-check";
import type { Confirmation } from "../../src/model/confirmation.ts";
import type { FencingPhase, FencingStatus } from "../../src/model/fencing.ts";
import type { RecordedProof } from "../../src/model/proof.ts";
import type { Signal } from "../../src/model/node.ts";
import type { OptInPolicyFact, ProtectionStatus } from "../../src/model/protection.ts";
import type { VMIFact, VMIPhase } from "../../src/model/virtual-machine.ts";
import {
  attempt,
  Cluster,
  FAILOVER,
  level,
  lostWith,
  type NodeWords,
  NOW,
  NOW_MS,
  NOW_WALL_MS,
  outage,
  type VMWords,
} from "./builder.ts";

/** Choices enough for the largest world and its history; what lies beyond the tape is the first choice. */
const MAX_CHOICES = 700;

/** Where every random choice comes from: a tape of numbers, so that a failing world shrinks to a small and plain one. */
export class Draw {
  readonly #tape: readonly number[];
  #at = 0;

  constructor(tape: readonly number[]) {
    this.#tape = tape;
  }

  pick<T>(first: T, ...others: readonly T[]): T {
    const choices = [first, ...others];
    return choices[this.#next() % choices.length] ?? first;
  }

  int(min: number, max: number): number {
    return min + (this.#next() % (max - min + 1));
  }

  /** True one time in `of`. */
  chance(of: number): boolean {
    return this.#next() % of === of - 1;
  }

  maybe<T>(value: T, of = 2): T | undefined {
    return this.chance(of) ? value : undefined;
  }

  /** What fast-check prints of a failure: the choices that were made. */
  [fc.toStringMethod](): string {
    return `choices ${JSON.stringify(this.#tape.slice(0, this.#at))}`;
  }

  #next(): number {
    return this.#tape[this.#at++] ?? 0;
  }
}

/** Runs of each property, and an end to the shrinking of a failure within the time a test may take. */
export const CHECKED = {
  numRuns: Number(process.env["DECIDE_RUNS"] ?? 500),
  interruptAfterTimeLimit: 15_000,
} as const;

/** All tapes. */
export const draws: fc.Arbitrary<Draw> = fc
  .array(fc.nat(999_999), { maxLength: MAX_CHOICES, size: "max" })
  .map((tape) => new Draw(tape));

export const NODES = ["n1", "n2", "n3", "n4", "n5"] as const;
export const VMS = ["a", "b", "c", "d", "e", "f"] as const;

const SILENCES = [500, 3_000, 11_999, 15_000, 21_999, 22_000, 25_000, 60_000, 400_000] as const;

export function drawNode(draw: Draw, cluster: Cluster, name: string): void {
  const words: NodeWords = {
    leaseSilentMs: draw.chance(3) ? draw.pick(...SILENCES) : 3_000,
    heartbeatSilentMs: draw.pick(1_000, 20_000, 40_000, 130_000, 400_000),
    bootID: draw.chance(8) ? draw.pick(undefined, `boot-${name}-2`) : `boot-${name}-1`,
    ready: draw.chance(6) ? draw.pick("False", "Unknown", undefined) : "True",
    cordoned: draw.chance(4),
    outOfService: draw.chance(5) && draw.pick<boolean | string>(true, "nodeshutdown"),
    labels: draw.chance(3)
      ? { rack: draw.pick("a", "b"), "kubevirt.io/schedulable": draw.pick("true", "false") }
      : {},
    placementAgeMs: draw.pick(0, 299_999, 300_000, 600_000),
    noLease: draw.chance(10),
  };
  cluster.node(name, words);
  const node = cluster.nodes.get(name);
  const lease = cluster.leases.get(name);
  if (!draw.chance(6) || node === undefined) return;
  const first = (signal: Signal): Signal => ({
    ...signal,
    value: draw.pick(
      "2026-11-22T11:00:00Z",
      "2026-11-22T11:59:30.123456Z",
      "2027-01-01T00:00:00Z",
      "?",
      undefined,
    ),
    firstSight: true,
  });
  cluster.nodes.set(name, { ...node, heartbeat: first(node.heartbeat) });
  if (lease !== undefined) cluster.leases.set(name, { renewal: first(lease.renewal) });
}

function drawOtherProof(draw: Draw, bootID: string): RecordedProof {
  const base = { bootID, observedAt: NOW, detail: "said" };
  const kind = draw.pick("FenceAgentsRemediation", "SelfNodeRemediation");
  const remediation = { apiVersion: "example.com/v1", kind, name: "cr", uid: "u" };
  const accepted = draw.chance(2) ? { acceptedAs: draw.pick("StorageFenced", "SelfNodeRemediation") } : {};
  return draw.pick<RecordedProof>(
    { ...base, type: "Confirmed", confirmedBy: "ada" },
    { ...base, ...accepted, type: "Remediated", remediation, attempt: 1 },
    { ...base, ...accepted, type: "SelfFenced", remediation, horizon: NOW, attempt: 1 },
    { ...base, ...accepted, type: "StorageFenced", cidrs: ["10.0.0.1/32"], attempt: 1 },
  );
}

function drawWord(draw: Draw, bootID: string): Confirmation {
  return {
    bootID: draw.pick(bootID, bootID, "boot-of-another"),
    by: draw.pick("ada", "bob", ""),
    writtenAt: NOW,
  };
}

export function drawFencing(draw: Draw, cluster: Cluster, node: string): void {
  const proven = draw.chance(2);
  const phase = proven ? draw.pick(...AFTER_PROOF) : draw.pick(...BEFORE_PROOF);
  const type = draw.chance(8) ? "Rebooted" : "PowerOff";
  const bootID = `boot-${node}-1`;
  const proof: RecordedProof = draw.chance(5)
    ? drawOtherProof(draw, bootID)
    : { type, bootID, observedAt: NOW, detail: "off", attempt: 1 };
  const attempts = Array.from({ length: draw.int(0, 4) }, (_, i) =>
    attempt({ number: i + 1, outcome: draw.pick("TimedOut", "Unreachable", "PoweredOff") }),
  );
  if (draw.chance(3)) attempts.push(attempt({ number: attempts.length + 1, outcome: "Started" }));
  const status: Partial<FencingStatus> = {
    phase,
    attempts,
    ...(proven ? { proof } : {}),
    ...(draw.chance(3) ? { message: "said before" } : {}),
    ...(draw.chance(3) ? { powerOnRequestedAt: NOW } : {}),
  };
  cluster.fencing(node, status, {
    changedAtMs: NOW_MS - draw.pick(0, 1_000, 10_000, 200_000),
    provenAtMs: proven ? NOW_MS - draw.pick(0, 1_000, 12_000, 100_000, 400_000) : undefined,
    nodeUID: draw.chance(10) ? "another" : `uid-${node}`,
    topology: draw.chance(8) ? undefined : "bmc",
    ...(draw.chance(5) ? { requested: true as const } : {}),
    ...(draw.chance(5) ? { confirmation: drawWord(draw, bootID) } : {}),
  });
  // As a node is that was really switched off: silent from before its proof, and mostly tainted.
  if (proven && !draw.chance(4) && cluster.nodes.has(node))
    cluster.node(node, {
      leaseSilentMs: 500_000,
      heartbeatSilentMs: 550_000,
      ready: draw.pick("Unknown", "True"),
      outOfService: !draw.chance(5),
    });
}

const BEFORE_PROOF: readonly [FencingPhase, ...FencingPhase[]] = ["Pending", "Fencing", "Aborted"];
const AFTER_PROOF: readonly [FencingPhase, ...FencingPhase[]] = [
  "Fenced",
  "Releasing",
  "Released",
  "Returned",
];

export function drawVM(draw: Draw, cluster: Cluster, name: string): void {
  const node = draw.chance(5) ? undefined : draw.pick("n1", "n1", "n2", "n3");
  const words: VMWords = {
    ...(node === undefined ? {} : { on: node }),
    runStrategy: draw.chance(2)
      ? "Always"
      : draw.pick("RerunOnFailure", "Manual", "Once", "Halted", "WaitAsReceiver"),
    labels: draw.chance(3) ? { ha: "yes" } : {},
    deleting: draw.chance(12),
    constraints: draw.chance(3) ? CONSTRAINED : UNCONSTRAINED,
    unprotected: draw.chance(6),
    podGone: draw.chance(6),
    vmi: node === undefined ? undefined : drawVMI(draw, name, node),
    protection: drawProtection(draw, name),
  };
  cluster.vm(name, words);
  if (draw.chance(8))
    cluster.protect(name, { name: `${name}-two`, createdAtWallMs: draw.pick(0, NOW_WALL_MS) });
  if (draw.chance(5)) cluster.pod(name, { nodeName: draw.pick(...NODES), finished: draw.chance(2) });
  if (draw.chance(8)) cluster.pod(name, { nodeName: node, kind: "hotplug" });
  if (draw.chance(6)) drawMigration(draw, cluster, name);
}

const UNCONSTRAINED = { key: "any", nodeSelector: {}, affinityTerms: [], tolerations: [] };
const CONSTRAINED = { key: "rack", nodeSelector: { rack: "a" }, affinityTerms: [], tolerations: [] };
const PHASES: readonly [VMIPhase, ...VMIPhase[]] = [
  "Pending",
  "Scheduling",
  "Scheduled",
  "Running",
  "Succeeded",
  "Failed",
];

export function drawVMI(draw: Draw, name: string, node: string | undefined): Partial<VMIFact> {
  const phase = draw.chance(3) ? draw.pick(...PHASES) : "Running";
  const target = draw.pick(...NODES);
  return {
    uid: `vmi-${name}-${draw.chance(4) ? 2 : 1}`,
    phase,
    ready: phase === "Running" && !draw.chance(5),
    deleting: draw.chance(10),
    paused: draw.maybe("PausedByUser", 12),
    liveMigratable: draw.chance(4)
      ? draw.pick(undefined, { status: false, reason: "R", message: "m" })
      : { status: true, reason: "", message: "" },
    evictionStrategy: draw.pick(undefined, undefined, "LiveMigrate", "External"),
    evacuationNodeName: draw.maybe(node, 10),
    firstSeenMs: NOW_MS - draw.pick(0, 4_000, 6_000, 400_000),
    migration: draw.chance(6)
      ? {
          uid: draw.pick("uid-migration-0", "another"),
          sourceNode: node,
          targetNode: target,
          targetReady: !draw.chance(3),
          ended: draw.chance(3),
        }
      : undefined,
  };
}

export function drawProtection(draw: Draw, name: string): NonNullable<VMWords["protection"]> {
  const enabled = !draw.chance(6);
  return {
    priority: draw.pick(0, 500, 900),
    evacuation: {
      strategy: draw.pick("LiveMigrate", "LiveMigrateOrRestart", "None"),
      targetSelector: {},
      timeoutMs: 900_000,
    },
    failover: { ...FAILOVER, enabled, restartOnce: draw.chance(2), startManual: !draw.chance(4) },
    availability: DEFAULT_AVAILABILITY_RULE,
    failback: {
      policy: draw.pick("Never", "Automatic"),
      delayMs: 300_000,
      nodeSelector: draw.chance(3) ? { rack: "a" } : {},
    },
    dependsOn: draw.chance(4)
      ? [{ name: draw.pick(...VMS, "nobody"), condition: draw.pick("Running", "Ready"), timeoutMs: 60_000 }]
      : [],
    madeByPolicy: draw.maybe("all", 4),
    policyGeneration: 1,
    deleting: draw.chance(15),
    generation: draw.pick(1, 2),
    status: drawStatus(draw, name),
  };
}

function drawStatus(draw: Draw, name: string): Partial<ProtectionStatus> {
  const node = draw.pick(...NODES);
  return {
    outages: Array.from({ length: draw.pick(0, 0, 0, 2, 3, 10) }, (_, i) => outage((i + 1) * 1_000_000)),
    ...(draw.chance(4)
      ? { failover: lostWith(name, node, { phase: draw.pick("Recovering", "Blocked") }) }
      : {}),
    ...(draw.chance(8)
      ? {
          evacuation: {
            fromNode: node,
            startedAt: NOW,
            phase: draw.pick("Waiting", "Migrating", "Restarting", "Refused"),
            message: "",
          },
        }
      : {}),
    ...(draw.chance(5) ? { displacedFrom: { node, cause: "Failover", since: NOW } } : {}),
  };
}

export function drawMigration(draw: Draw, cluster: Cluster, name: string): void {
  const finished = draw.chance(2);
  cluster.migration(name, {
    purpose: draw.pick("Evacuation", "Failback", undefined),
    phase: finished ? draw.pick("Succeeded", "Failed") : draw.pick("", "Pending", "Running"),
    finished,
    succeeded: finished && draw.chance(2),
    finishedAtMs: finished ? NOW_MS - draw.pick(0, 4_000, 100_000) : undefined,
    firstSeenMs: NOW_MS - draw.pick(0, 1_000, 1_000_000),
    deleting: draw.chance(6),
  });
}

export function drawPolicy(draw: Draw): OptInPolicyFact {
  return {
    name: "all",
    uid: "uid-all",
    resourceVersion: "1",
    generation: draw.pick(1, 2),
    precedence: 0,
    namespaceSelector: draw.pick({}, { matchLabels: { tier: "prod" } }),
    selector: draw.pick({ matchLabels: { ha: "yes" } }, {}),
    rules: {
      priority: 1,
      evacuation: { strategy: "None", targetSelector: {}, timeoutMs: 1 },
      failover: FAILOVER,
      failback: { policy: "Never", delayMs: 0, nodeSelector: {} },
      availability: DEFAULT_AVAILABILITY_RULE,
    },
    template: {},
    deleting: draw.chance(6),
    status: { conditions: [] },
  };
}

function drawDisarm(draw: Draw, cluster: Cluster): void {
  const end = { status: draw.pick("True", "False"), observedGeneration: draw.pick(1, 2) } as const;
  const active = { type: "Active", reason: "Active", message: "", lastTransitionTime: NOW, ...end };
  cluster.disarm("work", {
    nodeSelector: draw.pick({}, { matchLabels: { rack: "a" } }),
    untilMs: NOW_MS + draw.pick(1_000, 0, -1_000),
    status: { heldNodes: draw.pick([], ["n1"]), conditions: draw.chance(2) ? [active] : [] },
  });
}

/** A cluster as it might be seen at any moment of its life. */
export function drawCluster(draw: Draw): Cluster {
  const cluster = new Cluster();
  for (const name of NODES) if (!draw.chance(6)) drawNode(draw, cluster, name);
  if (!draw.chance(6)) {
    const afterFencing = draw.pick<"PowerOn" | "StayOff">("PowerOn", "StayOff");
    cluster.topology("bmc", {
      afterFencing,
      levels: draw.chance(2) ? [level("bmc"), level("pdu")] : [level("bmc")],
    });
  }
  if (draw.chance(4))
    cluster.topology("rack", { precedence: 1, nodeSelector: { matchLabels: { rack: "a" } } });
  for (const name of NODES) if (draw.chance(name === "n1" ? 2 : 4)) drawFencing(draw, cluster, name);
  for (const name of VMS) if (!draw.chance(4)) drawVM(draw, cluster, name);
  if (draw.chance(3)) cluster.policies.set("all", drawPolicy(draw));
  for (const name of NODES)
    if (draw.chance(5))
      cluster.probed(name, draw.pick("answers", "silent", "never"), draw.pick("never", "answers", "silent"));
  if (draw.chance(6)) drawDisarm(draw, cluster);
  if (draw.chance(8)) cluster.contactSinceMs = NOW_MS - draw.pick(0, 5_000, 30_000);
  if (draw.chance(8))
    cluster.sources.set("leases", { synced: true, asOfMs: NOW_MS - draw.pick(1_000, 15_000, 60_000) });
  return cluster;
}

/** The same with parts replaced by what no controller would ever leave. */
export function drawAbsurdCluster(draw: Draw): Cluster {
  const cluster = drawCluster(draw);
  const maps = [
    cluster.nodes,
    cluster.leases,
    cluster.vms,
    cluster.vmis,
    cluster.migrations,
    cluster.pods,
    cluster.protections,
    cluster.fencings,
    cluster.topologies,
  ] as readonly Map<string, object>[];
  for (let i = draw.int(1, 12); i > 0; i--) {
    const map = draw.pick<Map<string, object>>(cluster.nodes, ...maps);
    const key = draw.pick("nobody", ...map.keys());
    const fact = map.get(key);
    if (fact === undefined) continue;
    if (draw.chance(4)) map.delete(key);
    else map.set(key, { ...fact, ...absurdPart(draw, fact) });
  }
  return cluster;
}

const NUMBERS = [0, -1, 1e15, -1e15, Number.MAX_SAFE_INTEGER, 0.5] as const;
const STRINGS = ["", "n1", "ns/a", "ns/nobody", "0000-99-99T99:99:99Z", "x".repeat(300), "Ä/%_"] as const;

/** One member of the fact, replaced by another value of its own type. */
function absurdPart(draw: Draw, fact: object): object {
  const entries = Object.entries(fact).filter(
    ([, value]) => typeof value !== "object" && value !== undefined,
  );
  const [name, value] = draw.pick<readonly [string, unknown]>(["none", undefined], ...entries);
  if (typeof value === "number") return { [name]: draw.pick(...NUMBERS) };
  if (typeof value === "boolean") return { [name]: !value };
  // Of closed lists of words the parser has made sure, and of keys the store; other strings may be anything.
  if (typeof value === "string" && !CLOSED.has(name)) return { [name]: draw.pick(...STRINGS) };
  return {};
}

const CLOSED = new Set([
  "runStrategy",
  "phase",
  "kind",
  "purpose",
  "ready",
  "afterFencing",
  "key",
  "namespace",
  "name",
]);
