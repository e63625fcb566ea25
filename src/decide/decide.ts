// The one decision: snapshot, policy and time in; a plan out. Total, synchronous and pure.
import type { DecisionPolicy } from "../model/decision-policy.ts";
import { isClosed, type FencingFact } from "../model/fencing.ts";
import type { Instant } from "../model/clock.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { ProtectionFact, ProtectionStatus } from "../model/protection.ts";
import type { NodeConclusion, Snapshot } from "../model/snapshot.ts";
import { hourOf, protectionsToLookAt, takePostponed } from "./affected.ts";
import { nextAccount } from "./availability.ts";
import { conditionsOf } from "./condition.ts";
import { sameData } from "../model/equal.ts";
import { decideDisarms, disarmsByNode } from "./disarm.ts";
import { decideDrills, drilledVMs } from "./drill.ts";
import { decideEvacuations, isToBeEmptied } from "./evacuation.ts";
import { decideFailbacks } from "./failback.ts";
import { decideFencings } from "./fencing.ts";
import { judgeNodes } from "./judge-node.ts";
import { MigrationSlots } from "./migration-slots.ts";
import { decideOptIns } from "./opt-in.ts";
import { canHost, excusedUntilMs, findCandidates } from "./placement.ts";
import { liftQuarantines } from "./quarantine.ts";
import { nextRecords } from "./records.ts";
import { decideRestarts } from "./restarts.ts";
import { liftOrphanedTaints } from "./returning.ts";
import { judgeSLO } from "./slo.ts";
import { candidatesOf, judgeStanding } from "./standing.ts";
import { statusEvents } from "./status-events.ts";
import { judgeStorm } from "./storm.ts";
import { decideStorageClients } from "./storage-clients.ts";
import { subjectOf } from "./subject.ts";
import { decideTopologyStatuses, notFenceable, topologiesByNode } from "./topologies.ts";
import { PlanDraft, type Turn } from "./turn.ts";

/** More than are written between two turns, and few enough that working them out again costs next to nothing. */
const MAX_CALM_STATUSES_PER_TURN = 500;

/**
 * Decides what is to be done now. Guarantees: the same arguments give the same plan; nothing is judged while a source is
 * unsynced or before the API server has answered; every harmful step carries what makes it safe (a proof, a
 * resourceVersion, a UID). `snapshot.last` and `snapshot.changes` only spare work: without them everything is looked at.
 */
export function decide(snapshot: Snapshot, policy: DecisionPolicy, now: Instant): Plan {
  const unsynced = Object.entries(snapshot.sources).filter(([, source]) => !source.synced);
  if (unsynced.length > 0) {
    const names = unsynced.map(([name]) => name).join(", ");
    return notJudged(`nothing is judged before every source is synced; waiting for: ${names}`);
  }
  const { turn, nodes } = beginTurn(snapshot, policy, now);
  decideTopologyStatuses(turn);
  decideFencings(turn);
  decideDisarms(turn);
  decideStorageClients(turn);
  liftOrphanedTaints(turn);
  liftQuarantines(turn);
  const slots = new MigrationSlots(turn);
  decideEvacuations(turn, slots);
  decideDrills(turn, slots);
  decideFailbacks(turn, slots);
  decideRestarts(turn);
  decideOptIns(turn);
  const waiting = takePostponed(turn);
  const postponed = decideStatuses(turn, protectionsToLookAt(turn, nodes, waiting.now));
  // Where a turn found less to write than it may, no write's end will wake the next.
  if (waiting.later.length > 0 && postponed.size === 0) turn.plan.lookAgain(now.monotonicMs);
  const { steps, refusals, lookAgainAtMs } = turn.plan;
  return {
    steps,
    refusals,
    verdicts: turn.verdicts,
    notJudged: undefined,
    lookAgainAtMs,
    conclusions: {
      nodes,
      candidates: turn.candidates,
      unwritten: unwrittenBy(snapshot, steps),
      postponed: new Set([...waiting.later, ...postponed]),
      hour: hourOf(turn),
    },
    disarmedNodes: turn.disarms.size,
  };
}

function notJudged(why: string): Plan {
  return {
    steps: [],
    refusals: [],
    verdicts: new Map(),
    notJudged: why,
    lookAgainAtMs: undefined,
    disarmedNodes: 0,
    conclusions: undefined,
  };
}

interface Beginning {
  readonly turn: Turn;
  readonly nodes: ReadonlyMap<string, NodeConclusion>;
}

function beginTurn(snapshot: Snapshot, policy: DecisionPolicy, now: Instant): Beginning {
  const plan = new PlanDraft();
  const openFencings = openFencingsOf(snapshot);
  const verdicts = judgeNodes({ snapshot, policy, nowMs: now.monotonicMs, plan }, openFencings);
  const hosts = new Map<string, boolean>();
  for (const node of snapshot.nodes.values()) {
    const verdict = verdicts.get(node.name) ?? { kind: "unknown", why: "not judged" };
    const untilMs = excusedUntilMs(snapshot, node) ?? Number.NEGATIVE_INFINITY;
    const isExcused = now.monotonicMs < untilMs;
    if (isExcused) plan.lookAgain(untilMs);
    hosts.set(node.name, canHost(node, verdict, isExcused));
  }
  const storm = judgeStorm({ snapshot, policy, verdicts, openFencings, plan, nowMs: now.monotonicMs });
  const partial = {
    snapshot,
    policy,
    now,
    plan,
    verdicts,
    openFencings,
    topologies: topologiesByNode(snapshot),
    disarms: disarmsByNode(snapshot),
    drilled: drilledVMs(snapshot),
    hosts,
    storm: storm.message,
    stormRoom: storm.room,
    candidates: new Map<string, readonly string[]>(),
  };
  const nodes = concludeNodes(partial);
  return { turn: { ...partial, candidates: findCandidates(snapshot, hosts, nodes) }, nodes };
}

/**
 * One open fencing per node; of several the one that is about the node as it is now, and of those the one that has come
 * furthest: somebody may ask for a fencing while one is under way, which must not begin anew for that.
 */
function openFencingsOf(snapshot: Snapshot): ReadonlyMap<string, FencingFact> {
  const open = new Map<string, FencingFact>();
  for (const fencing of snapshot.fencings.values()) {
    if (isClosed(fencing)) continue;
    const other = open.get(fencing.nodeName);
    if (other === undefined || isMoreTimely(snapshot, fencing, other)) open.set(fencing.nodeName, fencing);
  }
  return open;
}

function isMoreTimely(snapshot: Snapshot, fencing: FencingFact, other: FencingFact): boolean {
  const node = snapshot.nodes.get(fencing.nodeName);
  const isAbout = (one: FencingFact): boolean => one.nodeUID === node?.uid && one.bootID === node.bootID;
  if (isAbout(fencing) !== isAbout(other)) return isAbout(fencing);
  const further = progressOf(fencing) - progressOf(other);
  return further === 0 ? fencing.name < other.name : further > 0;
}

function progressOf({ status, requested }: FencingFact): number {
  if (status.proof !== undefined) return 3;
  if (status.attempts.length > 0) return 2;
  return requested === true ? 0 : 1;
}

function concludeNodes(turn: Turn): Map<string, NodeConclusion> {
  const conclusions = new Map<string, NodeConclusion>();
  for (const node of turn.snapshot.nodes.values()) {
    const verdict = turn.verdicts.get(node.name)?.kind ?? "unknown";
    // A suspicion that passes must not stir the statuses of a whole node.
    const kind = verdict === "suspect" ? "healthy" : verdict;
    const emptied = isToBeEmptied(turn, node) ? "emptied" : "";
    const disarm = turn.disarms.get(node.name);
    const disarmed = disarm === undefined ? "" : `${disarm.uid}@${disarm.generation}`;
    conclusions.set(node.name, {
      word: [
        kind,
        emptied,
        turn.topologies.get(node.name)?.name ?? "",
        disarmed,
        notFenceable(turn, node.name),
      ].join("/"),
      placement: node.placement,
      canHost: turn.hosts.get(node.name) === true,
    });
  }
  return conclusions;
}

/**
 * Statuses of VMs that are at peace are written a few hundred at a time: when fifty thousand have something new to say, as
 * at a first start, no more is to be worked out than can be written before the next turn. Returns the VMs of those that
 * wait; the next turn begins with them, so that none waits for ever behind others that cannot be written.
 */
function decideStatuses(turn: Turn, protections: Iterable<ProtectionFact>): ReadonlySet<string> {
  const postponed = new Set<string>();
  let calmWrites = 0;
  for (const protection of protections) {
    const calm = isAtPeace(turn, protection);
    if (calm && calmWrites >= MAX_CALM_STATUSES_PER_TURN) postponed.add(protection.vmKey);
    else if (decideStatus(turn, protection) && calm) calmWrites += 1;
  }
  return postponed;
}

/** Its guest runs on a node that is well, and nothing is under way: what its status has to say can wait. */
function isAtPeace({ snapshot, verdicts }: Turn, { key, vmKey }: ProtectionFact): boolean {
  const vmi = snapshot.vmis.get(vmKey);
  if (vmi?.nodeName === undefined || snapshot.index.unsettled.has(key)) return false;
  const verdict = verdicts.get(vmi.nodeName)?.kind;
  const isWell = verdict === "healthy" || verdict === "suspect";
  const isMoving = vmi.migration !== undefined && !vmi.migration.ended;
  return isWell && !isMoving && vmi.phase === "Running" && vmi.ready && !vmi.deleting;
}

/** Returns whether there is something to write. */
function decideStatus(turn: Turn, protection: ProtectionFact): boolean {
  if (protection.deleting) return false;
  const subject = subjectOf(turn, protection);
  const { vmi } = subject;
  const candidates = candidatesOf(subject);
  const records = nextRecords(subject);
  if (isMidFailover(protection, records.failover)) return false;
  const account = nextAccount(subject, records);
  const slo = account === undefined ? undefined : judgeSLO(subject, account, records.outages);
  const judgements = [...judgeStanding(subject, candidates, records.failover), ...(slo?.judgements ?? [])];
  const status: ProtectionStatus = {
    observedGeneration: protection.generation,
    conditions: conditionsOf(
      judgements,
      protection.status.conditions,
      turn.now.wallMs,
      protection.generation,
    ),
    ...(vmi?.nodeName === undefined ? {} : { node: vmi.nodeName }),
    ...(vmi === undefined ? {} : { vmiUID: vmi.uid }),
    ...records,
    ...(slo === undefined ? {} : { availability: slo.availability }),
    ...(candidates === undefined ? {} : { candidates }),
  };
  if (sameData(status, protection.status)) return false;
  turn.plan.add({ kind: "WriteProtection", protection, status, events: statusEvents(protection, status) });
  return true;
}

/**
 * While a failover goes its way its status stands: the new instance passes through many states within seconds, and a
 * hundred VMs of a node would each write them all. It is written again when something blocks it, and when it is over.
 */
function isMidFailover({ status, generation }: ProtectionFact, next: ProtectionStatus["failover"]): boolean {
  return next !== undefined && sameData(next, status.failover) && status.observedGeneration === generation;
}

/** VMs whose objects of ours the plan changes. */
function unwrittenBy(snapshot: Snapshot, steps: readonly Step[]): ReadonlySet<string> {
  const vmKeys = new Set<string>();
  for (const step of steps) {
    if (step.kind === "WriteProtection") vmKeys.add(step.protection.vmKey);
    if (step.kind === "ApplyProtection") vmKeys.add(`${step.namespace}/${step.vmName}`);
    if (step.kind === "DeleteProtection") {
      const vmKey = snapshot.protections.get(`${step.namespace}/${step.name}`)?.vmKey;
      if (vmKey !== undefined) vmKeys.add(vmKey);
    }
  }
  return vmKeys;
}
