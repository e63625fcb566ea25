// From a request to the API server to the few words it is counted under: never a name of an object, so that the number of
// time series stays small.

export interface CountedRequest {
  /** As in RBAC: get, list, create, update, patch, delete, deletecollection. */
  readonly verb: string;
  /** `pods`, `nodes/status`, `virtualmachines.kubevirt.io`; `other` where the path is no resource. */
  readonly resource: string;
}

export const OTHER_RESOURCE = "other";

/** Subresources of a namespace itself; any other word after its name is a resource inside it. */
const NAMESPACE_SUBRESOURCES: readonly string[] = ["status", "finalize"];

/** Counts a request by its method and path (`/apis/<group>/<version>/namespaces/<ns>/<resource>/<name>/<subresource>`). */
export function countedRequest(method: string, path: string): CountedRequest {
  const parts = path.split("/").filter((part) => part !== "");
  const prefix = parts[0] === "api" ? 2 : parts[0] === "apis" ? 3 : undefined;
  if (prefix === undefined || parts.length <= prefix)
    return { verb: verbOf(method, false), resource: OTHER_RESOURCE };
  const group = parts[0] === "apis" ? `.${parts[1] ?? ""}` : "";
  const rest = parts.slice(prefix);
  const inNamespace =
    rest[0] === "namespaces" && rest.length > 2 && !NAMESPACE_SUBRESOURCES.includes(rest[2] ?? "");
  const [resource, name, ...subresource] = inNamespace ? rest.slice(2) : rest;
  const suffix = subresource.length === 0 ? "" : `/${subresource.join("/")}`;
  return {
    verb: verbOf(method, name !== undefined),
    resource: `${resource ?? OTHER_RESOURCE}${group}${suffix}`,
  };
}

function verbOf(method: string, named: boolean): string {
  switch (method) {
    case "GET":
      return named ? "get" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "DELETE":
      return named ? "delete" : "deletecollection";
    default:
      return method.toLowerCase();
  }
}
