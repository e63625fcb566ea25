// The one decision: snapshot, policy and time in; a plan out. Total, synchronous and pure.
import type { DecisionPolicy } from "../model/decision-policy.ts";
import { isClosed, type FencingFact } from "../model/fencing.ts";
import type { Instant } from "../model/clock.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { Plan } from "../model/plan.ts";
import type { ProtectionFact } from "../model/protection.ts";
import type { NodeConclusion, Snapshot, SourceName } from "../model/snapshot.ts";
import { conditionsOf } from "./condition.ts";
import { sameData } from "../model/equal.ts";
import { decideEvacuations, isToBeEmptied, MigrationSlots } from "./evacuation.ts";
import { decideFailbacks } from "./failback.ts";
import { decideFencings } from "./fencing.ts";
import { judgeNodes } from "./judge-node.ts";
import { decideOptIns } from "./opt-in.ts";
import { canHost, findCandidates } from "./placement.ts";
import { nextRecords } from "./records.ts";
import { decideRestarts } from "./restarts.ts";
import { candidatesOf, judgeStanding } from "./standing.ts";
import { judgeStorm } from "./storm.ts";
import { decideTopologyStatuses, topologiesByNode } from "./topologies.ts";
import { PlanDraft, type Turn } from "./turn.ts";

/**
 * Decides what is to be done now. Guarantees: the same arguments give the same plan; nothing is judged while a source is
 * unsynced or before the API server has answered; every harmful step carries what makes it safe (a proof, a
 * resourceVersion, a UID). `snapshot.last` and `snapshot.changes` only spare work: without them everything is looked at.
 */
export function decide(snapshot: Snapshot, policy: DecisionPolicy, now: Instant): Plan {
  const unsynced = Object.entries(snapshot.sources).filter(([, source]) => !source.synced);
  if (unsynced.length > 0) {
    const names = unsynced.map(([name]) => name as SourceName).join(", ");
    return notJudged(`nothing is judged before every source is synced; waiting for: ${names}`);
  }
  const turn = beginTurn(snapshot, policy, now);
  const conclusions = { nodes: concludeNodes(turn), candidates: turn.candidates };
  decideTopologyStatuses(turn);
  decideFencings(turn);
  const slots = new MigrationSlots(turn);
  decideEvacuations(turn, slots);
  decideFailbacks(turn, slots);
  decideRestarts(turn);
  decideOptIns(turn);
  for (const protection of protectionsToLookAt(turn, conclusions.nodes)) decideStatus(turn, protection);
  return {
    steps: turn.plan.steps,
    refusals: turn.plan.refusals,
    verdicts: turn.verdicts,
    notJudged: undefined,
    lookAgainAtMs: turn.plan.lookAgainAtMs,
    conclusions,
  };
}

function notJudged(why: string): Plan {
  return {
    steps: [],
    refusals: [],
    verdicts: new Map(),
    notJudged: why,
    lookAgainAtMs: undefined,
    conclusions: undefined,
  };
}

function beginTurn(snapshot: Snapshot, policy: DecisionPolicy, now: Instant): Turn {
  const plan = new PlanDraft();
  const openFencings = new Map<string, FencingFact>();
  for (const fencing of snapshot.fencings.values()) {
    if (!isClosed(fencing)) openFencings.set(fencing.nodeName, fencing);
  }
  const verdicts = judgeNodes({ snapshot, policy, nowMs: now.monotonicMs, plan }, openFencings);
  const hosts = new Map<string, boolean>();
  for (const node of snapshot.nodes.values()) {
    hosts.set(node.name, canHost(node, verdicts.get(node.name) ?? { kind: "unknown", why: "not judged" }));
  }
  const partial = {
    snapshot,
    policy,
    now,
    plan,
    verdicts,
    openFencings,
    topologies: topologiesByNode(snapshot),
    hosts,
    storm: judgeStorm(verdicts, openFencings, policy),
    candidates: new Map<string, readonly string[]>(),
  };
  return { ...partial, candidates: findCandidates(snapshot, hosts, concludeNodes(partial)) };
}

function concludeNodes(turn: Turn): Map<string, NodeConclusion> {
  const conclusions = new Map<string, NodeConclusion>();
  for (const node of turn.snapshot.nodes.values()) {
    const verdict: NodeVerdict["kind"] = turn.verdicts.get(node.name)?.kind ?? "unknown";
    // A suspicion that passes must not stir the statuses of a whole node.
    const kind = verdict === "suspect" ? "healthy" : verdict;
    const emptied = isToBeEmptied(turn, node) ? "emptied" : "";
    conclusions.set(node.name, {
      word: `${kind}/${emptied}/${turn.topologies.get(node.name)?.name ?? ""}`,
      placement: node.placement,
      canHost: turn.hosts.get(node.name) === true,
    });
  }
  return conclusions;
}

/** HAVirtualMachines whose status may have to say something new: by what changed, or all where the rules did. */
function protectionsToLookAt(
  turn: Turn,
  nodes: ReadonlyMap<string, NodeConclusion>,
): Iterable<ProtectionFact> {
  const { snapshot } = turn;
  const { last, changes } = snapshot;
  if (last === undefined || changes.everything || changes.rules) return snapshot.protections.values();
  const vmKeys = new Set(changes.vmKeys);
  for (const [name, conclusion] of nodes) {
    if (last.nodes.get(name)?.word === conclusion.word) continue;
    for (const key of snapshot.index.vmisByNode.get(name) ?? []) vmKeys.add(key);
  }
  for (const [key, candidates] of turn.candidates) {
    const before = last.candidates.get(key);
    if (before === candidates || (before !== undefined && looksTheSame(before, candidates))) continue;
    for (const vmKey of snapshot.index.vmsByConstraints.get(key) ?? []) vmKeys.add(vmKey);
  }
  const found = new Set<ProtectionFact>();
  for (const vmKey of vmKeys) {
    for (const key of snapshot.index.protectionsByVM.get(vmKey) ?? []) {
      const protection = snapshot.protections.get(key);
      if (protection !== undefined) found.add(protection);
    }
  }
  for (const key of snapshot.index.unsettled) {
    const protection = snapshot.protections.get(key);
    if (protection !== undefined) found.add(protection);
  }
  return found;
}

/** Two candidate lists that no status tells apart: both full (only "at least" is said), or the same nodes. */
function looksTheSame(a: readonly string[], b: readonly string[]): boolean {
  return (
    (a.length > MAX_TOLD && b.length > MAX_TOLD) ||
    (a.length === b.length && a.every((node) => b.includes(node)))
  );
}

/** Lists longer than this are told as "at least" wherever the VM is. */
const MAX_TOLD = 3;

function decideStatus(turn: Turn, protection: ProtectionFact): void {
  const vm = turn.snapshot.vms.get(protection.vmKey);
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  const subject = { turn, protection, vm, vmi };
  const candidates = candidatesOf(subject);
  const records = nextRecords(subject);
  const judgements = judgeStanding(subject, candidates, records.failover);
  const status = {
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
    ...(candidates === undefined ? {} : { candidates }),
  };
  if (!sameData(status, protection.status)) turn.plan.add({ kind: "WriteProtection", protection, status });
}
