// How many migrations may be under way at once, in the cluster and off one node. Origin: KubeVirt migration.go
// handleTargetPodCreation, findRunningMigrations (facts 3.3).
import { type ControllerView, vmiKeyOf } from "./controller-view.ts";
import { LABEL } from "./names.ts";
import { activePodCount, isFinalMigration, isRunningMigration } from "./object-state.ts";
import type { Migration, Pod, VirtualMachineInstance } from "./objects.ts";

/** Why no target pod is made yet; KubeVirt tells it to its log only. */
export type SlotRefusal = "severalPods" | "clusterFull" | "nodeFull";

/** Whether a Pending migration may get its target pod now. */
export function slotRefusal(view: ControllerView, vmi: VirtualMachineInstance): SlotRefusal | undefined {
  // A dead target's pod that still counts as running keeps every later migration of its VMI here (facts 2.6).
  if (activePodCount(view.podsOf(vmi)) > 1) return "severalPods";
  const settings = view.settings();
  const running = view.migrations.list().filter((migration) => takesSlot(view, migration));
  if (running.length >= settings.parallelMigrationsPerCluster) return "clusterFull";
  const { nodeName } = vmi.status;
  const outbound = running.filter((migration) => {
    const other = view.vmis.get(vmiKeyOf(migration));
    return other?.status.nodeName === nodeName || other?.status.migrationState?.sourceNode === nodeName;
  });
  return outbound.length >= settings.parallelOutboundMigrationsPerNode ? "nodeFull" : undefined;
}

/** The pod a migration made for its target. */
export function targetPodOf(
  view: ControllerView,
  migration: Migration,
  vmi: VirtualMachineInstance,
): Pod | undefined {
  return view
    .podsOf(vmi)
    .find((pod) => pod.metadata.labels?.[LABEL.migrationJobUid] === migration.metadata.uid);
}

function takesSlot(view: ControllerView, migration: Migration): boolean {
  if (isFinalMigration(migration)) return false;
  if (isRunningMigration(migration)) return true;
  const vmi = view.vmis.get(vmiKeyOf(migration));
  return vmi !== undefined && targetPodOf(view, migration, vmi) !== undefined;
}
