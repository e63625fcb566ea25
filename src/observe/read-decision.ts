// Reads a recorded decision back, and says what is wrong with one that was cut off, edited, or written in another format.
import { DECISION_FORMAT, type DecisionRecord, parseRecord } from "./decision-record.ts";

/** A record that can be decided again, or why it cannot. */
export type ReadRecord =
  | { readonly ok: true; readonly record: DecisionRecord }
  | { readonly ok: false; readonly why: string };

type Shape = "map" | "set" | "list" | "number" | "object" | "function";

const WORDS: Readonly<Record<Shape, string>> = {
  map: "a map",
  set: "a set",
  list: "a list",
  number: "a number",
  object: "an object",
  function: "values by node",
};

/** What a decision cannot do without. One of another shape would be decided wrongly, or for ever. */
const SHAPES: readonly (readonly [path: string, shape: Shape])[] = [
  ...["now.monotonicMs", "now.wallMs"].map((path) => [path, "number"] as const),
  ...["nodeSuspectAfterMs", "nodeLostAfterMs", "heartbeatTrustMs", "maxConcurrentFencings"].map(
    (name) => [`policy.${name}`, "number"] as const,
  ),
  ...["maxRestartsInFlight", "restartSlotMs", "migrationBackoffMs", "quarantineWindowMs"].map(
    (name) => [`policy.${name}`, "number"] as const,
  ),
  ...["sources", "contact", "kubeVirt", "index", "changes"].map(
    (name) => [`snapshot.${name}`, "object"] as const,
  ),
  ["snapshot.contact.lastOkMs", "number"],
  ["snapshot.contact.unbrokenSinceMs", "number"],
  ...["nodes", "leases", "probes", "vms", "vmis", "migrations", "pods", "protections", "policies"].map(
    (name) => [`snapshot.${name}`, "map"] as const,
  ),
  ...["topologies", "fencings", "disarms", "drills", "drillProbings", "namespaces"].map(
    (name) => [`snapshot.${name}`, "map"] as const,
  ),
  ...["vmisByNode", "podsByNode", "podsByVM", "migrationsByVM", "protectionsByVM"].map(
    (name) => [`snapshot.index.${name}`, "map"] as const,
  ),
  ...["unsettled", "unfinishedMigrations"].map((name) => [`snapshot.index.${name}`, "set"] as const),
  ["snapshot.shooting", "set"],
  ["snapshot.changes.vmKeys", "set"],
  ["snapshot.unobserved", "list"],
  ["snapshot.leaseAsOfMs", "function"],
  ["plan.steps", "list"],
  ["plan.refusals", "list"],
  ["plan.verdicts", "map"],
];

/** Reads what `writeDecision` wrote. Errors: what is wrong, by its place in the record. */
export function readDecision(text: string): ReadRecord {
  if (text.trim() === "") return refused("it is empty");
  let value: unknown;
  try {
    value = parseRecord(text);
  } catch (error) {
    return refused(`it is no JSON, or cut off: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return refused(`found ${nameOf(value)} where a record should be`);
  const format = "format" in value ? value.format : undefined;
  if (format !== DECISION_FORMAT) {
    const found = format === undefined ? "is not told" : `is ${JSON.stringify(format)}`;
    return refused(`its format ${found}; this version reads "${DECISION_FORMAT}"`);
  }
  for (const [path, shape] of SHAPES) {
    const part = partAt(value, path);
    if (!hasShape(part, shape))
      return refused(`${path}: found ${nameOf(part)}, should be ${WORDS[shape]} (was it edited?)`);
  }
  return { ok: true, record: value as DecisionRecord };
}

function refused(why: string): ReadRecord {
  return { ok: false, why };
}

function partAt(value: unknown, path: string): unknown {
  let part = value;
  for (const step of path.split(".")) part = (part as Readonly<Record<string, unknown>> | undefined)?.[step];
  return part;
}

function hasShape(part: unknown, shape: Shape): boolean {
  switch (shape) {
    case "map":
      return part instanceof Map;
    case "set":
      return part instanceof Set;
    case "list":
      return Array.isArray(part);
    case "number":
      return Number.isFinite(part);
    case "object":
      return typeof part === "object" && part !== null;
    case "function":
      return typeof part === "function";
  }
}

function nameOf(part: unknown): string {
  if (part === undefined) return "nothing";
  if (part === null) return "null";
  return Array.isArray(part) ? "list" : typeof part;
}
