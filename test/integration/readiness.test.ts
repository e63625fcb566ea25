// Whether each node could be fenced is known before any outage: on the node, the topology, the VM, and in an Event.
import { expect, test } from "vitest";
import { readReadiness } from "../../src/api/fencing-readiness.ts";
import type { Operator } from "../../src/run/operator.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { attemptsMade, LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const SECRET = "/api/v1/namespaces/holdfast-system/secrets/bmc";
const rig = useOperatorRig({ nodes: 4 });
const readiness = { intervalMs: 4_000 };

interface RawNode {
  readonly status: { readonly conditions: Parameters<typeof readReadiness>[0] };
}

async function untilReadiness(node: string, reason: string) {
  return waitFor(
    `${node} is ${reason}`,
    async (saw) => {
      const read = await rig().admin.request<RawNode>({ method: "GET", path: `/api/v1/nodes/${node}` });
      const [found] = read.ok ? readReadiness(read.value.status.conditions) : [];
      saw(found);
      return found?.reason === reason ? found : undefined;
    },
    LONG_MS,
  );
}

/** It leads, and knows all nodes to be alive. */
async function untilLooking(operator: Operator): Promise<void> {
  const looking = () => (operator.checkedLevels().length === 4 ? true : undefined);
  await waitFor("the replica leads and has looked around", looking, LONG_MS);
}

test("a device that stops answering is told on the node, the topology, the VM and in an Event, and so is its recovery", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  rig().startReplica({ readiness });
  for (const node of ["node-1", "node-2", "node-3", "node-4"]) await untilReadiness(node, "DeviceReady");
  expect(await rig().kubectl("get", "fencingtopologies")).toMatch(/bmc +4 +bmc +True +True/);
  await rig().bmcs.of("node-1").faults.set({ wrongPassword: true });
  const found = await untilReadiness("node-1", "DeviceDenied");
  expect(found).toMatchObject({ ready: false, seen: { state: "On" } });
  expect(found.message).toMatch(/401.*; last ready \d{4}-/);
  const havm = await rig().untilCondition(key, "Protected", "False");
  expect(JSON.stringify(havm)).toContain("node-1 could not be fenced now: bmc: ");
  const described = await rig().kubectl("describe", "node", "node-1");
  expect(described).toMatch(/holdfast\.dev\/FencingReady-bmc +False .*DeviceDenied/);
  await waitFor(
    "the topology and an Event say so",
    async (saw) => {
      const topology = await rig().kubectl("get", "fencingtopology", "bmc", "-o", "json");
      const events = await rig().kubectl("get", "events", "-n", "default");
      saw([topology, events]);
      return /1 nodes could not be fenced now.*node-1 \(bmc: DeviceDenied\)/s.test(topology) &&
        /Warning +FencingNotReady +node\/node-1 .*could not be fenced now by level bmc, because/.test(events)
        ? true
        : undefined;
    },
    LONG_MS,
  );
  await rig().bmcs.of("node-1").faults.clear();
  await untilReadiness("node-1", "DeviceReady");
  await rig().untilCondition(key, "Protected", "True");
});

test("a changed Secret is tried at once, whatever the interval, and the next fencing uses it", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const { operator } = rig().startReplica({ readiness: { intervalMs: 3_600_000 } });
  await untilLooking(operator);
  const before = await rig().admin.request<{ readonly data: Record<string, string> }>({
    method: "GET",
    path: SECRET,
  });
  const good = before.ok ? before.value.data : {};
  await rig().patch(SECRET, { data: { ...good, password: btoa("not the password") } });
  await untilReadiness("node-1", "DeviceDenied");
  await rig().patch(SECRET, { data: good });
  await untilReadiness("node-1", "DeviceReady");
  rig().node("node-1").hang();
  await rig().untilRestarted([key]);
  const fencing = await rig().untilFencing("node-1", "proven", ({ status }) => status?.proof !== undefined);
  expect(attemptsMade(fencing)).toMatchObject([{ outcome: "PoweredOff" }]);
});

test("a device that says Off of a living node is told as a liar, and believed neither then nor later", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
  rig().startReplica({ readiness });
  await untilReadiness("node-2", "DeviceReady");
  await rig().bmcs.of("node-2").faults.set({ lieOff: 1_000_000 });
  const found = await untilReadiness("node-2", "PowerStateContradicted");
  expect(found.message).toContain("says Off of node-2, which is alive");
  // The guest runs on, out of the API server's sight: to believe the device would start it twice.
  rig().node("node-2").cutApi();
  const fencing = await rig().untilFencing(
    "node-2",
    "doubted",
    ({ status }) => status?.attempts?.some(({ outcome }) => outcome === "Doubted") === true,
  );
  expect(fencing.status?.proof).toBeUndefined();
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);
  await rig().bmcs.of("node-2").faults.clear();
  await rig().untilRestarted([key]);
});

test("a new leader takes the standing verdicts over and does not check everything at once", async () => {
  const nodes = ["node-1", "node-2", "node-3", "node-4"];
  const aDay = { intervalMs: 86_400_000 };
  rig().startReplica({ readiness });
  for (const node of nodes) await untilReadiness(node, "DeviceReady");
  await rig().stopReplicas();
  const asked = () => nodes.map((node) => rig().bmcs.of(node).requests.length);
  const before = asked();
  const { operator } = rig().startReplica({ readiness: aDay });
  await untilLooking(operator);
  const turnAtMs = operator.turns.lastTurnAtMs ?? 0;
  const turned = () => ((operator.turns.lastTurnAtMs ?? 0) > turnAtMs + 3_000 ? true : undefined);
  await waitFor("some seconds of turns went by", turned, LONG_MS);
  expect(asked()).toEqual(before);
});
