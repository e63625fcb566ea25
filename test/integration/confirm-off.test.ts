// A person's word, on the real API server: who wrote it when comes from the server's own notes, a wrong word is refused
// where people look, and a right one brings the VMs of a node back whose fence device is dead.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4, topology: { timeout: "5s", retries: 0 } });

async function eventsAbout(
  kind: string,
  name: string,
): Promise<readonly { type: string; message: string }[]> {
  const events = await rig().list<{
    readonly type: string;
    readonly reason: string;
    readonly message: string;
    readonly involvedObject: { readonly kind: string; readonly name: string };
  }>("/api/v1/events");
  return events.filter(
    ({ reason, involvedObject }) =>
      reason === "ConfirmationRefused" && involvedObject.kind === kind && involvedObject.name === name,
  );
}

test("a node whose fence device is dead is released on a person's word for its boot ID, and for no other", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  await rig().bmcs.of("node-1").faults.set({ deadWithHost: true });
  await rig().node("node-1").power.off();
  const opened = await rig().untilFencing("node-1", "in vain", ({ status }) => status?.message !== undefined);
  const { name } = opened.metadata;

  await rig().kubectl(
    "annotate",
    "nodefencing",
    name,
    "holdfast.dev/confirm-off=boot-of-another",
    "holdfast.dev/confirm-off-by=ada",
  );
  const refused = await rig().untilFencing("node-1", "refused", ({ status }) => {
    return status?.refusedConfirmation !== undefined;
  });
  expect(refused.status?.proof).toBeUndefined();
  expect(refused.status?.refusedConfirmation?.message).toContain(opened.spec.bootID);
  for (const [kind, about] of [
    ["Node", "node-1"],
    ["NodeFencing", name],
  ] as const) {
    const [event] = await waitFor(`a Warning about ${kind} ${about}`, async () => {
      const events = await eventsAbout(kind, about);
      return events.length > 0 ? events : undefined;
    });
    expect(event).toMatchObject({ type: "Warning", message: expect.stringContaining(opened.spec.bootID) });
  }
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);

  await rig().kubectl(
    "annotate",
    "--overwrite",
    "nodefencing",
    name,
    `holdfast.dev/confirm-off=${opened.spec.bootID}`,
  );
  const proven = await rig().untilFencing("node-1", "proven", ({ status }) => status?.proof !== undefined);
  expect(proven.status?.proof).toMatchObject({
    type: "Confirmed",
    bootID: opened.spec.bootID,
    confirmedBy: "ada",
    confirmedAt: expect.stringMatching(/^\d{4}-.*Z$/),
    confirmedWith: "kubectl-annotate",
  });
  await rig().untilRestarted([key]);
  expect(rig().resets("node-1")).toEqual([]);

  // It is that person who switches it on again; then it is trusted like any other.
  await rig().node("node-1").power.on();
  await rig().untilReturned("node-1");
});

test("a person's word about a node that is alive is refused, though they ask for it to be fenced: the device has to do it", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
  await rig().startLeader();
  const node = await rig().admin.request<{ readonly metadata: { readonly uid: string } }>({
    method: "GET",
    path: "/api/v1/nodes/node-2",
  });
  const now = new Date().toISOString();
  await rig().admin.request({
    method: "POST",
    path: "/apis/holdfast.dev/v1alpha1/nodefencings",
    body: {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "NodeFencing",
      metadata: {
        name: "by-hand",
        annotations: {
          "holdfast.dev/confirm-off": rig().node("node-2").bootID,
          "holdfast.dev/confirm-off-by": "ada",
        },
      },
      spec: {
        nodeName: "node-2",
        nodeUID: node.ok ? node.value.metadata.uid : "",
        bootID: rig().node("node-2").bootID,
        reason: "Requested",
        detectedAt: now,
        lastSeenAt: now,
      },
    },
  });
  const refused = await rig().untilFencing("node-2", "refused", ({ status }) => {
    return status?.refusedConfirmation !== undefined;
  });
  expect(refused.status?.refusedConfirmation?.message).toMatch(/signs of life/);
  await rig().untilRestarted([key]);
  const { status } = await rig().untilReturned("node-2");
  expect(status?.proof).toMatchObject({ type: "PowerOff" });
});
