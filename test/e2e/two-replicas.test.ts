// What an administrator gets: the chart installed on a real API server, and the image built here, run twice in containers as
// the chart's Deployment says; one replica is killed in the middle of a failover, and the other finishes it.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChartTools } from "../../lab/chart-tools/chart-tools.ts";
import type { Cluster } from "../../lab/cluster.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { docker, missingImages, provideDocker } from "../../lab/images/docker.ts";
import { kubectl } from "../support/kubectl.ts";
import { OperatorRig } from "../support/operator-rig.ts";
import { type ReplicaContainer, startReplicaContainer } from "./replica-container.ts";

// Its helper image cannot be had everywhere; we end our containers ourselves.
process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";

const IMAGE = "holdfast:e2e";
const BASES = ["node:24-bookworm-slim", "gcr.io/distroless/nodejs24-debian12:nonroot"];
const ROOT = join(import.meta.dirname, "../..");
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases/holdfast";
const VMS = ["a", "b", "c", "d", "e", "f"];
// A simulated machine that hangs still refuses connections, since its address is this machine's: no probes.
const FLAGS = [
  "--probe-method=off",
  "--node-suspect-after=3s",
  "--node-lost-after=5s",
  "--max-restarts-in-flight=1",
  "--restart-slot=30s",
  "--late-power-off-grace=1s",
];

const tools = findChartTools();
const daemon = await provideDocker();
const problem = await whatIsMissing();
if (problem !== undefined)
  console.warn(`SKIPPED: the container test cannot run: ${problem}. See docs/e2e.md`);

async function whatIsMissing(): Promise<string | undefined> {
  if (!daemon.ok) return `no Docker: ${daemon.why}`;
  if (!tools) return "no helm: run node lab/chart-tools/provide.ts";
  const missing = await missingImages(BASES);
  if (missing.length === 0) return undefined;
  return `base images that are neither here nor can be pulled: ${missing.join(", ")}`;
}

interface Deployment {
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly containers: readonly { readonly image: string; readonly args: readonly string[] }[];
      };
    };
  };
}

/** As docs/install.md has it. */
async function installChart({ controlPlane }: Cluster): Promise<void> {
  const [repository, tag] = IMAGE.split(":");
  const settings = FLAGS.map((flag) => `settings.${flag.slice(2)}`);
  const values = [`image.repository=${repository}`, `image.tag=${tag}`, ...settings].join(",");
  const args = ["install", "holdfast", "charts/holdfast", "-n", "holdfast-system", "--create-namespace"];
  const home = mkdtempSync(join(tmpdir(), "holdfast-helm-"));
  await promisify(execFile)(tools?.helm ?? "", [...args, "--set", values], {
    cwd: ROOT,
    env: { HOME: home, KUBECONFIG: controlPlane.kubeconfigPath },
  });
  rmSync(home, { recursive: true, force: true });
  await kubectl(controlPlane.kubeconfigPath, "wait", "--for=condition=Established", "crd", "--all");
}

describe.skipIf(problem !== undefined)("the image", () => {
  let rig: OperatorRig;
  const replicas: ReplicaContainer[] = [];

  beforeAll(async () => {
    await docker(["build", "--network=host", "--quiet", "--tag", IMAGE, ROOT]);
    rig = await OperatorRig.start({ nodes: 4, install: installChart });
  }, 20 * 60_000);
  afterAll(async () => {
    await Promise.all(replicas.map(({ container }) => container.stop({ timeout: 0 }).catch(() => undefined)));
    await rig?.stop();
    if (daemon.ok) await daemon.stop();
  }, 120_000);

  test("two replicas run from it as the chart says and protect VMs; one is killed in mid-failover, and the other finishes without repeating a step", async ({
    onTestFailed,
  }) => {
    onTestFailed(async () => {
      for (const replica of replicas) console.log(`${replica.name}\n${await replica.logs().catch(String)}`);
    });
    rig.beginTest();
    const keys = await rig.createRunning(...VMS.map((name) => ({ name, on: "node-1" })));
    const { replicas: count, template } = (await deployment()).spec;
    const [container] = template.spec.containers;
    const image = container?.image ?? "";
    expect(image).toBe(IMAGE);
    for (let i = 0; i < count; i++) {
      const options = { image, name: `holdfast-${i}`, flags: container?.args ?? [] };
      replicas.push(await startReplicaContainer(rig.cluster.controlPlane, options));
    }
    expect(replicas).toHaveLength(2);
    const first = await leader();
    await rig.untilCondition(keys[0] ?? "", "Protected", "True");
    const memory = await Promise.all(replicas.map((replica) => replica.memoryMiB()));
    console.log(
      `ready after ${replicas.map(({ readyAfterMs }) => readyAfterMs).join(" and ")} ms, memory ${memory.join(" and ")} MiB`,
    );

    // It hangs with its guests on it, so that its power really has to be cut.
    rig.node("node-1").hang();
    await rig.untilFencing(
      "node-1",
      "a VM is released",
      ({ status }) => (status?.releasedVMs?.length ?? 0) > 0,
    );
    await first.kill();
    await rig.untilRestarted(keys);
    await rig.untilReturned("node-1");

    const second = await leader();
    expect(second.name).not.toBe(first.name);
    const { oracle } = rig.cluster;
    expect(oracle.overlaps).toEqual([]);
    expect(
      keys.map((key) => oracle.history(key).length),
      "each was started once before and once after",
    ).toEqual(keys.map(() => 2));
    expect(rig.resets("node-1").map(({ resetType }) => resetType)).toEqual(["ForceOff", "On"]);
    expect(rig.fencings("node-1")).toHaveLength(1);
    expect(rig.audit.refusals(0)).toEqual([]);
    expect(await second.logs()).not.toContain('"level":"fatal"');
  });

  async function deployment(): Promise<Deployment> {
    const path = "/apis/apps/v1/namespaces/holdfast-system/deployments/holdfast";
    const got = await rig.admin.request<Deployment>({ method: "GET", path });
    if (!got.ok) throw new Error(got.message);
    return got.value;
  }

  async function leader(): Promise<ReplicaContainer> {
    return waitFor(
      "one of the containers leads",
      async (saw) => {
        const got = await rig.admin.request<{ spec?: { holderIdentity?: string } }>({
          method: "GET",
          path: LEASE,
        });
        const holder = got.ok ? (got.value.spec?.holderIdentity ?? "") : "";
        saw(holder);
        return replicas.find(({ name }) => holder.startsWith(`${name}_`));
      },
      60_000,
    );
  }
});
