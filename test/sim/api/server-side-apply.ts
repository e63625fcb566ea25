// Server-side apply as far as we use it: who applied which field; what a manager leaves out next time goes, unless
// another holds it too; lists are atomic or keyed. Managers that merely update take fields over by changing them.
import { samePlain } from "../../../lab/plain-data.ts";
import { KINDS } from "../../../src/api/generate.ts";
import { customResourceDefinition } from "../../../src/api/crd.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import type { Entry } from "./stored.ts";

/** Keys of lists that are maps, by `KIND PATH`; list items are left out of the path. */
const LIST_KEYS = new Map<string, readonly string[]>([
  ["Pod status.conditions", ["type"]],
  ["Node status.conditions", ["type"]],
  ["Node spec.taints", ["key", "effect"]],
]);

for (const kind of KINDS) {
  const crd = customResourceDefinition(kind) as {
    spec?: { versions?: { schema?: { openAPIV3Schema?: Json } }[] };
  };
  collectListKeys(kind.kind, "", crd.spec?.versions?.[0]?.schema?.openAPIV3Schema);
}

function collectListKeys(kind: string, path: string, schema: Json | undefined): void {
  if (!isObject(schema)) return;
  const keys = schema["x-kubernetes-list-map-keys"];
  if (Array.isArray(keys)) LIST_KEYS.set(`${kind} ${path}`, keys as string[]);
  collectListKeys(kind, path, schema["items"]);
  const { properties } = schema as { properties?: Json };
  if (!isObject(properties)) return;
  for (const [name, inner] of Object.entries(properties))
    collectListKeys(kind, path === "" ? name : `${path}.${name}`, inner);
}

function keysFor(kind: string, path: string): readonly string[] | undefined {
  if (path === "metadata.ownerReferences") return ["uid"];
  return LIST_KEYS.get(`${kind} ${path}`);
}

function itemKey(item: Json, keys: readonly string[]): string {
  return JSON.stringify(keys.map((key) => (isObject(item) ? (item[key] ?? null) : null)));
}

/** The leaves of a value, each as a path; keyed items have their key in it. */
function leavesOf(kind: string, value: Json): Map<string, Json> {
  const leaves = new Map<string, Json>();
  const walk = (path: string, schemaPath: string, inner: Json) => {
    const keys = Array.isArray(inner) ? keysFor(kind, schemaPath) : undefined;
    if (keys !== undefined) {
      for (const item of inner as readonly Json[])
        walk(`${path}\n[${itemKey(item, keys)}]`, schemaPath, item);
      return;
    }
    if (!isObject(inner) || Object.keys(inner).length === 0) {
      leaves.set(path, inner);
      return;
    }
    for (const [name, member] of Object.entries(inner)) {
      walk(`${path}\n${name}`, schemaPath === "" ? name : `${schemaPath}.${name}`, member);
    }
  };
  walk("", "", value);
  return leaves;
}

/** What stands at the path of a leaf; undefined where nothing does. */
function valueAt(kind: string, object: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = object;
  let schemaPath = "";
  for (const step of stepsOf(path)) {
    if (step.startsWith("[")) {
      const keys = keysFor(kind, schemaPath);
      if (!Array.isArray(value) || keys === undefined) return undefined;
      value = (value as readonly Json[]).find((item) => `[${itemKey(item, keys)}]` === step);
    } else {
      if (!isObject(value)) return undefined;
      value = value[step];
      schemaPath = schemaPath === "" ? step : `${schemaPath}.${step}`;
    }
  }
  return value;
}

const split = new Map<string, readonly string[]>();
const MAX_SPLIT = 20_000;

/** Paths are asked for again and again. */
function stepsOf(path: string): readonly string[] {
  let steps = split.get(path);
  if (steps === undefined) {
    if (split.size >= MAX_SPLIT) split.clear();
    steps = path.split("\n").slice(1);
    split.set(path, steps);
  }
  return steps;
}

/** Identity is no field that anybody owns. */
function ownable(patch: JsonObject): JsonObject {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = patch;
  const { labels, annotations, finalizers, ownerReferences } = isObject(metadata) ? metadata : {};
  const owned = Object.entries({ labels, annotations, finalizers, ownerReferences }).filter(
    ([, value]) => value !== undefined,
  );
  if (owned.length === 0) return rest;
  return { metadata: Object.fromEntries(owned) as JsonObject, ...rest };
}

export interface Applied {
  readonly value: JsonObject;
  readonly applied: Entry["applied"];
}

/** The object after `manager` applied `patch`, or the manager in whose way that is without force. */
export function apply(
  entry: Entry,
  patch: JsonObject,
  { manager, force }: { readonly manager: string; readonly force: boolean },
): Applied | { readonly conflictsWith: string } {
  const { kind } = entry.object;
  const wanted = ownable(patch);
  const leaves = leavesOf(kind, wanted);
  const applied = new Map<string, ReadonlySet<string>>();
  for (const [other, fields] of entry.applied) {
    if (other === manager) continue;
    const contested = [...fields].filter(
      (path) => leaves.has(path) && !samePlain(leaves.get(path), valueAt(kind, entry.object, path)),
    );
    if (contested.length > 0 && !force) return { conflictsWith: other };
    applied.set(other, new Set([...fields].filter((path) => !contested.includes(path))));
  }
  const before = entry.applied.get(manager) ?? new Set<string>();
  const heldByOthers = new Set([...applied.values()].flatMap((fields) => [...fields]));
  const dropped = [...before].filter((path) => !leaves.has(path) && !heldByOthers.has(path));
  applied.set(manager, new Set(leaves.keys()));
  let value: Json = entry.object;
  const isKey = (path: string) => /\]\n[^\n]+$/.test(path) && isItemKey(kind, path);
  const ordered = [...dropped.filter((path) => !isKey(path)), ...dropped.filter(isKey)];
  for (const path of ordered) value = without(kind, value, stepsOf(path), "") ?? {};
  return { value: merged(kind, value, wanted, "") as JsonObject, applied };
}

/** Whether a leaf is part of the key of its list item. */
function isItemKey(kind: string, path: string): boolean {
  const steps = stepsOf(path);
  const schemaPath = steps
    .slice(0, -1)
    .filter((step) => !step.startsWith("["))
    .join(".");
  return keysFor(kind, schemaPath)?.includes(steps.at(-1) ?? "") === true;
}

/** After a write that was no apply: fields it changed or removed belong to nobody who applied them before. */
export function afterUpdate(before: Entry, after: JsonObject): Entry["applied"] {
  if (before.applied.size === 0) return before.applied;
  const { kind } = before.object;
  const isKept = (path: string) => samePlain(valueAt(kind, before.object, path), valueAt(kind, after, path));
  const kept = new Map<string, ReadonlySet<string>>();
  for (const [manager, fields] of before.applied) kept.set(manager, new Set([...fields].filter(isKept)));
  return kept;
}

/** Whether the same managers hold the same fields. */
export function sameApplied(one: Entry["applied"], other: Entry["applied"]): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const [manager, fields] of one) {
    const others = other.get(manager);
    if (others === undefined || others.size !== fields.size) return false;
    for (const path of fields) if (!others.has(path)) return false;
  }
  return true;
}

/** The fields of an object that an apply made. */
export function firstApplied(kind: string, patch: JsonObject, manager: string): Entry["applied"] {
  return new Map([[manager, new Set(leavesOf(kind, ownable(patch)).keys())]]);
}

function merged(kind: string, target: Json | undefined, patch: Json, path: string): Json {
  const keys = Array.isArray(patch) ? keysFor(kind, path) : undefined;
  if (keys !== undefined) return mergedList(kind, target, { patch: patch as readonly Json[], keys, path });
  if (!isObject(patch)) return patch;
  const result: Record<string, Json> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch))
    result[name] = merged(kind, result[name], value, path === "" ? name : `${path}.${name}`);
  return result;
}

function mergedList(
  kind: string,
  target: Json | undefined,
  { patch, keys, path }: { patch: readonly Json[]; keys: readonly string[]; path: string },
): Json {
  const list = Array.isArray(target) ? [...(target as readonly Json[])] : [];
  for (const item of patch) {
    const at = list.findIndex((other) => itemKey(other, keys) === itemKey(item, keys));
    if (at < 0) list.push(merged(kind, undefined, item, path));
    else list[at] = merged(kind, list[at], item, path);
  }
  return list;
}

function without(
  kind: string,
  value: Json | undefined,
  steps: readonly string[],
  path: string,
): Json | undefined {
  const [step, ...rest] = steps;
  if (step === undefined) return undefined;
  if (step.startsWith("[") && Array.isArray(value))
    return withoutItem(kind, value as readonly Json[], { step, rest, path });
  if (!isObject(value)) return value;
  const inner = without(kind, value[step], rest, path === "" ? step : `${path}.${step}`);
  const { [step]: _, ...others } = value;
  if (inner !== undefined) return { ...value, [step]: inner };
  return Object.keys(others).length === 0 && path !== "" ? undefined : others;
}

function withoutItem(
  kind: string,
  list: readonly Json[],
  { step, rest, path }: { step: string; rest: readonly string[]; path: string },
): Json | undefined {
  const keys = keysFor(kind, path) ?? [];
  const [member = ""] = rest;
  const left = list.flatMap((item) => {
    if (`[${itemKey(item, keys)}]` !== step || !isObject(item)) return [item];
    // The key goes last, and the item with it, unless somebody else holds more of it.
    if (keys.includes(member)) return Object.keys(item).every((name) => keys.includes(name)) ? [] : [item];
    const inner = without(kind, item, rest, path);
    return inner === undefined ? [] : [inner];
  });
  return left.length === 0 ? undefined : left;
}
