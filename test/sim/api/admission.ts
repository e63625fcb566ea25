// Admission: what built-in plugins add to pods, and KubeVirt's webhooks, which are the stand-in's own.
import type { AdmissionAnswer, AdmissionRequest } from "../../../lab/kubevirt/admission.ts";
import type { Settings } from "../../../lab/kubevirt/controller-view.ts";
import { CORE_WEBHOOKS } from "../../../lab/kubevirt/registration.ts";
import { WEBHOOKS } from "../../../lab/kubevirt/virt-api-routes.ts";
import type { ApiTransport } from "../../../src/kube/transport.ts";
import { type Json, jsonPatched, type JsonObject, listIn, objectIn, textOf } from "./json.ts";
import type { Resource } from "./resources.ts";
import { type Answer, failure } from "./stored.ts";

/** What the webhooks need; without it there are none. */
export interface VirtApiPorts {
  readonly api: ApiTransport;
  readonly settings: () => Settings;
}

export interface Review {
  readonly operation: "CREATE" | "UPDATE";
  readonly resource: Resource;
  readonly subresource: string | undefined;
  readonly namespace: string | undefined;
  readonly user: string;
  readonly object: JsonObject;
  readonly oldObject: JsonObject | undefined;
}

/** Seconds a pod stays on a node that is not ready or unreachable, where it says nothing itself. */
const DEFAULT_TOLERATION_SECONDS = 300;

/** Pods tolerate a lost node for five minutes (plugin DefaultTolerationSeconds). */
export function withDefaultTolerations(pod: JsonObject): JsonObject {
  const spec = objectIn(pod, "spec");
  const tolerations = listIn(spec, "tolerations");
  const missing = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter(
    (key) =>
      !tolerations.some((one) => {
        const { key: known, effect } = one as { key?: string; effect?: string };
        return (known === undefined || known === key) && (effect === undefined || effect === "NoExecute");
      }),
  );
  const added = missing.map((key) => ({
    key,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: DEFAULT_TOLERATION_SECONDS,
  }));
  return { ...pod, spec: { ...spec, tolerations: [...tolerations, ...added] } };
}

/** Whether any webhook wants to see such a write. */
export function isReviewed({
  resource,
  subresource,
  operation,
}: Omit<Review, "object" | "oldObject">): boolean {
  return hooksFor(resource, subresource, operation).length > 0;
}

const found = new Map<Resource, Map<string, typeof CORE_WEBHOOKS>>();

function hooksFor(resource: Resource, subresource: string | undefined, operation: "CREATE" | "UPDATE") {
  let ofResource = found.get(resource);
  if (ofResource === undefined) found.set(resource, (ofResource = new Map()));
  const key = `${operation} ${subresource}`;
  let hooks = ofResource.get(key);
  if (hooks === undefined) {
    const name = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
    const [group] = resource.apiVersion.includes("/") ? resource.apiVersion.split("/") : [""];
    hooks = CORE_WEBHOOKS.filter(
      (hook) =>
        hook.group === group &&
        hook.resources.includes(name) &&
        (hook.operations.includes("*") || hook.operations.includes(operation)),
    ).toSorted((one, other) => (one.kind === other.kind ? 0 : one.kind === "mutating" ? -1 : 1));
    ofResource.set(key, hooks);
  }
  return hooks;
}

/** The object as the webhooks let it pass, or their refusal. */
export async function reviewed(
  review: Review,
  ports: VirtApiPorts,
): Promise<{ readonly object: JsonObject } | { readonly refusal: Answer }> {
  let { object } = review;
  for (const hook of hooksFor(review.resource, review.subresource, review.operation)) {
    const { name } = objectIn(object, "metadata");
    if (hook.namePrefix !== undefined && !textOf(name).startsWith(hook.namePrefix)) continue;
    const webhook = WEBHOOKS[hook.path];
    if (webhook === undefined) throw new Error(`the stand-in answers nothing at ${hook.path}`);
    const request: AdmissionRequest = {
      uid: "simulated",
      operation: review.operation,
      userInfo: { username: review.user },
      object,
      ...(review.oldObject === undefined ? {} : { oldObject: review.oldObject }),
      ...(review.namespace === undefined ? {} : { namespace: review.namespace }),
      ...(typeof name === "string" ? { name } : {}),
    };
    const answer = await webhook(request, ports);
    if (!answer.allowed) return { refusal: refusalOf(answer, hook.name) };
    if (answer.patch !== undefined) object = withPatch(object, answer.patch);
  }
  return { object };
}

function withPatch(object: JsonObject, patch: string): JsonObject {
  const operations = JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as readonly Json[];
  const patched = jsonPatched(object, operations);
  if ("problem" in patched) throw new Error(patched.problem);
  return patched.value as JsonObject;
}

function refusalOf(answer: AdmissionAnswer, hook: string): Answer {
  const {
    message = "",
    code = 400,
    reason = "",
  } = (answer.status ?? {}) as {
    message?: string;
    code?: number;
    reason?: string;
  };
  return failure(code, reason, `admission webhook "${hook}" denied the request: ${message}`);
}
