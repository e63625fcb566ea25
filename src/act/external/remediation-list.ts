// Lists remediations of one kind, whoever made them, and knows ours among them.
import type { Caller, Effect } from "../guarded-request.ts";
import { kindPath, type ServedKind } from "./api-kinds.ts";
import { listObjects } from "./object-list.ts";
import { type Remediation, remediationObject } from "./remediation-signal.ts";

/** Label of every object of somebody else's kind that we make for a fencing: the UID of its NodeFencing. */
export const FENCING_LABEL = "holdfast.dev/fencing";

/** All of that kind in the namespace. */
export function listRemediations(
  caller: Caller,
  kind: ServedKind,
  namespace: string | undefined,
  labelSelector?: string,
): Promise<Effect<readonly Remediation[]>> {
  return listObjects(caller, { path: kindPath(kind, namespace), labelSelector, object: remediationObject });
}
