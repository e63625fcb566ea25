// One virt-handler process: turns VMIs handed to this node into guests, and reports guests back. Works from watches, for it may not GET a VMI.
import type { GuestAddress } from "../guests/guest-address.ts";
import type { ContainerRuntime } from "./container-runtime.ts";
import type { NodeDelays } from "./delays.ts";
import { keepHeartbeat, labelUnschedulable } from "./heartbeat.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { Launcher } from "./launcher.ts";
import { OutgoingMigration } from "./launcher-migration.ts";
import type { Lifeline } from "./lifeline.ts";
import {
  withCompletion,
  withoutTargetLabel,
  withSourceProgress,
  withTargetAddress,
  withTargetProgress,
} from "./migration-status.ts";
import { Mirror } from "./mirror.ts";
import type { ApiDoor } from "./node-link.ts";
import type { NodeProfile } from "./node-profile.ts";
import { keyOf } from "./objects.ts";
import {
  graceSecondsOf,
  isFinal,
  isMigrating,
  isMigrationDone,
  NODE_NAME_LABEL,
  TARGET_NODE_LABEL,
  type Vmi,
} from "./vmi.ts";
import { withDomainStatus } from "./vmi-status.ts";

export interface VirtHandlerOptions {
  readonly profile: NodeProfile;
  readonly door: ApiDoor;
  /** Ends with the process. */
  readonly life: Lifeline;
  readonly delays: NodeDelays;
  readonly runtime: ContainerRuntime;
  readonly guestAddress?: GuestAddress;
}

/** How often virt-launcher looks whether its QEMU still lives. */
const LAUNCHER_BEAT_MS = 1_000;
const VMIS = "/apis/kubevirt.io/v1/virtualmachineinstances";

/** The three controllers of virt-handler (VMI, migration source, migration target) in one queue per VMI. */
export class VirtHandler {
  readonly #options: VirtHandlerOptions;
  readonly #queue: KeyedQueue;
  readonly #owned: Mirror<Vmi>;
  readonly #targeted: Mirror<Vmi>;

  constructor(options: VirtHandlerOptions) {
    this.#options = options;
    this.#queue = new KeyedQueue((key) => this.#sync(key));
    this.#owned = this.#follow(NODE_NAME_LABEL);
    this.#targeted = this.#follow(TARGET_NODE_LABEL);
    options.life.atEnd(() => {
      this.#owned.stop();
      this.#targeted.stop();
    });
    void keepHeartbeat(options);
  }

  /** Something changed about a launcher on this node. */
  notice(vmiKey: string): void {
    this.#queue.mark(vmiKey);
  }

  /** Asked to stop: tells the scheduler not to send VMIs here, and settles when that is said or refused. */
  farewell(): Promise<void> {
    return labelUnschedulable(this.#options.profile, this.#options.door);
  }

  #follow(label: string): Mirror<Vmi> {
    const { door, life, delays, profile } = this.#options;
    const mark = (vmi: Vmi) => this.#queue.mark(keyOf(vmi));
    return new Mirror<Vmi>(door, {
      path: VMIS,
      query: { labelSelector: `${label}=${profile.name}` },
      pause: () => life.sleep(delays.retryMs),
      listener: {
        changed: mark,
        deleted: mark,
        synced: () => this.#lookAtAll(),
      },
    });
  }

  /** Once both lists are in; guests whose VMI is in neither were forgotten while this process was not there. */
  #lookAtAll(): void {
    for (const vmi of [...this.#owned.values(), ...this.#targeted.values()]) this.#queue.mark(keyOf(vmi));
    for (const { place } of this.#options.runtime.launchers()) this.#queue.mark(place.execution.vm);
  }

  async #sync(key: string): Promise<void> {
    if (!this.#owned.synced || !this.#targeted.synced) return;
    const owned = this.#owned.get(key);
    const targeted = this.#targeted.get(key);
    // A VMI waits until the guest of an older one of its name is gone from this node.
    if (await this.#strangerRuns(key, owned ?? targeted)) return;
    if (owned) await this.#syncOwned(owned);
    if (targeted) await this.#syncTarget(targeted);
  }

  /** Looks after guests here whose VMI is another one by now, or none; true while one of them executes. */
  async #strangerRuns(key: string, known: Vmi | undefined): Promise<boolean> {
    let runs = false;
    for (const launcher of this.#options.runtime.launchers()) {
      const { vm, vmiUid } = launcher.place.execution;
      if (vm !== key || vmiUid === known?.metadata.uid) continue;
      runs ||= launcher.executing;
      if (launcher.domain === "off") launcher.release();
      // KubeVirt leaves a live guest alone while a VMI of its name exists, whatever its UID (pkg/virt-handler/vm.go, execute).
      else if (launcher.executing && !known && (await this.#isDeleted(key))) launcher.shutdownGuest();
    }
    return runs;
  }

  async #isDeleted(key: string): Promise<boolean> {
    const [namespace, name] = key.split("/");
    const found = await this.#options.door.request<{ items: Vmi[] }>({
      method: "GET",
      path: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstances`,
      query: { fieldSelector: `metadata.name=${name}` },
    });
    if (found.ok) return found.value.items.length === 0;
    this.#again(key);
    return false;
  }

  async #syncOwned(vmi: Vmi): Promise<void> {
    const launcher = this.#options.runtime.launcherOf(vmi.metadata.uid ?? "");
    if (launcher?.domain === "off" && launcher.end === "migrated") {
      // Until the target's virt-handler has taken the VMI over; a launcher does not wait longer than its monitor's beat.
      this.#options.life.after(LAUNCHER_BEAT_MS, () => launcher.release());
      return;
    }
    if (isFinal(vmi)) {
      launcher?.release();
      return;
    }
    const { nodeName, migrationState } = vmi.status ?? {};
    if (nodeName !== this.#options.profile.name) return;
    const leaving = vmi.metadata.deletionTimestamp !== undefined;
    const isSource = migrationState?.sourceNode === nodeName && !isMigrationDone(migrationState);
    if (!leaving && isSource && launcher?.executing) {
      await this.#syncSource(vmi, launcher);
      return;
    }
    // While the copy runs the phase is not this controller's: virt-controller ends a migration whose source died.
    if (!leaving && isMigrating(vmi)) return;
    await this.#syncGuest(vmi, launcher, leaving);
  }

  async #syncGuest(vmi: Vmi, launcher: Launcher | undefined, leaving: boolean): Promise<void> {
    if (launcher) {
      launcher.configure({
        graceMs: graceSecondsOf(vmi) * 1000,
        ...(vmi.metadata.annotations ? { annotations: vmi.metadata.annotations } : {}),
      });
      if (leaving || launcher.stopRequested) this.#stop(vmi, launcher);
      else if (vmi.status?.phase === "Scheduled") launcher.boot();
    }
    const podIP = launcher && this.#podIP(launcher);
    const written = await this.#write(withDomainStatus(vmi, launcher, podIP), keyOf(vmi));
    if (written && launcher?.domain === "off") launcher.release();
  }

  #stop(vmi: Vmi, launcher: Launcher): void {
    const graceMs = graceSecondsOf(vmi) * 1000;
    if (graceMs === 0) {
      launcher.stopGuest("killed");
      return;
    }
    if (!launcher.executing || launcher.shuttingDown) return;
    launcher.shutdownGuest();
    this.#options.life.after(graceMs, () => launcher.stopGuest("killed"));
  }

  async #syncSource(vmi: Vmi, launcher: Launcher): Promise<void> {
    const state = vmi.status?.migrationState;
    const uid = state?.migrationUid ?? "";
    if (state?.abortRequested && launcher.outgoing?.metadata.uid === uid) {
      launcher.outgoing.cancel();
    } else if (
      launcher.outgoing?.metadata.uid !== uid &&
      state?.targetNodeAddress !== undefined &&
      state.targetDirectMigrationNodePorts
    ) {
      launcher.outgoing = new OutgoingMigration(launcher, uid);
      launcher.outgoing.start(state.targetNode ?? "");
    }
    if (launcher.outgoing?.metadata.uid !== uid) return;
    await this.#write(withSourceProgress(vmi, launcher.outgoing.metadata), keyOf(vmi));
  }

  async #syncTarget(vmi: Vmi): Promise<void> {
    const state = vmi.status?.migrationState;
    const { profile, runtime } = this.#options;
    if (!state || isFinal(vmi) || vmi.metadata.deletionTimestamp) return;
    const key = keyOf(vmi);
    const launcher = runtime.launcherOf(vmi.metadata.uid ?? "");
    if (isMigrationDone(state)) {
      if (state.failed) launcher?.exitAsFailedTarget();
      await this.#write(withoutTargetLabel(vmi), key);
      return;
    }
    if (state.failed || state.targetNode !== profile.name || !launcher) return;
    const progressed = withTargetProgress(vmi, profile.name, launcher);
    if (progressed) {
      await this.#write(progressed, key);
      return;
    }
    if (launcher.domain === "running" && state.endTimestamp !== undefined && !state.completed) {
      await this.#write(withCompletion(vmi), key);
    } else if (state.targetNodeAddress === undefined && launcher.domain === "none") {
      await this.#write(withTargetAddress(vmi, profile.internalIP), key);
    }
  }

  #podIP(launcher: Launcher): string | undefined {
    const { runtime, guestAddress } = this.#options;
    const { execution } = launcher.place;
    return guestAddress?.(execution) ?? runtime.get(execution.podUid)?.podIP;
  }

  /** Writes the whole VMI, since it has no status subresource. A conflict or failure brings the key back. */
  async #write(draft: Vmi | undefined, key: string): Promise<boolean> {
    if (!draft) return true;
    const { namespace, name } = draft.metadata;
    const outcome = await this.#options.door.request<Vmi>({
      method: "PUT",
      path: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstances/${name}`,
      body: draft,
    });
    if (outcome.ok) {
      this.#owned.learn(outcome.value);
      this.#targeted.learn(outcome.value);
      // Whatever else this state asks for is done with the new version at hand.
      this.#queue.mark(key);
      return true;
    }
    this.#again(key);
    return outcome.kind === "notFound";
  }

  #again(key: string): void {
    const { life, delays } = this.#options;
    life.after(delays.retryMs, () => this.#queue.mark(key));
  }
}
