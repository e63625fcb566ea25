// A virt-launcher and its guest (the libvirt domain). Lives as long as its containers, whoever watches it; knows no API server.
import type { GuestEnd, GuestExecution, GuestWitness } from "../oracle/witness.ts";
import type { NodeDelays } from "./delays.ts";
import { type GuestDelays, guestDelays } from "./guest-settings.ts";
import type { Cancel, Lifeline } from "./lifeline.ts";
import type { IncomingMigration, MigrationPeers, OutgoingMigration } from "./launcher-migration.ts";
import { KILLED, type Workload } from "./workload.ts";

/** `incoming`: a migration target that holds no disk yet. `starting`: holds the disk, still boots. */
export type DomainState = "none" | "incoming" | "starting" | "running" | "off";

/** What a launcher needs to know of its pod and VMI. */
export interface LauncherPlace {
  readonly execution: GuestExecution;
  readonly life: Lifeline;
  readonly delays: NodeDelays;
  readonly witness: GuestWitness;
  readonly peers: MigrationPeers;
  /** Whether the guest's disks answer here; always true of a guest without any. */
  readonly disksAnswer: () => boolean;
  /** Libvirt's events to virt-handler; unheard while that is dead. */
  readonly onChange: () => void;
  readonly onExit: (exitCode: number) => void;
}

/** The compute container of one launcher pod. */
export class Launcher implements Workload {
  readonly place: LauncherPlace;
  outgoing: OutgoingMigration | undefined;
  incoming: IncomingMigration | undefined;
  #domain: DomainState = "none";
  #end: GuestEnd | undefined;
  #exited = false;
  #stopRequested = false;
  #shuttingDown = false;
  #isStalled = false;
  #upOnceDisksAnswer = false;
  #guestDelays: GuestDelays;
  #graceMs = 0;
  readonly #timers = new Set<Cancel>();

  constructor(place: LauncherPlace) {
    this.place = place;
    this.#guestDelays = place.delays;
  }

  get domain(): DomainState {
    return this.#domain;
  }

  /** How the domain went off; undefined while it is not. */
  get end(): GuestEnd | undefined {
    return this.#end;
  }

  /** SIGTERM has come: virt-handler shall shut the guest down. */
  get stopRequested(): boolean {
    return this.#stopRequested;
  }

  get exited(): boolean {
    return this.#exited;
  }

  get alive(): boolean {
    return !this.#exited && this.place.life.alive;
  }

  /** The guest executes and holds its disk (a frozen machine's guest, too). */
  get executing(): boolean {
    return this.#domain === "starting" || this.#domain === "running";
  }

  /** Paused by I/O errors: the guest stands still and holds its disk. */
  get stalled(): boolean {
    return this.#isStalled;
  }

  get guestDelays(): GuestDelays {
    return this.#guestDelays;
  }

  /** virt-handler hands over the VMI: its annotations tune the guest, its grace period bounds the launcher's own patience. */
  configure(vmi: {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly graceMs: number;
  }): void {
    this.#guestDelays = guestDelays(vmi.annotations, this.place.delays);
    this.#graceMs = vmi.graceMs;
  }

  get shuttingDown(): boolean {
    return this.#shuttingDown;
  }

  /** Starts QEMU. The disk is held from this instant on. */
  boot(): void {
    if (!this.alive || this.#domain !== "none") return;
    this.#domain = "starting";
    this.place.witness.started(this.place.execution);
    this.#after(this.#guestDelays.guestBootMs, () => {
      this.#upOnceDisksAnswer = !this.place.disksAnswer();
      if (!this.#upOnceDisksAnswer) this.#comeUp();
    });
  }

  #comeUp(): void {
    if (this.#domain !== "starting") return;
    this.#domain = "running";
    this.place.witness.up(this.place.execution);
    this.place.onChange();
  }

  /** The disks have ceased to answer, or answer again. A guest that runs pauses at its next write. */
  noticeDisks(): void {
    if (!this.place.disksAnswer()) this.#stall();
    else if (this.#isStalled || this.#upOnceDisksAnswer)
      this.#after(this.place.delays.ioErrorResumeMs, () => this.#goOn());
  }

  #stall(): void {
    if (this.#isStalled || this.#domain !== "running" || this.place.disksAnswer()) return;
    this.#isStalled = true;
    this.outgoing?.cancel("the guest was paused by I/O errors");
    if (!this.place.life.frozen) this.place.witness.froze(this.place.execution);
    this.place.onChange();
  }

  #goOn(): void {
    if (!this.place.disksAnswer()) return;
    if (this.#upOnceDisksAnswer) {
      this.#upOnceDisksAnswer = false;
      this.#comeUp();
    }
    if (!this.#isStalled) return;
    this.#isStalled = false;
    if (this.#domain === "running") this.place.witness.thawed(this.place.execution);
    this.place.onChange();
  }

  /** ACPI power button, once; a guest that is still booting misses it and is off a shutdown time after it is up. */
  shutdownGuest(): void {
    if (!this.executing || this.#shuttingDown) return;
    this.#shuttingDown = true;
    this.outgoing?.cancel("the guest is shutting down");
    const bootLeftMs = this.#domain === "starting" ? this.#guestDelays.guestBootMs : 0;
    this.#after(bootLeftMs + this.#guestDelays.guestShutdownMs, () => {
      // One that stands still hears no power button: its grace period ends it.
      if (!this.#isStalled) this.stopGuest("shutdown");
    });
  }

  /** The guest is off when this returns. */
  stopGuest(end: GuestEnd): void {
    if (!this.executing) return;
    this.#goOff(end);
    this.place.witness.stopped(this.place.execution, end);
    this.outgoing?.sourceLost();
    this.place.onChange();
    this.#after(this.place.delays.finalNotifyMs, () => this.exit(0));
  }

  /** virt-handler has taken note that the domain is off, or wants this launcher gone. */
  release(): void {
    if (!this.executing) this.exit(0);
  }

  /** Target side: the migration failed, virt-handler sends the launcher home. */
  exitAsFailedTarget(): void {
    if (!this.executing) this.exit(1);
  }

  terminate(): void {
    if (this.#stopRequested || this.#exited) return;
    this.#stopRequested = true;
    if (this.#domain === "none" || this.#domain === "incoming") {
      this.exit(0);
      return;
    }
    this.place.onChange();
    this.#after(this.#graceMs + this.place.delays.launcherExtraGraceMs, () => this.stopGuest("killed"));
  }

  kill(): void {
    this.stopGuest("killed");
    this.exit(KILLED);
  }

  vanish(): void {
    this.#exited = true;
    if (this.executing) {
      this.#goOff("powerLoss");
      this.place.witness.stopped(this.place.execution, "powerLoss");
    }
    this.outgoing?.sourceLost();
    this.incoming?.targetLost();
  }

  exit(exitCode: number): void {
    if (this.#exited) return;
    this.#exited = true;
    for (const cancel of this.#timers) cancel();
    this.incoming?.targetLost();
    this.place.onChange();
    this.place.onExit(exitCode);
  }

  /** Target side: QEMU waits for a migration. False where this launcher cannot take it. */
  acceptIncoming(incoming: IncomingMigration): boolean {
    if (!this.alive || this.#stopRequested || this.#domain !== "none") return false;
    this.incoming = incoming;
    this.#domain = "incoming";
    this.place.onChange();
    return true;
  }

  /** Target side: the incoming domain is gone, so QEMU and with it the launcher ends. */
  dropIncoming(): void {
    if (this.#domain !== "incoming") return;
    this.#domain = "off";
    this.#end = "crashed";
    this.exit(1);
  }

  /** The instant of the switch: the source pauses and this guest runs. Nothing may come between the two. */
  takeOver(source: Launcher): void {
    source.#goOff("migrated");
    this.#domain = "running";
    this.#guestDelays = source.#guestDelays;
    this.#graceMs = source.#graceMs;
    this.place.witness.handedOver(source.place.execution, this.place.execution);
    source.#after(source.place.delays.finalNotifyMs, () => source.exit(0));
    source.place.onChange();
    this.place.onChange();
    this.#stall();
  }

  #goOff(end: GuestEnd): void {
    this.#domain = "off";
    this.#end = end;
  }

  #after(delayMs: number, action: () => void): void {
    const cancel = this.place.life.after(delayMs, () => {
      this.#timers.delete(cancel);
      if (!this.#exited) action();
    });
    this.#timers.add(cancel);
  }
}
