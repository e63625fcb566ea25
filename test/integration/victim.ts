// A process that dies when its power is cut: what a fence device is judged by, whatever it says of itself.
import { type ChildProcess, spawn } from "node:child_process";
import type { PowerSwitch } from "../../lab/bmc/power-switch.ts";
import { startOrphanGuard } from "../../lab/control-plane/orphan-guard.ts";
import { isRunning } from "../lab/running-process.ts";

export class Victim implements PowerSwitch {
  readonly #guard = startOrphanGuard();
  #process: ChildProcess;
  /** Whether it starts again when power comes back. */
  boots = true;

  constructor() {
    this.#process = this.#start();
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  read(): "On" | "Off" {
    return isRunning(this.pid) ? "On" : "Off";
  }

  async off(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => {
      this.#process.once("exit", resolve);
    });
    this.#process.kill("SIGKILL");
    await ended;
    this.#guard.forget(this.pid);
  }

  async on(): Promise<void> {
    if (this.boots && this.read() === "Off") this.#process = this.#start();
  }

  /** Cuts or restores power past the device. */
  async set(state: "On" | "Off"): Promise<void> {
    await (state === "Off" ? this.off() : this.on());
  }

  async stop(): Promise<void> {
    await this.off();
    await this.#guard.release();
  }

  #start(): ChildProcess {
    const process = spawn("sleep", ["86400"], { stdio: "ignore" });
    if (process.pid !== undefined) this.#guard.watch(process.pid);
    return process;
  }
}
