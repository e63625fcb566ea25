// Runs KubeVirt's own virt-controller and virt-api against the lab's control plane. The binaries and CRDs come from a
// folder the reader built from KubeVirt's sources; nothing of KubeVirt is in this repository.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { findFreePort } from "../control-plane/free-port.ts";
import { isHealthy } from "../control-plane/health-probe.ts";
import type { ControlPlane } from "../control-plane/start.ts";
import { until } from "./calls.ts";
import { ControllerView } from "./controller-view.ts";
import { type Crd, installCrds, installKubeVirt, type KubeVirtConfiguration } from "./installation.ts";
import type { KubeVirt } from "./kubevirt.ts";
import {
  KUBEVIRT_NAMESPACE,
  SERVICE_ACCOUNT_GROUPS,
  SERVICE_ACCOUNTS,
  serviceAccountUser,
  SUBRESOURCES_GROUP,
} from "./names.ts";
import { Program } from "./program.ts";
import {
  CORE_WEBHOOKS,
  OTHER_WEBHOOKS,
  registerVirtApi,
  unregisterVirtApi,
  VIRT_API_HOSTS,
} from "./registration.ts";

import { startStandInVirtApi } from "./stand-in.ts";

export type { KubeVirt } from "./kubevirt.ts";

/** How long a program may take until it listens or leads; measured: 5 s and 1 s. */
const UP_TIMEOUT_MS = 60_000;

export interface RealKubeVirtOptions {
  /** Folder with `virt-controller`, `crds/*.yaml`, and `virt-api`. */
  readonly assets: string;
  /** Merged into `spec.configuration` of the KubeVirt object. */
  readonly configuration?: KubeVirtConfiguration;
  readonly onProgress?: (message: string) => void;
}

/**
 * Installs KubeVirt and starts its controllers; resolves once virt-controller leads and the subresource API answers.
 * Errors: throws when the folder lacks something, or a program does not come up within a minute (its log is named).
 */
export async function startRealKubeVirt(
  controlPlane: ControlPlane,
  options: RealKubeVirtOptions,
): Promise<KubeVirt> {
  const progress = options.onProgress ?? (() => undefined);
  const directory = join(controlPlane.directory, "kubevirt");
  mkdirSync(directory, { recursive: true });
  progress("KubeVirt: creating its CRDs");
  await installCrds(controlPlane.admin, readCrds(join(options.assets, "crds")));
  await installKubeVirt(controlPlane.admin, options.configuration ?? {});
  const lab: Lab = { controlPlane, directory, assets: options.assets, progress, programs: [] };
  const stop = async () => {
    await unregisterVirtApi(controlPlane.admin);
    await Promise.all(lab.programs.map((program) => program.stop()));
  };
  try {
    await startSomeVirtApi(lab);
    progress("KubeVirt: starting virt-controller");
    await startVirtController(lab);
  } catch (error) {
    await stop();
    throw error;
  }
  return { kind: "real", stop };
}

interface Lab {
  readonly controlPlane: ControlPlane;
  readonly directory: string;
  readonly assets: string;
  readonly progress: (message: string) => void;
  readonly programs: { stop(): Promise<void> }[];
}

function readCrds(folder: string): Crd[] {
  if (!existsSync(folder)) throw new Error(`no KubeVirt CRDs: the folder ${folder} does not exist`);
  const files = readdirSync(folder).filter((file) => file.endsWith(".yaml"));
  return files.map((file) => {
    const crd = parse(readFileSync(join(folder, file), "utf8")) as Crd & { status?: unknown };
    // The generator writes an empty status, which is the API server's to fill.
    delete crd.status;
    return crd;
  });
}

/** Without virt-api's binary the stand-in's webhooks and verbs serve beside the real virt-controller. */
async function startSomeVirtApi(lab: Lab): Promise<void> {
  if (existsSync(join(lab.assets, "virt-api"))) {
    lab.progress("KubeVirt: starting virt-api");
    return startVirtApi(lab);
  }
  lab.progress("KubeVirt: no virt-api in the folder, the stand-in's webhooks are used");
  const view = new ControllerView(lab.controlPlane.admin);
  lab.programs.push({ stop: () => view.stop() });
  await view.start();
  lab.programs.push(await startStandInVirtApi(lab.controlPlane, view));
}

async function startVirtApi(lab: Lab): Promise<void> {
  const port = await findFreePort();
  const { certPath, keyPath } = writeCertificate(lab, "virt-api", VIRT_API_HOSTS);
  startProgram(lab, "virt-api", [
    `--kubeconfig=${writeKubeConfig(lab, SERVICE_ACCOUNTS.api)}`,
    "--listen=127.0.0.1",
    `--port=${port}`,
    `--tls-cert-file=${certPath}`,
    `--tls-key-file=${keyPath}`,
    `--handler-cert-file=${certPath}`,
    `--handler-key-file=${keyPath}`,
  ]);
  const { admin, caPem } = lab.controlPlane;
  const health = `https://127.0.0.1:${port}/apis/${SUBRESOURCES_GROUP}/v1/healthz`;
  // An API server that looks before virt-api listens looks again only seconds later.
  await until("virt-api listens", UP_TIMEOUT_MS, async () => (await isHealthy(health, caPem)) || undefined);
  await registerVirtApi(admin, { port, caPem }, [...CORE_WEBHOOKS, ...OTHER_WEBHOOKS]);
}

async function startVirtController(lab: Lab): Promise<void> {
  const { certPath, keyPath } = writeCertificate(lab, "virt-controller", ["127.0.0.1", "localhost"]);
  startProgram(lab, "virt-controller", [
    `--kubeconfig=${writeKubeConfig(lab, SERVICE_ACCOUNTS.controller)}`,
    "--listen=127.0.0.1",
    `--port=${await findFreePort()}`,
    `--prom-cert-file=${certPath}`,
    `--prom-key-file=${keyPath}`,
    "--launcher-image=virt-launcher",
    "--exporter-image=virt-exportserver",
  ]);
  const path = `/apis/coordination.k8s.io/v1/namespaces/${KUBEVIRT_NAMESPACE}/leases/virt-controller`;
  await until("virt-controller leads", UP_TIMEOUT_MS, async () => {
    const outcome = await lab.controlPlane.admin.request<LeaseObject>({ method: "GET", path });
    return outcome.ok && outcome.value.spec?.holderIdentity ? true : undefined;
  });
}

interface LeaseObject {
  readonly spec?: { readonly holderIdentity?: string };
}

function startProgram(lab: Lab, name: string, args: readonly string[]): void {
  const program = new Program({
    name,
    binary: binaryPath(lab, name),
    args,
    logPath: join(lab.directory, `${name}.log`),
    // Its last log lines follow in the message; the first line names the log.
    onUnexpectedEnd: (message) => lab.progress(`KubeVirt: ${message.split("\n", 1)[0]}; starting it again`),
  });
  lab.programs.push(program);
}

function binaryPath(lab: Lab, name: string): string {
  const path = join(lab.assets, name);
  if (!existsSync(path)) throw new Error(`no KubeVirt binary: ${path} does not exist`);
  return path;
}

function writeKubeConfig(lab: Lab, account: string): string {
  const path = join(lab.directory, `${account}.kubeconfig`);
  const identity = { user: serviceAccountUser(account), groups: SERVICE_ACCOUNT_GROUPS };
  writeFileSync(path, lab.controlPlane.kubeConfigFor(identity).exportConfig(), { mode: 0o600 });
  return path;
}

function writeCertificate(lab: Lab, name: string, hosts: readonly string[]) {
  const { certPem, keyPem } = lab.controlPlane.certificateFor({ commonName: name, hosts });
  // A folder of their own: KubeVirt reads certificates again on every change in their folder, and logs that it did.
  const directory = join(lab.directory, "pki");
  mkdirSync(directory, { recursive: true });
  const certPath = join(directory, `${name}.crt`);
  const keyPath = join(directory, `${name}.key`);
  writeFileSync(certPath, certPem);
  writeFileSync(keyPath, keyPem, { mode: 0o600 });
  return { certPath, keyPath };
}
