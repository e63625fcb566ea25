// Starts a real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) on loopback.
// Knows nothing of nodes, KubeVirt or Holdfast.
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { findAssetFolder } from "./asset-folders.ts";
import { type Identity, writeClusterFiles } from "./cluster-files.ts";
import { findClusterPorts, RunningCluster } from "./running-cluster.ts";
import { KUBERNETES_VERSION } from "./versions.ts";

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

/**
 * Starts a control plane and waits until it schedules pods. Every process ends with this one, even on SIGKILL.
 * Errors: throws ComponentFailed naming the component, its log and the log's last lines; nothing is left running then.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const assets = findAssetFolder(process.env);
  if (!assets) throw new Error("no control-plane binaries: run `node lab/control-plane/provide.ts`");
  for (let attempt = 1; ; attempt++) {
    const directory = await mkdtemp(join(tmpdir(), "holdfast-control-plane-"));
    const cluster = await prepare(directory, assets.directory, options);
    try {
      await cluster.start();
      return controlPlaneOf(cluster);
    } catch (error) {
      const lostPort = await mentionsTakenPort(cluster);
      // The logs stay where the error message points, except on the tries that are repeated.
      await cluster.stop({ keepDirectory: !lostPort || attempt === PORT_ATTEMPTS });
      if (!lostPort || attempt === PORT_ATTEMPTS) throw error;
      options.onProgress?.("another process took one of the ports; starting again on others");
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

function controlPlaneOf(cluster: RunningCluster): ControlPlane {
  const { directory, server, files } = cluster.settings;
  const transports: ApiTransport[] = [];
  const kubeConfigFor = (identity: Identity) => cluster.kubeConfigFor(identity);
  const transportFor = (identity: Identity) => {
    const transport = createHttpTransport(kubeConfigFor(identity), { userAgent: "holdfast-lab" });
    transports.push(transport);
    return transport;
  };
  return {
    version: KUBERNETES_VERSION,
    server,
    directory,
    kubeconfigPath: files.adminKubeconfig,
    kubeConfigFor,
    transportFor,
    admin: transportFor({ user: "admin", groups: ["system:masters"] }),
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
