import { describe, expect, it } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import type { VmRequest } from "../../lab/cluster/vm-manifest.ts";
import type { SimulatedNode } from "../../lab/nodes/simulated-node.ts";
import {
  forceDeleteLaunchers,
  pause,
  recoverDeadNode,
  removeOutOfServiceTaint,
  taintOutOfService,
  useCluster,
} from "./lab-cluster-fixture.ts";

const NAMESPACE = "failures";
const LEASE_MS = 500;
const HEARTBEAT_MS = 1_000;
/** Longer than either sign of life can take, shorter than anything reacts to silence. */
const SILENCE_MS = 4_000;
const lab = useCluster({
  nodes: 3,
  delays: { leaseRenewMs: LEASE_MS, heartbeatMs: HEARTBEAT_MS, nodeStatusCheckMs: 1_000 },
});

/** Heartbeats are whole seconds and Leases microseconds: both only ever change by being renewed. */
async function signsOfLife(node: string): Promise<{ lease: string; heartbeat: string }> {
  const lease = await lab().controlPlane.admin.request<{ spec: { renewTime: string } }>({
    method: "GET",
    path: `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${node}`,
  });
  return {
    lease: lease.ok ? lease.value.spec.renewTime : "",
    heartbeat: lab().view.nodes.get(node)?.metadata.annotations?.["kubevirt.io/heartbeat"] ?? "",
  };
}

/** Which of the two signs changed within `SILENCE_MS`, after a moment for what is under way. */
async function beating(node: string): Promise<{ kubelet: boolean; virtHandler: boolean }> {
  await pause(500);
  const before = await signsOfLife(node);
  await pause(SILENCE_MS);
  const after = await signsOfLife(node);
  return { kubelet: before.lease !== after.lease, virtHandler: before.heartbeat !== after.heartbeat };
}

async function startVM(name: string, more: Partial<VmRequest> = {}) {
  const key = `${NAMESPACE}/${name}`;
  await lab().createVM({ namespace: NAMESPACE, name, ...more });
  const vmi = await lab().waitForRunning(key);
  const node: SimulatedNode = lab().fleet.node(vmi.status?.nodeName ?? "");
  return { key, node, uid: vmi.metadata.uid ?? "" };
}

function stillRuns(vm: { key: string; node: SimulatedNode; uid: string }): void {
  expect(lab().view.vmis.get(vm.key)?.metadata.uid).toBe(vm.uid);
  expect(
    lab()
      .oracle.running(vm.key)
      .map(({ node }) => node),
  ).toEqual([vm.node.name]);
}

const BOTH = { kubelet: true, virtHandler: true };
const NONE = { kubelet: false, virtHandler: false };

describe("a node fails in parts", () => {
  it("hangs: both signs of life stop, the guest keeps its disk, and all of it goes on after the hang", async () => {
    const vm = await startVM("hung");
    vm.node.hang();
    expect(vm.node.state).toBe("hung");
    expect(await beating(vm.node.name)).toEqual(NONE);
    stillRuns(vm);
    vm.node.resume();
    expect(await beating(vm.node.name)).toEqual(BOTH);
    stillRuns(vm);
    expect(lab().oracle.outages(vm.key)).toHaveLength(1);
  });

  it("is cut off from the API server: the same silence, but the guest works on", async () => {
    const vm = await startVM("cut");
    vm.node.cutApi();
    expect(await beating(vm.node.name)).toEqual(NONE);
    vm.node.healApi();
    expect(await beating(vm.node.name)).toEqual(BOTH);
    stillRuns(vm);
    expect(lab().oracle.outages(vm.key)).toEqual([]);
  });

  it("loses its kubelet only: the Lease stops, heartbeat and guest do not", async () => {
    const vm = await startVM("without-kubelet");
    vm.node.killKubelet();
    expect(await beating(vm.node.name)).toEqual({ kubelet: false, virtHandler: true });
    vm.node.startKubelet();
    expect(await beating(vm.node.name)).toEqual(BOTH);
    stillRuns(vm);
  });

  it("loses its virt-handler only: the heartbeat stops, Lease and guest do not", async () => {
    const vm = await startVM("without-handler");
    vm.node.killVirtHandler();
    expect(await beating(vm.node.name)).toEqual({ kubelet: true, virtHandler: false });
    vm.node.startVirtHandler();
    expect(await beating(vm.node.name)).toEqual(BOTH);
    stillRuns(vm);
  });
});

describe("a kubelet that was dead", () => {
  it("ends a pod whose deletion it slept through, and only then does the guest stop", async () => {
    const vm = await startVM("deleted");
    vm.node.killKubelet();
    const [pod] = lab().view.launcherPods(vm.key);
    await lab().controlPlane.admin.request({
      method: "DELETE",
      path: `/api/v1/namespaces/${NAMESPACE}/pods/${pod?.metadata.name}`,
    });
    await pause(2_000);
    stillRuns(vm);
    vm.node.startKubelet();
    const next = await lab().waitForRunning(vm.key, { except: vm.uid });
    expect(next.metadata.uid).not.toBe(vm.uid);
    expect(lab().oracle.history(vm.key)[0]?.end).toBe("shutdown");
    expect(lab().oracle.overlaps).toEqual([]);
  });
});

describe("the API server goes away", () => {
  it("and comes back: nodes, guests and their signs of life have outlasted it", async () => {
    const vm = await startVM("outlasts");
    await lab().controlPlane.stopApiServer();
    await pause(3_000);
    stillRuns(vm);
    await lab().controlPlane.startApiServer();
    await waitFor("both signs of life are back", async () => {
      const { kubelet, virtHandler } = await beating(vm.node.name);
      return kubelet && virtHandler ? true : undefined;
    });
    stillRuns(vm);
    expect(lab().oracle.outages(vm.key)).toEqual([]);
    expect(lab().oracle.unsafeWrites).toEqual([]);
  });
});

describe("a live node that is wrongly declared out of service", () => {
  it("loses its pods, virt-handler's too, which says that it takes no more VMs", async () => {
    const vm = await startVM("evicted", { terminationGracePeriodSeconds: 5 });
    await taintOutOfService(lab(), vm.node.name);
    // Where virt-handler goes first, nobody tells the guest: it runs until its launcher's patience (20 s) and grace (35 s) end.
    const next = await lab().waitForRunning(vm.key, { except: vm.uid, deadlineMs: 60_000 });
    expect(next.status?.nodeName).not.toBe(vm.node.name);
    await waitFor("the node is labelled unschedulable", (saw) => {
      const label = lab().view.nodes.get(vm.node.name)?.metadata.labels?.["kubevirt.io/schedulable"];
      saw(label);
      return label === "false" ? true : undefined;
    });
    expect(lab().oracle.overlaps).toEqual([]);
    expect(lab().oracle.unsafeWrites.map(({ kind }) => kind)).toContain("outOfServiceTaint");
    await removeOutOfServiceTaint(lab(), vm.node.name);
    await waitFor("virt-handler is back", () =>
      lab().view.nodes.get(vm.node.name)?.metadata.labels?.["kubevirt.io/schedulable"] === "true"
        ? true
        : undefined,
    );
  });
});

describe("a live migration under way", () => {
  const slow = { annotations: { "lab.holdfast.dev/pre-copy-ms": "8000" } };
  const migrationOf = (key: string) => lab().view.migrations.get(key);
  const copying = (key: string) =>
    waitFor(`${key} copies its memory`, (saw) => {
      saw(migrationOf(key)?.status);
      return migrationOf(key)?.status?.phase === "Running" ? true : undefined;
    });
  const targetOf = (key: string) =>
    lab().view.vmis.get(key)?.status?.migrationState?.targetNode ?? "no target";

  it("stays where it is when the migration is deleted", async () => {
    const vm = await startVM("aborted", slow);
    await lab().migrate(vm.key);
    await copying(vm.key);
    await lab().controlPlane.admin.request({
      method: "DELETE",
      path: `/apis/kubevirt.io/v1/namespaces/${NAMESPACE}/virtualmachineinstancemigrations/aborted`,
    });
    await waitFor("the migration is gone and so is its target", (saw) => {
      saw([migrationOf(vm.key)?.status, lab().view.vmis.get(vm.key)?.status?.migrationState]);
      return migrationOf(vm.key) === undefined && lab().view.launcherPods(vm.key).length === 1
        ? true
        : undefined;
    });
    stillRuns(vm);
    expect(lab().view.vmis.get(vm.key)?.status?.migrationState).toMatchObject({
      failed: true,
      abortStatus: "Succeeded",
    });
    expect(lab().oracle.outages(vm.key)).toEqual([]);
  });

  it("fails when its target loses power, and the guest does not notice", async () => {
    const vm = await startVM("target-dies", slow);
    await lab().migrate(vm.key);
    await copying(vm.key);
    const target = targetOf(vm.key);
    await lab().fleet.node(target).power.off();
    await waitFor("the migration has failed", (saw) => {
      saw([migrationOf(vm.key)?.status, lab().view.vmis.get(vm.key)?.status?.migrationState]);
      return migrationOf(vm.key)?.status?.phase === "Failed" ? true : undefined;
    });
    stillRuns(vm);
    expect(lab().oracle.outages(vm.key)).toEqual([]);
    await forceDeleteLaunchers(lab(), target);
    await lab().fleet.node(target).power.on();
    await waitFor("the target is back", () =>
      lab().view.nodes.get(target)?.status?.nodeInfo?.["bootID"] === lab().fleet.node(target).bootID
        ? true
        : undefined,
    );
  });

  it("takes the guest down with its source, which runs again elsewhere once the source is proven dead", async () => {
    const vm = await startVM("source-dies", slow);
    await lab().migrate(vm.key);
    await copying(vm.key);
    await recoverDeadNode(lab(), vm.node.name);
    const next = await lab().waitForRunning(vm.key, { except: vm.uid, deadlineMs: 90_000 });
    expect(next.status?.nodeName).not.toBe(vm.node.name);
    expect(lab().oracle.overlaps).toEqual([]);
    await vm.node.power.on();
    await removeOutOfServiceTaint(lab(), vm.node.name);
  });
});
