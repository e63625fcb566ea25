// Drills on the real API server: a VM migrated again and again, a node emptied and let in again, a node fenced for real; and
// what is refused, with the reason.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { apply } from "../../lab/holdfast/install.ts";
import type { FailoverDrill } from "../../src/api/failover-drill.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const PATH = "/apis/holdfast.dev/v1alpha1/failoverdrills";
const rig = useOperatorRig({ nodes: 4 });

interface Promised {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly status?: {
    readonly availability?: {
      readonly recent?: readonly { readonly cause: string; readonly class: string }[];
    };
  };
}

test("a VM is live-migrated three times, and the drill passes with its statistics", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  const drill = await drilled("migrations", {
    type: "LiveMigration",
    virtualMachine: { namespace: rig().namespace, name: "vm" },
    runs: 3,
    interval: "1s",
    promise: { recoveryTime: "30s" },
  });
  expect(drill.status).toMatchObject({
    phase: "Passed",
    runs: [{ number: 1 }, { number: 2 }, { number: 3 }],
  });
  expect(drill.status?.statistics).toMatchObject([{ name: "virtual-machine", runs: 3, converged: 3 }]);
  expect(drill.status?.statistics?.[0]?.convergence?.lowMs).toBeTypeOf("number");
  expect(rig().cluster.oracle.history(key)).toHaveLength(4);
});

test("a node is cordoned, emptied and uncordoned", async () => {
  await rig().createRunning({ name: "a", on: "node-2" }, { name: "b", on: "node-2" });
  await rig().startLeader();
  const drill = await drilled("evacuation", { type: "NodeEvacuation", nodeName: "node-2" });
  expect(drill.status).toMatchObject({ phase: "Passed", runs: [{ virtualMachines: 2, node: "node-2" }] });
  const node = await waitFor("the node is uncordoned", async () => {
    const read = await rig().admin.request<NodeObject>({ method: "GET", path: "/api/v1/nodes/node-2" });
    return read.ok && read.value.spec.unschedulable !== true ? read.value : undefined;
  });
  expect(node.metadata.annotations?.["holdfast.dev/drill"]).toBeUndefined();
});

interface NodeObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly unschedulable?: boolean };
}

test("a node whose VMs have not opted in is not lost, and the drill says why", async () => {
  await rig().createRunning({ name: "vm", on: "node-3" });
  await rig().startLeader();
  const drill = await drilled("refused", { type: "NodeLoss", nodeName: "node-3", startTimeout: "15s" });
  expect(drill.status).toMatchObject({ phase: "Refused", runs: [{ reason: "NotOptedIn" }] });
  expect(drill.status?.message).toContain(`${rig().namespace}/vm may not be lost in a drill`);
  expect(rig().resets("node-3")).toEqual([]);
});

test("a node is fenced for real, its VMs come back within the promised time, and their outage is planned", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-4" });
  await optIn();
  await rig().startLeader();
  const drill = await drilled("loss", {
    type: "NodeLoss",
    nodeName: "node-4",
    promise: { recoveryTime: "2m" },
  });
  expect(drill.status).toMatchObject({ phase: "Passed", runs: [{ virtualMachines: 1, outcome: "Passed" }] });
  expect(drill.status?.statistics?.[0]?.longestOutageMs).toBeGreaterThan(0);
  const fencing = await rig().untilReturned("node-4");
  expect(fencing.status?.proof).toMatchObject({ type: "PowerOff", bootID: fencing.spec.bootID });
  expect(
    rig()
      .resets("node-4")
      .filter(({ resetType }) => resetType === "ForceOff"),
  ).toHaveLength(1);
  expect(rig().cluster.oracle.history(key)[0]).toMatchObject({ node: "node-4", end: "powerLoss" });
  const promised = await rig().admin.request<Promised>({
    method: "GET",
    path: `/apis/holdfast.dev/v1alpha1/namespaces/${rig().namespace}/havirtualmachines/vm`,
  });
  expect(promised.ok && promised.value.status?.availability?.recent).toMatchObject([
    { cause: "Drill", class: "Planned" },
  ]);
});

test("a promise that no restart can keep is broken, and told so", async () => {
  await rig().createRunning({ name: "vm", on: "node-1" });
  await optIn();
  await rig().startLeader();
  const drill = await drilled("too-much", {
    type: "NodeLoss",
    nodeName: "node-1",
    promise: { recoveryTime: "1ms" },
  });
  expect(drill.status).toMatchObject({ phase: "Failed", runs: [{ reason: "PromiseBroken" }] });
  await rig().untilReturned("node-1");
});

/** The namespace's owner allows that its VMs are lost in a drill. */
async function optIn(): Promise<void> {
  await rig().patch(`/api/v1/namespaces/${rig().namespace}`, {
    metadata: { labels: { "holdfast.dev/node-loss-drills": "allowed" } },
  });
}

/** Writes a drill and waits until its series has ended. */
async function drilled(name: string, spec: object): Promise<FailoverDrill> {
  const unique = `${name}-${rig().namespace}`;
  await apply(rig().admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FailoverDrill",
    metadata: { name: unique },
    spec,
  } as never);
  return waitFor(
    `FailoverDrill ${unique} is over`,
    async (saw) => {
      const read = await rig().admin.request<FailoverDrill>({ method: "GET", path: `${PATH}/${unique}` });
      saw(read.ok ? read.value.status : read);
      return read.ok && read.value.status?.lastEndedAt !== undefined ? read.value : undefined;
    },
    LONG_MS,
  );
}
