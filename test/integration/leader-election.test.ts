// Leader election against the real API server, with the default timings, through a network that fails on demand.
import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { ControlPlane } from "../../lab/control-plane/start.ts";
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { DEFAULT_ELECTION_TIMINGS } from "../../src/run/election-timings.ts";
import { createLeaderElection, type LeaderElection } from "../../src/run/leader-election.ts";
import type { Leadership } from "../../src/run/leadership.ts";
import { releasedLease } from "../../src/run/lease-record.ts";
import { createRealClock, realRandom } from "../../src/run/real-clock.ts";
import { MuteProxy } from "../support/mute-proxy.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const NAMESPACE = "holdfast-system";
const SERVICE_ACCOUNT = { user: `system:serviceaccount:${NAMESPACE}:holdfast` };

const controlPlane = useControlPlane({ controllers: false });
const clock = createRealClock();
const replicas: Replica[] = [];
const overlaps: string[] = [];

interface LeaseObject {
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
  readonly spec: { readonly holderIdentity?: string; readonly leaseTransitions: number };
}

class Replica {
  readonly identity: string;
  readonly proxy: MuteProxy;
  readonly transport: ApiTransport;
  readonly election: LeaderElection;
  readonly leaderships: Leadership[] = [];
  readonly losses: { readonly why: string; readonly atMs: number }[] = [];
  redials = 0;

  constructor(identity: string, leaseName: string, proxy: MuteProxy, kubeConfig: KubeConfig) {
    this.identity = identity;
    this.proxy = proxy;
    const transport = createHttpTransport(kubeConfig);
    this.transport = transport;
    this.election = createLeaderElection({
      transport: {
        request: (request) => transport.request(request),
        stream: (request) => transport.stream(request),
        redial: () => {
          this.redials += 1;
          transport.redial();
        },
        close: () => transport.close(),
      },
      clock,
      random: realRandom,
      namespace: NAMESPACE,
      leaseName,
      identity,
      timings: DEFAULT_ELECTION_TIMINGS,
      onLeading: (leadership) => {
        for (const other of replicas)
          if (other !== this && other.leads) overlaps.push(`${identity} while ${other.identity}`);
        this.leaderships.push(leadership);
      },
      onLost: (why) => this.losses.push({ why, atMs: performance.now() }),
    });
    this.election.start();
  }

  get leads(): boolean {
    return this.leaderships.at(-1)?.valid() === true;
  }

  async end(): Promise<void> {
    await this.election.stop();
    await this.transport.close();
    await this.proxy.close();
  }
}

function throughProxy(cluster: ControlPlane, proxy: MuteProxy): KubeConfig {
  const direct = cluster.kubeConfigFor(SERVICE_ACCOUNT);
  const throughIt = new KubeConfig();
  throughIt.loadFromOptions({
    clusters: direct.clusters.map((entry) => ({ ...entry, server: `https://127.0.0.1:${proxy.port}` })),
    users: direct.users,
    contexts: direct.contexts,
    currentContext: direct.currentContext,
  });
  return throughIt;
}

async function replica(identity: string, leaseName: string): Promise<Replica> {
  const proxy = await MuteProxy.to(Number(new URL(controlPlane().server).port));
  const created = new Replica(identity, leaseName, proxy, throughProxy(controlPlane(), proxy));
  replicas.push(created);
  return created;
}

/** Two replicas of which the first leads. */
async function leaderAndFollower(leaseName: string): Promise<{ a: Replica; b: Replica }> {
  await create(
    `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`,
    releasedLease(leaseName, NAMESPACE),
  );
  const a = await replica("a", leaseName);
  await untilLeads(a, 2_000);
  const b = await replica("b", leaseName);
  await vi.waitFor(() => expect(b.election.state().holder).toBe("a"), { timeout: 5_000 });
  return { a, b };
}

async function untilLeads(who: Replica, withinMs: number): Promise<number> {
  const startMs = performance.now();
  await vi.waitFor(() => expect(who.leads).toBe(true), { timeout: withinMs, interval: 10 });
  return performance.now() - startMs;
}

async function lease(leaseName: string): Promise<LeaseObject> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${leaseName}`;
  const outcome = await controlPlane().admin.request<LeaseObject>({ method: "GET", path });
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.value;
}

async function create(path: string, body: Record<string, unknown>): Promise<void> {
  const outcome = await controlPlane().admin.request({ method: "POST", path, body });
  if (!outcome.ok) throw new Error(outcome.message);
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

beforeAll(async () => {
  const group = "rbac.authorization.k8s.io";
  const namespaced = `/apis/${group}/v1/namespaces/${NAMESPACE}`;
  await create("/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: NAMESPACE },
  });
  // The verbs that the election needs, and no more.
  await create(`${namespaced}/roles`, {
    apiVersion: `${group}/v1`,
    kind: "Role",
    metadata: { name: "leader-election" },
    rules: [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "patch"] }],
  });
  await create(`${namespaced}/rolebindings`, {
    apiVersion: `${group}/v1`,
    kind: "RoleBinding",
    metadata: { name: "leader-election" },
    roleRef: { apiGroup: group, kind: "Role", name: "leader-election" },
    subjects: [{ kind: "ServiceAccount", name: "holdfast", namespace: NAMESPACE }],
  });
});

afterEach(async () => {
  await Promise.all(replicas.splice(0).map((one) => one.end()));
  expect(overlaps).toEqual([]);
});

describe("leader election on the real API server", () => {
  it("gets its first leader a lease duration after the first replica's start where there is no Lease yet", async () => {
    const a = await replica("a", "first");
    const tookMs = await untilLeads(a, 60_000);
    expect(tookMs).toBeGreaterThan(9_900);
    expect((await lease("first")).spec).toMatchObject({ holderIdentity: "a", leaseTransitions: 1 });
  });

  it("hands over without waiting for the Lease to run out when the leader is stopped, under a higher epoch", async () => {
    const { a, b } = await leaderAndFollower("handover");
    const before = await lease("handover");
    expect(before.spec).toMatchObject({ holderIdentity: "a", leaseTransitions: 1 });
    await a.election.stop();
    const tookMs = await untilLeads(b, 9_000);
    console.log(`hand-over after a stop: ${Math.round(tookMs)} ms`);
    expect((await lease("handover")).spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 2 });
  });

  it("takes over from a leader that is cut off, after that leader has noticed", async () => {
    const { a, b } = await leaderAndFollower("crash");
    a.proxy.cut();
    const cutAtMs = performance.now();
    const tookMs = await untilLeads(b, 60_000);
    const [loss] = a.losses;
    console.log(
      `take-over after a cut: ${Math.round(tookMs)} ms; the old leader noticed after ${Math.round((loss?.atMs ?? 0) - cutAtMs)} ms`,
    );
    expect(loss?.why).toBe("renewDeadlinePassed");
    expect((loss?.atMs ?? Number.POSITIVE_INFINITY) - cutAtMs).toBeLessThan(tookMs);
    expect(b.leaderships[0]?.epoch).toBe(2);
    a.proxy.mend();
    await vi.waitFor(() => expect(a.election.state()).toMatchObject({ role: "standby", holder: "b" }), {
      timeout: 10_000,
    });
  });

  it("keeps leading when its open connections go mute, by dialling anew", async () => {
    const { a, b } = await leaderAndFollower("mute");
    const acceptedBefore = a.proxy.accepted;
    a.proxy.muteOpenConnections();
    await sleep(9_000);
    expect(a.losses).toEqual([]);
    expect(a.leads).toBe(true);
    expect(a.redials).toBe(1);
    expect(a.proxy.accepted).toBeGreaterThan(acceptedBefore);
    expect(b.leaderships).toEqual([]);
  });

  it("goes on when somebody deletes the Lease, and keeps foreign labels", async () => {
    const { a, b } = await leaderAndFollower("deleted");
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/deleted`;
    await controlPlane().admin.request({ method: "DELETE", path });
    await sleep(4_000);
    await controlPlane().admin.request({
      method: "PATCH",
      path,
      contentType: "application/merge-patch+json",
      body: { metadata: { labels: { team: "platform" } } },
    });
    await sleep(10_000);
    expect(a.losses).toEqual([]);
    expect(a.leads).toBe(true);
    expect(b.leaderships).toEqual([]);
    const after = await lease("deleted");
    expect(after.spec).toMatchObject({ holderIdentity: "a", leaseTransitions: 1 });
    expect(after.metadata.labels).toEqual({ team: "platform" });
  });

  it("has exactly one leader again after the API server was away", async () => {
    const { a, b } = await leaderAndFollower("restart");
    await controlPlane().stopApiServer();
    await sleep(8_000);
    expect([a.leads, b.leads]).toEqual([false, false]);
    await controlPlane().startApiServer();
    const startMs = performance.now();
    await vi.waitFor(() => expect(Number(a.leads) + Number(b.leads)).toBe(1), {
      timeout: 15_000,
      interval: 10,
    });
    console.log(
      `a leader again ${Math.round(performance.now() - startMs)} ms after the API server was ready`,
    );
    await sleep(5_000);
    expect(Number(a.leads) + Number(b.leads)).toBe(1);
  });
});
