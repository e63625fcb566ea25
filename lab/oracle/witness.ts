// What a guest tells the oracle, at the instant it happens. Nodes know this door and not the oracle behind it.

/** One execution of a VM on one node; the same object from start to stop. */
export interface GuestExecution {
  /** `namespace/name` of the VMI, and of its VM. */
  readonly vm: string;
  readonly vmiUid: string;
  readonly node: string;
  /** Boot ID of the node: which incarnation of it. */
  readonly bootID: string;
  readonly podUid: string;
}

/** How an execution ended. */
export type GuestEnd = "shutdown" | "killed" | "crashed" | "powerLoss" | "migrated";

/** Told synchronously, so that no instant lies between what happens and what is known. */
export interface GuestWitness {
  /** QEMU runs and holds the disk, though the guest is still booting. */
  started(guest: GuestExecution): void;
  /** The guest has booted. */
  up(guest: GuestExecution): void;
  stopped(guest: GuestExecution, end: GuestEnd): void;
  /** The machine hangs: the guest stands still, and still holds its disk. */
  froze(guest: GuestExecution): void;
  thawed(guest: GuestExecution): void;
  /** End of a live migration: the source pauses and the target runs, in one instant. */
  handedOver(from: GuestExecution, to: GuestExecution): void;
}

/** One witness that tells several, in this order. */
export function everyWitness(...all: readonly GuestWitness[]): GuestWitness {
  return {
    started: (guest) => all.forEach((one) => one.started(guest)),
    up: (guest) => all.forEach((one) => one.up(guest)),
    stopped: (guest, end) => all.forEach((one) => one.stopped(guest, end)),
    froze: (guest) => all.forEach((one) => one.froze(guest)),
    thawed: (guest) => all.forEach((one) => one.thawed(guest)),
    handedOver: (from, to) => all.forEach((one) => one.handedOver(from, to)),
  };
}
