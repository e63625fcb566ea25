// Containers without a guest: they run, and exit soon after SIGTERM.
import type { Lifeline } from "./lifeline.ts";
import { KILLED, type Workload } from "./workload.ts";

export interface PlainContainerOptions {
  readonly life: Lifeline;
  readonly stopMs: number;
  readonly onExit: (exitCode: number) => void;
}

/** Any pod that is neither launcher nor virt-handler. */
export class PlainContainer implements Workload {
  readonly #options: PlainContainerOptions;
  #done = false;

  constructor(options: PlainContainerOptions) {
    this.#options = options;
  }

  terminate(graceMs: number): void {
    const { life, stopMs } = this.#options;
    life.after(Math.min(graceMs, stopMs), () => this.#exit(0));
  }

  kill(): void {
    this.#exit(KILLED);
  }

  vanish(): void {
    this.#done = true;
  }

  #exit(code: number): void {
    if (this.#done) return;
    this.#done = true;
    this.#options.onExit(code);
  }
}
