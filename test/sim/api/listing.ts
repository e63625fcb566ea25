// How a collection is listed: selectors, and pages for who asks for them.
import type { ApiRequest } from "../../../src/kube/transport.ts";
import type { JsonObject } from "./json.ts";
import type { Target } from "./resources.ts";
import { selectorOf } from "./selector.ts";
import { listBody, type Store } from "./store.ts";
import { type Answer, keyOf } from "./stored.ts";

/** Answers a list, a page of it where a limit is asked for. */
export function listed(store: Store, { resource, namespace }: Target, request: ApiRequest): Answer {
  const query = request.query ?? {};
  const matches = selectorOf(query);
  const all = store.list(resource, namespace);
  const items = matches === undefined ? all : all.filter(matches);
  const limit = Number(query["limit"] ?? 0);
  const body = listBody(resource, items, store.version);
  if (limit <= 0 || items.length <= limit) return { status: 200, body };
  // The store is small enough for the rest to be found again by key; a token tells where to go on.
  const after = String(query["continue"] ?? "");
  const rest = items.filter(({ metadata }) => keyOf(metadata["namespace"] as string, metadata.name) > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1)?.metadata;
  const token = rest.length > limit && last ? keyOf(last["namespace"] as string, last.name) : "";
  const metadata = { resourceVersion: String(store.version), continue: token };
  return { status: 200, body: { ...(body as JsonObject), metadata, items: page } };
}
