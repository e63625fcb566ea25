// One boot of one machine: its life, its containers and its guests. Knows neither switches nor the API server.
import { labTime } from "../lab-time.ts";
import type { GuestExecution, GuestWitness } from "../oracle/witness.ts";
import { ContainerRuntime } from "./container-runtime.ts";
import type { NodeDelays } from "./delays.ts";
import { HandlerContainer } from "./handler-container.ts";
import { Launcher } from "./launcher.ts";
import type { MigrationPeers } from "./launcher-migration.ts";
import { Lifeline } from "./lifeline.ts";
import { type NodeProfile, podAddress } from "./node-profile.ts";
import type { Pod } from "./objects.ts";
import { PlainContainer } from "./plain-container.ts";
import type { VirtHandler } from "./virt-handler.ts";
import type { Workload } from "./workload.ts";

export interface MachineOptions {
  readonly profile: NodeProfile;
  readonly delays: NodeDelays;
  readonly witness: GuestWitness;
  readonly peers: MigrationPeers;
  /** Whether the storage answers this machine. */
  readonly storageAnswers: () => boolean;
  readonly startHandler: (life: Lifeline, machine: Machine) => VirtHandler;
}

/** From power on to power off. After `losePower` nothing of it acts any more. */
export class Machine {
  readonly bootID = labTime.uuid();
  readonly life = new Lifeline();
  readonly runtime: ContainerRuntime;
  readonly mounts = new Map<string, readonly string[]>();
  readonly #options: MachineOptions;
  #handler: HandlerContainer | undefined;
  #handlerWedged = false;
  #podOrdinal = 1;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.runtime = new ContainerRuntime({
      life: this.life,
      startWorkload: (pod, onExit) => this.#start(pod, onExit),
      podIP: (pod) =>
        pod.spec.hostNetwork ? options.profile.internalIP : podAddress(options.profile, this.#podOrdinal++),
    });
  }

  /** virt-handler stops doing anything; so does each successor of its pod, until `reviveHandler`. */
  wedgeHandler(): void {
    this.#handlerWedged = true;
    this.#handler?.wedge();
  }

  reviveHandler(): void {
    this.#handlerWedged = false;
    this.#handler?.revive();
  }

  /** The kernel hangs: nothing moves, guests keep their disks. */
  hang(): void {
    if (this.life.frozen) return;
    this.life.freeze();
    for (const guest of this.#movingGuests()) this.#options.witness.froze(guest);
  }

  resume(): void {
    if (!this.life.frozen) return;
    for (const guest of this.#movingGuests()) this.#options.witness.thawed(guest);
    this.life.thaw();
  }

  /** The storage has ceased to answer, or answers again. */
  noticeStorage(): void {
    for (const launcher of this.runtime.launchers()) launcher.noticeDisks();
  }

  /** Guests that hold their disks, frozen ones included. */
  guests(): readonly GuestExecution[] {
    return this.runtime
      .launchers()
      .filter(({ executing }) => executing)
      .map(({ place }) => place.execution);
  }

  #movingGuests(): readonly GuestExecution[] {
    return this.runtime
      .launchers()
      .filter(({ executing, stalled }) => executing && !stalled)
      .map(({ place }) => place.execution);
  }

  /** Everything stops at this instant; the oracle hears of each guest before this returns. */
  losePower(): void {
    this.life.end();
    this.runtime.vanish();
    this.mounts.clear();
  }

  #start(pod: Pod, onExit: (exitCode: number) => void): Workload {
    const role = pod.metadata.labels?.["kubevirt.io"];
    const owner = pod.metadata.ownerReferences?.find(({ kind }) => kind === "VirtualMachineInstance");
    if (role === "virt-launcher" && owner) return this.#launch(pod, owner, onExit);
    const { containerStopMs } = this.#options.delays;
    if (role !== "virt-handler")
      return new PlainContainer({ life: this.life, stopMs: containerStopMs, onExit });
    this.#handler = new HandlerContainer(
      { life: this.life, onExit, start: (life) => this.#options.startHandler(life, this) },
      this.#handlerWedged,
    );
    return this.#handler;
  }

  #launch(pod: Pod, vmi: { name: string; uid: string }, onExit: (exitCode: number) => void): Launcher {
    const { profile, delays, witness, peers, storageAnswers } = this.#options;
    const hasDisks = pod.spec.volumes?.some((one) => one.persistentVolumeClaim !== undefined) === true;
    const vm = `${pod.metadata.namespace}/${vmi.name}`;
    return new Launcher({
      execution: {
        vm,
        vmiUid: vmi.uid,
        node: profile.name,
        bootID: this.bootID,
        podUid: pod.metadata.uid ?? "",
      },
      life: this.life,
      delays,
      witness,
      peers,
      disksAnswer: hasDisks ? storageAnswers : () => true,
      onChange: () => this.#handler?.notice(vm),
      onExit,
    });
  }
}
