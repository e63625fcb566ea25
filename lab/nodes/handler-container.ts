// virt-handler's container: ties the virt-handler process of the simulation to the DaemonSet pod that runs it.
import type { Lifeline } from "./lifeline.ts";
import type { VirtHandler } from "./virt-handler.ts";
import { KILLED, type Workload } from "./workload.ts";

export interface HandlerContainerOptions {
  /** Of the machine. */
  readonly life: Lifeline;
  readonly start: (life: Lifeline) => VirtHandler;
  readonly onExit: (exitCode: number) => void;
}

/** While its process is wedged the container still runs, as with a daemon that deadlocked. */
export class HandlerContainer implements Workload {
  readonly #options: HandlerContainerOptions;
  #process: { readonly life: Lifeline; readonly handler: VirtHandler } | undefined;
  #exited = false;

  constructor(options: HandlerContainerOptions, wedged: boolean) {
    this.#options = options;
    if (!wedged) this.revive();
  }

  /** The process does nothing any more, without a farewell. */
  wedge(): void {
    this.#process?.life.end();
    this.#process = undefined;
  }

  revive(): void {
    if (this.#process || this.#exited) return;
    const life = this.#options.life.child();
    this.#process = { life, handler: this.#options.start(life) };
  }

  /** Libvirt's event; nobody hears it while the process is wedged. */
  notice(vmiKey: string): void {
    this.#process?.handler.notice(vmiKey);
  }

  terminate(): void {
    if (!this.#process) {
      this.#exit(0);
      return;
    }
    void this.#process.handler.farewell().then(() => this.#exit(0));
  }

  kill(): void {
    this.#exit(KILLED);
  }

  vanish(): void {
    this.#exited = true;
  }

  #exit(code: number): void {
    if (this.#exited) return;
    this.#exited = true;
    this.wedge();
    this.#options.onExit(code);
  }
}
