// The plain manifests as an administrator applies them, on a real API server: everything at once with kubectl apply -k,
// again later, each sample, and what the admission policies then refuse.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { startReplica } from "../../lab/holdfast/in-process-replica.ts";
import { HOLDFAST_IDENTITY } from "../../lab/holdfast/install.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { kubectl, type Said } from "../support/kubectl.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const controlPlane = useControlPlane();
const SAMPLES = join(import.meta.dirname, "../../deploy/samples");
const LEDGER = "/apis/holdfast.dev/v1alpha1/nodefencings/worker-3-by-hand";
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases/holdfast";
const MERGE = "application/merge-patch+json";

let first: Said;
const run = (...args: readonly string[]) => kubectl(controlPlane().kubeconfigPath, ...args);

beforeAll(async () => {
  first = await run("apply", "-k", "deploy/");
});

test("kubectl apply -k installs everything without a warning, and the same again changes nothing", async () => {
  expect(first.stderr).toBe("");
  expect(first.stdout).toContain("deployment.apps/holdfast created");
  const before = await generations();
  const again = await run("apply", "-k", "deploy/");
  expect(again.stderr).toBe("");
  expect(await generations()).toBe(before);

  // `configured` may only mean that kubectl does not know the server's defaults; a generation means a change.
  async function generations(): Promise<string> {
    const fields = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}{'\\n'}{end}";
    const { stdout } = await run("get", "-k", "deploy/", "-o", fields);
    expect(stdout).toContain("Deployment/holdfast 1");
    return stdout;
  }
});

test("the pods that the Deployment asks for meet the Pod Security level restricted", async () => {
  const said = await run(
    "label",
    "namespace",
    "holdfast-system",
    "pod-security.kubernetes.io/enforce=restricted",
    "--dry-run=server",
  );
  // The API server warns of every pod that would violate it.
  expect(said.stderr).toBe("");
  const pods = await waitFor("the Deployment has made its pods", async (saw) => {
    const { stdout } = await run("get", "pods", "-n", "holdfast-system", "-o", "name");
    saw(stdout);
    return stdout.trim().split("\n").length === 2 ? stdout : undefined;
  });
  expect(pods).toMatch(/pod\/holdfast-/);
});

test("the scheduler gives each replica a node and a zone of its own, before all others, and a drain takes one at a time", async () => {
  // In this order, for the scheduler does not wait for the last.
  const zones = { "worker-a1": "a", "worker-b1": "b", "worker-a2": "a" };
  for (const [name, zone] of Object.entries(zones)) await paperNode(name, zone);
  interface Pod {
    readonly spec: {
      readonly nodeName?: string;
      readonly priority: number;
      readonly containers: readonly Readonly<Record<string, unknown>>[];
    };
  }
  const pods = await waitFor("both replicas have a node", async (saw) => {
    const { stdout } = await run("get", "pods", "-n", "holdfast-system", "-o", "json");
    const { items } = JSON.parse(stdout) as { readonly items: readonly Pod[] };
    saw(items.map(({ spec }) => spec.nodeName));
    return items.length === 2 && items.every(({ spec }) => spec.nodeName !== undefined) ? items : undefined;
  });
  const placed = pods.map(({ spec }) => zones[spec.nodeName as keyof typeof zones]);
  expect(placed.toSorted()).toEqual(["a", "b"]);
  for (const { spec } of pods) {
    expect(spec.priority, "system-cluster-critical").toBe(2_000_000_000);
    expect(spec.containers).toMatchObject([
      {
        livenessProbe: { httpGet: { path: "/healthz" } },
        readinessProbe: { httpGet: { path: "/readyz" } },
        resources: { requests: { cpu: "100m", memory: "192Mi" }, limits: { memory: "1Gi" } },
      },
    ]);
  }
  const budget = await waitFor("the budget counts the replicas", async (saw) => {
    const fields = "jsonpath={.status.expectedPods} {.spec.maxUnavailable}";
    const { stdout } = await run("get", "pdb", "holdfast", "-n", "holdfast-system", "-o", fields);
    saw(stdout);
    return stdout.startsWith("2 ") ? stdout : undefined;
  });
  expect(budget).toBe("2 1");
  const { stdout: ports } = await run(
    ...(["get", "networkpolicy", "holdfast", "-n", "holdfast-system", "-o"] as const),
    "jsonpath={.spec.policyTypes} {.spec.ingress[*].ports[*].port}",
  );
  expect(ports).toBe('["Ingress"] http');

  /** A node that nobody runs, which the scheduler takes for one. */
  async function paperNode(name: string, zone: string): Promise<void> {
    const labels = { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone };
    const body = { apiVersion: "v1", kind: "Node", metadata: { name, labels } };
    const made = await controlPlane().admin.request({ method: "POST", path: "/api/v1/nodes", body });
    expect(made, name).toMatchObject({ ok: true });
    const resources = { cpu: "8", memory: "16Gi", pods: "110" };
    const status = {
      capacity: resources,
      allocatable: resources,
      conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: new Date().toISOString() }],
    };
    const path = `/api/v1/nodes/${name}`;
    const told = await controlPlane().admin.request({
      method: "PATCH",
      path: `${path}/status`,
      contentType: MERGE,
      body: { status },
    });
    expect(told, name).toMatchObject({ ok: true });
    await controlPlane().admin.request({
      method: "PATCH",
      path,
      contentType: MERGE,
      body: { spec: { taints: null } },
    });
  }
});

test("the first leader of a new installation need not wait for a Lease to run out, and applying again does not depose it", async () => {
  const startedMs = performance.now();
  const lease = { leaseDurationMs: 240_000, renewDeadlineMs: 200_000, retryPeriodMs: 500 };
  const replica = startReplica(controlPlane(), { name: "first", timings: lease });
  try {
    await waitFor("it leads", () => replica.leading || undefined, 120_000);
    expect(performance.now() - startedMs, "a Lease that is not known to be free takes 240 s").toBeLessThan(
      200_000,
    );
    const before = await leaseSpec();
    await run("apply", "-k", "deploy/");
    await sleep(1_500);
    expect(replica.leading).toBe(true);
    expect(await leaseSpec()).toMatchObject({
      holderIdentity: before.holderIdentity,
      leaseTransitions: before.leaseTransitions,
    });
  } finally {
    await replica.stop();
  }
});

async function leaseSpec(): Promise<{ holderIdentity?: string; leaseTransitions?: number }> {
  const got = await controlPlane().admin.request<{ spec: object }>({ method: "GET", path: LEASE });
  if (!got.ok) throw new Error(got.message);
  return got.value.spec;
}

test.each(readdirSync(SAMPLES))("the sample %s applies cleanly", async (file) => {
  const said = await run("apply", "--validate=strict", "-f", `deploy/samples/${file}`);
  expect(said.stderr).toBe("");
  expect(said.stdout).toMatch(/created/);
});

describe("admission", () => {
  const holdfast = (): ApiTransport => controlPlane().transportFor(HOLDFAST_IDENTITY);
  const admin = (): ApiTransport => controlPlane().admin;
  const entry = { phase: "Pending", epoch: 1 };

  beforeAll(async () => {
    await run("apply", "-f", "deploy/samples/node-fencing.yaml");
    // Policies take effect a moment after they were made.
    await waitFor("the policies are in force", async (saw) => {
      const refused = await admin().request({
        method: "PATCH",
        path: `${LEDGER}/status`,
        contentType: MERGE,
        query: { dryRun: "All" },
        body: { status: { phase: "Pending" } },
      });
      saw(refused);
      return refused.ok ? undefined : true;
    });
  });

  test("a ledger is written by Holdfast and by nobody else, be it an administrator", async () => {
    const write = (as: ApiTransport) =>
      as.request({ method: "PATCH", path: `${LEDGER}/status`, contentType: MERGE, body: { status: entry } });
    const refused = await write(admin());
    expect(refused).toMatchObject({ ok: false, kind: "denied" });
    expect(refused.ok ? "" : refused.message).toMatch(
      /worker-3-by-hand is the ledger of a fencing .* not by admin/,
    );
    const accepted = await write(holdfast());
    expect(accepted.ok ? "" : accepted.message).toBe("");
  });

  test("who confirms that a node is off does so under his own name", async () => {
    const confirm = (annotations: object) =>
      admin().request({
        method: "PATCH",
        path: LEDGER,
        contentType: MERGE,
        body: { metadata: { annotations } },
      });
    const boot = "0e5f8a8c-2c53-4a44-8a0f-0a4c3f3b7d10";
    for (const by of [undefined, "alice", ""]) {
      const refused = await confirm({
        "holdfast.dev/confirm-off": boot,
        ...(by === undefined ? {} : { "holdfast.dev/confirm-off-by": by }),
      });
      expect(refused.ok ? "accepted" : refused.message, `signed by ${by}`).toMatch(
        /his own user name .* "admin"/,
      );
    }
    const signed = await confirm({
      "holdfast.dev/confirm-off": boot,
      "holdfast.dev/confirm-off-by": "admin",
    });
    expect(signed.ok ? "" : signed.message).toBe("");
    const forged = await confirm({ "holdfast.dev/confirm-off-by": "bob" });
    expect(forged).toMatchObject({ ok: false, kind: "denied" });
    const other = await confirm({ unrelated: "yes" });
    expect(other.ok ? "" : other.message).toBe("");
    const withdrawn = await confirm({
      "holdfast.dev/confirm-off": null,
      "holdfast.dev/confirm-off-by": null,
    });
    expect(withdrawn.ok ? "" : withdrawn.message).toBe("");
  });

  test("a CRD of ours is deleted only by somebody who has said so, and others' as ever", async () => {
    await expect(run("delete", "crd", "havirtualmachines.holdfast.dev")).rejects.toThrow(
      /would delete every HAVirtualMachine in the cluster/,
    );
    await run("annotate", "crd", "fencingtopologies.holdfast.dev", "holdfast.dev/allow-deletion=true");
    await run("delete", "crd", "fencingtopologies.holdfast.dev", "--dry-run=server");
  });

  test("whoever removes Holdfast is told what that means", async () => {
    const said = await run("delete", "deployment", "holdfast", "-n", "holdfast-system", "--dry-run=server");
    expect(said.stderr).toMatch(/Holdfast is being removed: from now on no VM is moved off a cordoned node/);
  });

  test("kubectl delete -k takes Holdfast away, and leaves the kinds with every promise", async () => {
    await expect(run("delete", "-k", "deploy/", "--wait=false")).rejects.toThrow(
      /would delete every HAVirtualMachine/,
    );
    expect((await run("get", "havm", "shop-db", "-o", "name")).stdout).toContain("shop-db");
    expect((await run("get", "crd", "-o", "name")).stdout).toContain("nodefencings.holdfast.dev");
    const gone = await run("get", "clusterrole", "holdfast", "--ignore-not-found", "-o", "name");
    expect(gone.stdout).toBe("");
  });
});
