// KubeVirt's aggregated API: start, stop, migrate and the like, which the stand-in answers.
import { SUBRESOURCES_GROUP } from "../../../lab/kubevirt/names.ts";
import { SUBRESOURCES } from "../../../lab/kubevirt/virt-api-routes.ts";
import type { ApiRequest } from "../../../src/kube/transport.ts";
import type { VirtApiPorts } from "./admission.ts";
import { isObject } from "./json.ts";
import { type Answer, failure } from "./stored.ts";

const ROOT = `/apis/${SUBRESOURCES_GROUP}/`;
const VERB_PATH = new RegExp(
  `^${ROOT}v1/namespaces/([^/]+)/(virtualmachines|virtualmachineinstances)/([^/]+)/(.+)$`,
);

interface Verb {
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly verb: string;
}

/** What a path asks of KubeVirt; undefined for every other path. */
export function verbOf(path: string): Verb | undefined {
  const match = path.startsWith(ROOT) ? VERB_PATH.exec(path) : null;
  if (match === null) return undefined;
  const [, namespace = "", resource = "", name = "", verb = ""] = match;
  return { namespace, resource, name, verb };
}

/** Has the stand-in do it; without it nothing is served there. */
export async function performVerb(
  { namespace, resource, name, verb }: Verb,
  request: ApiRequest,
  ports: VirtApiPorts | undefined,
): Promise<Answer> {
  const perform = SUBRESOURCES[`${resource}/${verb}`];
  if (perform === undefined || request.method !== "PUT" || ports === undefined)
    return failure(404, "NotFound", "the server could not find the requested resource");
  const body = isObject(request.body) ? request.body : {};
  const { status, reason, message } = await perform({ ...ports, namespace, name, body });
  return status < 300 ? { status, body: null } : failure(status, reason ?? "", message ?? "");
}
