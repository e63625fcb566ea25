// The order in which the four components start and stop. Knows their processes; knows no client of the API.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ClusterFiles } from "./cluster-files.ts";
import {
  apiServerFlags,
  type ClusterPorts,
  controllerManagerFlags,
  etcdFlags,
  schedulerFlags,
} from "./component-flags.ts";
import { Component } from "./component.ts";
import { findFreePort } from "./free-port.ts";
import { isHealthy } from "./health-probe.ts";
import { type OrphanGuard, startOrphanGuard } from "./orphan-guard.ts";
import type { BinaryName } from "./versions.ts";

/** Everything that is settled before the first process starts. */
export interface ClusterSettings {
  readonly directory: string;
  readonly binaries: string;
  readonly ports: ClusterPorts;
  readonly server: string;
  readonly files: ClusterFiles;
  readonly keepDirectory: boolean;
  readonly controllers: boolean;
  readonly apiServerFlags: readonly string[];
  readonly controllerManagerFlags: readonly string[];
  readonly onProgress: (message: string) => void;
}

/** Generous, since the lab shares its machine; a component that dies is noticed at once all the same. */
const READY_DEADLINE_MS = 90_000;
/** How long a component may take to end in good order. */
const STOP_GRACE_MS = 8_000;

/** Finds the loopback ports one cluster needs. */
export async function findClusterPorts(): Promise<ClusterPorts> {
  return {
    etcdClient: await findFreePort(),
    etcdPeer: await findFreePort(),
    apiServer: await findFreePort(),
    controllerManager: await findFreePort(),
    scheduler: await findFreePort(),
  };
}

/** One cluster's processes. */
export class RunningCluster {
  readonly settings: ClusterSettings;
  #guard: OrphanGuard;
  #etcd: Component | undefined;
  #apiServer: Component | undefined;
  #controllers: Component[] = [];

  constructor(settings: ClusterSettings) {
    this.settings = settings;
    this.#guard = startOrphanGuard(settings.keepDirectory ? {} : { removeDirectory: settings.directory });
  }

  logPaths(): readonly string[] {
    return (["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const).map((name) =>
      this.#logPath(name),
    );
  }

  /** Starts everything and waits for it. Errors: throws ComponentFailed; call `stop` then. */
  async start(): Promise<void> {
    const { directory, ports, onProgress } = this.settings;
    onProgress("starting etcd and kube-apiserver");
    this.#etcd = this.#run("etcd", etcdFlags(directory, ports));
    // Not one after the other: kube-apiserver waits for etcd by itself and has a second of other work to do first.
    await Promise.all([
      this.#etcd.waitUntilReady(
        () => this.#isHealthy(`http://127.0.0.1:${ports.etcdClient}/readyz`),
        READY_DEADLINE_MS,
      ),
      this.startApiServer(),
    ]);
    if (this.settings.controllers) await this.#startControllers();
    // A component that lost its port ends at once, but whoever took the port may have answered our probe in its place.
    for (const component of [this.#etcd, this.#apiServer, ...this.#controllers]) component?.requireRunning();
  }

  async #startControllers(): Promise<void> {
    const { files, ports, onProgress } = this.settings;
    onProgress("starting kube-controller-manager and kube-scheduler");
    const controllerManager = this.#run("kube-controller-manager", [
      ...controllerManagerFlags(files, ports),
      ...this.settings.controllerManagerFlags,
    ]);
    this.#controllers.push(controllerManager);
    const scheduler = this.#run("kube-scheduler", schedulerFlags(files, ports));
    this.#controllers.push(scheduler);
    await Promise.all([
      controllerManager.waitUntilReady(
        () => this.#isHealthy(`https://127.0.0.1:${ports.controllerManager}/healthz`),
        READY_DEADLINE_MS,
      ),
      scheduler.waitUntilReady(
        () => this.#isHealthy(`https://127.0.0.1:${ports.scheduler}/readyz`),
        READY_DEADLINE_MS,
      ),
    ]);
  }

  async startApiServer(): Promise<void> {
    const { files, ports, server } = this.settings;
    const apiServer = this.#run("kube-apiserver", [
      ...apiServerFlags(files, ports),
      ...this.settings.apiServerFlags,
    ]);
    this.#apiServer = apiServer;
    await apiServer.waitUntilReady(() => this.#isHealthy(`${server}/readyz`), READY_DEADLINE_MS);
  }

  async stopApiServer(): Promise<void> {
    const apiServer = this.#apiServer;
    this.#apiServer = undefined;
    await apiServer?.stop(STOP_GRACE_MS);
  }

  /** Ends every process, clients before servers, so that nobody spends his last second retrying. */
  async stop(options: { readonly keepDirectory: boolean }): Promise<void> {
    await Promise.all(this.#controllers.splice(0).map((component) => component.stop(STOP_GRACE_MS)));
    await this.stopApiServer();
    await this.#etcd?.stop(STOP_GRACE_MS);
    await this.#guard.release();
    if (options.keepDirectory || this.settings.keepDirectory) return;
    await rm(this.settings.directory, { recursive: true, force: true });
  }

  #run(name: BinaryName, args: readonly string[]): Component {
    return new Component({
      name,
      binary: join(this.settings.binaries, name),
      args,
      logPath: this.#logPath(name),
      guard: this.#guard,
      onUnexpectedEnd: this.settings.onProgress,
    });
  }

  #logPath(name: BinaryName): string {
    return join(this.settings.directory, `${name}.log`);
  }

  #isHealthy(url: string): Promise<boolean> {
    return isHealthy(url, this.settings.files.clusterAuthority.certPem);
  }
}
