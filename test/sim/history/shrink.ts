// Makes a failing history smaller while it still breaks the same promise: fewer events, VMs, nodes, replicas.
import type { Act, WorldPlan } from "../world/world-plan.ts";
import { runHistory } from "./history.ts";

/** Runs spent on one shrinking at most. */
const MAX_RUNS = 150;

export interface Shrunk {
  readonly plan: WorldPlan;
  readonly runs: number;
}

/** `check`: the promise that the history breaks. What is dropped is dropped for good as soon as it turns out not to matter. */
export async function shrunk(plan: WorldPlan, seed: number, check: string): Promise<Shrunk> {
  let smallest = plan;
  let runs = 0;
  for (let progress = true; progress && runs < MAX_RUNS; ) {
    progress = false;
    for (const candidate of smaller(smallest)) {
      if (runs >= MAX_RUNS) break;
      runs += 1;
      const { violations } = await runHistory(candidate, seed);
      if (!violations.some((violation) => violation.check === check)) continue;
      smallest = candidate;
      progress = true;
      break;
    }
  }
  return { plan: smallest, runs };
}

/** The plan without one of its parts, the largest parts first. */
function* smaller(plan: WorldPlan): Generator<WorldPlan> {
  const half = Math.ceil(plan.events.length / 2);
  if (plan.events.length > 2) {
    yield { ...plan, events: plan.events.slice(half) };
    yield { ...plan, events: plan.events.slice(0, half) };
  }
  for (let at = 0; at < plan.events.length; at += 1) yield { ...plan, events: plan.events.toSpliced(at, 1) };
  for (const { namespace, name } of plan.vms) {
    const key = `${namespace}/${name}`;
    yield withoutDependents({
      ...plan,
      vms: plan.vms.filter((vm) => vm.name !== name),
      events: plan.events.filter(({ act }) => !("vm" in act && act.vm === key)),
    });
  }
  if (plan.replicas.length > 1)
    for (const { name } of plan.replicas)
      yield {
        ...plan,
        replicas: plan.replicas.filter((one) => one.name !== name),
        events: without(plan, "replica", name),
      };
  if (plan.nodes.length > 2)
    for (const { name } of plan.nodes)
      yield {
        ...plan,
        nodes: plan.nodes.filter((node) => node.name !== name),
        vms: plan.vms.map(({ on, ...vm }) => (on === undefined || on === name ? vm : { ...vm, on })),
        replicas: plan.replicas.map(({ on, ...replica }) =>
          on === undefined || on === name ? replica : { ...replica, on },
        ),
        events: without(plan, "node", name),
      };
}

function without(plan: WorldPlan, member: "node" | "replica", name: string): WorldPlan["events"] {
  return plan.events.filter(({ act }) => !about(act, member, name));
}

function about(act: Act, member: "node" | "replica", name: string): boolean {
  return member in act && (act as { readonly node?: string; readonly replica?: string })[member] === name;
}

/** A promise that depends on nobody any more. */
function withoutDependents(plan: WorldPlan): WorldPlan {
  const names = new Set(plan.vms.map(({ name }) => name));
  const vms = plan.vms.map((vm) => {
    const dependsOn = vm.promise?.["dependsOn"] as readonly { readonly name: string }[] | undefined;
    if (dependsOn === undefined || dependsOn.every(({ name }) => names.has(name))) return vm;
    const { dependsOn: _, ...promise } = vm.promise ?? {};
    return { ...vm, promise };
  });
  return { ...plan, vms };
}
