// The network between nodes and API server breaks while guests run on. Nothing is restarted before its old copy is surely gone,
// and nothing is fenced that is still heard.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { FAST_DELAYS, useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({
  nodes: 4,
  delays: { ...FAST_DELAYS, heartbeatMs: 3_000, heartbeatJitter: 0.2 },
});

test("a node cut off with its guests running is powered off, proven off and tainted before any VM is let go", async () => {
  const keys = await rig().createRunning({ name: "a", on: "node-1" }, { name: "b", on: "node-1" });
  const { life } = await rig().startLeader();
  rig().node("node-1").cutApi();
  await rig().untilRestarted(keys);
  const fencing = await rig().untilFencing(
    "node-1",
    "Released",
    ({ status }) => status?.phase === "Released",
  );

  const forcedOff = rig()
    .resets("node-1")
    .filter(({ resetType }) => resetType === "ForceOff");
  expect(forcedOff.map(({ status }) => status)).toEqual([204]);
  const shotAtMs = performance.timeOrigin + (forcedOff[0]?.atMs ?? Number.NaN);
  const proof = life.writes.find(({ path, body }) => path.includes("/nodefencings/") && hasProof(body));
  const taint = life.writes.find(({ path }) => path === "/api/v1/nodes/node-1");
  const deletes = life.writes.filter(({ method, path }) => method === "DELETE" && path.includes("/pods/"));
  expect(deletes).toHaveLength(keys.length);
  for (const key of keys) {
    const [before, after] = rig().cluster.oracle.history(key);
    expect(before).toMatchObject({ node: "node-1", end: "powerLoss" });
    inOrder([
      shotAtMs,
      before?.stoppedAtMs,
      proof?.sentAtMs,
      taint?.sentAtMs,
      Math.min(...deletes.map(({ sentAtMs }) => sentAtMs)),
      after?.startedAtMs,
    ]);
  }
  expect(fencing.status?.proof).toMatchObject({ type: "PowerOff", bootID: fencing.spec.bootID });
  // Its cable is mended: it comes back as another incarnation.
  rig().node("node-1").healApi();
  await rig().untilReturned("node-1");
});

test("a partition shorter than the time after which a node counts as lost does nothing", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const { life } = await rig().startLeader();
  rig().node("node-1").cutApi();
  await waitFor("the node is suspect", () => verdictOf("node-1") === "suspect" || undefined);
  rig().node("node-1").healApi();
  await waitFor("the node is healthy", () => verdictOf("node-1") === "healthy" || undefined);
  expect(rig().fencings("node-1")).toEqual([]);
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);
  expect(life.writes.filter(({ path }) => path.includes("/nodefencings"))).toEqual([]);
});

test("a node whose kubelet is dead while virt-handler is heard is not fenced: its guests are alive", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  // A heartbeat proves life only where it came so much later than the Lease that a living kubelet would have renewed.
  await rig().startLeader({ policy: { nodeLostAfterMs: 18_000 } });
  rig().node("node-1").killKubelet();
  const havm = await rig().untilCondition(key, "Available", "Unknown", "NodeIsolated");
  expect(havm.status?.failover).toBeUndefined();
  expect(rig().fencings("node-1")).toEqual([]);
  rig().node("node-1").startKubelet();
  await rig().untilCondition(key, "Available", "True");
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);
  expect(rig().resets("node-1")).toEqual([]);
});

test("an operator that is itself cut off stops leading and fences nothing; its stand-by carries on", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  const first = await rig().startLeader();
  const second = rig().startReplica();
  first.life.cut();
  await waitFor("the second leads", () => second.operator.leading || undefined, LONG_MS);
  expect(first.operator.leading).toBe(false);
  // Longer than it takes to call a node lost: to the first one every node has been silent all the time.
  await sleep(7_000);
  first.life.heal();
  expect(rig().cluster.fleet.nodes.flatMap(({ name }) => rig().fencings(name))).toEqual([]);
  // The second still does its work.
  await rig().node("node-1").power.off();
  await rig().untilRestarted([key]);
  await rig().untilReturned("node-1");
});

function hasProof(body: unknown): boolean {
  return (body as { readonly status?: { readonly proof?: unknown } }).status?.proof !== undefined;
}

function inOrder(times: readonly (number | undefined)[]): void {
  expect(times).not.toContain(undefined);
  expect([...times].sort((a, b) => (a ?? 0) - (b ?? 0))).toEqual(times);
}

function verdictOf(node: string): string | undefined {
  return rig().replicas[0]?.operator.lastPlan?.verdicts.get(node)?.kind;
}
