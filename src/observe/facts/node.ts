// Node and Lease -> NodeFact and NodeLeaseFact.
import { z } from "zod";
import { nodeConditions, readReadiness } from "../../api/fencing-readiness.ts";
import type { LevelReadiness } from "../../model/fencing-readiness.ts";
import type { NodeFact, NodeLeaseFact, NodePlacement, Signal, Taint } from "../../model/node.ts";
import { sameData } from "../../model/equal.ts";
import { metadata, type Reading, type ReadingContext, readWith, wallMsOfTime } from "./reading.ts";

const HEARTBEAT_ANNOTATION = "kubevirt.io/heartbeat";
/** Written by `kubectl apply`; large, and never of use to us. */
const LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";

const nodeObject = z.object({
  metadata,
  spec: z
    .object({
      unschedulable: z.boolean().optional(),
      taints: z
        .array(
          z.object({
            key: z.string(),
            value: z.string().optional(),
            effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            timeAdded: z.string().optional(),
          }),
        )
        .nullish(),
    })
    .optional(),
  status: z
    .object({
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).nullish(),
      nodeInfo: z.object({ bootID: z.string().optional(), systemUUID: z.string().optional() }).optional(),
      conditions: nodeConditions,
    })
    .optional(),
});

/** Reads a Node. Ages of its signals are counted from when we saw them change. */
export function readNode(raw: unknown, context: ReadingContext<NodeFact>): Reading<NodeFact> {
  return readWith(nodeObject, raw, (node) => {
    const ready = node.status?.conditions?.find((condition) => condition.type === "Ready")?.status;
    const annotations = { ...node.metadata.annotations };
    delete annotations[LAST_APPLIED_ANNOTATION];
    const previous = context.previous?.uid === node.metadata.uid ? context.previous : undefined;
    const placement = samePlacement(previous?.placement, {
      labels: node.metadata.labels ?? {},
      taints: (node.spec?.taints ?? []) as readonly Taint[],
      unschedulable: node.spec?.unschedulable === true,
      ready: ready === "True",
    });
    const internalIP = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
    const { bootID, systemUUID } = node.status?.nodeInfo ?? {};
    const fencing = sameFencing(previous?.fencing, readReadiness(node.status?.conditions));
    return {
      name: node.metadata.name,
      uid: node.metadata.uid,
      bootID: bootID === "" ? undefined : bootID,
      ready: ready === "True" || ready === "False" || ready === "Unknown" ? ready : undefined,
      placement,
      placementChangedAtMs:
        previous !== undefined && placement === previous.placement
          ? previous.placementChangedAtMs
          : context.seenAtMs,
      annotations,
      ...(internalIP === undefined ? {} : { internalIP }),
      ...(systemUUID === undefined || systemUUID === "" ? {} : { systemUUID }),
      ...(fencing.length === 0 ? {} : { fencing }),
      heartbeat: signal(previous?.heartbeat, annotations[HEARTBEAT_ANNOTATION], context.seenAtMs),
    };
  });
}

function samePlacement(previous: NodePlacement | undefined, now: NodePlacement): NodePlacement {
  return previous !== undefined && JSON.stringify(previous) === JSON.stringify(now) ? previous : now;
}

function sameFencing(
  previous: readonly LevelReadiness[] | undefined,
  now: readonly LevelReadiness[],
): readonly LevelReadiness[] {
  return previous !== undefined && sameData(previous, now) ? previous : now;
}

function signal(previous: Signal | undefined, value: string | undefined, seenAtMs: number): Signal {
  if (previous === undefined) return { value, changedAtMs: seenAtMs, firstSight: true };
  return previous.value === value ? previous : { value, changedAtMs: seenAtMs };
}

const leaseObject = z.object({
  metadata,
  spec: z.object({ renewTime: z.string().nullish(), holderIdentity: z.string().nullish() }).nullish(),
});

/** Reads a node's Lease. Only a change of `renewTime` counts as a sign of life. */
export function readNodeLease(raw: unknown, context: ReadingContext<NodeLeaseFact>): Reading<NodeLeaseFact> {
  return readWith(leaseObject, raw, (lease) => {
    const { previous } = context;
    const renewal = signal(previous?.renewal, lease.spec?.renewTime ?? undefined, context.seenAtMs);
    if (renewal === previous?.renewal) return previous;
    const writtenAtMs = writtenAt(previous, renewal);
    return {
      renewal,
      ...(previous === undefined ? {} : { renewedBeforeMs: previous.renewal.changedAtMs }),
      ...(writtenAtMs === undefined ? {} : { writtenAtMs }),
      ...(previous?.writtenAtMs === undefined ? {} : { writtenBeforeMs: previous.writtenAtMs }),
    };
  });
}

/** Stamps are compared with each other only, and with none that a clock set back has left in the future. */
function writtenAt(previous: NodeLeaseFact | undefined, renewal: Signal): number | undefined {
  const stampMs = wallMsOfTime(renewal.value);
  if (stampMs === undefined) return undefined;
  const beforeMs = wallMsOfTime(previous?.renewal.value);
  if (previous?.writtenAtMs === undefined || beforeMs === undefined || stampMs < beforeMs)
    return renewal.changedAtMs;
  return Math.min(renewal.changedAtMs, previous.writtenAtMs + stampMs - beforeMs);
}
