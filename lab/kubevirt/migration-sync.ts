// The acts a migration's phase asks for: target pod, time-outs, hand-off, abort, marking a failure on the VMI. Origin:
// KubeVirt pkg/virt-controller/watch/migration/migration.go sync (facts 3.3, 9.5).
import { labTime } from "../lab-time.ts";
import { type ControllerView, vmiKeyOf } from "./controller-view.ts";
import { targetPod } from "./launcher-pod.ts";
import { migrationBackoffLeftMs } from "./migration-backoff.ts";
import { isUnschedulable, pendingLeftMs } from "./migration-timeout.ts";
import { queuePriorityOf, RUNNING_PRIORITY, slotRetryMs } from "./migration-priority.ts";
import { slotRefusal, targetPodOf } from "./migration-slots.ts";
import { LABEL } from "./names.ts";
import { currentPodOf, isFinalMigration, isPodDown, isPodReady } from "./object-state.ts";
import {
  keyOf,
  type Migration,
  type MigrationState,
  type Pod,
  timestamp,
  type VirtualMachineInstance,
} from "./objects.ts";
import type { PatchOperation, Writes } from "./writes.ts";

/** Two launchers of the VMI, perhaps both on their way out: looked at again after this. */
const SEVERAL_PODS_RETRY_MS = 1_000;

type AskAgain = (key: string, delayMs: number, priority: number) => void;

export class MigrationSync {
  readonly #view: ControllerView;
  readonly #writes: Writes;
  readonly #askAgain: AskAgain;
  /** Keys handed off, in case the VMI's status no longer says so. */
  readonly #handedOff = new Set<string>();
  /** Target pods are made one at a time, or two migrations would take the same slot. */
  #creating: Promise<void> = Promise.resolve();

  constructor(view: ControllerView, writes: Writes, askAgain: AskAgain) {
    this.#view = view;
    this.#writes = writes;
    this.#askAgain = askAgain;
  }

  /** Does what the phase asks for. Throws where another migration of the VMI is under way, or a write is refused. */
  async run(key: string, migration: Migration, vmi: VirtualMachineInstance): Promise<void> {
    if (vmi.metadata.deletionTimestamp !== undefined) return;
    const state = vmi.status.migrationState;
    const mine = state?.migrationUid === migration.metadata.uid;
    if (mine && state.completed === true) return;
    if (this.isBlocked(migration, vmi)) {
      throw new Error("vmi is ineligible for migration because another migration job is running");
    }
    const pod = targetPodOf(this.#view, migration, vmi);
    const cancelled = migration.metadata.deletionTimestamp !== undefined;
    switch (migration.status.phase ?? "") {
      case "Pending":
        if (cancelled) return this.#cancelBeforeHandOff(migration, pod);
        if (!pod) return this.#inTurn(() => this.#createTarget(key, migration, vmi));
        if (!isPodReady(pod)) await this.#enforcePendingTimeout(key, migration, pod);
        return;
      case "Scheduling":
        if (cancelled) return this.#cancelBeforeHandOff(migration, pod);
        if (pod) await this.#enforcePendingTimeout(key, migration, pod);
        return;
      case "Scheduled":
        if (cancelled && !this.isHandedOff(migration, vmi)) return this.#cancelBeforeHandOff(migration, pod);
        if (pod && isPodReady(pod)) await this.#handOff(key, { migration, vmi, pod });
        return;
      case "PreparingTarget":
      case "TargetReady":
        if (mine && (!pod || isPodDown(pod)) && state.startTimestamp === undefined && state.failed !== true) {
          await this.#markFailedOnVmi(migration, vmi, state);
        }
        return;
      case "Running":
        if (cancelled && mine && state.abortRequested !== true) await this.#requestAbort(migration, vmi);
        return;
      case "Failed":
        if (mine && state.failed !== true) await this.#markFailedOnVmi(migration, vmi, state);
        return;
      default:
        return;
    }
  }

  /** The VMI's status names another migration that is not finished. */
  isBlocked(migration: Migration, vmi: VirtualMachineInstance): boolean {
    const current = vmi.status.migrationState?.migrationUid;
    if (current === undefined || current === "" || current === migration.metadata.uid) return false;
    const other = this.#view.migrationsOf(vmiKeyOf(migration)).find((each) => each.metadata.uid === current);
    return other !== undefined && !isFinalMigration(other);
  }

  isHandedOff(migration: Migration, vmi: VirtualMachineInstance): boolean {
    const named = vmi.status.migrationState?.migrationUid === migration.metadata.uid;
    return named || this.#handedOff.has(keyOf(migration));
  }

  /** The migration is gone. */
  forget(key: string): void {
    this.#handedOff.delete(key);
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#creating.then(act);
    this.#creating = turn.catch(() => undefined);
    return turn;
  }

  async #createTarget(key: string, migration: Migration, vmi: VirtualMachineInstance): Promise<void> {
    const sourcePod = currentPodOf(vmi, this.#view.podsOf(vmi));
    if (!sourcePod) return;
    const waitMs = migrationBackoffLeftMs(migration, this.#view.migrationsOf(keyOf(vmi)), labTime.wallMs());
    if (waitMs > 0) return this.#askAgain(key, waitMs, RUNNING_PRIORITY);
    const priority = queuePriorityOf(migration);
    const refusal = slotRefusal(this.#view, vmi);
    if (refusal !== undefined) {
      const delayMs = refusal === "severalPods" ? SEVERAL_PODS_RETRY_MS : slotRetryMs(priority);
      return this.#askAgain(key, delayMs, priority);
    }
    if (vmi.status.phase !== "Running") return;
    const sourceNode = this.#view.nodes.get(vmi.status.nodeName ?? "");
    if (!sourceNode) {
      throw new Error(
        `node "${vmi.status.nodeName}" associated with vmi "${vmi.metadata.name}" does not exist`,
      );
    }
    const manifest = targetPod(vmi, {
      migrationUid: migration.metadata.uid,
      migrationName: migration.metadata.name,
      addedNodeSelector: migration.spec.addedNodeSelector ?? {},
      sourcePod,
      sourceNode,
    });
    const pod = await this.#writes.createPod(manifest, vmi.metadata.namespace ?? "");
    this.#writes.event(migration, {
      type: "Normal",
      reason: "SuccessfulCreate",
      message: `Created migration target pod ${pod.metadata.name}`,
    });
  }

  async #cancelBeforeHandOff(migration: Migration, pod: Pod | undefined): Promise<void> {
    if (!pod || pod.metadata.deletionTimestamp !== undefined) return;
    await this.#writes.deletePod(pod);
    this.#writes.event(migration, {
      type: "Normal",
      reason: "SuccessfulDelete",
      message: `migration canceled and pod ${keyOf(pod)} is deleted`,
    });
  }

  async #enforcePendingTimeout(key: string, migration: Migration, pod: Pod): Promise<void> {
    if (pod.status?.phase !== "Pending" || pod.metadata.deletionTimestamp !== undefined) return;
    const leftMs = pendingLeftMs(migration, pod, labTime.wallMs());
    if (leftMs > 0) return this.#askAgain(key, leftMs, RUNNING_PRIORITY);
    await this.#writes.deletePod(pod);
    this.#writes.event(migration, {
      type: "Normal",
      reason: "SuccessfulDelete",
      message: `${isUnschedulable(pod) ? "unschedulable" : "pending"} pod ${keyOf(pod)} timeout period exceeded`,
    });
  }

  /** From here on the virt-handlers act; the label makes the target's one see the VMI. */
  async #handOff(
    key: string,
    { migration, vmi, pod }: { migration: Migration; vmi: VirtualMachineInstance; pod: Pod },
  ): Promise<void> {
    const old = vmi.status.migrationState;
    if (old?.migrationUid === migration.metadata.uid) return;
    const targetNode = pod.spec.nodeName ?? "";
    const value: MigrationState = {
      migrationUid: migration.metadata.uid,
      sourceNode: vmi.status.nodeName ?? "",
      sourcePod: migration.status.migrationState?.sourcePod ?? "",
      targetNode,
      targetPod: pod.metadata.name,
      migrationConfiguration: this.#configuration(),
    };
    const labels = { ...vmi.metadata.labels, [LABEL.migrationTargetNode]: targetNode };
    await this.#writes.patchVmi(vmi, [
      ...change("/status/migrationState", old, value),
      ...change("/metadata/labels", vmi.metadata.labels, labels),
    ]);
    this.#handedOff.add(key);
    this.#writes.event(migration, {
      type: "Normal",
      reason: "SuccessfulHandOver",
      message: "Migration target pod is ready for preparation by virt-handler.",
    });
  }

  /** Defaults of the cluster's configuration, as virt-handler reads them from the VMI. */
  #configuration(): object {
    const settings = this.#view.settings();
    return {
      allowAutoConverge: false,
      allowPostCopy: false,
      allowWorkloadDisruption: false,
      bandwidthPerMigration: "0",
      completionTimeoutPerGiB: 150,
      maxDowntimeMs: 900,
      nodeDrainTaintKey: settings.nodeDrainTaintKey,
      parallelMigrationsPerCluster: settings.parallelMigrationsPerCluster,
      parallelOutboundMigrationsPerNode: settings.parallelOutboundMigrationsPerNode,
      progressTimeout: 150,
      unsafeMigrationOverride: false,
      utilityVolumesTimeout: 150,
    };
  }

  /** Member by member, and only while the VMI's status is about this migration. */
  async #markFailedOnVmi(
    migration: Migration,
    vmi: VirtualMachineInstance,
    state: MigrationState,
  ): Promise<void> {
    const now = timestamp();
    const at = (member: string) => `/status/migrationState/${member}`;
    await this.#writes.patchVmi(vmi, [
      { op: "test", path: at("migrationUid"), value: migration.metadata.uid },
      { op: "add", path: at("failed"), value: true },
      { op: "add", path: at("completed"), value: true },
      ...(state.endTimestamp ? [] : [{ op: "add", path: at("endTimestamp"), value: now } as const]),
      ...(state.startTimestamp ? [] : [{ op: "add", path: at("startTimestamp"), value: now } as const]),
      ...(state.failureReason
        ? []
        : [{ op: "add", path: at("failureReason"), value: "Target pod is down" } as const]),
    ]);
  }

  async #requestAbort(migration: Migration, vmi: VirtualMachineInstance): Promise<void> {
    await this.#writes.patchVmi(vmi, [
      { op: "test", path: "/status/migrationState/migrationUid", value: migration.metadata.uid },
      { op: "add", path: "/status/migrationState/abortRequested", value: true },
    ]);
  }
}

function change(path: string, old: unknown, value: unknown): PatchOperation[] {
  if (old === undefined) return [{ op: "add", path, value }];
  return [
    { op: "test", path, value: old },
    { op: "replace", path, value },
  ];
}
