// One simulated node with its failures: power, hang, partition, dead kubelet, dead virt-handler.
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { PowerSwitch } from "../bmc/power-switch.ts";
import type { GuestAddress } from "../guests/guest-address.ts";
import type { GuestExecution, GuestWitness } from "../oracle/witness.ts";
import type { NodeDelays } from "./delays.ts";
import { startKubelet } from "./kubelet.ts";
import type { Launcher } from "./launcher.ts";
import type { MigrationPeers } from "./launcher-migration.ts";
import type { Lifeline } from "./lifeline.ts";
import { Machine } from "./machine.ts";
import { Cable, NodeLink } from "./node-link.ts";
import type { NodeProfile } from "./node-profile.ts";
import { VirtHandler } from "./virt-handler.ts";

/** `booting`: powered, but nothing of Kubernetes runs yet. `hung`: powered, guests hold their disks, nothing moves. */
export type NodeState = "off" | "booting" | "running" | "hung";

export interface SimulatedNodeOptions {
  readonly profile: NodeProfile;
  readonly delays: NodeDelays;
  readonly witness: GuestWitness;
  readonly peers: MigrationPeers;
  /** Own connections of this node, so that its network can be cut by itself. */
  readonly kubeletTransport: ApiTransport;
  readonly handlerTransport: ApiTransport;
  readonly csiDrivers: readonly string[];
  readonly guestAddress?: GuestAddress;
}

interface Boot {
  readonly machine: Machine;
  booted: boolean;
  kubelet: Lifeline | undefined;
}

/**
 * A machine, its kubelet, its virt-handler and its guests. Guarantees: `power.off()` stops all of it before it returns,
 * and what was being sent is aborted (a write already at the API server may land, as in life); guests stop for nothing
 * but power, their own end, or SIGKILL: no partition, hang or dead daemon touches them.
 */
export class SimulatedNode {
  readonly profile: NodeProfile;
  readonly power: PowerSwitch;
  readonly #options: SimulatedNodeOptions;
  readonly #kubeletCable: Cable;
  readonly #handlerCable: Cable;
  #boot: Boot | undefined;
  #storageAnswers = true;

  constructor(options: SimulatedNodeOptions) {
    this.#options = options;
    this.profile = options.profile;
    this.#kubeletCable = new Cable(options.kubeletTransport);
    this.#handlerCable = new Cable(options.handlerTransport);
    this.power = {
      read: () => (this.#boot ? "On" : "Off"),
      off: async () => this.#powerOff(),
      on: async () => this.#powerOn(this.#options.delays.nodeBootMs),
    };
  }

  get name(): string {
    return this.profile.name;
  }

  get state(): NodeState {
    if (!this.#boot) return "off";
    if (this.#boot.machine.life.frozen) return "hung";
    return this.#boot.booted ? "running" : "booting";
  }

  /** Which boot this is; undefined while the power is off. */
  get bootID(): string | undefined {
    return this.#boot?.machine.bootID;
  }

  /** Guests that hold their disks here, frozen ones included. */
  get guests(): readonly GuestExecution[] {
    return this.#boot?.machine.guests() ?? [];
  }

  get isCutFromApi(): boolean {
    return this.#kubeletCable.isCut;
  }

  get isKubeletRunning(): boolean {
    return this.#boot?.kubelet !== undefined;
  }

  /** Power on without the wait for firmware and kernel: for the first start of a lab. */
  startAtOnce(): void {
    this.#powerOn(0);
  }

  /** Cuts the node off from the API server; its guests go on and migrations between nodes still work. */
  cutApi(): void {
    this.#kubeletCable.cut();
    this.#handlerCable.cut();
  }

  healApi(): void {
    this.#kubeletCable.heal();
    this.#handlerCable.heal();
  }

  /** Cuts the node off from the storage: guests with disks are paused by I/O errors, in KubeVirt's words, and wait. */
  cutStorage(): void {
    this.#storageAnswers = false;
    this.#boot?.machine.noticeStorage();
  }

  healStorage(): void {
    this.#storageAnswers = true;
    this.#boot?.machine.noticeStorage();
  }

  /** The kernel hangs: nothing answers, guests stand still and hold their disks, the power stays on. */
  hang(): void {
    this.#boot?.machine.hang();
  }

  resume(): void {
    this.#boot?.machine.resume();
  }

  /** The kubelet dies; containers and virt-handler go on. */
  killKubelet(): void {
    this.#boot?.kubelet?.end();
    if (this.#boot) this.#boot.kubelet = undefined;
  }

  startKubelet(): void {
    const boot = this.#boot;
    if (!boot?.booted || boot.kubelet) return;
    const { profile, delays, csiDrivers } = this.#options;
    const life = boot.machine.life.child();
    boot.kubelet = life;
    startKubelet({
      profile,
      delays,
      csiDrivers,
      life,
      bootID: boot.machine.bootID,
      door: new NodeLink(this.#kubeletCable, life),
      runtime: boot.machine.runtime,
      mounts: boot.machine.mounts,
    });
  }

  /** virt-handler does nothing any more and says no farewell; its container stays, as with a daemon that deadlocked. */
  killVirtHandler(): void {
    this.#boot?.machine.wedgeHandler();
  }

  startVirtHandler(): void {
    this.#boot?.machine.reviveHandler();
  }

  /** The launcher that waits here for a migration; undefined where this node does not answer. */
  waitingLauncher(vmiUid: string): Launcher | undefined {
    if (this.state !== "running") return undefined;
    return this.#boot?.machine.runtime.launcherOf(vmiUid);
  }

  /** Ends the simulation of this node; unlike a power cut, nothing is asked of it afterwards. */
  async close(): Promise<void> {
    this.#powerOff();
    await Promise.all([this.#kubeletCable.close(), this.#handlerCable.close()]);
  }

  #powerOn(bootMs: number): void {
    if (this.#boot) return;
    const { profile, delays, witness, peers, guestAddress } = this.#options;
    const machine = new Machine({
      profile,
      delays,
      witness,
      peers,
      storageAnswers: () => this.#storageAnswers,
      startHandler: (life, { runtime }) =>
        new VirtHandler({
          profile,
          delays,
          life,
          runtime,
          door: new NodeLink(this.#handlerCable, life),
          ...(guestAddress === undefined ? {} : { guestAddress }),
        }),
    });
    const boot: Boot = { machine, booted: false, kubelet: undefined };
    this.#boot = boot;
    machine.life.after(bootMs, () => {
      boot.booted = true;
      this.startKubelet();
    });
  }

  #powerOff(): void {
    const boot = this.#boot;
    if (!boot) return;
    this.#boot = undefined;
    boot.machine.losePower();
    // Sockets of a machine without power say nothing more, not even goodbye at the HTTP level.
    this.#kubeletCable.transport.redial();
    this.#handlerCable.transport.redial();
  }
}
