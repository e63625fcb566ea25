// Deletes one object, and only the one meant: a newer object of the same name stays.
import { type Caller, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";

export interface Deletion {
  readonly path: string;
  readonly uid: string;
  /** Left out: the kind's own default. 0 removes a pod without waiting for its kubelet. */
  readonly gracePeriodSeconds?: number;
  /** Told when the object is surely gone; not where finalizers still hold it. */
  readonly onGone?: () => void;
}

interface Deleted {
  readonly kind?: string;
  readonly metadata?: {
    readonly finalizers?: readonly string[];
    readonly deletionGracePeriodSeconds?: number;
  };
}

/** Deletes the object if it still has that UID; where it is gone or another, there is nothing left to do. */
export async function deleteByUID(caller: Caller, deletion: Deletion): Promise<PerformedStep> {
  const { path, uid, gracePeriodSeconds } = deletion;
  const deleted = await send<Deleted | undefined>(caller, {
    method: "DELETE",
    path,
    body: {
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: { uid },
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    },
  });
  if (deleted.ok) {
    const { finalizers = [], deletionGracePeriodSeconds = 0 } = deleted.value?.metadata ?? {};
    if (finalizers.length === 0 && deletionGracePeriodSeconds === 0) deletion.onGone?.();
    return DONE;
  }
  // 404 and a conflict of UIDs mean the same: that object is gone.
  if (deleted.kind !== "notFound" && deleted.kind !== "conflict") return outcomeOf(deleted);
  deletion.onGone?.();
  return ended("unchanged", "it is gone already");
}
