// A real API server with our CRDs, one dead node with a hundred VMs' pods, and contexts of successive leaders on it.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll } from "vitest";
import { parse } from "yaml";
import { type ActContext, createActContext } from "../../src/act/context.ts";
import type { FenceDevice, PowerState } from "../../src/act/fence/fence-device.ts";
import type { ApiRequest } from "../../src/kube/transport.ts";
import type { FencingFact } from "../../src/model/fencing.ts";
import type { PodRef } from "../../src/model/plan.ts";
import { World } from "../../src/observe/world.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const CRDS = join(import.meta.dirname, "../../crds");
const SERVED_DEADLINE_MS = 20_000;
/** Short, so that the test need not wait for a node to be silent; the device's own pauses take longer. */
const LOST_AFTER_MS = 300;

export const NODE = "dead-1";
export const NAMESPACE = "prod";

interface RawObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface ActCluster {
  /** The context of the leader with this epoch. */
  contextOf(epoch: number): ActContext;
  readonly world: World;
  /** Sends as cluster administrator; throws what the server says. */
  request(request: ApiRequest): Promise<RawObject>;
  get(path: string): Promise<RawObject>;
  /** The ledger as the facts have it. */
  fencing(name: string): Promise<FencingFact>;
}

/** A machine that is off 50 ms after it was asked. */
export function bmc(): FenceDevice & { readonly requests: string[] } {
  let state: PowerState = "On";
  const requests: string[] = [];
  const request = (wanted: "Off" | "On") => async () => {
    requests.push(wanted);
    setTimeout(() => (state = wanted), 50);
    return { kind: "accepted" as const, message: "204" };
  };
  return {
    label: "a BMC of the test",
    requests,
    readPower: async () => ({ ok: true, state, identity: { path: "/redfish/v1/Systems/1" } }),
    requestOff: request("Off"),
    requestOn: request("On"),
    close: async () => {},
  };
}

/** Starts a control plane without controllers for the file, with a node that no kubelet keeps alive. */
export function useActCluster(device: () => FenceDevice): ActCluster {
  const controlPlane = useControlPlane({ controllers: false });
  const clock = createRealClock();
  let world: World | undefined;
  const cluster: ActCluster = {
    get world() {
      if (world === undefined) throw new Error("the world exists only inside tests");
      return world;
    },
    contextOf: (epoch) =>
      createActContext({
        transport: controlPlane().admin,
        clock,
        random: Math.random,
        namespace: NAMESPACE,
        fieldManager: "holdfast",
        policy: { nodeLostAfterMs: LOST_AFTER_MS, nodeSuspectAfterMs: LOST_AFTER_MS / 2 },
        leadership: { epoch, valid: () => true, signal: new AbortController().signal },
        facts: cluster.world,
        log: { info: () => {}, warn: () => {} },
        openDevice: device,
      }),
    request: async (request) => {
      const outcome = await controlPlane().admin.request<RawObject>(request);
      if (!outcome.ok) throw new Error(`${request.method} ${request.path}: ${outcome.message}`);
      return outcome.value;
    },
    get: (path) => cluster.request({ method: "GET", path }),
    fencing: async (name) => {
      const read = await cluster.world.reflectors.fencings.refresh(name);
      if (!read.ok || read.value === undefined) throw new Error(`no ledger ${name}`);
      return read.value;
    },
  };
  beforeAll(async () => {
    world = new World({ transport: controlPlane().admin, clock, random: Math.random, onChange: () => {} });
    await applyCRDs(cluster);
    await seed(cluster);
    // The first sight of the Lease counts as a change, so the silence begins here.
    await world.refreshNode(NODE);
    await sleep(LOST_AFTER_MS);
  });
  return cluster;
}

/** Creates the launcher pods of so many VMs, all bound to the dead node. */
export async function seedLaunchers(cluster: ActCluster, count: number): Promise<readonly PodRef[]> {
  const pods: PodRef[] = [];
  for (let i = 0; i < count; i++) {
    const created = await cluster.request({
      method: "POST",
      path: `/api/v1/namespaces/${NAMESPACE}/pods`,
      body: {
        metadata: { name: `virt-launcher-vm-${i}`, labels: { "kubevirt.io": "virt-launcher" } },
        spec: {
          nodeName: NODE,
          automountServiceAccountToken: false,
          // As KubeVirt's launchers, whose graceful deletion would wait for a kubelet that is dead.
          terminationGracePeriodSeconds: 60,
          containers: [{ name: "compute", image: "example.com/launcher" }],
        },
      },
    });
    pods.push({ namespace: NAMESPACE, name: created.metadata.name, uid: created.metadata.uid });
  }
  return pods;
}

async function seed(cluster: ActCluster): Promise<void> {
  const post = (path: string, body: object) => cluster.request({ method: "POST", path, body });
  for (const name of [NAMESPACE, "kube-node-lease"]) {
    await post("/api/v1/namespaces", { metadata: { name } }).catch(ifNot("already exists"));
  }
  await post(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name: "default" } });
  const data = { username: btoa("admin"), password: btoa("s3cret") };
  await post(`/api/v1/namespaces/${NAMESPACE}/secrets`, { metadata: { name: "bmc" }, data });
  await post("/api/v1/nodes", { metadata: { name: NODE } });
  await cluster.request({
    method: "PATCH",
    path: `/api/v1/nodes/${NODE}/status`,
    contentType: "application/merge-patch+json",
    body: {
      status: {
        nodeInfo: { bootID: "boot-1", systemUUID: "none" },
        conditions: [{ type: "Ready", status: "Unknown", reason: "NodeStatusUnknown", message: "" }],
      },
    },
  });
  await post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", {
    metadata: { name: NODE },
    spec: { holderIdentity: NODE, renewTime: "2026-11-22T00:00:00.000000Z" },
  });
}

function ifNot(expected: string) {
  return (error: unknown): undefined => {
    if (!String(error).includes(expected)) throw error;
    return undefined;
  };
}

async function applyCRDs(cluster: ActCluster): Promise<void> {
  const files = (await readdir(CRDS)).filter((file) => file.endsWith(".yaml"));
  for (const file of files) {
    const body = parse(await readFile(join(CRDS, file), "utf8")) as { spec: { names: { plural: string } } };
    await cluster.request({
      method: "POST",
      path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      body,
    });
    await untilServed(cluster, `/apis/holdfast.dev/v1alpha1/${body.spec.names.plural}`);
  }
}

async function untilServed(cluster: ActCluster, path: string): Promise<void> {
  const signal = AbortSignal.timeout(SERVED_DEADLINE_MS);
  for (;;) {
    const served = await cluster.get(path).then(
      () => true,
      () => false,
    );
    if (served) return;
    signal.throwIfAborted();
    await sleep(50);
  }
}
