// Takes migrations from Pending to their end: target pod, hand-off to the virt-handlers, abort, clean-up. Origin: KubeVirt
// pkg/virt-controller/watch/migration/migration.go (facts 3.3). Decentralized migrations, backups, hotplug and
// MigrationPolicies are left out.
import { samePlain } from "../plain-data.ts";
import { type ControllerView, vmiKeyOf } from "./controller-view.ts";
import { MigrationSync } from "./migration-sync.ts";
import { queuePriorityOf, RUNNING_PRIORITY } from "./migration-priority.ts";
import { targetPodOf } from "./migration-slots.ts";
import { judgeMigration, type MigrationSurroundings, nextMigrationStatus } from "./migration-status.ts";
import { ANNOTATION, FINALIZER, LABEL } from "./names.ts";
import { currentPodOf, isFinalMigration } from "./object-state.ts";
import { keyOf, type Migration, type Pod, type VirtualMachineInstance } from "./objects.ts";
import { WorkQueue } from "./work-queue.ts";
import type { Writes } from "./writes.ts";

/** Default of `--migration-controller-threads`. */
const WORKERS = 3;
/** Finished migrations that are kept per VMI: no history to rely on (facts 3.3). */
const KEPT_FINAL_MIGRATIONS = 5;

export class MigrationController {
  readonly #view: ControllerView;
  readonly #writes: Writes;
  readonly #queue: WorkQueue;
  readonly #sync: MigrationSync;

  constructor(view: ControllerView, writes: Writes, onFailure: (key: string, error: unknown) => void) {
    this.#view = view;
    this.#writes = writes;
    this.#queue = new WorkQueue({ workers: WORKERS, process: (key) => this.#process(key), onFailure });
    this.#sync = new MigrationSync(view, writes, (key, delayMs, priority) =>
      this.#queue.addAfter(key, delayMs, priority),
    );
    view.migrations.onChange((after, before) => {
      const migration = after ?? before;
      if (migration) this.#enqueue(migration);
    });
    view.vmis.onChange((after, before) => {
      const vmi = after ?? before;
      if (vmi) for (const migration of view.migrationsOf(keyOf(vmi))) this.#enqueue(migration);
    });
    view.pods.onChange((after, before) => this.#podChanged(after ?? before));
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  #enqueue(migration: Migration): void {
    const running = migration.status.phase === "Running";
    this.#queue.add(keyOf(migration), running ? RUNNING_PRIORITY : queuePriorityOf(migration));
  }

  #podChanged(pod: Pod | undefined): void {
    const uid = pod?.metadata.labels?.[LABEL.migrationJobUid];
    const name = pod?.metadata.annotations?.[ANNOTATION.migrationJobName];
    if (uid === undefined || name === undefined) return;
    this.#queue.add(`${pod?.metadata.namespace}/${name}`, RUNNING_PRIORITY);
  }

  async #process(key: string): Promise<void> {
    const migration = this.#view.migrations.get(key);
    if (!migration) {
      this.#sync.forget(key);
      return;
    }
    const vmi = this.#view.vmis.get(vmiKeyOf(migration));
    if (!vmi) {
      // A migration goes with its VMI: whoever looks for it later gets 404 (measured, table i).
      if (migration.metadata.deletionTimestamp === undefined) await this.#writes.deleteMigration(migration);
      return;
    }
    const failure = await attempt(() => this.#sync.run(key, migration, vmi));
    await this.#updateStatus(migration, vmi);
    if (failure) throw failure;
    if (isFinalMigration(migration)) {
      await this.#collectFinal(vmi);
      this.#wakePending();
    }
  }

  async #updateStatus(migration: Migration, vmi: VirtualMachineInstance): Promise<void> {
    const around = this.#surroundingsOf(migration, vmi);
    const verdict = judgeMigration(migration, around);
    const status = nextMigrationStatus(migration, around, verdict);
    if (verdict.failure !== undefined) {
      this.#writes.event(migration, {
        type: "Warning",
        reason: "FailedMigration",
        message: verdict.failure,
      });
    }
    if (verdict.phase === "Succeeded" && migration.status.phase === "Running") {
      const message = "Source node reported migration succeeded";
      this.#writes.event(migration, { type: "Normal", reason: "SuccessfulMigration", message });
    }
    if (verdict.phase === "Running") await this.#announceTargetReady(vmi, around.targetPod);
    let current = migration;
    if (!samePlain(status, migration.status)) {
      current = await this.#writes.updateMigration({ ...migration, status }, "/status");
    }
    if (isFinalMigration(migration)) await this.#removeFinalizer(current);
  }

  #surroundingsOf(migration: Migration, vmi: VirtualMachineInstance): MigrationSurroundings {
    return {
      vmi,
      targetPod: targetPodOf(this.#view, migration, vmi),
      sourcePodName: currentPodOf(vmi, this.#view.podsOf(vmi))?.metadata.name,
      blocked: this.#sync.isBlocked(migration, vmi),
      handedOff: this.#sync.isHandedOff(migration, vmi),
    };
  }

  /** The target launcher's kubelet side reads when the domain was ready from its pod. */
  async #announceTargetReady(vmi: VirtualMachineInstance, pod: Pod | undefined): Promise<void> {
    const readyAt = vmi.status.migrationState?.targetNodeDomainReadyTimestamp;
    if (!pod || readyAt === undefined) return;
    if (pod.metadata.annotations?.[ANNOTATION.targetReadyTimestamp] !== undefined) return;
    const annotations = { [ANNOTATION.targetReadyTimestamp]: readyAt };
    await this.#writes.mergePod(pod, { metadata: { annotations } });
  }

  async #removeFinalizer(migration: Migration): Promise<void> {
    const old = migration.metadata.finalizers ?? [];
    if (!old.includes(FINALIZER.migration)) return;
    const finalizers = old.filter((each) => each !== FINALIZER.migration);
    await this.#writes.updateMigration({ ...migration, metadata: { ...migration.metadata, finalizers } }, "");
  }

  /** Deletes all but the newest finished migrations of a VMI, each with the pod it left behind. */
  async #collectFinal(vmi: VirtualMachineInstance): Promise<void> {
    const final = this.#view
      .migrationsOf(keyOf(vmi))
      .filter((each) => isFinalMigration(each) && each.metadata.deletionTimestamp === undefined)
      .sort((one, other) => (one.metadata.creationTimestamp < other.metadata.creationTimestamp ? -1 : 1));
    for (const migration of final.slice(0, Math.max(0, final.length - KEPT_FINAL_MIGRATIONS))) {
      const state = migration.status.migrationState;
      const leftover = state?.failed ? state.targetPod : state?.completed ? state.sourcePod : undefined;
      const pod = leftover && this.#view.pods.get(`${vmi.metadata.namespace}/${leftover}`);
      if (pod) await this.#writes.deletePod(pod);
      await this.#writes.deleteMigration(migration);
    }
  }

  /** A slot is free: the most important waiting ones look at once. */
  #wakePending(): void {
    const pending = this.#view.migrations
      .list()
      .filter((migration) => migration.status.phase === "Pending")
      .sort((one, other) => queuePriorityOf(other) - queuePriorityOf(one));
    for (const migration of pending.slice(0, this.#view.settings().parallelMigrationsPerCluster)) {
      this.#enqueue(migration);
    }
  }
}

async function attempt(run: () => Promise<void>): Promise<Error | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
