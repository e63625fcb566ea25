import { describe, expect, it } from "vitest";
import { performQuarantine, performTaint, performUntaint } from "../../src/act/taint.ts";
import type { PerformedStep } from "../../src/act/outcome.ts";
import type { FakeObject } from "../support/fake-objects.ts";
import { ActScene, NODE, NODE_PATH } from "./act-fixture.ts";

const OURS = { key: "node.kubernetes.io/out-of-service", value: "holdfast", effect: "NoSchedule" };
const THEIRS = { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" };
const UNREACHABLE = {
  key: "node.kubernetes.io/unreachable",
  effect: "NoExecute",
  timeAdded: "2026-11-22T00:00:00Z",
};

function taints(scene: ActScene): unknown {
  return (scene.api.objects.peek(NODE_PATH) as FakeObject).spec?.["taints"];
}

function setTaints(scene: ActScene, ...list: readonly object[]): void {
  scene.api.objects.change(NODE_PATH, (node) => (node.spec = { taints: list }));
}

function taint(scene: ActScene): Promise<PerformedStep> {
  return performTaint({ kind: "Taint", node: NODE, proof: scene.proof() }, scene.context());
}

function untaint(scene: ActScene): Promise<PerformedStep> {
  return performUntaint({ kind: "Untaint", node: NODE }, scene.context());
}

/** Somebody else adds a taint each time after we have read the node, `times` times. */
function interfere(scene: ActScene, times: number): void {
  let left = times;
  scene.api.intercept = ({ method }) => {
    if (method !== "PATCH" || left === 0) return undefined;
    left -= 1;
    scene.api.objects.change(NODE_PATH, (node) => {
      const before = (node.spec?.["taints"] ?? []) as object[];
      node.spec = { taints: [...before, { key: `theirs-${times - left}`, effect: "NoSchedule" }] };
    });
    return undefined;
  };
}

describe("the out-of-service taint", () => {
  it("is added to the taints that stand, which stay as they are", async () => {
    const scene = new ActScene();
    expect(await taint(scene)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([UNREACHABLE, OURS]);
    expect(scene.ownWrites).toEqual([`nodes/${NODE}`]);
  });

  it("leaves everything else of the node alone", async () => {
    const scene = new ActScene();
    const before = scene.api.objects.peek(NODE_PATH);
    await taint(scene);
    const after = scene.api.objects.peek(NODE_PATH);
    expect(after?.metadata.labels).toEqual(before?.metadata.labels);
    expect(after?.status).toEqual(before?.status);
  });

  it("does not lose a taint that somebody adds in between: it is written onto the node as it then is", async () => {
    const scene = new ActScene();
    interfere(scene, 2);
    expect(await taint(scene)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([
      UNREACHABLE,
      { key: "theirs-1", effect: "NoSchedule" },
      { key: "theirs-2", effect: "NoSchedule" },
      OURS,
    ]);
  });

  it("gives up against somebody who never stops writing, and says so", async () => {
    const scene = new ActScene();
    interfere(scene, 1_000);
    expect(await taint(scene)).toMatchObject({ outcome: "conflict" });
    expect(scene.api.writes).toHaveLength(5);
  });

  it("is not set on another incarnation of the node", async () => {
    const scene = new ActScene();
    scene.reboot();
    expect(await taint(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining("boot-2"),
    });
    expect(scene.api.writes).toEqual([]);
  });

  it("is not set on another Node object of the same name, even when it appears in between", async () => {
    const scene = new ActScene();
    scene.api.intercept = ({ method }) => {
      if (method === "PATCH")
        scene.api.objects.change(NODE_PATH, (node) => (node.metadata.uid = "other-uid"));
      return undefined;
    };
    expect(await taint(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining("other-uid"),
    });
    expect(taints(scene)).toEqual([UNREACHABLE]);
  });

  for (const [what, standing] of [
    ["ours stands already", OURS],
    [
      "somebody else's stands with the same effect, of which there can be one only",
      { ...THEIRS, effect: "NoSchedule" },
    ],
  ] as const) {
    it(`is not written when ${what}`, async () => {
      const scene = new ActScene();
      setTaints(scene, standing);
      expect(await taint(scene)).toMatchObject({ outcome: "unchanged" });
      expect(scene.api.writes).toEqual([]);
    });
  }

  it("is set beside somebody else's with another effect", async () => {
    const scene = new ActScene();
    setTaints(scene, THEIRS);
    expect(await taint(scene)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([THEIRS, OURS]);
  });

  it("needs no setting on a node whose object is gone", async () => {
    const scene = new ActScene();
    scene.api.objects.drop(NODE_PATH);
    expect(await taint(scene)).toMatchObject({ outcome: "unchanged" });
  });
});

describe("lifting the taint", () => {
  it("removes ours and nobody else's", async () => {
    const scene = new ActScene();
    setTaints(scene, THEIRS, OURS, UNREACHABLE);
    expect(await untaint(scene)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([THEIRS, UNREACHABLE]);
  });

  it("also removes ours where another version of us gave it another effect", async () => {
    const scene = new ActScene();
    setTaints(scene, { ...OURS, effect: "NoExecute" });
    expect(await untaint(scene)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([]);
  });

  it("does not lose a taint that somebody adds in between", async () => {
    const scene = new ActScene();
    setTaints(scene, OURS);
    interfere(scene, 1);
    expect(await untaint(scene)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([{ key: "theirs-1", effect: "NoSchedule" }]);
  });

  it("writes nothing where ours is not there", async () => {
    const scene = new ActScene();
    setTaints(scene, THEIRS);
    expect(await untaint(scene)).toMatchObject({ outcome: "unchanged" });
    expect(scene.api.writes).toEqual([]);
  });
});

describe("a quarantine", () => {
  const step = (untilSeconds: number | undefined) =>
    ({ kind: "Quarantine", node: NODE, untilSeconds }) as const;
  const QUARANTINE = { key: "holdfast.dev/quarantine", value: "1795000000", effect: "NoSchedule" };
  const perform = (scene: ActScene, untilSeconds: number | undefined) =>
    scene.finish(performQuarantine(step(untilSeconds), scene.context()));

  it("is a taint with its end, beside every other taint, and goes without touching them", async () => {
    const scene = new ActScene();
    setTaints(scene, UNREACHABLE, THEIRS, OURS);
    expect(await perform(scene, 1_795_000_000)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([UNREACHABLE, THEIRS, OURS, QUARANTINE]);
    expect(await perform(scene, undefined)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([UNREACHABLE, THEIRS, OURS]);
  });

  it("is not moved where one stands, nor lifted where none does", async () => {
    const scene = new ActScene();
    setTaints(scene, QUARANTINE);
    expect(await perform(scene, 1_999_999_999)).toMatchObject({ outcome: "unchanged" });
    setTaints(scene, THEIRS);
    expect(await perform(scene, undefined)).toMatchObject({ outcome: "unchanged" });
    expect(scene.api.writes).toEqual([]);
  });

  it("does not lose a taint that somebody adds in between", async () => {
    const scene = new ActScene();
    interfere(scene, 1);
    expect(await perform(scene, 1_795_000_000)).toEqual({ outcome: "done" });
    expect(taints(scene)).toEqual([UNREACHABLE, { key: "theirs-1", effect: "NoSchedule" }, QUARANTINE]);
  });
});
