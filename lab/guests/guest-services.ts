// Which guests answer the network now: exactly those that the oracle knows to be running. Hears what it hears, and knows
// neither nodes nor the API server.
import { labTime } from "../lab-time.ts";
import type { GuestEnd, GuestExecution, GuestWitness } from "../oracle/witness.ts";
import { AnsweringGuest } from "./answering-guest.ts";
import { loopbackAddress } from "./guest-address.ts";

export interface GuestServicesOptions {
  /** For how long a guest stands still when a live migration hands it over: at least, and at most. */
  readonly handOverMs?: { readonly min: number; readonly max: number };
}

/** QEMU hands over when what is left can be copied within 300 ms, its default; the network needs its share. */
const HAND_OVER_MS = { min: 80, max: 300 };

interface Execution {
  up: boolean;
  frozen: boolean;
}

interface Guest {
  readonly service: AnsweringGuest;
  /** By pod UID: more than one only when something has gone very wrong. */
  readonly executions: Map<string, Execution>;
  handingOver: boolean;
}

/** Guests' services by VMI UID. Costs a UDP and a TCP port per running guest. */
export class GuestServices implements GuestWitness {
  readonly #handOverMs: { readonly min: number; readonly max: number };
  readonly #guests = new Map<string, Guest>();
  readonly #gone: AnsweringGuest[] = [];

  constructor({ handOverMs = HAND_OVER_MS }: GuestServicesOptions = {}) {
    this.#handOverMs = handOverMs;
  }

  started(guest: GuestExecution): void {
    this.#enter(guest, { up: false, frozen: false });
  }

  up(guest: GuestExecution): void {
    this.#change(guest, { up: true });
  }

  stopped(guest: GuestExecution, end: GuestEnd): void {
    const known = this.#guests.get(guest.vmiUid);
    known?.executions.delete(guest.podUid);
    if (known === undefined) return;
    if (known.executions.size > 0) return this.#follow(known);
    this.#guests.delete(guest.vmiUid);
    known.service.end(end === "shutdown");
    this.#gone.push(known.service);
  }

  froze(guest: GuestExecution): void {
    this.#change(guest, { frozen: true });
  }

  thawed(guest: GuestExecution): void {
    this.#change(guest, { frozen: false });
  }

  handedOver(from: GuestExecution, to: GuestExecution): void {
    const known = this.#guests.get(from.vmiUid);
    known?.executions.delete(from.podUid);
    const guest = this.#enter(to, { up: true, frozen: false }, true);
    const { min, max } = this.#handOverMs;
    labTime.after(min + labTime.random() * (max - min), () => {
      guest.handingOver = false;
      this.#follow(guest);
    });
  }

  /** Closes every socket. */
  close(): void {
    for (const { service, executions } of this.#guests.values()) {
      executions.clear();
      service.close();
    }
    this.#guests.clear();
    for (const service of this.#gone.splice(0)) service.close();
  }

  #enter(which: GuestExecution, execution: Execution, handingOver = false): Guest {
    const { vmiUid, podUid } = which;
    const guest = this.#guests.get(vmiUid) ?? {
      service: new AnsweringGuest(loopbackAddress(which)),
      executions: new Map(),
      handingOver,
    };
    this.#guests.set(vmiUid, guest);
    guest.handingOver = handingOver;
    guest.executions.set(podUid, execution);
    this.#follow(guest);
    return guest;
  }

  #change({ vmiUid, podUid }: GuestExecution, change: Partial<Execution>): void {
    const guest = this.#guests.get(vmiUid);
    const execution = guest?.executions.get(podUid);
    if (guest === undefined || execution === undefined) return;
    guest.executions.set(podUid, { ...execution, ...change });
    this.#follow(guest);
  }

  #follow({ service, executions, handingOver }: Guest): void {
    const works = [...executions.values()].some(({ up, frozen }) => up && !frozen);
    if (works && !handingOver) service.answer();
    else service.fallSilent();
  }
}
