// From a kind's name to its paths on the API server, by the server's own discovery. Other people's kinds only.
import { z } from "zod";
import type { Caller, Effect } from "../guarded-request.ts";
import { send } from "../guarded-request.ts";

/** A kind as the server serves it. */
export interface ServedKind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const resourceList = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

/** Finds the kind; a `notFound` where its group, its version or itself is not served. */
export async function discoverKind(
  caller: Caller,
  apiVersion: string,
  kind: string,
): Promise<Effect<ServedKind>> {
  const read = await send<unknown>(caller, { method: "GET", path: `/apis/${apiVersion}` });
  if (!read.ok) return { ...read, message: `${apiVersion} is not served: ${read.message}` };
  const parsed = resourceList.safeParse(read.value);
  const found = parsed.success
    ? parsed.data.resources.find((one) => one.kind === kind && !one.name.includes("/"))
    : undefined;
  if (found !== undefined) {
    return { ok: true, value: { apiVersion, kind, plural: found.name, namespaced: found.namespaced } };
  }
  return {
    ok: false,
    kind: "notFound",
    status: 404,
    message: `${apiVersion} serves no kind ${kind}: is its operator installed?`,
  };
}

/** Path of a collection, or of one object in it; `namespace` is left out for kinds without namespaces. */
export function kindPath(served: ServedKind, namespace: string | undefined, name?: string): string {
  const within =
    served.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const collection = `/apis/${served.apiVersion}${within}/${served.plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
