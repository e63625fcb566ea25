// Fencing at the storage, on the real API server and with the operator's own rights: by the address that was on record
// before the failure, whatever the storage shows afterwards; undone only once the node runs with another boot ID.
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { useOperatorRig } from "../support/operator-rig.ts";
import { StandInCsiAddons } from "../support/stand-in-csi-addons.ts";

const TOPOLOGY = "/apis/holdfast.dev/v1alpha1/fencingtopologies/bmc";
const CLASS = "ceph";
const rig = useOperatorRig({ nodes: 3 });
let storage: StandInCsiAddons;
let started: StandInCsiAddons | undefined;

const addressOf = (node: string): string => `10.99.0.${node.slice("node-".length)}/32`;

beforeAll(async () => {
  started = new StandInCsiAddons(rig().admin);
  storage = started;
  await storage.start();
  for (const { name } of rig().cluster.fleet.nodes) await storage.tellClient(name, CLASS, addressOf(name));
  const level = {
    name: "ceph",
    method: "NetworkFence",
    timeout: "20s",
    networkFence: { networkFenceClassName: CLASS },
    acceptWeakProof: ["StorageFenced"],
  };
  await rig().patch(TOPOLOGY, { spec: { levels: [level] } });
});
afterAll(() => started?.stop());

async function untilRecorded(node: string): Promise<void> {
  await waitFor(`the storage address of ${node} is on record for its boot`, () => {
    const record = rig().cluster.view.nodes.get(node)?.metadata.annotations?.["holdfast.dev/storage-clients"];
    const boot = rig().node(node).bootID;
    return (boot !== undefined && record?.includes(boot) === true) || undefined;
  });
}

test("wrong-IP NetworkFence: a node is fenced by the address recorded before it failed, not by the one its VM's new node has, and is let in again only after its reboot", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  for (const node of ["node-1", "node-2", "node-3"]) await untilRecorded(node);
  // Fenced storage stops the old guest's disk; what the lab's oracle watches is the guest, so it goes down with it.
  const operations: string[] = [];
  storage.onOperation = (state, cidrs) => {
    operations.push(`${state} ${cidrs.join(",")} at boot ${rig().node("node-1").bootID}`);
    if (state === "Fenced" && cidrs.includes(addressOf("node-1"))) void rig().node("node-1").power.off();
  };
  const before = rig().node("node-1").bootID;
  rig().node("node-1").cutApi();
  // From now on the storage shows the node that its VMs will move to, as a volume's list of watchers does.
  await storage.tellClient("node-1-moved", CLASS, addressOf("node-2"));
  await rig().untilRestarted([key]);
  const proven = rig().fencings("node-1").at(-1);
  expect(proven?.status?.proof).toMatchObject({
    type: "StorageFenced",
    bootID: before,
    cidrs: [addressOf("node-1")],
    acceptedAs: "StorageFenced",
  });
  expect([...storage.refused]).toEqual([addressOf("node-1")]);

  await rig().node("node-1").power.on();
  rig().node("node-1").healApi();
  const returned = await rig().untilReturned("node-1");
  expect(returned.status?.storageUnfencedAt).toBeDefined();
  expect([...storage.refused]).toEqual([]);
  expect(await storage.fences()).toEqual([]);
  const [fenced, unfenced, ...more] = operations;
  expect(more).toEqual([]);
  expect(fenced).toBe(`Fenced ${addressOf("node-1")} at boot ${before}`);
  expect(unfenced).toMatch(/^Unfenced /);
  expect(unfenced).not.toContain(before);
  // The new boot's address is on record again.
  await untilRecorded("node-1");
});
