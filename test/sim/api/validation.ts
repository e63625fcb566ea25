// What the API server checks and fills in for our own kinds: defaults and rules from the schemas, and the rules on
// transitions, which the schemas can only say in CEL.
import { samePlain } from "../../../lab/plain-data.ts";
import { KINDS } from "../../../src/api/generate.ts";
import type { KindDefinition } from "../../../src/api/kind.ts";
import { isObject, type JsonObject, objectIn, textOf } from "./json.ts";
import type { Resource } from "./resources.ts";

const KIND_BY_NAME = new Map(KINDS.map((kind) => [kind.kind, kind]));

export type Validated = { readonly value: JsonObject } | { readonly problem: string };

/** `before`: what stands, for an update. */
export function validated(resource: Resource, object: JsonObject, before: JsonObject | undefined): Validated {
  const kind = KIND_BY_NAME.get(resource.kind);
  if (kind === undefined) return { value: object };
  // What stands has been checked, and defaults are filled in.
  const keepsSpec = before !== undefined && object["spec"] === before["spec"];
  if (keepsSpec && object["status"] === before["status"]) return { value: object };
  // Rules that need both spec and status are about ledgers alone.
  const parsed =
    keepsSpec && isObject(object["status"]) && kind.kind !== "NodeFencing"
      ? statusParsed(kind, object)
      : kind.manifest.safeParse(object);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0] ?? { path: [], message: "" };
    return {
      problem: `${resource.kind}.${resource.apiVersion} "" is invalid: ${path.join(".")}: ${message}`,
    };
  }
  const { spec, status } = parsed.data as { spec: JsonObject; status?: JsonObject };
  const value = { ...object, spec, ...(status === undefined ? {} : { status }) };
  const problem = resource.kind === "NodeFencing" && before ? ledgerProblem(before, value) : undefined;
  return problem === undefined ? { value } : { problem: `NodeFencing "" is invalid: ${problem}` };
}

/** The object with a spec that was checked before. */
function statusParsed(kind: KindDefinition, { spec, status }: JsonObject) {
  const parsed = kind.status.safeParse(status);
  if (parsed.success) return { success: true, data: { spec, status: parsed.data } } as const;
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: ["status", ...path], message }));
  return { success: false, error: { issues } } as const;
}

const PHASES = ["Pending", "Fencing", "Fenced", "Releasing", "Released", "Returned", "Aborted"];
const FINAL = ["Returned", "Aborted"];

function ledgerProblem(before: JsonObject, after: JsonObject): string | undefined {
  if (!samePlain(before["spec"], after["spec"])) return "spec is immutable";
  if (!isObject(before["status"])) return undefined;
  if (!isObject(after["status"])) return "status must not be removed";
  const old = objectIn(before, "status");
  const now = objectIn(after, "status");
  if (old["proof"] !== undefined && !samePlain(old["proof"], now["proof"]))
    return "status.proof is immutable once set";
  if (Number(now["epoch"]) < Number(old["epoch"])) return "status.epoch must not decrease";
  const from = textOf(old["phase"]);
  const to = textOf(now["phase"]);
  if (from === to) return undefined;
  const isForward = !FINAL.includes(from) && PHASES.indexOf(to) > PHASES.indexOf(from);
  return isForward ? undefined : `status.phase must stay or go forward, from ${from} to ${to}`;
}
