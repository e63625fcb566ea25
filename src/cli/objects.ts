// Reads and writes single objects for the commands, and words the API server's refusals for people.
import { API_VERSION } from "../api/kind.ts";
import type { ApiFailure, ApiOutcome, ApiTransport } from "../kube/transport.ts";

/** Objects per page of a list. */
const PAGE_LIMIT = 500;
/** Pages taken at most: half a million objects. */
const MAX_PAGES = 1_000;

/** Owner of the fields that the plugin writes. */
export const FIELD_MANAGER = "kubectl-holdfast";

/** Path of a kind of ours; `namespace` and `name` where they are meant. */
export function ownPath(
  plural: string,
  where: { readonly namespace?: string; readonly name?: string } = {},
): string {
  const within = where.namespace === undefined ? "" : `/namespaces/${encodeURIComponent(where.namespace)}`;
  const name = where.name === undefined ? "" : `/${encodeURIComponent(where.name)}`;
  return `/apis/${API_VERSION}${within}/${plural}${name}`;
}

/** Every object of a collection, page by page. */
export async function listAll<T>(
  transport: ApiTransport,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<ApiOutcome<readonly T[]>> {
  const items: T[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const listed = await transport.request<{
      readonly items?: readonly T[];
      readonly metadata?: { readonly continue?: string };
    }>({ method: "GET", path, query: { ...query, limit: PAGE_LIMIT, continue: token } });
    if (!listed.ok) return listed;
    items.push(...(listed.value.items ?? []));
    token = listed.value.metadata?.continue;
    if (token === undefined || token === "") return { ok: true, status: 200, value: items };
  }
  const message = `${path} holds more than ${PAGE_LIMIT * MAX_PAGES} objects`;
  return { ok: false, kind: "tooLarge", status: undefined, message };
}

/** Makes an object. */
export function create<T>(transport: ApiTransport, path: string, body: object): Promise<ApiOutcome<T>> {
  return transport.request<T>({ method: "POST", path, query: { fieldManager: FIELD_MANAGER }, body });
}

/** What to say of a failure: what was tried, the server's words, and what would help. */
export function failureText(what: string, failure: ApiFailure): string {
  return `cannot ${what}: ${failure.message}${hintOf(failure)}`;
}

function hintOf({ kind, status }: ApiFailure): string {
  switch (kind) {
    case "denied":
      return status === 401 ? " (log in anew)" : " (ask for that right; see kubectl auth can-i --list)";
    case "unreachable":
    case "timeout":
      return " (is the API server up, and the kubeconfig's context the right one?)";
    case "conflict":
    case "alreadyExists":
    case "notFound":
    case "gone":
    case "invalid":
    case "throttled":
    case "aborted":
    case "serverError":
    case "tooLarge":
    case "unexpected":
      return "";
  }
}
