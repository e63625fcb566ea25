// Draws the VMs of a history, and what is promised of each.
import type { Chance } from "../world/random.ts";
import type { NodePlan, VMPlan } from "../world/world-plan.ts";

export const NAMESPACE = "vms";

export function drawVMs(chance: Chance, nodes: readonly NodePlan[]): VMPlan[] {
  const count = chance.whole(2, 5);
  return Array.from({ length: count }, (_, at) =>
    drawVM(chance, nodes, { name: `vm-${at + 1}`, earlier: at }),
  );
}

/** `earlier`: how many VMs there are that it may depend on. */
export function drawVM(
  chance: Chance,
  nodes: readonly NodePlan[],
  { name, earlier }: { readonly name: string; readonly earlier: number },
): VMPlan {
  const dependsOn =
    earlier > 0 && chance.chance(0.2)
      ? [{ name: `vm-${chance.whole(1, earlier)}`, condition: "Running", timeout: "1m" }]
      : undefined;
  const isProtected = chance.chance(0.9);
  return {
    namespace: NAMESPACE,
    name,
    on: chance.pick(nodes).name,
    runStrategy: chance.chance(0.85) ? "Always" : chance.pick(["RerunOnFailure", "Manual", "Once"]),
    disk: chance.pick(["none", "rwx", "rwx", "rwo"]),
    evictionStrategy: chance.pick(["None", "LiveMigrate", "LiveMigrateIfPossible"]),
    ...(isProtected
      ? {
          promise: {
            priority: chance.whole(0, 10) * 100,
            ...(dependsOn === undefined ? {} : { dependsOn }),
            ...(chance.chance(0.2) ? { evacuation: { strategy: "LiveMigrateOrRestart" } } : {}),
            ...(chance.chance(0.2) ? { failback: { policy: "Automatic", delay: "1m" } } : {}),
          },
        }
      : {}),
  };
}
