// A replica of the operator in a container of its own, as the Deployment runs it: read-only, without capabilities, finding
// API server and token where a pod finds them. On the host's network, since lab and BMCs listen on loopback only.
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GenericContainer, type StartedTestContainer, Wait } from "testcontainers";
import { findFreePort } from "../../lab/control-plane/free-port.ts";
import type { ControlPlane } from "../../lab/control-plane/start.ts";
import { HOLDFAST_NAMESPACE } from "../../lab/holdfast/install.ts";
import { docker } from "../../lab/images/docker.ts";

const START_DEADLINE_MS = 120_000;
/** Where the kubelet puts the credentials of a pod. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_PATH = `/api/v1/namespaces/${HOLDFAST_NAMESPACE}/serviceaccounts/holdfast/token`;

export interface ReplicaContainer {
  readonly name: string;
  readonly container: StartedTestContainer;
  readonly readyAfterMs: number;
  logs(): Promise<string>;
  /** Resident memory as the container's cgroup counts it, in MiB. */
  memoryMiB(): Promise<number>;
  /** SIGKILL: what a lost node does to it. */
  kill(): Promise<void>;
}

class HardenedContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
  }
}

/** Starts a replica from `image` and waits until it is ready. */
export async function startReplicaContainer(
  controlPlane: ControlPlane,
  options: { readonly image: string; readonly name: string; readonly flags: readonly string[] },
): Promise<ReplicaContainer> {
  const { image, name, flags } = options;
  const credentials = await podCredentials(controlPlane);
  const server = new URL(controlPlane.server);
  const port = await findFreePort();
  const startedMs = performance.now();
  const container = await new HardenedContainer(image)
    .withNetworkMode("host")
    .withBindMounts([{ source: credentials, target: SERVICE_ACCOUNT, mode: "ro" }])
    .withEnvironment({ KUBERNETES_SERVICE_HOST: server.hostname, KUBERNETES_SERVICE_PORT: server.port })
    .withDroppedCapabilities("ALL")
    .withSecurityOpt("no-new-privileges")
    .withCommand([`--identity=${name}`, `--listen-address=127.0.0.1:${port}`, ...flags])
    .withWaitStrategy(Wait.forLogMessage(/holdfast started/))
    .withStartupTimeout(START_DEADLINE_MS)
    .start();
  await ready(port);
  const readyAfterMs = Math.round(performance.now() - startedMs);
  const id = container.getId();
  return {
    name,
    container,
    readyAfterMs,
    logs: () => docker(["logs", id]),
    memoryMiB: async () => {
      const [used = ""] = (await docker(["stats", "--no-stream", "--format", "{{.MemUsage}}", id])).split(
        " / ",
      );
      return Number.parseFloat(used) * (used.includes("GiB") ? 1024 : 1);
    },
    kill: async () => {
      await docker(["kill", "--signal=KILL", id]);
    },
  };
}

/** A folder with what a pod under the operator's ServiceAccount is given: a bound token, the authority, the namespace. */
async function podCredentials({ admin, caPem }: ControlPlane): Promise<string> {
  const asked = await admin.request<{ readonly status: { readonly token: string } }>({
    method: "POST",
    path: TOKEN_PATH,
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: 3_600 },
    },
  });
  if (!asked.ok) throw new Error(`no token for the ServiceAccount: ${asked.message}`);
  const folder = mkdtempSync(join(tmpdir(), "holdfast-e2e-"));
  const files = { token: asked.value.status.token, "ca.crt": caPem, namespace: HOLDFAST_NAMESPACE };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  // The image's user is nobody on this machine.
  chmodSync(folder, 0o755);
  return folder;
}

async function ready(port: number): Promise<void> {
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok === true) return;
    if (performance.now() > deadlineMs) throw new Error(`not ready: ${await answer?.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
