// Creates migrations for VMIs that are marked for eviction, or whose node carries the drain taint. Origin: KubeVirt
// pkg/virt-controller/watch/drain/evacuation/evacuation.go (facts 3.1). A plain cordon concerns it not at all.
import { type ControllerView, vmiKeyOf } from "./controller-view.ts";
import { ANNOTATION } from "./names.ts";
import { activePodCount, isFinalMigration, isFinalVmi, isMigratable, isMigrating } from "./object-state.ts";
import { keyOf, type VirtualMachineInstance } from "./objects.ts";
import { WorkQueue } from "./work-queue.ts";
import type { Writes } from "./writes.ts";

/** Default of `--evacuation-controller-threads`. */
const WORKERS = 3;
/** Set by the eviction webhook where the descheduler asked. */
const EVICTION_SOURCE = "kubevirt.io/eviction-source";

/** Works node by node, as KubeVirt does. */
export class EvacuationController {
  readonly #view: ControllerView;
  readonly #writes: Writes;
  readonly #queue: WorkQueue;

  constructor(view: ControllerView, writes: Writes, onFailure: (key: string, error: unknown) => void) {
    this.#view = view;
    this.#writes = writes;
    this.#queue = new WorkQueue({ workers: WORKERS, process: (node) => this.#process(node), onFailure });
    view.nodes.onChange((after) => {
      if (after) this.#queue.add(after.metadata.name);
    });
    view.vmis.onChange((after, before) => this.#wake(after ?? before));
    view.migrations.onChange((after, before) => {
      const migration = after ?? before;
      if (migration) this.#wake(view.vmis.get(vmiKeyOf(migration)));
    });
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  #wake(vmi: VirtualMachineInstance | undefined): void {
    if (vmi?.status.nodeName) this.#queue.add(vmi.status.nodeName);
  }

  async #process(nodeName: string): Promise<void> {
    const node = this.#view.nodes.get(nodeName);
    if (!node) return;
    const { nodeDrainTaintKey } = this.#view.settings();
    const drained = (node.spec?.taints ?? []).some(
      (taint) => taint.key === nodeDrainTaintKey && taint.effect === "NoSchedule",
    );
    const candidates = this.#view.vmis
      .list()
      .filter((vmi) => vmi.status.nodeName === nodeName)
      .filter((vmi) => drained || isMarked(vmi))
      .filter((vmi) => this.#canStart(vmi));
    await Promise.all(candidates.map((vmi) => this.#migrate(vmi, nodeName)));
  }

  #canStart(vmi: VirtualMachineInstance): boolean {
    if (isFinalVmi(vmi) || vmi.metadata.deletionTimestamp !== undefined) return false;
    const strategy = vmi.spec.evictionStrategy ?? this.#view.settings().evictionStrategy;
    // External is marked all the same, and left to whoever else cares.
    if (strategy !== "LiveMigrate" && strategy !== "LiveMigrateIfPossible") return false;
    if (!isMigratable(vmi)) return false;
    if (this.#view.migrationsOf(keyOf(vmi)).some((migration) => !isFinalMigration(migration))) return false;
    return activePodCount(this.#view.podsOf(vmi)) <= 1;
  }

  async #migrate(vmi: VirtualMachineInstance, nodeName: string): Promise<void> {
    const descheduled = vmi.metadata.annotations?.[EVICTION_SOURCE] === "descheduler";
    const migration = {
      apiVersion: vmi.apiVersion,
      kind: "VirtualMachineInstanceMigration",
      metadata: {
        generateName: "kubevirt-evacuation-",
        annotations: { [ANNOTATION.evacuationMigration]: nodeName },
      },
      spec: {
        vmiName: vmi.metadata.name,
        priority: descheduled ? "system-maintenance" : "system-critical",
      },
    };
    await this.#writes.createMigration(migration, vmi.metadata.namespace ?? "");
  }
}

/** Marked, still where it was when marked, and not on its way. */
function isMarked(vmi: VirtualMachineInstance): boolean {
  const { evacuationNodeName, nodeName } = vmi.status;
  return evacuationNodeName !== undefined && evacuationNodeName === nodeName && !isMigrating(vmi);
}
