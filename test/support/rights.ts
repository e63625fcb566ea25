// The rights that a file of deploy/ gives, one by one, and which of them a request used. Knows no API server.
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import type { AuditedRequest } from "../../lab/holdfast/audit-log.ts";

/** One verb on one resource. */
export interface Right {
  /** The namespace it is limited to; empty for all of them. */
  readonly namespace: string;
  readonly group: string;
  /** With its subresource: `virtualmachines/start`. */
  readonly resource: string;
  readonly verb: string;
}

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs: readonly string[];
}

interface RbacObject {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string };
  readonly rules?: readonly Rule[];
}

/** Every right of the operator, or those of another file of deploy/. Roles that others fill (aggregation) have no rules and give none here. */
export function grantedRights(file = "rbac.yaml"): readonly Right[] {
  const text = readFileSync(new URL(`../../deploy/${file}`, import.meta.url), "utf8");
  const objects = parseAllDocuments(text).map((one) => one.toJS() as RbacObject);
  return objects
    .filter(({ kind }) => kind === "Role" || kind === "ClusterRole")
    .flatMap(({ metadata, rules = [] }) => rules.flatMap((rule) => rightsOf(rule, metadata.namespace ?? "")));
}

function rightsOf({ apiGroups = [], resources = [], verbs }: Rule, namespace: string): readonly Right[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.map((verb) => ({ namespace, group, resource, verb }))),
  );
}

/** `get nodes`, `patch holdfast.dev/nodefencings/status`, `get secrets in holdfast-system`. */
export function nameOf({ namespace, group, resource, verb }: Right): string {
  const qualified = group === "" ? resource : `${group}/${resource}`;
  return `${verb} ${qualified}${namespace === "" ? "" : ` in ${namespace}`}`;
}

/** Whether the request needed that right. An apply that made its object needed the right to create, too. */
export function needed(request: AuditedRequest, right: Right): boolean {
  const { group, namespace, resource, subresource, verb, code } = request;
  const verbs = verb === "patch" && code === 201 ? ["patch", "create"] : [verb];
  return (
    right.group === group &&
    right.resource === (subresource === undefined ? resource : `${resource}/${subresource}`) &&
    verbs.includes(right.verb) &&
    (right.namespace === "" || right.namespace === namespace)
  );
}
