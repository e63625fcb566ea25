// Sets and lifts our out-of-service taint. `spec.taints` is one list that others write as well, so it is always read
// anew and written back whole under the resourceVersion it was read at.
import { OUR_TAINT_VALUE, OUT_OF_SERVICE_TAINT, QUARANTINE_TAINT } from "../model/node.ts";
import type { QuarantineStep, TaintStep, UntaintStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import type { FreshNode, FreshTaint } from "./fresh-nodes.ts";
import { type Effect, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { contradictionOf } from "./proof-check.ts";
import { nodePath } from "./resource-path.ts";

/** How often the node is read anew when somebody else wrote it in between. */
const MAX_TRIES = 5;

/**
 * `NoSchedule` keeps new pods away, lets the volumes go at once and evicts nothing by itself, so that our ordered
 * deletes decide (measured: the attach-detach controller and PodGC look at the key only).
 */
const OUR_TAINT: FreshTaint = { key: OUT_OF_SERVICE_TAINT, value: OUR_TAINT_VALUE, effect: "NoSchedule" };

/** What the taints should become, or why they are left alone. */
type Wanted = { readonly taints: readonly FreshTaint[] } | PerformedStep;

/** Keeps new pods off the dead node. Refuses where the node is no longer the incarnation that was proven off. */
export function performTaint(step: TaintStep, context: ActContext): Promise<PerformedStep> {
  return rewriteTaints(step.node, context, (node) => {
    const contradiction = contradictionOf(step.proof, node);
    if (contradiction !== undefined) return ended("refused", contradiction);
    const standing = node.taints.filter((taint) => taint.key === OUT_OF_SERVICE_TAINT);
    if (standing.some(isOurs)) return ended("unchanged", "the node has our taint already");
    // Key and effect together must be unique, and somebody else's taint says the same thing.
    if (standing.some((taint) => taint.effect === OUR_TAINT.effect)) {
      return ended("unchanged", "somebody else's out-of-service taint stands already");
    }
    return { taints: [...node.taints, OUR_TAINT] };
  });
}

/** Lifts our taint and nobody else's. */
export function performUntaint(step: UntaintStep, context: ActContext): Promise<PerformedStep> {
  return rewriteTaints(step.node, context, (node) => {
    const others = node.taints.filter((taint) => !isOurs(taint));
    if (others.length === node.taints.length) return ended("unchanged", "our taint is not there");
    return { taints: others };
  });
}

/** Sets or lifts a quarantine; every other taint stays as it is, whoever set it. */
export function performQuarantine(step: QuarantineStep, context: ActContext): Promise<PerformedStep> {
  const { node: name, untilSeconds } = step;
  return rewriteTaints(name, context, (node) => {
    const others = node.taints.filter(({ key }) => key !== QUARANTINE_TAINT);
    const standing = others.length < node.taints.length;
    if (untilSeconds === undefined)
      return standing ? { taints: others } : ended("unchanged", "it is not quarantined");
    if (standing) return ended("unchanged", "it is quarantined already");
    return {
      taints: [...others, { key: QUARANTINE_TAINT, value: String(untilSeconds), effect: "NoSchedule" }],
    };
  });
}

function isOurs(taint: FreshTaint): boolean {
  return taint.key === OUT_OF_SERVICE_TAINT && taint.value === OUR_TAINT_VALUE;
}

async function rewriteTaints(
  name: string,
  context: ActContext,
  wantedOf: (node: FreshNode) => Wanted,
): Promise<PerformedStep> {
  let last = ended("conflict", "not tried");
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const read = await context.nodes.read(name);
    if (!read.ok)
      return read.kind === "notFound" ? ended("unchanged", "the Node object is gone") : outcomeOf(read);
    const wanted = wantedOf(read.value);
    if ("outcome" in wanted) return wanted;
    const written = await writeTaints(read.value, wanted.taints, context);
    if (written.ok) {
      context.nodes.forget(name);
      context.facts.applyOwnWrite("nodes", written.value);
      return DONE;
    }
    last = outcomeOf(written);
    if (written.kind !== "conflict") return last;
  }
  return last;
}

/** A merge patch that holds a resourceVersion is a compare-and-swap, and leaves the rest of the node alone. */
function writeTaints(
  node: FreshNode,
  taints: readonly FreshTaint[],
  context: ActContext,
): Promise<Effect<unknown>> {
  return send(context, {
    method: "PATCH",
    path: nodePath(node.name),
    query: { fieldManager: context.fieldManager },
    contentType: "application/merge-patch+json",
    body: { metadata: { resourceVersion: node.resourceVersion }, spec: { taints } },
  });
}
