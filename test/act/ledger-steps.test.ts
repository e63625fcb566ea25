import { describe, expect, it } from "vitest";
import { performStep } from "../../src/act/performer.ts";
import type { FencingStatus } from "../../src/model/fencing.ts";
import { nodeFencing } from "../../src/api/node-fencing.ts";
import { ActScene, BOOT_ID, EPOCH, FENCING_PATH, FENCINGS, NODE, NODE_UID } from "./act-fixture.ts";
import { sampleSteps } from "./sample-steps.ts";

function write(scene: ActScene, change: Partial<FencingStatus>, epoch = EPOCH) {
  const fencing = scene.fencingFact();
  const step = { kind: "WriteFencing", fencing, status: { ...fencing.status, ...change } } as const;
  return performStep(step, scene.context(epoch));
}

describe("opening a fencing", () => {
  it("writes down which incarnation of which node, and why", async () => {
    const scene = new ActScene();
    expect(await performStep(sampleSteps(scene).OpenFencing, scene.context())).toEqual({ outcome: "done" });
    const opened = nodeFencing.stored.parse(scene.api.objects.peek(`${FENCINGS}/nf-worker-1-2`));
    expect(opened.spec).toEqual({
      nodeName: NODE,
      nodeUID: NODE_UID,
      bootID: BOOT_ID,
      topology: "all",
      reason: "NodeLost",
      message: "no sign of life for 25 s",
      detectedAt: "2026-11-22T00:00:25.000Z",
      lastSeenAt: "2026-11-22T00:00:00.000Z",
    });
    expect(scene.ownWrites).toEqual(["fencings/nf-worker-1-2"]);
  });

  it("is done where it is open already", async () => {
    const scene = new ActScene();
    const step = sampleSteps(scene).OpenFencing;
    await performStep(step, scene.context());
    const before = scene.api.objects.peek(`${FENCINGS}/nf-worker-1-2`);
    expect(await performStep(step, scene.context())).toEqual({ outcome: "done" });
    expect(scene.api.objects.peek(`${FENCINGS}/nf-worker-1-2`)).toEqual(before);
  });
});

describe("writing a ledger", () => {
  it("applies the whole status at the version it was computed from, under our name and epoch", async () => {
    const scene = new ActScene();
    const { uid, resourceVersion } = scene.fencing();
    expect(await write(scene, { phase: "Fencing", message: "waiting" })).toEqual({ outcome: "done" });
    expect(scene.api.seen).toMatchObject([
      {
        line: `PATCH ${FENCING_PATH}/status`,
        contentType: "application/apply-patch+yaml",
        query: { fieldManager: "holdfast", force: true },
        body: { metadata: { name: "nf-worker-1", uid, resourceVersion } },
      },
    ]);
    expect(scene.ledger).toMatchObject({ phase: "Fencing", message: "waiting", epoch: EPOCH });
  });

  it("computed from an older version is a conflict and changes nothing", async () => {
    const scene = new ActScene();
    const fencing = scene.fencing();
    scene.api.objects.change(FENCING_PATH, () => {});
    const before = scene.ledger;
    const step = { kind: "WriteFencing", fencing, status: { ...fencing.status, phase: "Aborted" } } as const;
    expect(await performStep(step, scene.context())).toMatchObject({ outcome: "conflict" });
    expect(scene.ledger).toEqual(before);
  });

  it("of the same name made anew since is a conflict as well", async () => {
    const scene = new ActScene();
    const fencing = scene.fencing();
    scene.fencing();
    const step = { kind: "WriteFencing", fencing, status: { ...fencing.status, phase: "Aborted" } } as const;
    expect(await performStep(step, scene.context())).toMatchObject({ outcome: "conflict" });
  });

  it("that a newer leader has written is refused, and nothing is sent", async () => {
    const scene = new ActScene();
    scene.fencing({ epoch: EPOCH + 1 });
    expect(await write(scene, { message: "late" })).toMatchObject({ outcome: "stale" });
    expect(scene.api.seen).toEqual([]);
  });

  it("that is gone asks for a new decision", async () => {
    const scene = new ActScene();
    const fencing = scene.fencing();
    scene.api.objects.drop(FENCING_PATH);
    const step = { kind: "WriteFencing", fencing, status: fencing.status } as const;
    expect(await performStep(step, scene.context())).toMatchObject({ outcome: "conflict" });
  });
});
