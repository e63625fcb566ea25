// An event as KubeVirt's controllers write it about one of their objects. Pure but for the clock.
import { type KubeObject, timestamp } from "./objects.ts";

/** What an event is about. */
export type EventSubject = KubeObject & { readonly apiVersion: string; readonly kind: string };

export interface EventText {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** Longest message the API server takes. */
const MAX_MESSAGE_CHARS = 1024;
/** All of virt-controller's controllers for VMs, VMIs and migrations write under this name (measured). */
const SOURCE = "virtualmachine-controller";

/** The event to be posted in the subject's namespace. */
export function eventOf(about: EventSubject, text: EventText): object {
  const { name, namespace = "default", uid, resourceVersion } = about.metadata;
  const { apiVersion, kind } = about;
  const now = timestamp();
  return {
    metadata: { generateName: `${name}.`, namespace },
    involvedObject: { apiVersion, kind, name, namespace, uid, resourceVersion },
    ...text,
    message: text.message.slice(0, MAX_MESSAGE_CHARS),
    source: { component: SOURCE },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}
