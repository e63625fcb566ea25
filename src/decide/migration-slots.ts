// KubeVirt's limits on live migrations, so that ours wait with us, where they are ordered, and not in KubeVirt's queue.
import type { Turn } from "./turn.ts";

/** Free migration slots: what KubeVirt allows less what is under way, whoever started it. */
export class MigrationSlots {
  #cluster: number;
  #outbound = new Map<string, number>();
  #perNode: number;

  constructor(turn: Turn) {
    const { kubeVirt, index, migrations, vmis } = turn.snapshot;
    const allowed = Math.min(
      kubeVirt.parallelMigrationsPerCluster,
      turn.policy.maxConcurrentMigrations ?? kubeVirt.parallelMigrationsPerCluster,
    );
    this.#cluster = allowed - index.unfinishedMigrations.size;
    this.#perNode = kubeVirt.parallelOutboundMigrationsPerNode;
    for (const key of index.unfinishedMigrations) {
      const source = vmis.get(migrations.get(key)?.vmiKey ?? "")?.nodeName;
      if (source !== undefined) this.#outbound.set(source, (this.#outbound.get(source) ?? 0) + 1);
    }
  }

  /** Takes a slot for a migration away from `node`; false when none is free. */
  take(node: string): boolean {
    const outbound = this.#outbound.get(node) ?? 0;
    if (this.#cluster <= 0 || outbound >= this.#perNode) return false;
    this.#cluster -= 1;
    this.#outbound.set(node, outbound + 1);
    return true;
  }
}
