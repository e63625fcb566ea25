// Lists remediations of one kind, whoever made them, and knows ours among them.
import { z } from "zod";
import type { Caller, Effect } from "../guarded-request.ts";
import { send } from "../guarded-request.ts";
import { kindPath, type ServedKind } from "./api-kinds.ts";
import { type Remediation, remediationObject } from "./remediation-signal.ts";

/** Label of every object of somebody else's kind that we make for a fencing: the UID of its NodeFencing. */
export const FENCING_LABEL = "holdfast.dev/fencing";

/** Remediations read in one list; there is about one for each lost node. */
const MAX_LISTED = 500;

const list = z.object({ items: z.array(z.unknown()) });

/** All of that kind in the namespace, read from the quorum; those that cannot be read are left out. */
export async function listRemediations(
  caller: Caller,
  kind: ServedKind,
  namespace: string | undefined,
  labelSelector?: string,
): Promise<Effect<readonly Remediation[]>> {
  const read = await send<unknown>(caller, {
    method: "GET",
    path: kindPath(kind, namespace),
    query: { limit: MAX_LISTED, labelSelector },
  });
  if (!read.ok) return read;
  const parsed = list.safeParse(read.value);
  const items = parsed.success ? parsed.data.items : [];
  return {
    ok: true,
    value: items.flatMap((item) => {
      const one = remediationObject.safeParse(item);
      return one.success ? [one.data] : [];
    }),
  };
}
