// What feeds one machine: its own switch, which its BMC moves, and the outlets of PDUs that its power supplies hang on.
import type { PowerSwitch } from "../../../lab/bmc/power-switch.ts";

export class MachinePower {
  readonly #machine: PowerSwitch;
  readonly #isOutletOn: boolean[];
  readonly bmc: PowerSwitch;
  readonly outlets: readonly PowerSwitch[];

  /** `outlets`: how many power supplies hang on outlets that can be switched. */
  constructor(machine: PowerSwitch, outlets: number) {
    this.#machine = machine;
    this.#isOutletOn = Array.from({ length: outlets }, () => true);
    this.bmc = {
      read: () => machine.read(),
      off: () => machine.off(),
      on: async () => (this.isFed ? machine.on() : undefined),
    };
    this.outlets = this.#isOutletOn.map((_, at) => ({
      read: () => (this.#isOutletOn[at] === true ? "On" : "Off"),
      off: () => this.#switchOutlet(at, false),
      on: () => this.#switchOutlet(at, true),
    }));
  }

  /** Without any feed the BMC is dead with its machine. */
  get isFed(): boolean {
    return this.#isOutletOn.length === 0 || this.#isOutletOn.includes(true);
  }

  /** A person sees to it that the machine has power and runs. */
  async switchOn(): Promise<void> {
    this.#isOutletOn.fill(true);
    await this.#machine.on();
  }

  async #switchOutlet(at: number, on: boolean): Promise<void> {
    this.#isOutletOn[at] = on;
    // Servers are set to start with their power.
    if (on) await this.#machine.on();
    else if (!this.isFed) await this.#machine.off();
  }
}
