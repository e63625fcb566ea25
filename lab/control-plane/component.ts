// One server process of the control plane: started, awaited, stopped, and blamed by name when it fails.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { OrphanGuard } from "./orphan-guard.ts";

/** What a component is and where it says what it does. */
export interface ComponentOptions {
  readonly name: string;
  readonly binary: string;
  readonly args: readonly string[];
  readonly logPath: string;
  readonly guard: OrphanGuard;
  /** Told when a process that was ready ends although nobody stopped it; the message holds its log's last lines. */
  readonly onUnexpectedEnd?: (message: string) => void;
}

/** A component died or did not become ready in time; the message holds its log's path and last lines. */
export class ComponentFailed extends Error {}

const LOG_TAIL_LINES = 20;
const PROBE_PAUSE_MS = 40;

/** Owns one child process; never restarts it by itself. */
export class Component {
  readonly name: string;
  readonly pid: number;
  #options: ComponentOptions;
  #child: ChildProcess;
  #ended: Promise<void>;
  #end: string | undefined;
  #ready = false;
  #stopping = false;

  /** Starts the process; its output goes to the log file only. Errors: throws when it cannot be executed. */
  constructor(options: ComponentOptions) {
    this.#options = options;
    this.name = options.name;
    const log = openSync(options.logPath, "a");
    try {
      // Detached, so that Ctrl-C in a terminal reaches only us and the world can be shut down in order.
      this.#child = spawn(options.binary, options.args, {
        stdio: ["ignore", log, log],
        detached: true,
        env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "/" },
      });
    } finally {
      closeSync(log);
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => this.#noteEnd(`could not be started: ${error.message}`, resolve));
      this.#child.once("exit", (code, signal) =>
        this.#noteEnd(`ended with ${signal ?? `exit code ${code}`}`, resolve),
      );
    });
    if (this.#child.pid === undefined)
      throw new ComponentFailed(`${this.name}: ${options.binary} cannot be executed`);
    this.pid = this.#child.pid;
    options.guard.watch(this.pid);
    this.#child.unref();
  }

  /** Waits until `probe` answers true. Errors: throws ComponentFailed when the process ends first or time runs out. */
  async waitUntilReady(probe: () => Promise<boolean>, deadlineMs: number): Promise<void> {
    const startedMs = performance.now();
    for (;;) {
      if (this.#end !== undefined) throw this.#failure(`${this.#end} before it was ready`);
      if (await probe()) {
        this.#ready = true;
        return;
      }
      if (performance.now() - startedMs > deadlineMs) {
        throw this.#failure(`was not ready within ${Math.round(deadlineMs / 1000)} s`);
      }
      await sleep(PROBE_PAUSE_MS);
    }
  }

  /** Errors: throws ComponentFailed when the process has ended. */
  requireRunning(): void {
    if (this.#end !== undefined) throw this.#failure(this.#end);
  }

  /** SIGTERM, and SIGKILL once `graceMs` have passed. Does nothing for a process that has ended. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#end !== undefined) return;
    this.#child.ref();
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  #noteEnd(how: string, resolve: () => void): void {
    if (this.#end !== undefined) return;
    this.#end = how;
    if (this.#child.pid !== undefined) this.#options.guard.forget(this.#child.pid);
    if (this.#ready && !this.#stopping) this.#options.onUnexpectedEnd?.(this.#failure(how).message);
    resolve();
  }

  #failure(what: string): ComponentFailed {
    const { name, logPath } = this.#options;
    return new ComponentFailed(`${name} ${what}. Log: ${logPath}\n${logTail(logPath)}`);
  }
}

function logTail(path: string): string {
  if (!existsSync(path)) return "(no log was written)";
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES);
  return lines.map((line) => `  ${line}`).join("\n");
}
