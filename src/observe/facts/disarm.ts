// FencingDisarm -> its fact.
import { fencingDisarm } from "../../api/fencing-disarm.ts";
import type { DisarmFact } from "../../model/disarm.ts";
import { type Reading, type ReadingContext, readWith, wallMsOfTime } from "./reading.ts";

/** Reads a FencingDisarm. Its end is reckoned on the monotonic clock once, at the first sight of each `until`. */
export function readDisarm(raw: unknown, context: ReadingContext<DisarmFact>): Reading<DisarmFact> {
  return readWith(fencingDisarm.stored, raw, ({ metadata, spec, status }) => {
    const before = context.previous?.uid === metadata.uid ? context.previous : undefined;
    const leftMs = (wallMsOfTime(spec.until) ?? context.seenAtWallMs) - context.seenAtWallMs;
    return {
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      generation: metadata.generation,
      reason: spec.reason,
      until: spec.until,
      requestedBy: spec.requestedBy,
      nodeSelector: spec.nodeSelector ?? {},
      untilMs: before?.until === spec.until ? before.untilMs : context.seenAtMs + leftMs,
      status: {
        ...status,
        heldNodes: status?.heldNodes ?? [],
        conditions: status?.conditions ?? [],
      },
    };
  });
}
