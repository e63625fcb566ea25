// Bad days: the API server goes away, fence devices answer wrongly or not at all, objects vanish in mid-failover, clocks
// jump, too much is lost at once. The right answer is often to do nothing, and to say so.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import type { BmcFaults } from "../../lab/bmc/bmc-faults.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4 });

/** What the issue asks to be survived. */
const OUTAGE_MS = 120_000;

describe("a fence device", () => {
  test.each<readonly [string, Partial<BmcFaults>, RegExp]>([
    ["refuses our password", { wrongPassword: true }, /^Denied$/],
    ["is down", { down: true }, /^Unreachable$/],
    ["answers that it did, and does nothing", { ignore: true }, /^(StillOn|TimedOut)$/],
    ["refuses the request", { refuse: true }, /^Refused$/],
    ["answers garbage", { garbage: true }, /^(Unreachable|Misconfigured|Refused|TimedOut|StillOn)$/],
  ])(
    "that %s: nothing is released, the ledger says why, and the fault's end is the VM's rescue",
    async (_what, faults, outcome) => {
      const [key = ""] = await rig().createRunning({ name: "vm", on: "node-3" });
      await rig().startLeader();
      await rig().bmcs.of("node-3").faults.set(faults);
      rig().node("node-3").cutApi();
      const fencing = await rig().untilFencing("node-3", "an attempt has failed", ({ status }) =>
        (status?.attempts ?? []).some((one) => one.endedAt !== undefined),
      );
      expect(fencing.status?.attempts?.find((one) => one.endedAt !== undefined)?.outcome).toMatch(outcome);
      expect(fencing.status?.proof).toBeUndefined();
      expect(rig().cluster.oracle.history(key)).toHaveLength(1);
      await rig().bmcs.of("node-3").faults.clear();
      await rig().untilRestarted([key]);
    },
  );

  test("that lies Off once is not believed: a second reading is taken before anything is released", async () => {
    const [key = ""] = await rig().createRunning({ name: "vm", on: "node-3" });
    await rig().startLeader();
    await rig().bmcs.of("node-3").faults.set({ lieOff: 1 });
    rig().node("node-3").cutApi();
    await rig().untilRestarted([key]);
    const [before, after] = rig().cluster.oracle.history(key);
    expect(before?.end).toBe("powerLoss");
    expect(after?.startedAtMs).toBeGreaterThan(before?.stoppedAtMs ?? Number.POSITIVE_INFINITY);
  });
});

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

test("wall clocks that jump by an hour move nobody to fence anything", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const { life } = await rig().startLeader();
  await rig().untilCondition(key, "Protected", "True");
  for (const hours of [1, -1]) {
    life.wallOffsetMs = hours * 3_600_000;
    await sleep(7_000);
  }
  expect(rig().fencings("node-1")).toEqual([]);
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);
});

test("objects that nobody should write are skipped with a reason, and everything else goes on", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const { operator } = await rig().startLeader();
  const { namespace } = rig();
  await rig().admin.request({
    method: "POST",
    path: `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines`,
    body: {
      apiVersion: "kubevirt.io/v1",
      kind: "VirtualMachine",
      metadata: { name: "broken", namespace },
      spec: {
        runStrategy: "Halted",
        template: { spec: { nodeSelector: 5, tolerations: "none", domain: {} } },
      },
    },
  });
  await rig().admin.request({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/pods`,
    body: {
      metadata: { name: "stray", labels: { "kubevirt.io": "virt-launcher" } },
      spec: { nodeName: "node-1", containers: [{ name: "c", image: "none" }] },
    },
  });
  await rig().admin.request({
    method: "PATCH",
    path: "/api/v1/nodes/node-4",
    contentType: "application/merge-patch+json",
    body: { metadata: { annotations: { "kubevirt.io/heartbeat": "yesterday, I think" } } },
  });
  await rig().node("node-1").power.off();
  await rig().untilRestarted([key]);
  expect(operator.lastPlan?.notJudged).toBeUndefined();
  expect(operator.world.reflectors.virtualMachines.skipped.get(`${namespace}/broken`)).toContain(
    "nodeSelector",
  );
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
    expect(held.message).toContain("2 of 4 nodes");
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

describe("the API server", () => {
  test(
    "gone for two minutes and back: nothing is fenced, nothing is lost, and a node that dies afterwards is dealt with",
    async () => {
      const keys = await rig().createRunning({ name: "a", on: "node-1" }, { name: "b", on: "node-2" });
      await rig().startLeader();
      await Promise.all(keys.map((key) => rig().untilCondition(key, "Protected", "True")));
      await rig().cluster.controlPlane.stopApiServer();
      await sleep(OUTAGE_MS);
      await rig().cluster.controlPlane.startApiServer();
      await rig().leader();
      // Long enough for a verdict, if silence during the outage had counted.
      await sleep(10_000);
      expect(rig().fencings("node-1")).toEqual([]);
      for (const key of keys) expect(rig().cluster.oracle.history(key)).toHaveLength(1);

      await rig().node("node-1").power.off();
      await rig().untilRestarted(keys.slice(0, 1));
      expect(rig().cluster.oracle.history(keys[1] ?? "")).toHaveLength(1);
    },
    OUTAGE_MS + 180_000,
  );
});
