import { describe, expect, it } from "vitest";
import type { FencingLevel } from "../../src/model/fencing.ts";
import { STORAGE_CLIENTS_ANNOTATION } from "../../src/model/storage-clients.ts";
import { type Cluster, level, NOW, NOW_MS, type NodeWords, stepsOf, threeNodes } from "./builder.ts";

const CEPH: FencingLevel = {
  name: "ceph",
  method: "NetworkFence",
  timeoutMs: 60_000,
  retries: 0,
  backoffMs: 5_000,
  acceptWeakProof: ["StorageFenced"],
  networkFence: { className: "ceph", cidrs: [] },
};

const record = (bootID: string, classes: object = { ceph: ["10.0.0.1/32"] }): string =>
  JSON.stringify({ bootID, recordedAt: NOW, classes });

function cluster(annotation?: string, node: NodeWords = {}): Cluster {
  const made = threeNodes()
    .topology("bmc", {
      levels: [level("bmc"), CEPH],
      nodeSelector: { matchLabels: { "kubernetes.io/hostname": "n1" } },
    })
    .node("n1", node);
  const fact = made.nodes.get("n1");
  if (fact !== undefined && annotation !== undefined) {
    made.nodes.set("n1", { ...fact, annotations: { [STORAGE_CLIENTS_ANNOTATION]: annotation } });
  }
  return made;
}

describe("the addresses by which the storage knows a node", () => {
  it("are recorded for every boot of a healthy node whose topology may fence its storage", () => {
    expect(stepsOf(cluster().decide(), "RecordStorageClients")).toMatchObject([
      { node: "n1", bootID: "boot-n1-1", wanted: [{ className: "ceph" }] },
    ]);
  });

  it.each<[string, string, number]>([
    ["that boot are on record", record("boot-n1-1"), 0],
    ["an earlier boot are on record", record("boot-n1-0"), 1],
    ["another class are on record", record("boot-n1-1", { nfs: ["10.0.0.1/32"] }), 1],
    ["a whole network are on record", record("boot-n1-1", { ceph: ["10.0.0.0/24"] }), 1],
    ["nobody are on record", record("boot-n1-1", { ceph: [] }), 1],
    ["nonsense is on record", "{", 1],
  ])("where those of %s: %s", (_what, annotation, steps) => {
    expect(stepsOf(cluster(annotation).decide(), "RecordStorageClients")).toHaveLength(steps);
  });

  it.each<[string, NodeWords]>([
    ["lost", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 }],
    ["late", { leaseSilentMs: 15_000 }],
    ["isolated", { leaseSilentMs: 60_000, heartbeatSilentMs: 9_000 }],
    ["without a boot ID", { bootID: undefined }],
  ])("are not recorded any more of a node that is %s", (_what, node) => {
    expect(stepsOf(cluster(undefined, node).decide(), "RecordStorageClients")).toEqual([]);
  });

  it("are not recorded by who has not seen the node's Lease renewed: it may be dead since before", () => {
    const made = cluster();
    const lease = made.leases.get("n1");
    if (lease === undefined) throw new Error("n1 has a Lease");
    made.leases.set("n1", { ...lease, renewal: { ...lease.renewal, firstSight: true } });
    expect(stepsOf(made.decide(), "RecordStorageClients")).toEqual([]);
    made.leases.delete("n1");
    expect(stepsOf(made.decide(), "RecordStorageClients")).toEqual([]);
  });

  it("are not recorded while a fencing of the node is open", () => {
    expect(stepsOf(cluster().fencing("n1").decide(), "RecordStorageClients")).toEqual([]);
  });

  it("are to be recorded before anybody can judge the node lost", () => {
    const [step] = stepsOf(cluster(undefined, { leaseSilentMs: 4_000 }).decide(), "RecordStorageClients");
    expect(step?.validUntilMs).toBe(NOW_MS + 18_000);
  });

  it("are nobody's business where no level fences storage", () => {
    expect(stepsOf(threeNodes().decide(), "RecordStorageClients")).toEqual([]);
  });
});
