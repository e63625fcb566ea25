// What a drill does by itself: its status, its cordon, its probes. The rest (migrations, fencing) goes the way of all others.
import { DRILL_ANNOTATION } from "../model/drill.ts";
import type {
  CordonStep,
  StartDrillProbesStep,
  StopDrillProbesStep,
  UncordonStep,
  WriteDrillStep,
} from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import type { FreshNode } from "./fresh-nodes.ts";
import { send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { writeStatus } from "./own-status.ts";
import { clusterPath, nodePath } from "./resource-path.ts";

/** Writes the status that decide has computed, stamped with our epoch; one that a newer leader has written stays. */
export async function performWriteDrill(step: WriteDrillStep, context: ActContext): Promise<PerformedStep> {
  const { name, uid, resourceVersion, status } = step.drill;
  const { epoch } = context.leadership;
  if (status.epoch > epoch)
    return ended("stale", `epoch ${status.epoch} has written FailoverDrill ${name}; ours is ${epoch}`);
  const written = await writeStatus(context, {
    resource: "drills",
    kind: "FailoverDrill",
    path: clusterPath("failoverdrills", name),
    metadata: { name, uid, resourceVersion },
    status: { ...step.status, epoch },
  });
  return written.ok ? DONE : outcomeOf(written);
}

/** Cordons the node in the drill's name: the mark and the cordon in one write, so that neither can stand alone. */
export async function performCordon(step: CordonStep, context: ActContext): Promise<PerformedStep> {
  const read = await context.nodes.read(step.node);
  if (!read.ok) return outcomeOf(read);
  const node = read.value;
  if (node.unschedulable)
    return node.annotations[DRILL_ANNOTATION] === step.drill
      ? ended("unchanged", "it is cordoned for this drill already")
      : ended("refused", `${step.node} was cordoned by somebody else`);
  return patchNode(node, { mark: step.drill, unschedulable: true }, context);
}

/** Uncordons what that drill has cordoned, and takes its mark away. */
export async function performUncordon(step: UncordonStep, context: ActContext): Promise<PerformedStep> {
  const read = await context.nodes.read(step.node);
  if (!read.ok)
    return read.kind === "notFound" ? ended("unchanged", "the Node object is gone") : outcomeOf(read);
  const node = read.value;
  if (node.annotations[DRILL_ANNOTATION] !== step.drill)
    return ended("unchanged", "it is not marked as cordoned by this drill");
  return patchNode(node, { mark: null, unschedulable: null }, context);
}

/** A merge patch that holds a resourceVersion is a compare-and-swap, and leaves the rest of the node alone. */
async function patchNode(
  node: FreshNode,
  wanted: { readonly mark: string | null; readonly unschedulable: true | null },
  context: ActContext,
): Promise<PerformedStep> {
  const written = await send<unknown>(context, {
    method: "PATCH",
    path: nodePath(node.name),
    query: { fieldManager: context.fieldManager },
    contentType: "application/merge-patch+json",
    body: {
      metadata: { resourceVersion: node.resourceVersion, annotations: { [DRILL_ANNOTATION]: wanted.mark } },
      spec: { unschedulable: wanted.unschedulable },
    },
  });
  if (!written.ok) return outcomeOf(written);
  context.nodes.forget(node.name);
  context.facts.applyOwnWrite("nodes", written.value);
  return DONE;
}

/** Begins to ask the VMs of a run whether they are there. */
export function performStartDrillProbes(
  { run, vmKeys, probes }: StartDrillProbesStep,
  context: ActContext,
): Promise<PerformedStep> {
  const { drillProbes } = context;
  if (drillProbes === undefined) return Promise.resolve(ended("refused", "this replica cannot probe VMs"));
  const started = drillProbes.start(run, vmKeys, probes);
  return Promise.resolve(started ? DONE : ended("unchanged", "they run already"));
}

/** Stops asking, and keeps what was found. */
export async function performStopDrillProbes(
  { run }: StopDrillProbesStep,
  { drillProbes }: ActContext,
): Promise<PerformedStep> {
  const stopped = await drillProbes?.stop(run);
  return stopped === true ? DONE : ended("unchanged", "they do not run");
}
