// Starts a real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) on loopback.
// Knows nothing of nodes, KubeVirt or Holdfast.
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { createProgress } from "../terminal/progress.ts";
import { provideAssets } from "./assets.ts";
import { type Identity, kubeConfigOf, writeClusterFiles } from "./cluster-files.ts";
import { findClusterPorts, RunningCluster } from "./running-cluster.ts";

export type { Identity } from "./cluster-files.ts";

/** A running control plane. Two of them never share a port, a folder or a key. */
export interface ControlPlane {
  /** Kubernetes version, for instance `v1.37.2`. */
  readonly version: string;
  /** `https://127.0.0.1:PORT`. */
  readonly server: string;
  /** Scratch folder of this cluster: logs, keys, kubeconfigs, etcd's data. */
  readonly directory: string;
  /** Kubeconfig of a cluster administrator (`system:masters`). */
  readonly kubeconfigPath: string;
  /** A KubeConfig with a fresh client certificate for `identity`. */
  kubeConfigFor(identity: Identity): KubeConfig;
  /** A transport for `identity`; closed by `stop()` at the latest. */
  transportFor(identity: Identity): ApiTransport;
  /** Speaks as `admin` in `system:masters`. */
  readonly admin: ApiTransport;
  /** A serving certificate signed by the cluster's authority, for webhooks and aggregated API servers. */
  certificateFor(options: { readonly commonName: string; readonly hosts: readonly string[] }): {
    readonly certPem: string;
    readonly keyPem: string;
  };
  /** The authority that every client of this cluster trusts. */
  readonly caPem: string;
  /** Ends kube-apiserver (SIGTERM, then SIGKILL) and waits; etcd and the data in it stay. */
  stopApiServer(): Promise<void>;
  /** Starts kube-apiserver again on the same port and waits until it is ready. */
  startApiServer(): Promise<void>;
  /** Ends every process within seconds and removes `directory`, unless HOLDFAST_KEEP=1. */
  stop(): Promise<void>;
}

export interface ControlPlaneOptions {
  /** Whether to run kube-controller-manager and kube-scheduler; true unless said. */
  readonly controllers?: boolean;
  /** Told what is being done, and of a component that ends although nobody stopped it. */
  readonly onProgress?: (message: string) => void;
  /** Flags added after ours; the last one wins in Kubernetes. */
  readonly apiServerFlags?: readonly string[];
  readonly controllerManagerFlags?: readonly string[];
}

/** Tries for a set of ports that nobody takes between our look and the components' own listening. */
const PORT_ATTEMPTS = 3;
const SERVICE_ACCOUNT_DEADLINE_MS = 30_000;
const SERVICE_ACCOUNT_PAUSE_MS = 20;

/**
 * Starts a control plane and waits until it schedules pods. Every process ends with this one, even on SIGKILL.
 * Errors: throws ComponentFailed naming the component, its log and the log's last lines; nothing is left running then.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const onProgress = options.onProgress ?? (() => undefined);
  const assets = await provideAssets({
    environment: process.env,
    progress: createProgress({ terminal: false, write: (text) => onProgress(text.trimEnd()) }),
  });
  for (let attempt = 1; ; attempt++) {
    const directory = await mkdtemp(join(tmpdir(), "holdfast-control-plane-"));
    const cluster = await prepare(directory, assets.directory, options);
    try {
      await cluster.start();
      return await controlPlaneOf(cluster);
    } catch (error) {
      const lostPort = await mentionsTakenPort(cluster);
      // The logs stay where the error message points, except on the tries that are repeated.
      await cluster.stop({ keepDirectory: !lostPort || attempt === PORT_ATTEMPTS });
      if (!lostPort || attempt === PORT_ATTEMPTS) throw error;
      onProgress("another process took one of the ports; starting again on others");
    }
  }
}

async function prepare(
  directory: string,
  binaries: string,
  options: ControlPlaneOptions,
): Promise<RunningCluster> {
  const ports = await findClusterPorts();
  const server = `https://127.0.0.1:${ports.apiServer}`;
  return new RunningCluster({
    directory,
    binaries,
    ports,
    server,
    files: await writeClusterFiles(directory, server),
    keepDirectory: process.env["HOLDFAST_KEEP"] === "1",
    controllers: options.controllers ?? true,
    apiServerFlags: options.apiServerFlags ?? [],
    controllerManagerFlags: options.controllerManagerFlags ?? [],
    onProgress: options.onProgress ?? (() => undefined),
  });
}

async function mentionsTakenPort(cluster: RunningCluster): Promise<boolean> {
  const logs = await Promise.all(cluster.logPaths().map((path) => readFile(path, "utf8").catch(() => "")));
  return logs.some((log) => log.includes("address already in use"));
}

async function controlPlaneOf(cluster: RunningCluster): Promise<ControlPlane> {
  const { directory, server, files } = cluster.settings;
  const transports: ApiTransport[] = [];
  const kubeConfigFor = (identity: Identity) => kubeConfigOf(files.clusterAuthority, server, identity);
  const transportFor = (identity: Identity) => {
    const transport = createHttpTransport(kubeConfigFor(identity), { userAgent: "holdfast-lab" });
    transports.push(transport);
    return transport;
  };
  const admin = transportFor({ user: "admin", groups: ["system:masters"] });
  if (cluster.settings.controllers) await waitForDefaultServiceAccount(admin);
  return {
    version: await readVersion(admin),
    server,
    directory,
    kubeconfigPath: files.adminKubeconfig,
    kubeConfigFor,
    transportFor,
    admin,
    certificateFor: ({ commonName, hosts }) =>
      files.clusterAuthority.issue({ commonName, hosts, usages: ["serverAuth"] }),
    caPem: files.clusterAuthority.certPem,
    stopApiServer: () => cluster.stopApiServer(),
    startApiServer: () => cluster.startApiServer(),
    stop: async () => {
      await Promise.all(transports.splice(0).map((transport) => transport.close()));
      await cluster.stop({ keepDirectory: false });
    },
  };
}

/** Asked, not assumed: HOLDFAST_ASSETS may hold another version than ours. */
async function readVersion(admin: ApiTransport): Promise<string> {
  const outcome = await admin.request<{ gitVersion: string }>({ method: "GET", path: "/version" });
  if (!outcome.ok) throw new Error(`kube-apiserver does not tell its version: ${outcome.message}`);
  return outcome.value.gitVersion;
}

/** Until kube-controller-manager has made it, every pod in the default namespace is refused. */
async function waitForDefaultServiceAccount(admin: ApiTransport): Promise<void> {
  const path = "/api/v1/namespaces/default/serviceaccounts/default";
  const startedMs = performance.now();
  for (;;) {
    const outcome = await admin.request({ method: "GET", path });
    if (outcome.ok) return;
    if (performance.now() - startedMs > SERVICE_ACCOUNT_DEADLINE_MS) {
      throw new Error(`kube-controller-manager made no default ServiceAccount: ${outcome.message}`);
    }
    await sleep(SERVICE_ACCOUNT_PAUSE_MS);
  }
}
