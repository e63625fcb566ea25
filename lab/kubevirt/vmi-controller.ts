// Turns VMIs into launcher pods, pods' states into VMI states, and takes finalizers off. Origin: KubeVirt
// pkg/virt-controller/watch/vmi. Data volumes, hotplug and decentralized migration are left out.
import { samePlain } from "../plain-data.ts";
import type { ControllerView } from "./controller-view.ts";
import { launcherPod } from "./launcher-pod.ts";
import { LABEL, UNPAUSED_GATE } from "./names.ts";
import { currentPodOf, isPodDown, isRunningMigration, isTrue } from "./object-state.ts";
import {
  controllerUidOf,
  keyOf,
  type Pod,
  timestamp,
  type VirtualMachineInstance,
  type VolumeStatus,
} from "./objects.ts";
import { needsPod, nextVmi, type SyncFailure } from "./vmi-status.ts";
import { WorkQueue } from "./work-queue.ts";
import type { PatchOperation, Writes } from "./writes.ts";

/** Default of `--vmi-controller-threads`. */
const WORKERS = 10;

export class VmiController {
  readonly #view: ControllerView;
  readonly #writes: Writes;
  readonly #queue: WorkQueue;

  constructor(view: ControllerView, writes: Writes, onFailure: (key: string, error: unknown) => void) {
    this.#view = view;
    this.#writes = writes;
    this.#queue = new WorkQueue({ workers: WORKERS, process: (key) => this.#process(key), onFailure });
    view.vmis.onChange((after, before) => {
      const vmi = after ?? before;
      if (vmi) this.#queue.add(keyOf(vmi));
    });
    view.pods.onChange((after, before) => {
      const pod = after ?? before;
      const owner = pod?.metadata.ownerReferences?.find((owner) => owner.controller === true);
      if (owner?.kind === "VirtualMachineInstance") {
        this.#queue.add(`${pod?.metadata.namespace}/${owner.name}`);
      }
    });
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  async #process(key: string): Promise<void> {
    const vmi = this.#view.vmis.get(key);
    if (!vmi) return;
    const syncFailure = await this.#syncPods(vmi);
    const owned = this.#view.podsOf(vmi);
    const pod = currentPodOf(vmi, owned);
    if (pod) await this.#syncPod(vmi, pod);
    const next = nextVmi(vmi, {
      pod,
      owned,
      hasVm: this.#hasVm(vmi),
      volumeStatus: this.#volumeStatusOf(vmi),
      syncFailure,
    });
    await this.#write(vmi, next);
    // A claim or an ended migration does not wake this key by itself: ask again later.
    if (syncFailure) throw new Error(syncFailure.message);
  }

  /** Creates the launcher pod where one is due, deletes pods where the VMI goes. */
  async #syncPods(vmi: VirtualMachineInstance): Promise<SyncFailure | undefined> {
    const owned = this.#view.podsOf(vmi);
    if (vmi.metadata.deletionTimestamp !== undefined) {
      for (const pod of owned) {
        if (pod.metadata.deletionTimestamp === undefined || isPodDown(pod)) await this.#writes.deletePod(pod);
      }
      return undefined;
    }
    if (!needsPod(vmi) || currentPodOf(vmi, owned)) return undefined;
    const missing = this.#missingClaim(vmi);
    if (missing !== undefined) {
      return {
        reason: "FailedPvcNotFound",
        message: `failed to render launch manifest: didn't find PVC ${missing}`,
      };
    }
    if (this.#view.migrationsOf(keyOf(vmi)).some(isRunningMigration)) {
      return { reason: "FailedCreate", message: "active migration exists" };
    }
    try {
      const pod = await this.#writes.createPod(launcherPod(vmi), vmi.metadata.namespace ?? "");
      this.#writes.event(vmi, {
        type: "Normal",
        reason: "SuccessfulCreate",
        message: `Created virtual machine pod ${pod.metadata.name}`,
      });
      return undefined;
    } catch (error) {
      return { reason: "FailedCreate", message: `failed to create virtual machine pod: ${String(error)}` };
    }
  }

  /** The guest's pause shows in the pod's readiness gate; the node label follows the VMI. */
  async #syncPod(vmi: VirtualMachineInstance, pod: Pod): Promise<void> {
    const paused = isTrue(vmi.status.conditions, "Paused");
    const unpaused = isTrue(pod.status?.conditions, UNPAUSED_GATE);
    if (paused === unpaused) {
      const now = timestamp();
      await this.#writes.applyPodCondition(pod, {
        type: UNPAUSED_GATE,
        status: paused ? "False" : "True",
        reason: paused ? "Paused" : "NotPaused",
        message: paused ? "the virtual machine is paused" : "the virtual machine is not paused",
        lastProbeTime: now,
        lastTransitionTime: now,
      });
    }
    const nodeName = vmi.metadata.labels?.[LABEL.nodeName];
    if (nodeName !== undefined && pod.metadata.labels?.[LABEL.nodeName] !== nodeName) {
      await this.#writes.mergePod(pod, { metadata: { labels: { [LABEL.nodeName]: nodeName } } });
    }
  }

  /** A VMI in its virt-handler's hands is patched member by member, so that both can write at once. */
  async #write(vmi: VirtualMachineInstance, next: VirtualMachineInstance): Promise<void> {
    if (vmi.status.phase === "Running" || vmi.status.phase === "Scheduled") {
      await this.#writes.patchVmi(vmi, patchBetween(vmi, next));
    } else if (!samePlain(vmi, next)) {
      await this.#writes.updateVmi(next);
    }
  }

  #hasVm(vmi: VirtualMachineInstance): boolean {
    const vm = this.#view.vms.get(keyOf(vmi));
    return vm !== undefined && vm.metadata.uid === controllerUidOf(vmi);
  }

  #missingClaim(vmi: VirtualMachineInstance): string | undefined {
    const names = (vmi.spec.volumes ?? []).flatMap((volume) => volume.persistentVolumeClaim?.claimName ?? []);
    const { namespace } = vmi.metadata;
    return names.find((name) => !this.#view.claims.get(`${namespace}/${name}`));
  }

  /** Volumes with what virt-handler and operators want to know of their claims: the access modes above all. */
  #volumeStatusOf(vmi: VirtualMachineInstance): VolumeStatus[] {
    const old = new Map((vmi.status.volumeStatus ?? []).map((status) => [status.name, status]));
    const list = (vmi.spec.volumes ?? []).map((volume) => {
      const status: VolumeStatus = { target: "", ...old.get(volume.name), name: volume.name };
      const claimName = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name;
      const claim = this.#view.claims.get(`${vmi.metadata.namespace}/${claimName}`);
      if (!claim) return status;
      return {
        ...status,
        persistentVolumeClaimInfo: {
          claimName,
          accessModes: claim.spec.accessModes ?? [],
          volumeMode: claim.spec.volumeMode ?? "Filesystem",
          capacity: claim.status?.capacity ?? {},
          requests: claim.spec.resources?.requests ?? {},
        },
      };
    });
    return list.sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}

/** Members of the status that the VMI controller patches (lifecycle.go prepareVMIPatch). */
const PATCHED_STATUS = [
  "volumeStatus",
  "conditions",
  "activePods",
  "phase",
  "launcherContainerImageVersion",
] as const;

/** A patch that fails where somebody else has changed the same member meanwhile. */
function patchBetween(vmi: VirtualMachineInstance, next: VirtualMachineInstance): PatchOperation[] {
  return PATCHED_STATUS.flatMap((member): PatchOperation[] => {
    const old = vmi.status[member];
    const value = next.status[member];
    if (samePlain(old, value) || (isEmpty(old) && isEmpty(value))) return [];
    const path = `/status/${member}`;
    if (old === undefined) return [{ op: "add", path, value }];
    const test = { op: "test", path, value: old } as const;
    return [test, value === undefined ? { op: "remove", path } : { op: "replace", path, value }];
  });
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}
