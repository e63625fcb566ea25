// Drills on the real API server that lose a node for real: only with everybody's leave, and measured until its VMs are back.
import { expect, test } from "vitest";
import { drilled, PROBES } from "../support/drills.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4, guestServices: {} });

interface Promised {
  readonly status?: {
    readonly availability?: {
      readonly recent?: readonly { readonly cause: string; readonly class: string }[];
    };
  };
}

test("a node whose VMs have not opted in is not lost, and the drill says why", async () => {
  await rig().createRunning({ name: "vm", on: "node-3" });
  await rig().startLeader();
  const { status } = await drilled(rig(), "refused", {
    type: "NodeLoss",
    nodeName: "node-3",
    // Longer than a new leader needs to trust its own eyes.
    startTimeout: "5s",
  });
  expect(status).toMatchObject({ phase: "Refused", runs: [{ reason: "NotOptedIn" }] });
  expect(status?.message).toContain(`${rig().namespace}/vm may not be lost in a drill`);
  expect(rig().resets("node-3")).toEqual([]);
});

test("a node is fenced for real, its VMs come back in time, and their outage is planned", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-4" });
  await optIn();
  await rig().startLeader();
  const { status } = await drilled(rig(), "loss", {
    type: "NodeLoss",
    nodeName: "node-4",
    promise: { recoveryTime: "2m" },
    probes: PROBES,
  });
  expect(status?.message).toMatch(/the service was away for \d+ ms/);
  expect(status).toMatchObject({ phase: "Passed", runs: [{ virtualMachines: 1, outcome: "Passed" }] });
  expect(status?.statistics?.map(({ name }) => name)).toEqual(["virtual-machine", "udp", "web"]);
  for (const { longestOutageMs } of status?.statistics ?? []) expect(longestOutageMs).toBeGreaterThan(0);
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
  const { status } = await drilled(rig(), "too-much", {
    type: "NodeLoss",
    nodeName: "node-1",
    promise: { recoveryTime: "1ms" },
  });
  expect(status).toMatchObject({ phase: "Failed", runs: [{ reason: "PromiseBroken" }] });
  await rig().untilReturned("node-1");
});

/** The namespace's owner allows that its VMs are lost in a drill. */
async function optIn(): Promise<void> {
  await rig().patch(`/api/v1/namespaces/${rig().namespace}`, {
    metadata: { labels: { "holdfast.dev/node-loss-drills": "allowed" } },
  });
}
