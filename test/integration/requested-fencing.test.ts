// A person has a living node fenced, on the real API server: it is powered off, proven off, and its VMs come back elsewhere.
import { expect, test } from "vitest";
import { apply } from "../../lab/holdfast/install.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4 });

/** Writes what deploy/samples/node-fencing.yaml shows. */
async function request(node: string, change: { readonly bootID?: string } = {}): Promise<void> {
  const read = await rig().admin.request<{
    readonly metadata: { readonly uid: string };
    readonly status: { readonly nodeInfo: { readonly bootID: string } };
  }>({ method: "GET", path: `/api/v1/nodes/${node}` });
  if (!read.ok) throw new Error(read.message);
  const at = new Date().toISOString();
  const spec = {
    nodeName: node,
    nodeUID: read.value.metadata.uid,
    bootID: change.bootID ?? read.value.status.nodeInfo.bootID,
    reason: "Requested",
    message: "power supply smoking",
    detectedAt: at,
    lastSeenAt: at,
  };
  await apply(rig().admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "NodeFencing",
    metadata: { name: `${node}-by-hand-${rig().namespace}` },
    spec,
  } as never);
}

test("a request that names another boot ID is refused, and nothing is done", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
  await rig().startLeader();
  await request("node-2", { bootID: "somebody-elses" });
  const refused = await rig().untilFencing("node-2", "refused", ({ status }) => status?.phase === "Aborted");
  expect(refused.status?.message).toContain("somebody-elses");
  expect(rig().resets("node-2")).toEqual([]);
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);
});

test("a living node is powered off once, proven off, its VMs restarted, and it returns", async () => {
  const keys = await rig().createRunning({ name: "a", on: "node-1" }, { name: "b", on: "node-1" });
  await rig().startLeader();
  await request("node-1");
  await rig().untilRestarted(keys);
  const fencing = await rig().untilReturned("node-1");
  expect(fencing.status?.proof).toMatchObject({ type: "PowerOff", bootID: fencing.spec.bootID });
  const forced = rig()
    .resets("node-1")
    .filter(({ resetType }) => resetType === "ForceOff");
  expect(forced).toHaveLength(1);
  for (const key of keys)
    expect(rig().cluster.oracle.history(key)[0]).toMatchObject({ node: "node-1", end: "powerLoss" });
});
