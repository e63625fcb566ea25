// What a write may make of an object: preconditions in its body, the parts it may touch, what every new object is given.
import { withDefaultTolerations } from "./admission.ts";
import { isObject, type Json, type JsonObject, objectIn, textOf } from "./json.ts";
import type { Resource, Target } from "./resources.ts";
import { type Answer, conflict, failure, type StoredObject } from "./stored.ts";

/** A conflict with the UID or resourceVersion that a body names. */
export function conflictWith(object: StoredObject, body: Json, { plural }: Resource): Answer | undefined {
  const { uid, resourceVersion } = objectIn(body, "metadata");
  const { name } = object.metadata;
  if (typeof uid === "string" && uid !== "" && uid !== object.metadata.uid)
    return conflict(
      plural,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${object.metadata.uid}`,
    );
  if (
    typeof resourceVersion === "string" &&
    resourceVersion !== "" &&
    resourceVersion !== object.metadata.resourceVersion
  )
    return conflict(
      plural,
      name,
      "the object has been modified; please apply your changes to the latest version and try again",
    );
  return undefined;
}

/** What of an object's metadata no write changes. */
const IDENTITY = [
  "uid",
  "creationTimestamp",
  "generation",
  "resourceVersion",
  "name",
  "namespace",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
] as const;

/** A write touches the status or the rest, never both, where the kind keeps them apart; identity it never touches. */
export function onlyItsPart(
  old: StoredObject,
  wanted: JsonObject,
  { resource, subresource }: Target,
): JsonObject {
  const identified = { apiVersion: old.apiVersion, kind: old.kind };
  if (subresource === "status") {
    const { status } = wanted;
    const { status: _, ...rest } = old;
    return status === undefined ? rest : { ...rest, status };
  }
  const metadata: Record<string, Json> = { ...objectIn(wanted, "metadata") };
  for (const member of IDENTITY) {
    const value = old.metadata[member];
    if (value !== undefined) metadata[member] = value;
  }
  if (!resource.statusSubresource) return { ...wanted, ...identified, metadata };
  const { status: _, ...rest } = wanted;
  return { ...rest, ...identified, metadata, ...("status" in old ? { status: old["status"] } : {}) };
}

/** As every pod begins. */
export function withPodDefaults(pod: JsonObject): JsonObject {
  const { status: _, ...rest } = withDefaultTolerations(pod);
  return { ...rest, status: { phase: "Pending", qosClass: "Burstable" } };
}

/** A Secret keeps its texts as data. */
export function withData(secret: JsonObject): JsonObject {
  const { stringData, ...rest } = secret;
  const texts = Object.entries(isObject(stringData) ? stringData : {}).map(([key, value]) => [
    key,
    Buffer.from(textOf(value)).toString("base64"),
  ]);
  return { ...rest, data: { ...objectIn(secret, "data"), ...(Object.fromEntries(texts) as JsonObject) } };
}

/** `metav1.Time`. */
export function secondsOf(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

/** A patch cannot change the UID: it names another object than the one that stands. */
export function otherUID({ metadata }: StoredObject, body: Json, { plural }: Resource): Answer | undefined {
  const { uid } = objectIn(body, "metadata");
  if (typeof uid !== "string" || uid === "" || uid === metadata.uid) return undefined;
  return failure(422, "Invalid", `${plural} "${metadata.name}" is invalid: metadata.uid: field is immutable`);
}
