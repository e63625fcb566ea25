// Drills on the real API server that move VMs while their guests are asked over real sockets: a VM migrated again and again,
// a node emptied and let in again, and a leader that dies in the middle.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { beginDrill, drilled, endedDrill, PROBES } from "../support/drills.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

// Longer than the time from one packet to the next, so that every hand-over loses some.
const rig = useOperatorRig({ nodes: 4, guestServices: { handOverMs: { min: 200, max: 400 } } });

test("a VM is live-migrated three times, and what it cost is told with its statistics", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  const { status } = await drilled(rig(), "migrations", {
    type: "LiveMigration",
    virtualMachine: { namespace: rig().namespace, name: "vm" },
    runs: 3,
    interval: "1s",
    promise: { recoveryTime: "30s" },
    probes: PROBES,
  });
  expect(status?.message).toMatch(/the service was away for \d+ ms/);
  expect(status).toMatchObject({ phase: "Passed", runs: [{ number: 1 }, { number: 2 }, { number: 3 }] });
  expect(rig().cluster.oracle.history(key)).toHaveLength(4);
  expect(status?.statistics).toMatchObject([
    { name: "virtual-machine", runs: 3, sent: 0, converged: 3 },
    { name: "udp", runs: 3 },
    { name: "web", runs: 3 },
  ]);
  const udp = status?.statistics?.[1];
  // Three runs of at least six seconds each, ten packets a second.
  expect(udp?.sent).toBeGreaterThan(100);
  expect(udp?.lost).toBeGreaterThanOrEqual(3);
  expect(udp?.outage.standardDeviationMs).toBeTypeOf("number");
  expect(udp?.outage.lowMs).toBeLessThanOrEqual(udp?.outage.meanMs ?? 0);
  for (const { measures } of status?.runs ?? [])
    expect(measures.map(({ answeredBefore, restored }) => answeredBefore && restored)).toEqual([
      true,
      true,
      true,
    ]);
});

test("a node is cordoned, emptied and uncordoned", async () => {
  await rig().createRunning({ name: "a", on: "node-2" }, { name: "b", on: "node-2" });
  await rig().startLeader();
  const { status } = await drilled(rig(), "evacuation", { type: "NodeEvacuation", nodeName: "node-2" });
  expect(status).toMatchObject({ phase: "Passed", runs: [{ virtualMachines: 2, node: "node-2" }] });
  await untilUncordoned("node-2");
});

test("a leader dies in the middle: the next ends the run, and the node is let in again", async () => {
  await rig().createRunning({ name: "a", on: "node-3" });
  const first = await rig().startLeader();
  rig().startReplica();
  await beginDrill(rig(), "killed", { type: "NodeEvacuation", nodeName: "node-3", probes: PROBES });
  await waitFor("the node is cordoned", async () => (await node("node-3"))?.spec.unschedulable, LONG_MS);
  first.life.die();
  const { status } = await endedDrill(rig(), "killed");
  expect(status).toMatchObject({ phase: "Interrupted", runs: [{ reason: "DrillInterrupted" }] });
  expect(status?.message).toContain("the leader changed");
  await untilUncordoned("node-3");
});

interface NodeObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly unschedulable?: boolean };
}

async function node(name: string): Promise<NodeObject | undefined> {
  const read = await rig().admin.request<NodeObject>({ method: "GET", path: `/api/v1/nodes/${name}` });
  return read.ok ? read.value : undefined;
}

async function untilUncordoned(name: string): Promise<void> {
  await waitFor(
    `${name} is uncordoned, and its mark gone`,
    async () => {
      const { metadata, spec } = (await node(name)) ?? {};
      const marked = metadata?.annotations?.["holdfast.dev/drill"] !== undefined;
      return (spec?.unschedulable !== true && !marked) || undefined;
    },
    LONG_MS,
  );
}
