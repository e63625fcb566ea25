// A replica of the operator as a process of its own, as it runs outside a cluster: own KUBECONFIG, own log, can be killed.
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePort } from "../control-plane/free-port.ts";
import type { ControlPlane } from "../control-plane/start.ts";
import { waitFor } from "../cluster/wait-for.ts";
import { HOLDFAST_IDENTITY } from "./install.ts";

export interface ReplicaProcess {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Port of `/healthz`, `/readyz` and `/metrics` on loopback. */
  readonly port: number;
  readonly alive: boolean;
  /** SIGTERM, and wait; SIGKILL where it does not end in time. */
  stop(): Promise<void>;
  /** SIGKILL: what a lost node does to it. */
  kill(): void;
}

const STOP_DEADLINE_MS = 15_000;
const READY_DEADLINE_MS = 60_000;
const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

export interface ReplicaProcessOptions {
  readonly name: string;
  readonly flags?: readonly string[];
  /** What is run; `src/main.ts` unless said. */
  readonly program?: string;
  /** For Node.js itself, before the program. */
  readonly nodeFlags?: readonly string[];
  readonly readyDeadlineMs?: number;
}

/** Starts the operator with the rights of Holdfast's ServiceAccount and waits until it is ready. */
export async function startReplicaProcess(
  controlPlane: Pick<ControlPlane, "directory" | "kubeConfigFor">,
  options: ReplicaProcessOptions,
): Promise<ReplicaProcess> {
  const { name, flags = [], program = MAIN, nodeFlags = [], readyDeadlineMs = READY_DEADLINE_MS } = options;
  const kubeconfig = join(controlPlane.directory, `holdfast-${name}.kubeconfig`);
  writeFileSync(kubeconfig, controlPlane.kubeConfigFor(HOLDFAST_IDENTITY).exportConfig(), { mode: 0o600 });
  const port = await findFreePort();
  const logPath = join(controlPlane.directory, `holdfast-${name}.log`);
  const log = openSync(logPath, "a");
  const child = spawn(
    process.execPath,
    [
      ...nodeFlags,
      program,
      `--kubeconfig=${kubeconfig}`,
      `--identity=${name}`,
      `--listen-address=127.0.0.1:${port}`,
      ...flags,
    ],
    { stdio: ["ignore", log, log] },
  );
  closeSync(log);
  const replica = new RunningReplica(child, { name, logPath, port });
  await waitFor(
    `replica ${name} is ready (log: ${logPath})`,
    async (saw) => {
      if (!replica.alive)
        throw new Error(`replica ${name} ended with code ${child.exitCode}: see ${logPath}`);
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch((error: unknown) => error);
      if (answer instanceof Response && answer.ok) return true;
      saw(answer instanceof Response ? await answer.text() : String(answer));
      return undefined;
    },
    readyDeadlineMs,
  );
  return replica;
}

class RunningReplica implements ReplicaProcess {
  readonly name: string;
  readonly logPath: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(
    child: ChildProcess,
    options: { readonly name: string; readonly logPath: string; readonly port: number },
  ) {
    this.name = options.name;
    this.logPath = options.logPath;
    this.port = options.port;
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once("exit", () => resolve()));
    // The lab may be interrupted; a replica must not outlive it.
    process.once("exit", () => child.kill("SIGKILL"));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async stop(): Promise<void> {
    if (!this.alive) return;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_DEADLINE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
