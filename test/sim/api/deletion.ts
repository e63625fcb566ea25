// What DELETE does: preconditions, grace periods of pods, finalizers. The rules of the generic registry's BeforeDelete.
import type { ApiRequest } from "../../../src/kube/transport.ts";
import { isObject, type JsonObject, objectIn, textOf } from "./json.ts";
import { secondsOf } from "./object-shape.ts";
import type { Target } from "./resources.ts";
import type { Store } from "./store.ts";
import { type Answer, conflict, notFound, type StoredObject } from "./stored.ts";

const DEFAULT_GRACE_SECONDS = 30;

export interface DeleteCall {
  readonly request: ApiRequest;
  readonly user: string;
  readonly wallMs: number;
}

/** Deletes at once, or marks the object where a grace period or a finalizer holds it. */
export function deleted(store: Store, target: Target, { request, user, wallMs }: DeleteCall): Answer {
  const { resource, namespace, name = "" } = target;
  const entry = store.get(resource, namespace, name);
  if (entry === undefined) return notFound(resource.plural, name);
  const { object } = entry;
  const options = isObject(request.body) ? request.body : {};
  const refusal = refusalOf(object, objectIn(options, "preconditions"), resource.plural);
  if (refusal !== undefined) return refusal;
  const asked = options["gracePeriodSeconds"] ?? request.query?.["gracePeriodSeconds"];
  const graceSeconds =
    resource.kind === "Pod" ? podGrace(object, asked === undefined ? undefined : Number(asked)) : 0;
  const finalizers = object.metadata["finalizers"];
  const isHeld = Array.isArray(finalizers) && finalizers.length > 0;
  if (graceSeconds === 0 && !isHeld) {
    const metadata = {
      ...object.metadata,
      deletionTimestamp: secondsOf(wallMs),
      deletionGracePeriodSeconds: 0,
    };
    const gone = store.remove(resource, resource.kind === "Pod" ? { ...object, metadata } : object, user);
    return { status: 200, body: resource.kind === "Pod" ? gone : successOf(object, resource.plural) };
  }
  const { deletionTimestamp, deletionGracePeriodSeconds, generation } = object.metadata;
  const isMarked = deletionTimestamp !== undefined;
  if (isMarked && graceSeconds >= Number(deletionGracePeriodSeconds ?? 0))
    return { status: 200, body: object };
  const metadata: JsonObject = {
    ...object.metadata,
    deletionTimestamp: secondsOf(wallMs + graceSeconds * 1_000),
    deletionGracePeriodSeconds: graceSeconds,
    generation: Number(generation ?? 1) + (isMarked ? 0 : 1),
  };
  const marked = store.put(resource, { ...object, metadata }, { applied: entry.applied, by: user });
  return { status: 200, body: marked };
}

/** A pod that runs nowhere, or no more, has nothing to wait for. */
function podGrace(pod: StoredObject, asked: number | undefined): number {
  const spec = objectIn(pod, "spec");
  const phase = objectIn(pod, "status")["phase"];
  if (spec["nodeName"] === undefined || phase === "Failed" || phase === "Succeeded") return 0;
  return asked ?? Number(spec["terminationGracePeriodSeconds"] ?? DEFAULT_GRACE_SECONDS);
}

function refusalOf(object: StoredObject, preconditions: JsonObject, plural: string): Answer | undefined {
  const { uid, resourceVersion } = preconditions;
  const { metadata } = object;
  if (uid !== undefined && uid !== metadata.uid)
    return conflict(
      plural,
      metadata.name,
      `Precondition failed: UID in precondition: ${textOf(uid)}, UID in object meta: ${metadata.uid}`,
    );
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion)
    return conflict(
      plural,
      metadata.name,
      `Precondition failed: ResourceVersion in precondition: ${textOf(resourceVersion)}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    );
  return undefined;
}

function successOf({ metadata }: StoredObject, kind: string): JsonObject {
  const details = { name: metadata.name, kind, uid: metadata.uid };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
}
