// One object as the simulated API server keeps it, and what it answers. Shapes only.
import type { Json, JsonObject } from "./json.ts";

export interface StoredMetadata extends JsonObject {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
}

export interface StoredObject extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: StoredMetadata;
}

/** An object with its bookkeeping. */
export interface Entry {
  readonly object: StoredObject;
  /** Who applied which fields, by manager and subresource; see `server-side-apply.ts`. */
  readonly applied: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface Answer {
  readonly status: number;
  readonly body: Json;
}

export function failure(status: number, reason: string, message: string): Answer {
  return {
    status,
    body: { kind: "Status", apiVersion: "v1", status: "Failure", code: status, reason, message },
  };
}

export function notFound(plural: string, name: string): Answer {
  return failure(404, "NotFound", `${plural} "${name}" not found`);
}

export function conflict(plural: string, name: string, why: string): Answer {
  return failure(409, "Conflict", `Operation cannot be fulfilled on ${plural} "${name}": ${why}`);
}

/** `NAMESPACE/NAME`, or the name alone for cluster-scoped objects. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
