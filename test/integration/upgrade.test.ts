// From the previous release to this one and back, on a real API server: both versions side by side in the middle of a failover,
// its objects under the new kinds, and what an older version says of objects it cannot read.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../../lab/cluster.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { startBmcs } from "../../lab/holdfast/bmcs.ts";
import { type ReplicaProcess, startReplicaProcess } from "../../lab/holdfast/replica-process.ts";
import { HoldfastLab } from "../support/holdfast-lab.ts";
import { kubectl } from "../support/kubectl.ts";
import { FAST_DELAYS } from "../support/operator-rig.ts";
import { findPreviousRelease, PREVIOUS } from "../support/previous-release.ts";

const previous = findPreviousRelease();
if (!previous) console.warn(`SKIPPED: upgrades cannot be tried: this clone does not have commit ${PREVIOUS}`);
const FLAGS = [
  "--node-suspect-after=3s",
  "--node-lost-after=5s",
  "--max-restarts-in-flight=1",
  "--restart-slot=30s",
  "--leader-elect-lease-duration=3s",
  "--leader-elect-renew-deadline=2s",
  "--leader-elect-retry-period=500ms",
];
const NAMESPACE = "shop";
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases/holdfast";

describe.skipIf(!previous)("an upgrade", () => {
  const old = previous?.directory ?? "";
  let cluster: Cluster;
  let lab: HoldfastLab;
  const running: ReplicaProcess[] = [];
  const run = (...args: readonly string[]) => kubectl(cluster.controlPlane.kubeconfigPath, ...args);

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 4, delays: FAST_DELAYS });
    await run("apply", "-f", join(old, "crds"));
    await run("wait", "--for=condition=Established", "crd", "--all");
    await run("apply", "-f", join(old, "deploy/rbac.yaml"));
    await run("apply", "-f", join(old, "deploy/samples"));
    // Another topology of the lab covers the nodes.
    await run("delete", "ftopo", "workers");
    lab = new HoldfastLab(cluster, await startBmcs(cluster, { retries: 1, timeout: "10s" }));
  });
  afterAll(async () => {
    await Promise.all(running.map((replica) => replica.stop()));
    lab?.view.stop();
    await lab?.bmcs.stop();
    await cluster?.stop();
    previous?.remove();
  });

  async function start(name: string, release: "old" | "new"): Promise<ReplicaProcess> {
    const program = release === "old" ? { program: join(old, "src/main.ts") } : {};
    // A simulated machine that hangs still refuses connections, since its address is this machine's: no probes.
    const flags = release === "old" ? FLAGS : [...FLAGS, "--probe-method=off", "--late-power-off-grace=1s"];
    const replica = await startReplicaProcess(cluster.controlPlane, { name, flags, ...program });
    running.push(replica);
    return replica;
  }

  function holder(): Promise<string> {
    return waitFor("somebody leads", async () => {
      const got = await lab.admin.request<{ spec?: { holderIdentity?: string } }>({
        method: "GET",
        path: LEASE,
      });
      return (got.ok && got.value.spec?.holderIdentity) || undefined;
    });
  }

  test("rolled out in the middle of a failover, nothing is done twice and nothing is left undone", async () => {
    const olds = [await start("old-0", "old"), await start("old-1", "old")];
    const names = Array.from({ length: 10 }, (_, i) => `vm-${i}`);
    for (const name of names) {
      await cluster.createVM({ namespace: NAMESPACE, name });
      await run("apply", "-f", promiseFile(name));
    }
    const keys = names.map((name) => `${NAMESPACE}/${name}`);
    await lab.untilUp(keys);
    for (const key of keys) await lab.untilCondition(key, "Protected", "True");
    const node = lab.nodeOf(keys[0] ?? "") ?? "";
    const lost = keys.filter((key) => lab.nodeOf(key) === node);
    lab.node(node).hang();
    await lab.untilFencing(node, "a VM is released", ({ status }) => (status?.releasedVMs?.length ?? 0) > 0);

    // As kubectl apply -k does it: kinds and rights first, then one replica after the other.
    await run("apply", "-f", "crds/");
    await run("apply", "-f", "deploy/rbac.yaml");
    const leading = (await holder()).startsWith("old-0_") ? 0 : 1;
    await olds[1 - leading]?.stop();
    await start("new-0", "new");
    await olds[leading]?.stop();
    await start("new-1", "new");

    await lab.untilRestarted(lost);
    await lab.untilReturned(node);
    expect(await holder()).toMatch(/^new-/);
    expect(cluster.oracle.overlaps).toEqual([]);
    expect(lost.map((key) => cluster.oracle.history(key).length)).toEqual(lost.map(() => 2));
    const resets = lab.bmcs.of(node).requests.flatMap(({ resetType }) => resetType ?? []);
    expect(resets).toEqual(["ForceOff", "On"]);
    expect(lab.fencings(node)).toHaveLength(1);
  });

  test("what the previous release stored is read, judged and accepted again under the new kinds", async () => {
    for (const file of readdirSync(join(old, "deploy/samples"))) {
      const said = await run(
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        join(old, "deploy/samples", file),
      );
      expect(said.stderr, file).toBe("");
    }
    const promised = await lab.untilCondition(
      "default/shop-db",
      "Accepted",
      "False",
      "VirtualMachineNotFound",
    );
    expect(promised.spec).toMatchObject({ virtualMachineName: "shop-db", priority: 900 });
    for (const replica of running.filter(({ name }) => name.startsWith("new-")))
      expect(readFileSync(replica.logPath, "utf8")).not.toContain("cannot be read");
  });

  test("a version that meets objects newer than itself names each of them, and acts on the others", async () => {
    // Kinds of a release to come: their schema lets more through than this version knows.
    const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    const version = {
      name: "v1alpha1",
      served: true,
      storage: true,
      subresources: { status: {} },
      schema: { openAPIV3Schema: { type: "object", properties: { spec: open, status: open } } },
    };
    await run(
      ...(["patch", "crd", "fencingtopologies.holdfast.dev", "--type=merge", "-p"] as const),
      JSON.stringify({ spec: { versions: [version] } }),
    );
    const path = "/apis/holdfast.dev/v1alpha1/fencingtopologies";
    await waitFor("the newer object is stored", async (saw) => {
      const made = await lab.admin.request({
        method: "POST",
        path,
        body: {
          apiVersion: "holdfast.dev/v1alpha1",
          kind: "FencingTopology",
          metadata: { name: "from-the-future" },
          spec: {
            nodeSelector: {},
            levels: [{ name: "q", method: "Quantum", quantum: { entangled: true } }],
          },
        },
      });
      saw(made);
      return made.ok || undefined;
    });
    const leader = running.find(({ name }) => name.startsWith("new-") && name === "new-0");
    await lab.cordon("node-4");
    await lab.cordon("node-4", false);
    await waitFor(
      "its log names the object and the field",
      (saw) => {
        const log = running.map(({ logPath }) => readFileSync(logPath, "utf8")).join("\n");
        const line = log.split("\n").find((one) => one.includes("cannot be read"));
        saw(log.slice(-2_000));
        return line !== undefined && /from-the-future.*levels\.0/.test(line) ? true : undefined;
      },
      90_000,
    );
    expect(leader?.alive).toBe(true);
    await lab.untilCondition(`${NAMESPACE}/vm-0`, "Protected", "True");
  });

  function promiseFile(name: string): string {
    const file = join(cluster.controlPlane.directory, `${name}.json`);
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: "holdfast.dev/v1alpha1",
        kind: "HAVirtualMachine",
        metadata: { namespace: NAMESPACE, name },
        spec: { virtualMachineName: name },
      }),
    );
    return file;
  }
});
