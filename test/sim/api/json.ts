// JSON as an API server keeps it: frozen, so that it can be handed to everybody without a copy; and the patches on it.
import { samePlain } from "../../../lab/plain-data.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json };
export type JsonObject = { readonly [member: string]: Json };

/** A frozen copy; what is frozen already is taken as it is. Undefined members are dropped, as on the wire. */
export function frozen(value: unknown): Json {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value as Json;
  if (Array.isArray(value))
    return Object.freeze(value.map((item) => (item === undefined ? null : frozen(item))));
  const members = value as Readonly<Record<string, unknown>>;
  const copy: Record<string, Json> = {};
  for (const key of Object.keys(members)) {
    const member = members[key];
    if (member !== undefined)
      copy[key] = typeof member === "object" ? frozen(member) : (member as Exclude<Json, object>);
  }
  return Object.freeze(copy);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A text as it is, anything else as JSON, nothing as the empty text. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value);
}

/** The object in a member, or an empty one. */
export function objectIn(value: unknown, member: string): JsonObject {
  const inner = isObject(value) ? value[member] : undefined;
  return isObject(inner) ? inner : {};
}

export function listIn(value: unknown, member: string): readonly Json[] {
  const inner = isObject(value) ? value[member] : undefined;
  return Array.isArray(inner) ? (inner as readonly Json[]) : [];
}

/** RFC 7386: objects merge, null deletes, everything else replaces. */
export function mergePatched(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: Record<string, Json> = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = mergePatched(result[key], value);
  }
  return result;
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: Json;
}

/** RFC 6902 with the operations add, replace, remove and test; the text is why it does not apply. */
export function jsonPatched(
  target: Json,
  operations: readonly Json[],
): { value: Json } | { problem: string } {
  let value = target;
  for (const raw of operations) {
    const operation = raw as unknown as Operation;
    const steps = operation.path.split("/").slice(1).map(unescaped);
    const next = operate(value, steps, operation);
    if (next === undefined)
      return {
        problem: `the server rejected our request due to an error in our request: ${operation.op} ${operation.path}`,
      };
    value = next;
  }
  return { value };
}

function unescaped(step: string): string {
  return step.replaceAll("~1", "/").replaceAll("~0", "~");
}

function operate(at: Json | undefined, steps: readonly string[], operation: Operation): Json | undefined {
  const [step, ...rest] = steps;
  if (step === undefined) {
    if (operation.op === "test")
      return samePlain(at ?? null, operation.value ?? null) ? (at ?? null) : undefined;
    return operation.op === "remove" ? undefined : operation.value;
  }
  if (Array.isArray(at)) return operateOnList(at as readonly Json[], step, rest, operation);
  if (!isObject(at)) return undefined;
  if (rest.length > 0) {
    const inner = operate(at[step], rest, operation);
    return inner === undefined ? undefined : { ...at, [step]: inner };
  }
  switch (operation.op) {
    case "test":
      return samePlain(at[step] ?? null, operation.value ?? null) ? at : undefined;
    case "add":
      return { ...at, [step]: operation.value ?? null };
    case "replace":
      // As the server's library has it: a missing member is added.
      return { ...at, [step]: operation.value ?? null };
    case "remove": {
      if (!(step in at)) return undefined;
      const { [step]: _, ...others } = at;
      return others;
    }
    default:
      return undefined;
  }
}

function operateOnList(
  list: readonly Json[],
  step: string,
  rest: readonly string[],
  operation: Operation,
): Json | undefined {
  const at = step === "-" ? list.length : Number(step);
  if (!Number.isInteger(at) || at < 0 || at > list.length) return undefined;
  if (rest.length > 0) {
    const inner = operate(list[at], rest, operation);
    return inner === undefined ? undefined : list.with(at, inner);
  }
  if (operation.op === "add") return list.toSpliced(at, 0, operation.value ?? null);
  if (at === list.length) return undefined;
  if (operation.op === "remove") return list.toSpliced(at, 1);
  if (operation.op === "replace") return list.with(at, operation.value ?? null);
  return samePlain(list[at], operation.value ?? null) ? list : undefined;
}
