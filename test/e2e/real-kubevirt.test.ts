// The tier with nothing simulated: k3s in a container, KubeVirt's released operator on it, the image, the plain manifests and
// a guest that really boots. Needs an image registry and KubeVirt's release page; skips loudly where either is out of reach.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { K3sContainer, type StartedK3sContainer } from "@testcontainers/k3s";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { docker, missingImages, provideDocker } from "../../lab/images/docker.ts";
import { kubectl } from "../support/kubectl.ts";

process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";

const K3S = process.env["HOLDFAST_E2E_K3S"] ?? "rancher/k3s:v1.34.1-k3s1";
const KUBEVIRT = process.env["HOLDFAST_E2E_KUBEVIRT"] ?? "v1.6.2";
const RELEASE = `https://github.com/kubevirt/kubevirt/releases/download/${KUBEVIRT}`;
/** The name that deploy/ asks for. */
const IMAGE = "holdfast:0.1.0";
const ROOT = join(import.meta.dirname, "../..");
const PROBE_DEADLINE_MS = 20_000;
const SLOW_MS = 15 * 60_000;

const daemon = await provideDocker();
const problem = await whatIsMissing();
if (problem !== undefined)
  console.warn(`SKIPPED: the tier with real KubeVirt cannot run: ${problem}. See docs/e2e.md`);

async function whatIsMissing(): Promise<string | undefined> {
  if (!daemon.ok) return `no Docker: ${daemon.why}`;
  const release = await fetch(`${RELEASE}/kubevirt-operator.yaml`, {
    method: "HEAD",
    signal: AbortSignal.timeout(PROBE_DEADLINE_MS),
  }).catch((error: unknown) => String(error));
  if (typeof release === "string" || !release.ok) return `${RELEASE} cannot be reached`;
  const missing = await missingImages([K3S]);
  return missing.length > 0 ? `${missing.join(", ")} cannot be pulled` : undefined;
}

describe.skipIf(problem !== undefined)("on k3s with real KubeVirt", () => {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-k3s-"));
  const kubeconfig = join(scratch, "kubeconfig");
  let k3s: StartedK3sContainer | undefined;
  const run = (...args: readonly string[]) => kubectl(kubeconfig, ...args);
  const apply = (name: string, manifest: object) => {
    const file = join(scratch, `${name}.yaml`);
    writeFileSync(file, stringify(manifest));
    return run("apply", "-f", file);
  };

  beforeAll(async () => {
    await docker(["build", "--network=host", "--quiet", "--tag", IMAGE, ROOT]);
    k3s = await new K3sContainer(K3S).start();
    writeFileSync(kubeconfig, k3s.getKubeConfig(), { mode: 0o600 });
    const archive = join(scratch, "holdfast.tar");
    await docker(["save", "--output", archive, IMAGE]);
    await k3s.copyFilesToContainer([{ source: archive, target: "/holdfast.tar" }]);
    expect(
      (await k3s.exec(["ctr", "--namespace=k8s.io", "images", "import", "/holdfast.tar"])).exitCode,
    ).toBe(0);
    await run("apply", "-f", `${RELEASE}/kubevirt-operator.yaml`, "-f", `${RELEASE}/kubevirt-cr.yaml`);
    // Guests run without hardware support, since this is a container.
    const emulation = '{"spec":{"configuration":{"developerConfiguration":{"useEmulation":true}}}}';
    await run("patch", "kubevirt", "kubevirt", "-n", "kubevirt", "--type=merge", "-p", emulation);
    await waitFor(
      "KubeVirt is available",
      async (saw) => {
        const { stdout } = await run(
          "get",
          "kubevirt",
          "kubevirt",
          "-n",
          "kubevirt",
          "-o",
          "jsonpath={.status.phase}",
        );
        saw(stdout);
        return stdout === "Deployed" || undefined;
      },
      SLOW_MS,
    );
  }, 2 * SLOW_MS);
  afterAll(async () => {
    await k3s?.stop({ timeout: 0 });
    rmSync(scratch, { recursive: true, force: true });
    if (daemon.ok) await daemon.stop();
  }, SLOW_MS);

  test(
    "the plain manifests run, and a real VM is judged: it runs, and says that nothing could fence its node",
    async () => {
      await run("apply", "-k", "deploy/");
      // One node has room for one replica.
      await run("scale", "deployment", "holdfast", "-n", "holdfast-system", "--replicas=1");
      await run("rollout", "status", "deployment", "holdfast", "-n", "holdfast-system", "--timeout=5m");
      await apply("vm", {
        apiVersion: "kubevirt.io/v1",
        kind: "VirtualMachine",
        metadata: { name: "guest", namespace: "default" },
        spec: {
          runStrategy: "Always",
          template: {
            spec: {
              domain: {
                devices: { disks: [{ name: "root", disk: { bus: "virtio" } }] },
                resources: { requests: { memory: "64Mi" } },
              },
              volumes: [
                {
                  name: "root",
                  containerDisk: { image: `quay.io/kubevirt/cirros-container-disk-demo:${KUBEVIRT}` },
                },
              ],
            },
          },
        },
      });
      await apply("promise", {
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "HAVirtualMachine",
        metadata: { name: "guest", namespace: "default" },
        spec: { virtualMachineName: "guest" },
      });
      await run("wait", "--for=condition=Available", "havm/guest", "--timeout=10m");
      await run("wait", "--for=condition=Protected=False", "havm/guest", "--timeout=1m");
      const { stdout: said } = await run("get", "havm", "guest", "-o", "yaml");
      expect(said).toMatch(/type: Protected/);
      // The ledger is guarded here, too.
      await run("apply", "-f", "deploy/samples/node-fencing.yaml");
      const forged = '{"status":{"phase":"Pending","epoch":1}}';
      await expect(
        run("patch", "nf", "worker-3-by-hand", "--subresource=status", "--type=merge", "-p", forged),
      ).rejects.toThrow(/ledger of a fencing/);
    },
    SLOW_MS,
  );
});
