import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import { performRecordStorageClients } from "../../src/act/record-storage-clients.ts";
import { performUnfenceStorage } from "../../src/act/unfence-storage.ts";
import type { FencingLevel } from "../../src/model/fencing.ts";
import { parseStorageClients, STORAGE_CLIENTS_ANNOTATION } from "../../src/model/storage-clients.ts";
import { ActScene, BOOT_ID, EPOCH, FENCING_PATH, NODE, NODE_PATH } from "./act-fixture.ts";

const FENCES = "/apis/csiaddons.openshift.io/v1alpha1/networkfences";
const ADDONS_NODES = "/apis/csiaddons.openshift.io/v1alpha1/csiaddonsnodes";
const CIDR = "10.0.0.7/32";
/** A minute before the node of the scene was judged lost. */
const BEFORE = "2026-11-21T23:59:00.000Z";
const FENCED = "fencing operation successful";
const UNFENCED = "unfencing operation successful";
const NO_LEADER = "no leader for the driver";

const LEVEL: FencingLevel = {
  name: "ceph",
  method: "NetworkFence",
  timeoutMs: 30_000,
  retries: 0,
  backoffMs: 5_000,
  acceptWeakProof: ["StorageFenced"],
  networkFence: { className: "ceph", cidrs: [] },
};

function storageScene(record: object | string | undefined = {}): ActScene {
  const scene = new ActScene();
  scene.api.objects.serve(FENCES);
  scene.api.objects.serve("/api/v1/nodes");
  if (record !== undefined) note(scene, record);
  scene.fencing();
  return scene;
}

function note(scene: ActScene, record: object | string): void {
  const full = { bootID: BOOT_ID, recordedAt: BEFORE, classes: { ceph: [CIDR] } };
  scene.api.objects.change(NODE_PATH, (node) => {
    const text = typeof record === "string" ? record : JSON.stringify({ ...full, ...record });
    node.metadata.annotations = { [STORAGE_CLIENTS_ANNOTATION]: text };
  });
}

function fence(scene: ActScene, mayPowerOff = true, level = LEVEL) {
  const step = { kind: "Fence", fencing: scene.fencingFact(), level, mayPowerOff } as const;
  return scene.finish(performFence(step, scene.context()));
}

function unfence(scene: ActScene) {
  const step = { kind: "UnfenceStorage", fencing: scene.fencingFact() } as const;
  return scene.finish(performUnfenceStorage(step, scene.context()));
}

const fences = (scene: ActScene) =>
  scene.api.objects.list(FENCES).flatMap((path) => scene.api.objects.peek(path) ?? []);

/** CSI-Addons has done what the objects ask for. */
function done(scene: ActScene, message: string, result = "Succeeded"): void {
  for (const path of scene.api.objects.list(FENCES))
    scene.api.objects.change(path, (object) => (object.status = { result, message }));
}

describe("an attempt at the storage", () => {
  it("fences the addresses that were on record, and is proven by the result read back for exactly those", async () => {
    const scene = storageScene();
    scene.clock.schedule(5_000, () => done(scene, FENCED));
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(fences(scene)).toMatchObject([
      {
        metadata: { labels: { "holdfast.dev/fencing": scene.fencingFact().uid } },
        spec: { networkFenceClassName: "ceph", fenceState: "Fenced", cidrs: [CIDR] },
      },
    ]);
    // Deleting the ledger must not give the node its disks back.
    expect(fences(scene)[0]?.metadata).not.toHaveProperty("ownerReferences");
    expect(scene.ledger).toMatchObject({
      phase: "Fenced",
      epoch: EPOCH,
      attempts: [{ outcome: "StorageFenced", method: "NetworkFence" }],
      proof: { type: "StorageFenced", bootID: BOOT_ID, cidrs: [CIDR], acceptedAs: "StorageFenced" },
    });
  });

  it.each<[string, object | string | undefined]>([
    ["nothing was recorded", undefined],
    ["the record is of an earlier boot", { bootID: "boot-0" }],
    ["the record is of another class", { classes: { nfs: [CIDR] } }],
    ["the record holds a whole network", { classes: { ceph: ["10.0.0.0/24"] } }],
    ["the record is nonsense", "{"],
  ])("makes nothing where %s", async (_what, record) => {
    const scene = storageScene();
    scene.api.objects.change(NODE_PATH, (node) => (node.metadata.annotations = {}));
    if (record !== undefined) note(scene, record);
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Misconfigured", answer: expect.stringContaining("recorded before it failed") },
    ]);
    expect(fences(scene)).toEqual([]);
  });

  it.each<[string, object]>([
    ["has it on record", { metadata: { annotations: { [STORAGE_CLIENTS_ANNOTATION]: recordOf("boot-9") } } }],
    ["has it as its own", { status: { addresses: [{ type: "InternalIP", address: "10.0.0.7" }] } }],
  ])("makes nothing where another node %s, which would lose its disks", async (_what, other) => {
    const scene = storageScene();
    scene.api.objects.seed("/api/v1/nodes/worker-2", other);
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Misconfigured", answer: expect.stringContaining("worker-2 has the address 10.0.0.7/32") },
    ]);
    expect(fences(scene)).toEqual([]);
  });

  it("begins nothing where the level does not accept what it would prove", async () => {
    const scene = storageScene();
    await fence(scene, true, { ...LEVEL, acceptWeakProof: [] });
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Misconfigured" }]);
    expect(fences(scene)).toEqual([]);
  });

  it.each<[string, { readonly requested?: true }]>([
    ["somebody's request", { requested: true }],
    ["a loss that we found", {}],
  ])("goes by the record for %s, whatever the clock of who made it said", async (_what, requested) => {
    const scene = storageScene({ recordedAt: "2026-11-22T02:00:00.000Z" });
    scene.clock.schedule(5_000, () => done(scene, FENCED));
    const fencing = { ...scene.fencingFact(), ...requested };
    const step = { kind: "Fence", fencing, level: LEVEL, mayPowerOff: true } as const;
    await scene.finish(performFence(step, scene.context()));
    expect(scene.ledger).toMatchObject({ phase: "Fenced", attempts: [{ outcome: "StorageFenced" }] });
  });

  it("makes nothing for a node that speaks again", async () => {
    const scene = storageScene();
    scene.renewLease({ noticed: false });
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }]);
    expect(fences(scene)).toEqual([]);
  });

  it.each<[string, (scene: ActScene) => void, string]>([
    ["failed", (scene) => done(scene, NO_LEADER, "Failed"), "Refused"],
    ["is of an unfencing", (scene) => done(scene, UNFENCED), "TimedOut"],
    ["is of other addresses", (scene) => changed(scene, { cidrs: ["10.0.0.8/32"] }), "Refused"],
    ["is of more addresses", (scene) => changed(scene, { cidrs: [CIDR, "10.0.0.8/32"] }), "Refused"],
    [
      "is of an object that was set back to Unfenced",
      (scene) => changed(scene, { fenceState: "Unfenced" }),
      "Refused",
    ],
    ["is of an object that was changed to and fro", (scene) => changed(scene, {}), "Refused"],
  ])("is not proven where the result %s", async (_what, happen, outcome) => {
    const scene = storageScene();
    scene.clock.schedule(3_000, () => happen(scene));
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([{ outcome }]);
    expect(scene.ledger.proof).toBeUndefined();
  });

  it("ends soon where it failed and stays so, which lets the next level begin; one that succeeds later proves the next attempt", async () => {
    const scene = storageScene();
    scene.clock.schedule(1_000, () => done(scene, NO_LEADER, "Failed"));
    await fence(scene);
    expect(scene.clock.now().monotonicMs).toBeLessThan(LEVEL.timeoutMs / 2);
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Refused", answer: expect.stringContaining(`Failed: ${NO_LEADER}`) },
    ]);
    done(scene, FENCED);
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(scene.ledger.proof).toMatchObject({ type: "StorageFenced", attempt: 2 });
    expect(fences(scene)).toHaveLength(1);
  });

  it("is not ended by a failure that CSI-Addons mends by trying again", async () => {
    const scene = storageScene();
    scene.clock.schedule(2_000, () => done(scene, NO_LEADER, "Failed"));
    scene.clock.schedule(5_000, () => done(scene, FENCED));
    expect(await fence(scene)).toEqual({ outcome: "done" });
  });

  it("only looks where nothing may be shot", async () => {
    const scene = storageScene();
    expect(await fence(scene, false)).toMatchObject({ outcome: "unchanged" });
    expect(scene.api.writes).toEqual([]);
  });

  it("makes one object, though the first leader died right after it", async () => {
    const scene = storageScene();
    scene.api.intercept = (request) => {
      if (request.method !== "POST") return undefined;
      const answer = scene.api.answer(request);
      scene.leading = false;
      return answer;
    };
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    scene.leading = true;
    scene.api.intercept = () => undefined;
    scene.clock.schedule(2_000, () => done(scene, FENCED));
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(fences(scene)).toHaveLength(1);
  });
});

describe("giving a node its storage back", () => {
  async function fenced(): Promise<ActScene> {
    const scene = storageScene();
    scene.clock.schedule(1_000, () => done(scene, FENCED));
    await fence(scene);
    return scene;
  }

  it("is refused while it shows the boot ID whose VMs were released: KubeVirt would resume its guests", async () => {
    const scene = await fenced();
    expect(await unfence(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining("could resume"),
    });
    expect(fences(scene)).toMatchObject([{ spec: { fenceState: "Fenced" } }]);
  });

  it("unfences, reads that back, and only then deletes: a deleted fence stays in force at the storage", async () => {
    const scene = await fenced();
    scene.reboot();
    const from = scene.api.writes.length;
    scene.clock.schedule(4_000, () => done(scene, UNFENCED));
    expect(await unfence(scene)).toEqual({ outcome: "done" });
    const [path = ""] = [
      ...new Set(scene.api.writes.slice(from, from + 2).map((line) => line.split(" ")[1])),
    ];
    expect(scene.api.writes.slice(from)).toEqual([
      `PATCH ${path}`,
      `DELETE ${path}`,
      `PATCH ${FENCING_PATH}/status`,
    ]);
    expect(scene.ledger.storageUnfencedAt).toBeDefined();
  });

  it("does not take the result of the fencing for that of the unfencing, and says what it waits for", async () => {
    const scene = await fenced();
    scene.reboot();
    expect(await unfence(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining(FENCED),
    });
    expect(fences(scene)).toMatchObject([{ spec: { fenceState: "Unfenced" } }]);
    expect(scene.ledger.storageUnfencedAt).toBeUndefined();
  });

  it("needs no reboot where nothing was proven, hence nothing released", async () => {
    const scene = storageScene();
    await fence(scene);
    scene.clock.schedule(2_000, () => done(scene, UNFENCED));
    expect(await unfence(scene)).toEqual({ outcome: "done" });
    expect(fences(scene)).toEqual([]);
  });
});

describe("recording a node's storage addresses", () => {
  function recordStep(cidrs: readonly string[] = []) {
    const wanted = [{ className: "ceph", cidrs }];
    const validUntilMs = Number.MAX_SAFE_INTEGER;
    return { kind: "RecordStorageClients", node: NODE, bootID: BOOT_ID, wanted, validUntilMs } as const;
  }
  function addonsNode(name: string, nodeID: string, cidrs: readonly string[], state = "Connected"): object {
    const status = {
      state,
      networkFenceClientStatus: [
        { networkFenceClassName: "ceph", ClientDetails: [{ id: "cluster-1", cidrs }] },
        { networkFenceClassName: "nfs", ClientDetails: [{ id: "x", cidrs: ["10.9.9.9/32"] }] },
      ],
    };
    return {
      metadata: { name, namespace: "rook" },
      spec: { driver: { name: "rbd", nodeID, endpoint: "e" } },
      status,
    };
  }
  function recordedOn(scene: ActScene) {
    const annotations = scene.api.objects.peek(NODE_PATH)?.metadata.annotations ?? {};
    return parseStorageClients(annotations[STORAGE_CLIENTS_ANNOTATION]);
  }

  it("takes what the node's connected CSI drivers tell for the class", async () => {
    const scene = new ActScene();
    scene.api.objects.serve(ADDONS_NODES);
    scene.api.objects.seed(`${ADDONS_NODES}/a`, addonsNode("a", NODE, [CIDR]));
    scene.api.objects.seed(`${ADDONS_NODES}/b`, addonsNode("b", NODE, ["10.0.0.9/32"], "Failed"));
    scene.api.objects.seed(`${ADDONS_NODES}/c`, addonsNode("c", "worker-2", ["10.0.0.8/32"]));
    const made = await scene.finish(performRecordStorageClients(recordStep(), scene.context()));
    expect(made).toEqual({ outcome: "done" });
    expect(recordedOn(scene)).toMatchObject({ bootID: BOOT_ID, classes: { ceph: [CIDR] } });
  });

  it("records nothing once the node may have been lost meanwhile, by our own clock", async () => {
    const scene = new ActScene();
    const step = { ...recordStep(["10.0.0.7"]), validUntilMs: scene.clock.now().monotonicMs };
    const made = await scene.finish(performRecordStorageClients(step, scene.context()));
    expect(made).toMatchObject({
      outcome: "conflict",
      detail: expect.stringContaining("heard too long ago"),
    });
    expect(recordedOn(scene)).toBeUndefined();
  });

  it("takes what the topology says, for this node", async () => {
    const scene = new ActScene();
    scene.api.objects.change(NODE_PATH, (node) => {
      node.metadata.annotations = { "example.com/ceph": "10.0.0.7, fd00::7" };
    });
    const step = recordStep(["${node.annotations['example.com/ceph']}"]);
    expect(await scene.finish(performRecordStorageClients(step, scene.context()))).toEqual({
      outcome: "done",
    });
    expect(recordedOn(scene)?.classes).toEqual({ ceph: ["10.0.0.7/32", "fd00::7/128"] });
  });

  it.each<[string, readonly string[], string]>([
    ["the node has no such annotation", ["${node.annotations['example.com/ceph']}"], "has no"],
    ["an address is a whole network", ["10.0.0.0/8"], "not single addresses"],
  ])("writes nothing where %s", async (_what, cidrs, why) => {
    const scene = new ActScene();
    const end = await scene.finish(performRecordStorageClients(recordStep(cidrs), scene.context()));
    expect(end).toMatchObject({ outcome: "refused", detail: expect.stringContaining(why) });
    expect(scene.api.writes).toEqual([]);
  });

  it("writes nothing once the node has rebooted", async () => {
    const scene = new ActScene();
    scene.reboot();
    const end = await scene.finish(performRecordStorageClients(recordStep(["10.0.0.7"]), scene.context()));
    expect(end).toMatchObject({ outcome: "conflict" });
    expect(scene.api.writes).toEqual([]);
  });
});

function recordOf(bootID: string): string {
  return JSON.stringify({ bootID, recordedAt: BEFORE, classes: { ceph: [CIDR] } });
}

/** Somebody writes the object; its generation tells. */
function changed(scene: ActScene, spec: object): void {
  for (const path of scene.api.objects.list(FENCES)) {
    scene.api.objects.change(path, (object) => {
      object.spec = { ...object.spec, ...spec };
      object.metadata.generation += 2;
      object.status = { result: "Succeeded", message: FENCED };
    });
  }
}
