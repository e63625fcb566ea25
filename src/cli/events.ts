// Kubernetes Events about an object, the oldest first.
import { z } from "zod";
import type { ApiTransport } from "../kube/transport.ts";
import { listAll } from "./objects.ts";

const eventObject = z.object({
  type: z.string().default("Normal"),
  reason: z.string().default(""),
  message: z.string().default(""),
  count: z.number().optional(),
  lastTimestamp: z.string().nullish(),
  firstTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
  metadata: z.object({ creationTimestamp: z.string().default("") }),
  involvedObject: z.object({ kind: z.string().default(""), name: z.string().default("") }),
  series: z.object({ count: z.number(), lastObservedTime: z.string().nullish() }).nullish(),
});

export interface EventLine {
  readonly at: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly about: string;
  readonly count: number;
}

/** Events about objects of that name (of several kinds where they share it); none where they may not be read. */
export async function eventsAbout(
  transport: ApiTransport,
  about: { readonly namespace: string | undefined; readonly name: string; readonly kinds: readonly string[] },
): Promise<readonly EventLine[]> {
  // Events about cluster-scoped objects are kept in the namespace default.
  const path = `/api/v1/namespaces/${about.namespace ?? "default"}/events`;
  const listed = await listAll<unknown>(transport, path, {
    fieldSelector: `involvedObject.name=${about.name}`,
  });
  if (!listed.ok) return [];
  return listed.value
    .flatMap((raw) => {
      const parsed = eventObject.safeParse(raw);
      return parsed.success && about.kinds.includes(parsed.data.involvedObject.kind)
        ? [lineOf(parsed.data)]
        : [];
    })
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function lineOf(event: z.output<typeof eventObject>): EventLine {
  return {
    at:
      event.series?.lastObservedTime ??
      event.lastTimestamp ??
      event.eventTime ??
      event.firstTimestamp ??
      event.metadata.creationTimestamp,
    type: event.type,
    reason: event.reason,
    message: event.message,
    about: `${event.involvedObject.kind} ${event.involvedObject.name}`,
    count: event.series?.count ?? event.count ?? 1,
  };
}
