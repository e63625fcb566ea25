// A decision as it can be kept and repeated: what of the snapshot it rested on, the policy, the moment, and the plan. Holds
// no secrets, no settings of fence devices, and no VMs that the plan does not concern.
import type { Instant } from "../model/clock.ts";
import type { DecisionPolicy } from "../model/decision-policy.ts";
import { isClosed } from "../model/fencing.ts";
import type { Plan } from "../model/plan.ts";
import type { Snapshot, SnapshotIndex } from "../model/snapshot.ts";
import { OneKey } from "./one-key.ts";

/** Names the format; another number is another format. */
export const DECISION_FORMAT = "holdfast.dev/decision/v1";

/** What one turn decided, and on what. Its parts are facts, which never change, so keeping one costs little. */
export interface DecisionRecord {
  readonly format: typeof DECISION_FORMAT;
  /** Of the operator that decided; undefined where it did not say. */
  readonly version?: string | undefined;
  readonly now: Instant;
  readonly policy: DecisionPolicy;
  readonly snapshot: Snapshot;
  readonly plan: Omit<Plan, "conclusions">;
}

/** What else a decision rested on, and who decided. */
export interface Circumstances {
  readonly policy: DecisionPolicy;
  readonly now: Instant;
  /** Of the operator. */
  readonly version?: string | undefined;
}

/** Annotations of nodes that a decision may read; all others may hold anything. */
const KEPT_ANNOTATIONS = /^(holdfast\.dev|kubevirt\.io)\//;
/** A fencing level without the settings of its device. */
const LEVEL_FIELDS: readonly string[] = ["name", "method", "timeoutMs", "retries", "backoffMs"];

/**
 * The record of a plan. What is left out of the snapshot are VMs, and what belongs to them, that neither the plan nor any
 * node in trouble nor anything under way concerns.
 */
export function recordDecision(
  snapshot: Snapshot,
  plan: Plan,
  { policy, now, version }: Circumstances,
): DecisionRecord {
  const { conclusions: _conclusions, ...told } = plan;
  return {
    format: DECISION_FORMAT,
    ...(version === undefined ? {} : { version }),
    now,
    policy,
    snapshot: trimmed(snapshot, concerned(snapshot, plan)),
    plan: told,
  };
}

/** VMs that the plan speaks of, or that something under way or a node in trouble concerns; and what those wait for. */
function concerned(snapshot: Snapshot, plan: Plan): ReadonlySet<string> {
  const { index } = snapshot;
  const vms = new Set<string>();
  const protection = (key: string): void => {
    const vmKey = snapshot.protections.get(key)?.vmKey;
    if (vmKey !== undefined) vms.add(vmKey);
  };
  for (const step of plan.steps) {
    if ("vmKey" in step) vms.add(step.vmKey);
    if (step.kind === "WriteProtection") vms.add(step.protection.vmKey);
    if (step.kind === "ApplyProtection") vms.add(`${step.namespace}/${step.vmName}`);
    if (step.kind === "DeleteProtection") protection(`${step.namespace}/${step.name}`);
    if (step.kind === "AbortMigration")
      vms.add(snapshot.migrations.get(`${step.namespace}/${step.name}`)?.vmiKey ?? "");
  }
  for (const { about } of plan.refusals) if (about.startsWith("vm/")) vms.add(about.slice("vm/".length));
  for (const key of index.unsettled) protection(key);
  for (const key of index.unfinishedMigrations) vms.add(snapshot.migrations.get(key)?.vmiKey ?? "");
  const troubled = troubledNodes(snapshot, plan);
  for (const node of troubled) {
    for (const key of index.vmisByNode.get(node) ?? []) vms.add(key);
    for (const key of index.podsByNode.get(node) ?? []) vms.add(snapshot.pods.get(key)?.vmKey ?? "");
  }
  for (const [key, gone] of index.podsGone) if (troubled.has(gone.node)) vms.add(key);
  addDrilled(snapshot, vms);
  addDependencies(snapshot, vms);
  return vms;
}

/** A drill's guards look at every VM that it would disturb. */
function addDrilled({ drills, index }: Snapshot, vms: Set<string>): void {
  for (const { vmKey, nodeName, status } of drills.values()) {
    if (vmKey !== undefined) vms.add(vmKey);
    for (const key of index.vmisByNode.get(nodeName ?? "") ?? []) vms.add(key);
    for (const { namespace, name } of status.run?.virtualMachines ?? []) vms.add(`${namespace}/${name}`);
  }
}

function troubledNodes(snapshot: Snapshot, plan: Plan): ReadonlySet<string> {
  const nodes = new Set<string>();
  for (const [name, { kind }] of plan.verdicts) if (kind !== "healthy") nodes.add(name);
  for (const { name, placement } of snapshot.nodes.values()) {
    if (placement.unschedulable || placement.taints.length > 0) nodes.add(name);
  }
  for (const fencing of snapshot.fencings.values()) if (!isClosed(fencing)) nodes.add(fencing.nodeName);
  return nodes;
}

/** What is waited for decides, too, and so does what that waits for. */
function addDependencies(snapshot: Snapshot, vms: Set<string>): void {
  const open = [...vms];
  for (let vmKey = open.pop(); vmKey !== undefined; vmKey = open.pop()) {
    for (const key of snapshot.index.protectionsByVM.get(vmKey) ?? []) {
      const own = snapshot.protections.get(key);
      for (const { name } of own?.dependsOn ?? []) {
        const other = snapshot.protections.get(`${own?.namespace ?? ""}/${name}`)?.vmKey;
        if (other === undefined || vms.has(other)) continue;
        vms.add(other);
        open.push(other);
      }
    }
  }
}

function trimmed(snapshot: Snapshot, vms: ReadonlySet<string>): Snapshot {
  const kept = <T>(
    facts: ReadonlyMap<string, T>,
    vmOf: (fact: T, key: string) => string | undefined,
  ): Map<string, T> => new Map([...facts].filter(([key, fact]) => vms.has(vmOf(fact, key) ?? "")));
  const parts = {
    vms: kept(snapshot.vms, (_vm, key) => key),
    vmis: kept(snapshot.vmis, (_vmi, key) => key),
    migrations: kept(snapshot.migrations, ({ vmiKey }) => vmiKey),
    pods: kept(snapshot.pods, ({ vmKey }) => vmKey),
    protections: kept(snapshot.protections, ({ vmKey }) => vmKey),
  };
  const keys = new Set(Object.values(parts).flatMap((part) => [...part.keys()]));
  for (const { constraints } of parts.vms.values()) keys.add(constraints.key);
  const only = (all: ReadonlySet<string>): Set<string> => new Set([...all].filter((key) => keys.has(key)));
  // Names of other people's namespaces tell who else is there.
  const namespaces = new Set([...vms].map((key) => key.slice(0, key.indexOf("/"))));
  const { last } = snapshot;
  return {
    ...snapshot,
    ...still(snapshot, Object.keys(parts)),
    ...parts,
    namespaces: new Map([...snapshot.namespaces].filter(([name]) => namespaces.has(name))),
    index: trimmedIndex(snapshot.index, keys, vms),
    changes: { ...snapshot.changes, vmKeys: only(snapshot.changes.vmKeys) },
    last:
      last === undefined
        ? undefined
        : {
            ...last,
            candidates: new Map([...last.candidates].filter(([key]) => keys.has(key))),
            unwritten: only(last.unwritten),
            postponed: only(last.postponed),
          },
  };
}

/**
 * The parts of a snapshot as they are now, by their shape: maps are live, so they are copied; what is only looked up by a
 * node's name becomes a map, or a function over one, so that it can be written down.
 */
function still(snapshot: Snapshot, except: readonly string[]): Partial<Snapshot> {
  const nodes = [...snapshot.nodes.keys()];
  const others = Object.entries(snapshot).filter(([name]) => !except.includes(name));
  const parts = others.map(([name, part]: [string, unknown]): [string, unknown] => {
    if (part instanceof Map) return [name, new Map(part)];
    if (typeof part === "function") {
      const values = new Map(nodes.map((node) => [node, (part as (node: string) => unknown)(node)]));
      return [name, perNode(values)];
    }
    if (!isLookup(part)) return [name, part];
    const found = nodes.map((node): [string, unknown] => [node, part.get(node)]);
    return [name, new Map(found.filter(([, value]) => value !== undefined))];
  });
  return Object.fromEntries(parts) as Partial<Snapshot>;
}

function isLookup(part: unknown): part is { get(node: string): unknown } {
  return typeof part === "object" && part !== null && "get" in part && typeof part.get === "function";
}

/** A function of a node's name that knows its values, and so can be written down. */
function perNode(values: ReadonlyMap<string, unknown>): (node: string) => unknown {
  return Object.assign((node: string) => values.get(node), { values });
}

/** Every part by its shape: groups and sets keep what is kept; counts stay as they are. */
function trimmedIndex(
  index: SnapshotIndex,
  keys: ReadonlySet<string>,
  vms: ReadonlySet<string>,
): SnapshotIndex {
  const only = (all: ReadonlySet<string>): Set<string> => new Set([...all].filter((key) => keys.has(key)));
  const parts = Object.entries(index as unknown as Record<string, unknown>).map(
    ([name, part]): [string, unknown] => {
      if (part instanceof Set) return [name, only(part as Set<string>)];
      if (!(part instanceof Map)) return [name, part];
      const groups = [...(part as Map<string, unknown>)].flatMap(([group, value]): [string, unknown][] => {
        if (!(value instanceof Set || value instanceof OneKey))
          return name === "podsGone" && !vms.has(group) ? [] : [[group, value]];
        const members = only(value as ReadonlySet<string>);
        return members.size === 0 ? [] : [[group, members]];
      });
      return [name, new Map(groups)];
    },
  );
  return Object.fromEntries(parts) as unknown as SnapshotIndex;
}

/** The record as JSON; maps and sets are tagged, device settings and foreign annotations left out. */
export function writeDecision(record: DecisionRecord): string {
  return JSON.stringify(record, tagged);
}

function tagged(key: string, value: unknown): unknown {
  if (value instanceof Map) return { $map: [...(value as Map<unknown, unknown>)] };
  if (value instanceof Set) return { $set: [...(value as Set<unknown>)] };
  if (typeof value === "function" && "values" in value) return { $perNode: value.values };
  if (key === "levels" && Array.isArray(value)) return value.map(withoutDevice);
  if (key === "level" && typeof value === "object") return withoutDevice(value);
  if (key === "annotations" && typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).filter(([name]) => KEPT_ANNOTATIONS.test(name)));
  return value;
}

function withoutDevice(level: unknown): unknown {
  if (typeof level !== "object" || level === null) return level;
  return Object.fromEntries(Object.entries(level).filter(([name]) => LEVEL_FIELDS.includes(name)));
}

/** A plan in the terms in which a record tells it, for comparing. */
export function toldPlan({
  steps,
  refusals,
  verdicts,
  lookAgainAtMs,
  notJudged,
}: DecisionRecord["plan"]): unknown {
  return JSON.parse(JSON.stringify({ steps, refusals, verdicts, lookAgainAtMs, notJudged }, tagged));
}

/** What the reviver understands, and nothing else: the JSON of a record as values. Errors: throws where it is no JSON. */
export function parseRecord(text: string): unknown {
  return JSON.parse(text, untagged);
}

function untagged(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$map" in value) return new Map(value.$map as [unknown, unknown][]);
  if ("$perNode" in value) return perNode(value.$perNode as Map<string, unknown>);
  if ("$set" in value) return new Set(value.$set as unknown[]);
  return value;
}
