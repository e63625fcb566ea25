// The lab's control plane is a real one: its controllers work, its identities hold, and it leaves nothing behind.
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type ControlPlane, type Identity, startControlPlane } from "../../lab/control-plane/start.ts";
import type { ApiRequest, ApiTransport } from "../../src/kube/transport.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const controlPlane = useControlPlane();

/** A request that must succeed. */
async function ask<T>(transport: ApiTransport, request: ApiRequest): Promise<T> {
  const outcome = await transport.request<T>(request);
  if (!outcome.ok) throw new Error(`${request.method} ${request.path}: ${outcome.kind}: ${outcome.message}`);
  return outcome.value;
}

const create = (path: string, body: unknown) => ask(controlPlane().admin, { method: "POST", path, body });

/** Processes whose command line names the cluster's folder, which each of the four does. */
function processesOf(directory: string): string[] {
  const rows = execFileSync("ps", ["-eo", "pid=,stat=,args="], { encoding: "utf8" }).split("\n");
  return rows.filter((row) => row.includes(`${directory}/`) && !/^\s*\d+\s+Z/.test(row));
}

function createNamespace(name: string): Promise<unknown> {
  return create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

async function waitForServiceAccount(namespace: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await vi.waitFor(() => ask(controlPlane().admin, { method: "GET", path }), {
    timeout: 15_000,
    interval: 50,
  });
}

describe("the control plane", () => {
  it("tells the version that was asked for", () => {
    expect(controlPlane().version).toBe("v1.37.2");
    expect(controlPlane().server).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  });

  it("has controllers: a new namespace gets its default ServiceAccount", async () => {
    await createNamespace("controllers-work");
    await waitForServiceAccount("controllers-work");
  });

  it("has a scheduler: a pod goes to the one node that is Ready", async () => {
    const { admin } = controlPlane();
    await create("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } });
    const now = new Date().toISOString();
    await ask(admin, {
      method: "PATCH",
      path: "/api/v1/nodes/node-1/status",
      contentType: "application/merge-patch+json",
      body: {
        status: {
          capacity: { cpu: "8", memory: "16Gi", pods: "110" },
          allocatable: { cpu: "8", memory: "16Gi", pods: "110" },
          conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: now, lastTransitionTime: now }],
        },
      },
    });
    const pods = "/api/v1/namespaces/default/pods";
    await create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "guest" },
      spec: { containers: [{ name: "c", image: "none", resources: { requests: { cpu: "100m" } } }] },
    });
    await vi.waitFor(
      async () => {
        const pod = await ask<{ spec: { nodeName?: string } }>(admin, {
          method: "GET",
          path: `${pods}/guest`,
        });
        expect(pod.spec.nodeName).toBe("node-1");
      },
      { timeout: 30_000, interval: 100 },
    );
  });

  it("keeps its data while the API server is away, and comes back on the same address", async () => {
    const { admin, server } = controlPlane();
    const path = "/api/v1/namespaces/default/configmaps";
    await create(path, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kept" }, data: { a: "1" } });
    await controlPlane().stopApiServer();
    expect(await admin.request({ method: "GET", path })).toMatchObject({ ok: false, kind: "unreachable" });
    await controlPlane().startApiServer();
    const kept = await ask<{ data: unknown }>(admin, { method: "GET", path: `${path}/kept` });
    expect(kept.data).toEqual({ a: "1" });
    expect(controlPlane().server).toBe(server);
    // The controllers find it again by themselves.
    await createNamespace("after-restart");
    await waitForServiceAccount("after-restart");
  });
});

describe("identities", () => {
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const whoAmI = async (identity: Identity) => {
    const transport = controlPlane().transportFor(identity);
    const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const answer = await ask<{ status: { userInfo: { username: string; groups: string[] } } }>(transport, {
      method: "POST",
      path,
      body: review,
    });
    return answer.status.userInfo;
  };

  it("are who they say, with exactly their groups", async () => {
    expect(await whoAmI({ user: "admin", groups: ["system:masters"] })).toMatchObject({
      username: "admin",
      groups: ["system:masters", "system:authenticated"],
    });
    expect(await whoAmI({ user: "system:serviceaccount:holdfast:operator" })).toMatchObject({
      username: "system:serviceaccount:holdfast:operator",
      groups: ["system:authenticated"],
    });
  });

  it("may do what RBAC and the Node authorizer give them and no more", async () => {
    const stranger = controlPlane().transportFor({ user: "stranger" });
    expect(await stranger.request({ method: "GET", path: "/api/v1/nodes" })).toMatchObject({
      kind: "denied",
    });
    const kubelet = controlPlane().transportFor({ user: "system:node:node-7", groups: ["system:nodes"] });
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    const lease = (name: string) => ({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name },
    });
    expect(await kubelet.request({ method: "POST", path: leases, body: lease("node-7") })).toMatchObject({
      ok: true,
    });
    expect(await kubelet.request({ method: "GET", path: `${leases}/node-8` })).toMatchObject({
      kind: "denied",
    });
  });

  it("may be nobody only for health", async () => {
    const { server, caPem } = controlPlane();
    const status = (path: string) =>
      execFileSync(
        process.execPath,
        [
          "--input-type=module",
          "-e",
          `import { get } from "node:https";
           get(${JSON.stringify(server + path)}, { ca: ${JSON.stringify(caPem)} },
             (response) => { console.log(response.statusCode); process.exit(); });`,
        ],
        { encoding: "utf8" },
      ).trim();
    expect([status("/readyz"), status("/livez"), status("/api"), status("/metrics")]).toEqual([
      "200",
      "200",
      "401",
      "401",
    ]);
  });
});

describe("the aggregation layer", () => {
  it("hands requests on to a server of ours, and says who asks", async () => {
    const seen: { user?: unknown; proxy?: unknown } = {};
    const port = await serveAggregated(controlPlane(), (request) => {
      seen.user = request.headers["x-remote-user"];
      seen.proxy = (request.socket as TLSSocket).getPeerCertificate().subject.CN;
    });
    await createNamespace("aggregated");
    await create("/api/v1/namespaces/aggregated/services", {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "stand-in" },
      spec: { type: "ExternalName", externalName: "localhost" },
    });
    await create("/apis/apiregistration.k8s.io/v1/apiservices", {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: "v1.stand-in.example" },
      spec: {
        group: "stand-in.example",
        version: "v1",
        groupPriorityMinimum: 1000,
        versionPriority: 15,
        caBundle: Buffer.from(controlPlane().caPem).toString("base64"),
        service: { namespace: "aggregated", name: "stand-in", port },
      },
    });
    await vi.waitFor(
      async () => {
        const path = "/apis/stand-in.example/v1/greeting";
        expect(await ask(controlPlane().admin, { method: "GET", path })).toEqual({
          hello: "/apis/stand-in.example/v1/greeting",
        });
      },
      { timeout: 30_000, interval: 100 },
    );
    expect(seen).toEqual({ user: "admin", proxy: "front-proxy-client" });
    await ask(controlPlane().admin, {
      method: "DELETE",
      path: "/apis/apiregistration.k8s.io/v1/apiservices/v1.stand-in.example",
    });
  });
});

describe("several control planes", () => {
  it("know nothing of each other, and one that stops leaves no process behind, and its folder only where asked", async () => {
    vi.stubEnv("HOLDFAST_KEEP", "1");
    const other = await startControlPlane({ controllers: false });
    vi.unstubAllEnvs();
    onTestFinished(() => rmSync(other.directory, { recursive: true, force: true }));
    const name = { apiVersion: "v1", kind: "Namespace", metadata: { name: "only-here" } };
    await ask(other.admin, { method: "POST", path: "/api/v1/namespaces", body: name });
    const here = await controlPlane().admin.request({ method: "GET", path: "/api/v1/namespaces/only-here" });
    expect(here).toMatchObject({ kind: "notFound" });
    expect(processesOf(other.directory)).toHaveLength(2);
    const running = processesOf(controlPlane().directory);
    expect(running).toHaveLength(4);

    await other.stop();
    expect(processesOf(other.directory)).toEqual([]);
    expect(existsSync(`${other.directory}/kube-apiserver.log`)).toBe(true);
    expect(processesOf(controlPlane().directory)).toEqual(running);
  });

  it("that cannot start names the component and its log, and leaves nothing running", async () => {
    const failure = String(
      await startControlPlane({ apiServerFlags: ["--no-such-flag"] }).catch((error: unknown) => error),
    );
    expect(failure).toMatch(/kube-apiserver ended with exit code 1 before it was ready\. Log: /);
    expect(failure).toContain("unknown flag: --no-such-flag");
    const directory = /Log: (.*)\/kube-apiserver\.log/.exec(failure)?.[1] ?? "";
    expect(existsSync(directory)).toBe(true);
    expect(processesOf(directory)).toEqual([]);
    rmSync(directory, { recursive: true });
  });

  it("removes its folder when it stops", async () => {
    const brief = await startControlPlane({ controllers: false });
    await brief.stop();
    await brief.stop();
    expect(existsSync(brief.directory)).toBe(false);
  });
});

/** An HTTPS server with a certificate of the cluster, as an APIService names it; ended with the test. */
async function serveAggregated(
  cluster: ControlPlane,
  onRequest: (request: IncomingMessage) => void,
): Promise<number> {
  const { certPem, keyPem } = cluster.certificateFor({
    commonName: "stand-in",
    hosts: ["stand-in.aggregated.svc"],
  });
  const options = { cert: certPem, key: keyPem, requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, (request, response) => {
    if (request.url?.endsWith("/greeting")) onRequest(request);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ hello: request.url }));
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
