// Lets one VM go from a node that is proven off: its pods are deleted by force, each by UID. The last look at the node
// happens here, since a pod deleted by force on a node that runs again would be a second copy of its VM.
import type { FenceProof } from "../model/fencing.ts";
import { OUT_OF_SERVICE_TAINT } from "../model/node.ts";
import type { PodRef, ReleaseStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { deleteByUID } from "./delete-by-uid.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { contradictionOf } from "./proof-check.ts";
import { corePath } from "./resource-path.ts";

/**
 * Guarantees: no pod is deleted unless the node, read at most a second ago, is still the incarnation that was proven off
 * and bears the out-of-service taint (deleted before the taint, the replacement was bound to the dead node again), or
 * its Node object is gone; a pod of the same name that is not the one meant stays. Repeating it is harmless.
 */
export function performRelease(step: ReleaseStep, context: ActContext): Promise<PerformedStep> {
  return context.releases.run((leaves) => release(step, { context, leaves }));
}

/** In its turn: KubeVirt serves first what it hears of first, so the more important must not be overtaken on the way. */
async function release(
  step: ReleaseStep,
  { context, leaves }: { readonly context: ActContext; readonly leaves: () => void },
): Promise<PerformedStep> {
  const obstacle = await obstacleTo(step.proof, context);
  if (obstacle !== undefined) return obstacle;
  leaves();
  const ends = await Promise.all(step.pods.map((pod) => deletePod(pod, context)));
  // A pod that is gone already is as good as deleted.
  return ends.reduce(worse, DONE);
}

async function obstacleTo(proof: FenceProof, context: ActContext): Promise<PerformedStep | undefined> {
  const read = await context.nodes.readRecent(proof.nodeName);
  if (!read.ok) return read.kind === "notFound" ? undefined : outcomeOf(read);
  const contradiction = contradictionOf(proof, read.value);
  if (contradiction !== undefined) return ended("refused", contradiction);
  if (read.value.taints.some((taint) => taint.key === OUT_OF_SERVICE_TAINT)) return undefined;
  return ended("refused", `${proof.nodeName} does not bear the out-of-service taint`);
}

function deletePod(pod: PodRef, context: ActContext): Promise<PerformedStep> {
  return deleteByUID(context, {
    path: corePath(pod.namespace, "pods", pod.name),
    uid: pod.uid,
    gracePeriodSeconds: 0,
    onGone: () => context.facts.applyOwnDelete("launcherPods", `${pod.namespace}/${pod.name}`, pod.uid),
  });
}

/** The end of a step made of several deletes: the one that most needs another look. */
function worse(one: PerformedStep, other: PerformedStep): PerformedStep {
  return SEVERITY[other.outcome] > SEVERITY[one.outcome] ? other : one;
}

const SEVERITY: Readonly<Record<PerformedStep["outcome"], number>> = {
  unchanged: 0,
  done: 1,
  conflict: 2,
  retry: 3,
  refused: 4,
  stale: 5,
};
