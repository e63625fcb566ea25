// What feeds one machine: its own switch, which its BMC moves, and the outlets of PDUs that its power supplies hang on.
import type { PowerSwitch } from "../../../lab/bmc/power-switch.ts";

export class MachinePower {
  readonly #machine: PowerSwitch;
  readonly #isOutletOn: boolean[];
  #isBroken = false;
  readonly bmc: PowerSwitch;
  readonly outlets: readonly PowerSwitch[];

  /** `outlets`: how many power supplies hang on outlets that can be switched. */
  constructor(machine: PowerSwitch, outlets: number) {
    this.#machine = machine;
    this.#isOutletOn = Array.from({ length: outlets }, () => true);
    this.bmc = {
      read: () => machine.read(),
      off: () => machine.off(),
      on: async () => (this.isFed ? this.#start() : undefined),
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

  /** Something in it has burnt: it goes off, and whatever it is told it does not start. */
  async breakDown(): Promise<void> {
    this.#isBroken = true;
    await this.#machine.off();
  }

  /** It has got a new part; somebody still has to switch it on. */
  repair(): void {
    this.#isBroken = false;
  }

  /** A person sees to it that the machine has power and runs, if it can. */
  async switchOn(): Promise<void> {
    this.#isOutletOn.fill(true);
    await this.#start();
  }

  async #start(): Promise<void> {
    if (!this.#isBroken) await this.#machine.on();
  }

  async #switchOutlet(at: number, on: boolean): Promise<void> {
    this.#isOutletOn[at] = on;
    // Servers are set to start with their power.
    if (on) await this.#start();
    else if (!this.isFed) await this.#machine.off();
  }
}
