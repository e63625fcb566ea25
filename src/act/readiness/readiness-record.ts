// Puts a node's readiness on the Node object, and tells people of a change. Written only when the meaning changes.
import { readinessCondition } from "../../api/fencing-readiness.ts";
import type { ReadinessEventReason } from "../../api/reasons.ts";
import { type LevelReadiness, sameReadiness } from "../../model/fencing-readiness.ts";
import type { EventNote } from "../../model/plan.ts";
import type { ActContext } from "../context.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import { send } from "../guarded-request.ts";
import { nodePath } from "../resource-path.ts";
import { secondsOf } from "../wall-time.ts";

/** `written` also where it stood there already; `failed`: try again later. */
export type Recorded = "written" | "failed";

/**
 * Has exactly these verdicts on the node, one condition for each level; those of levels that are gone go with it. A
 * compare-and-swap on a quorum read, so that a replaced leader's late word is refused.
 */
export async function recordReadiness(
  context: ActContext,
  node: { readonly name: string; readonly uid: string },
  verdicts: readonly LevelReadiness[],
): Promise<Recorded> {
  const read = await context.nodes.read(node.name);
  if (!read.ok) return "failed";
  if (read.value.uid !== node.uid) return "written";
  const standing = read.value.fencing;
  if (sameVerdicts(standing, verdicts)) return "written";
  const at = secondsOf(context.clock.now().wallMs);
  const { resourceVersion } = read.value;
  const written = await send<unknown>(context, {
    method: "PATCH",
    path: `${nodePath(node.name)}/status`,
    query: { fieldManager: context.fieldManager, force: true },
    contentType: "application/apply-patch+yaml",
    body: {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: node.name, uid: node.uid, resourceVersion },
      status: { conditions: verdicts.map((verdict) => readinessCondition(verdict, at)) },
    },
  });
  if (!written.ok) {
    if (written.kind !== "conflict")
      context.log.warn(
        { node: node.name, message: written.message },
        "a node's fencing readiness was not written",
      );
    return "failed";
  }
  context.facts.applyOwnWrite("nodes", written.value);
  context.events.record(changes(read.value, verdicts));
  return "written";
}

/** Whether two lists hold the same verdicts, whatever their words. */
export function sameVerdicts(one: readonly LevelReadiness[], other: readonly LevelReadiness[]): boolean {
  return (
    one.length === other.length &&
    other.every((verdict) => one.some((known) => sameReadiness(known, verdict)))
  );
}

function changes(node: FreshNode, verdicts: readonly LevelReadiness[]): readonly EventNote[] {
  return verdicts.flatMap((verdict) => {
    const before = node.fencing.find(({ level }) => level === verdict.level);
    if (before !== undefined && sameReadiness(before, verdict)) return [];
    if (!verdict.ready) {
      const message = `${node.name} could not be fenced now by level ${verdict.level}, because ${verdict.message}`;
      return [event(node, "Warning", "FencingNotReady", message)];
    }
    // A node that was never otherwise is no news.
    if (before === undefined || before.ready) return [];
    return [
      event(node, "Normal", "FencingReady", `${node.name} can be fenced again by level ${verdict.level}`),
    ];
  });
}

function event(
  node: FreshNode,
  type: EventNote["type"],
  reason: ReadinessEventReason,
  message: string,
): EventNote {
  const { name, uid } = node;
  return {
    about: { apiVersion: "v1", kind: "Node", namespace: undefined, name, uid },
    type,
    reason,
    message,
  };
}
