// Bad days: the API server goes away, nodes come back in mid-fence, objects vanish in mid-failover, clocks jump, too much is
// lost at once. The right answer is often to do nothing, and to say so.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4 });

const HOUR_MS = 3_600_000;

/**
 * Nine times as long as a node's silence may last in this rig. `HOLDFAST_OUTAGE_S=120` makes it the two minutes that are
 * promised.
 */
const OUTAGE_MS = Number(process.env["HOLDFAST_OUTAGE_S"] ?? 45) * 1_000;

describe("in mid-fence", () => {
  test("a node that speaks again with the same boot ID is left alone, and its ledger is closed", async () => {
    const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
    await rig().startLeader();
    await rig().bmcs.of("node-2").faults.set({ down: true });
    rig().node("node-2").cutApi();
    await rig().untilFencing("node-2", "an attempt has failed", ({ status }) =>
      (status?.attempts ?? []).some((one) => one.outcome === "Unreachable"),
    );
    rig().node("node-2").healApi();
    await rig().untilFencing("node-2", "Aborted", ({ status }) => status?.phase === "Aborted");
    await rig().bmcs.of("node-2").faults.clear();
    await sleep(2_000);
    expect(rig().resets("node-2")).toEqual([]);
    expect(rig().cluster.oracle.history(key)).toHaveLength(1);
    await rig().untilCondition(key, "Available", "True");
  });

  test("a node that comes back with a new boot ID is not powered off again", async () => {
    const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
    await rig().startLeader();
    await rig().bmcs.of("node-2").faults.set({ down: true });
    await rig().node("node-2").power.off();
    await rig().untilFencing("node-2", "an attempt has failed", ({ status }) =>
      (status?.attempts ?? []).some((one) => one.outcome === "Unreachable"),
    );
    await rig().node("node-2").power.on();
    const fencing = await rig().untilFencing(
      "node-2",
      "Returned",
      ({ status }) => status?.phase === "Returned",
    );
    expect(fencing.status?.proof?.type).toBe("Rebooted");
    await rig().bmcs.of("node-2").faults.clear();
    await rig().untilRestarted([key]);
    expect(rig().resets("node-2")).toEqual([]);
  });
});

describe("in mid-failover", () => {
  test("a VM is deleted, another halted, and a third's promise withdrawn: the rest comes back, and the ledger closes", async () => {
    const keys = await rig().createRunning(
      { name: "deleted", on: "node-1" },
      { name: "halted", on: "node-1" },
      { name: "unpromised", on: "node-1" },
      { name: "kept", on: "node-1" },
    );
    await rig().startLeader();
    await Promise.all(keys.map((key) => rig().untilCondition(key, "Protected", "True")));
    await rig().bmcs.of("node-1").faults.set({ down: true });
    await rig().node("node-1").power.off();
    await rig().untilFencing("node-1", "opened", () => true);
    const { namespace } = rig();
    await rig().remove(`/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines/deleted`);
    await rig().patch(`/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines/halted`, {
      spec: { runStrategy: "Halted" },
    });
    await rig().remove(`/apis/holdfast.dev/v1alpha1/namespaces/${namespace}/havirtualmachines/unpromised`);
    await rig().bmcs.of("node-1").faults.clear();
    await rig().untilRestarted([`${namespace}/kept`]);
    await rig().untilReturned("node-1");
    await waitFor("the halted VM's failover is no longer open", () =>
      rig().view.protections.get(`${namespace}/halted`)?.status?.failover === undefined ? true : undefined,
    );
  });
});

test("a wall clock that jumps by an hour, back and forth, fences nothing, and a failover across it is measured", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const { life } = await rig().startLeader();
  await rig().untilCondition(key, "Protected", "True");
  await waitFor("every node is known to be fenceable", async (saw) => {
    const read = await rig().admin.request<{ status?: { readyNodes?: number } }>({
      method: "GET",
      path: "/apis/holdfast.dev/v1alpha1/fencingtopologies/bmc",
    });
    saw(read);
    return (read.ok && read.value.status?.readyNodes === 4) || undefined;
  });
  const before = life.writes.length;
  for (const hours of [1, -1]) {
    life.wallOffsetMs = hours * HOUR_MS;
    // Longer than it takes to call a node lost.
    await sleep(6_000);
  }
  expect(life.writes.slice(before).map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  // It jumps once more between the loss and the restart.
  await rig().node("node-1").power.off();
  await rig().untilFencing("node-1", "opened", () => true);
  life.wallOffsetMs = 0;
  await rig().untilRestarted([key]);
  await rig().untilPromise(key, "told", ({ status }) => status?.outages?.length === 1);
  expect(rig().cluster.oracle.history(key)).toHaveLength(2);
});

test("objects that nobody should write are skipped with a reason, and everything else goes on", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const { operator } = await rig().startLeader();
  const { namespace } = rig();
  for (const object of strangeObjects(namespace)) onTestFinished(await create(object));
  const { reflectors } = operator.world;
  await waitFor("the VM that cannot be read is skipped", (saw) => {
    saw([...reflectors.virtualMachines.skipped]);
    return (
      reflectors.virtualMachines.skipped.get(`${namespace}/broken`)?.includes("nodeSelector") || undefined
    );
  });
  await waitFor("the promise for it says that there is none", () => {
    const [accepted] = rig().view.protections.get(`${namespace}/broken`)?.status?.conditions ?? [];
    return accepted?.reason === "VirtualMachineNotFound" || undefined;
  });
  await rig().node("node-1").power.off();
  await rig().untilRestarted([key]);
  await rig().untilReturned("node-1");
  expect(operator.lastPlan?.notJudged).toBeUndefined();
  expect(
    rig()
      .fencings("no-such-node")
      .map(({ status }) => status?.phase ?? "Pending"),
  ).not.toContain("Fenced");
});

describe("a storm", () => {
  test("of two nodes lost at once powers nothing off, says so, and goes on when one of them is back", async () => {
    const keys = await rig().createRunning({ name: "a", on: "node-1" }, { name: "b", on: "node-2" });
    const { operator } = await rig().startLeader({ policy: { stormMaxLost: { count: 1 } } });
    await Promise.all(keys.map((key) => rig().untilCondition(key, "Protected", "True")));
    rig().node("node-1").cutApi();
    rig().node("node-2").cutApi();
    const held = await waitFor(
      "the storm is told",
      (saw) => {
        saw(operator.lastPlan?.refusals);
        return operator.lastPlan?.refusals.find((one) => one.reason === "StormHold");
      },
      LONG_MS,
    );
    // Their Leases are up to one period apart.
    expect(held.message).toMatch(/2 of 4 nodes are lost|1 of 4 nodes are lost at once, 1 more late/);
    await sleep(3_000);
    expect([...rig().resets("node-1"), ...rig().resets("node-2")]).toEqual([]);
    rig().node("node-2").healApi();
    await rig().untilRestarted(keys.slice(0, 1));
    expect(rig().resets("node-2")).toEqual([]);
    expect(rig().cluster.oracle.history(keys[1] ?? "")).toHaveLength(1);
  });

  test("that is a rack without power is proven node by node by reading, and everything comes back", async () => {
    const keys = await rig().createRunning({ name: "a", on: "node-1" }, { name: "b", on: "node-2" });
    await rig().startLeader({ policy: { stormMaxLost: { count: 1 } } });
    await Promise.all(keys.map((key) => rig().untilCondition(key, "Protected", "True")));
    await Promise.all([rig().node("node-1").power.off(), rig().node("node-2").power.off()]);
    await rig().untilRestarted(keys);
    const shot = [...rig().resets("node-1"), ...rig().resets("node-2")].filter(
      ({ resetType }) => resetType !== "On",
    );
    expect(shot).toEqual([]);
  });
});

test("control-plane outage seen as all nodes dead: gone for a long while and back, nothing is fenced or lost but the node that died meanwhile", {
  timeout: OUTAGE_MS + 180_000,
}, async () => {
  const [a = "", b = "", c = ""] = await rig().createRunning(
    { name: "a", on: "node-1" },
    { name: "b", on: "node-2" },
    { name: "c", on: "node-3" },
  );
  await rig().startLeader();
  rig().startReplica();
  for (const key of [a, b, c]) await rig().untilCondition(key, "Protected", "True");
  const { controlPlane, oracle } = rig().cluster;
  await controlPlane.stopApiServer();
  await sleep(OUTAGE_MS / 2);
  await rig().node("node-1").power.off();
  await sleep(OUTAGE_MS / 2);
  await controlPlane.startApiServer();
  await rig().leader();
  // Scheduler and controllers pause between their tries as well, up to a minute by then.
  await rig().untilRestarted([a], 1, 3 * LONG_MS);
  await rig().untilReturned("node-1");
  for (const node of ["node-2", "node-3", "node-4"]) {
    expect(rig().fencings(node)).toEqual([]);
    expect(rig().resets(node)).toEqual([]);
  }
  for (const key of [b, c]) expect(oracle.history(key)).toHaveLength(1);
  // And one that dies now.
  await rig().node("node-2").power.off();
  await rig().untilRestarted([b]);
  expect(oracle.history(c)).toHaveLength(1);
});

interface StrangeObject {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>> & {
    readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  };
}

/** What other controllers, old versions and people leave behind: fields missing, of wrong types, or about nothing. */
function strangeObjects(namespace: string): readonly StrangeObject[] {
  const virtualMachine = (name: string, spec: object): StrangeObject => ({
    path: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines`,
    body: { apiVersion: "kubevirt.io/v1", kind: "VirtualMachine", metadata: { name }, spec: { ...spec } },
  });
  const pod = (name: string, metadata: object, nodeName?: string): StrangeObject => ({
    path: `/api/v1/namespaces/${namespace}/pods`,
    body: {
      metadata: { name, labels: { "kubevirt.io": "virt-launcher" }, ...metadata },
      spec: { containers: [{ name: "c", image: "none" }], ...(nodeName === undefined ? {} : { nodeName }) },
    },
  });
  const holdfast = (plural: string, kind: string, name: string, spec: object): StrangeObject => ({
    path: `/apis/holdfast.dev/v1alpha1/${plural}`,
    body: { apiVersion: "holdfast.dev/v1alpha1", kind, metadata: { name }, spec },
  });
  const template = { spec: { domain: {} } };
  const owner = { apiVersion: "v1", kind: "ReplicaSet", name: "web", uid: "1" };
  return [
    virtualMachine("broken", {
      runStrategy: "Halted",
      template: { spec: { nodeSelector: 5, tolerations: "none", domain: {} } },
    }),
    virtualMachine("old-style", { running: false, template }),
    holdfast(`namespaces/${namespace}/havirtualmachines`, "HAVirtualMachine", "broken", {
      virtualMachineName: "broken",
    }),
    pod("stray", {}, "node-1"),
    pod("adopted", { ownerReferences: [owner], annotations: { "kubevirt.io/domain": "" } }, "node-1"),
    pod("of-nobody", { labels: { "kubevirt.io": "hotplug-disk" } }, "node-1"),
    // A node that never had a kubelet, and its Lease that was never renewed.
    { path: "/api/v1/nodes", body: { metadata: { name: "paper-node" } } },
    {
      path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
      body: { metadata: { name: "paper-node" }, spec: {} },
    },
    // Fencings of nodes that do not exist, or no longer as they were.
    holdfast("nodefencings", "NodeFencing", "of-nothing", fencingOf("no-such-node")),
    holdfast("nodefencings", "NodeFencing", "of-another-life", fencingOf("node-2")),
  ];
}

function fencingOf(nodeName: string): object {
  const at = "2026-01-01T00:00:00.000Z";
  return {
    nodeName,
    nodeUID: "00000000-0000-0000-0000-000000000000",
    bootID: "another-boot",
    reason: "Requested",
    message: "",
    detectedAt: at,
    lastSeenAt: at,
  };
}

/** Creates the object. Answers how to take it away again. */
async function create({ path, body }: StrangeObject): Promise<() => Promise<void>> {
  const created = await rig().admin.request({ method: "POST", path, body });
  expect(created, `${path} ${body.metadata.name}`).toMatchObject({ ok: true });
  return async () => {
    await rig().admin.request({
      method: "DELETE",
      path: `${path}/${body.metadata.name}`,
      body: { gracePeriodSeconds: 0 },
    });
  };
}
