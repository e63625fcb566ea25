// Small forms of API calls for the lab: an unexpected failure is a bug of the lab and throws with its reason.
import type { ApiOutcome, ApiTransport } from "../../src/kube/transport.ts";
import { labTime, sleep } from "../lab-time.ts";

/** Field manager of everything the lab applies. */
const FIELD_MANAGER = "holdfast-lab";

interface Named {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The value of a call that must succeed. Throws with what was tried and what the server said. */
export function expectOk<T>(outcome: ApiOutcome<T>, what: string): T {
  if (outcome.ok) return outcome.value;
  throw new Error(`${what}: ${outcome.kind} ${outcome.status ?? ""} ${outcome.message}`);
}

/** Server-side apply of one object, taking over every field. `collection` is the path of its list. */
export async function apply(api: ApiTransport, collection: string, object: Named): Promise<void> {
  const outcome = await api.request({
    method: "PATCH",
    path: `${collection}/${object.metadata.name}`,
    query: { fieldManager: FIELD_MANAGER, force: true },
    contentType: "application/apply-patch+yaml",
    body: object,
  });
  expectOk(outcome, `apply ${object.kind} ${object.metadata.name}`);
}

/** Creates an object; one that is there already is left as it is. For objects too big for an apply's bookkeeping. */
export async function createIfAbsent(
  api: ApiTransport,
  collection: string,
  object: object,
  deadlineMs: number,
): Promise<void> {
  const outcome = await api.request({ method: "POST", path: collection, body: object, deadlineMs });
  if (!outcome.ok && outcome.kind !== "alreadyExists") expectOk(outcome, `create in ${collection}`);
}

/** Deletes an object; one that is gone already is fine, and so is a server that is gone. */
export async function deleteIfPresent(api: ApiTransport, path: string): Promise<void> {
  await api.request({ method: "DELETE", path });
}

/** Asks until `check` answers with something other than undefined. Throws after `timeoutMs` with `what`. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  check: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const endMs = labTime.nowMs() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined) return value;
    if (labTime.nowMs() >= endMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(POLL_MS);
  }
}

const POLL_MS = 50;
