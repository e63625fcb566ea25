// Which HAVirtualMachines a turn looks at: those that something changed for, so that its work follows the changes.
import { vmKeysOn } from "./held.ts";
import { CANDIDATES_KEPT } from "./placement.ts";
import type { ProtectionFact } from "../model/protection.ts";
import type { Conclusions, NodeConclusion } from "../model/snapshot.ts";
import type { Turn } from "./turn.ts";

/** VMs of those that wait which one turn looks at: many say nothing new, so more than it writes. */
const MAX_POSTPONED_TAKEN = 1_000;

/**
 * The VMs that wait for their statuses to be looked at: those whose turn it is, and the rest. One for which something
 * changes meanwhile is looked at for that, wherever it stands.
 */
export function takePostponed({ snapshot: { last, changes } }: Turn): {
  readonly now: readonly string[];
  readonly later: readonly string[];
} {
  if (last === undefined || changes.everything || changes.rules) return { now: [], later: [] };
  const waiting = [...last.postponed];
  return { now: waiting.slice(0, MAX_POSTPONED_TAKEN), later: waiting.slice(MAX_POSTPONED_TAKEN) };
}

/** HAVirtualMachines whose status may have to say something new: by what changed, or all where the rules did. */
export function protectionsToLookAt(
  turn: Turn,
  nodes: ReadonlyMap<string, NodeConclusion>,
  postponed: readonly string[],
): Iterable<ProtectionFact> {
  const { snapshot } = turn;
  const { last, changes } = snapshot;
  if (last === undefined || changes.everything || changes.rules) return snapshot.protections.values();
  // What waited comes first.
  const vmKeys = new Set(postponed);
  for (const key of changes.vmKeys) vmKeys.add(key);
  for (const key of last.unwritten) vmKeys.add(key);
  addFromNodes(turn, { last, nodes }, vmKeys);
  addFromCandidates(turn, last, vmKeys);
  const found = new Set<ProtectionFact>();
  const add = (key: string): void => {
    const protection = snapshot.protections.get(key);
    if (protection !== undefined) found.add(protection);
  };
  for (const vmKey of vmKeys) snapshot.index.protectionsByVM.get(vmKey)?.forEach(add);
  snapshot.index.unsettled.forEach(add);
  if (last.hour !== hourOf(turn)) snapshot.index.everDown.forEach(add);
  return found;
}

/** Hours since 1970. */
export function hourOf({ now }: Turn): number {
  return Math.floor(now.wallMs / 3_600_000);
}

/** VMs with anything on nodes that are judged otherwise than before, or are new, or gone. */
function addFromNodes(
  turn: Turn,
  { last, nodes }: { readonly last: Conclusions; readonly nodes: ReadonlyMap<string, NodeConclusion> },
  vmKeys: Set<string>,
): void {
  const add = (name: string): void => {
    for (const key of vmKeysOn(turn.snapshot, name)) vmKeys.add(key);
  };
  for (const [name, conclusion] of nodes) if (last.nodes.get(name)?.word !== conclusion.word) add(name);
  for (const name of last.nodes.keys()) if (!nodes.has(name)) add(name);
}

/** VMs whose constraints other nodes satisfy than before. */
function addFromCandidates(turn: Turn, last: Conclusions, vmKeys: Set<string>): void {
  for (const [key, candidates] of turn.candidates) {
    const before = last.candidates.get(key);
    if (before === candidates || (before !== undefined && looksTheSame(before, candidates))) continue;
    for (const vmKey of turn.snapshot.index.vmsByConstraints.get(key) ?? []) vmKeys.add(vmKey);
  }
}

/** Two candidate lists that no status tells apart: both full (only "at least" is said), or the same nodes. */
function looksTheSame(a: readonly string[], b: readonly string[]): boolean {
  return (
    (a.length === CANDIDATES_KEPT && b.length === CANDIDATES_KEPT) ||
    (a.length === b.length && a.every((node) => b.includes(node)))
  );
}
