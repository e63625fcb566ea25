// Judges a row of readings: when they are evidence that the node is off. Pure; knows neither device nor time.
import { contradiction } from "./system-identity.ts";
import type { OffReadings, TakenReading } from "./power-off-result.ts";
import type { SystemIdentity } from "./fence-device.ts";

export type Testimony =
  | { readonly kind: "proven"; readonly readings: OffReadings }
  | { readonly kind: "unconfirmed" }
  | { readonly kind: "notOff" }
  | { readonly kind: "wrongSystem"; readonly message: string };

/**
 * Guarantees: `proven` only after two readings of Off, the second over a fresh connection, with no other state read in
 * between, both of the same machine. A reading that failed in between says nothing either way.
 * Caveats: a device that keeps saying Off while the node runs cannot be told from an honest one here; only a second
 * device, or the node's own silence, can.
 */
export class OffWitness {
  #wrongSystem: ((identity: SystemIdentity) => string | undefined) | undefined;
  #known: SystemIdentity | undefined;
  #firstOff: TakenReading | undefined;

  constructor(wrongSystem?: (identity: SystemIdentity) => string | undefined) {
    this.#wrongSystem = wrongSystem;
  }

  /** Whether Off was read once and the next reading should be the confirming one. */
  get awaitsConfirmation(): boolean {
    return this.#firstOff !== undefined;
  }

  hear(reading: TakenReading): Testimony {
    const wrong = this.#wrongSystem?.(reading.identity);
    if (wrong !== undefined) return { kind: "wrongSystem", message: wrong };
    const conflict = this.#known && contradiction(this.#known, reading.identity);
    if (conflict !== undefined) {
      return { kind: "wrongSystem", message: `the device spoke of two machines: ${conflict}` };
    }
    this.#known ??= reading.identity;
    if (reading.state !== "Off") {
      this.#firstOff = undefined;
      return { kind: "notOff" };
    }
    if (this.#firstOff !== undefined && reading.fresh) {
      return { kind: "proven", readings: [this.#firstOff, reading] };
    }
    this.#firstOff ??= reading;
    return { kind: "unconfirmed" };
  }
}
