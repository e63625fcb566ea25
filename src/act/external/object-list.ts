// Reads all objects of one kind of somebody else's. Refuses to take half an answer for a whole one.
import { z } from "zod";
import { type Caller, type Effect, type EffectFailure, send } from "../guarded-request.ts";

const PAGE_SIZE = 500;
/** Pages of one list; of the kinds read here there is about one object for each node. */
const MAX_PAGES = 20;

const page = z.object({
  metadata: z.object({ continue: z.string().optional() }).optional(),
  items: z.array(z.unknown()),
});

interface ListedObjects<T> {
  /** Path of the collection. */
  readonly path: string;
  readonly labelSelector?: string | undefined;
  /** What is read of each object; one that does not fit is left out. */
  readonly object: z.ZodType<T>;
}

/**
 * Every object of the collection, from the quorum. An answer that is no list, or one without an end, is a failure: taken
 * for an empty list, it would make a second remediation for a node that has one.
 */
export async function listObjects<T>(
  caller: Caller,
  { path, labelSelector, object }: ListedObjects<T>,
): Promise<Effect<readonly T[]>> {
  const found: T[] = [];
  let token: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const query = { limit: PAGE_SIZE, labelSelector, continue: token };
    const read = await send<unknown>(caller, { method: "GET", path, query });
    if (!read.ok) return read;
    const parsed = page.safeParse(read.value);
    if (!parsed.success) return unreadable(`the answer to GET ${path} is not a list`);
    for (const item of parsed.data.items) {
      const one = object.safeParse(item);
      if (one.success) found.push(one.data);
    }
    token = parsed.data.metadata?.continue;
    if (token === undefined || token === "") return { ok: true, value: found };
  }
  return unreadable(`GET ${path} lists more than ${MAX_PAGES * PAGE_SIZE} objects`);
}

function unreadable(message: string): EffectFailure {
  return { ok: false, kind: "unexpected", status: undefined, message };
}
