import { describe, expect, it } from "vitest";
import { NODE_READING_MAX_AGE_MS } from "../../src/act/fresh-nodes.ts";
import { performRelease } from "../../src/act/release.ts";
import { performTaint } from "../../src/act/taint.ts";
import type { PodRef, ReleaseStep } from "../../src/model/plan.ts";
import { failing } from "../support/fake-api.ts";
import { ActScene, NODE, NODE_PATH } from "./act-fixture.ts";

const TAINT = { key: "node.kubernetes.io/out-of-service", value: "holdfast", effect: "NoSchedule" };
const LAUNCHER: PodRef = { namespace: "prod", name: "virt-launcher-db-x", uid: "launcher-uid" };
const HOTPLUG: PodRef = { namespace: "prod", name: "hp-volume-db-x", uid: "hotplug-uid" };
const GET_NODE = `GET ${NODE_PATH}`;

function pathOf(pod: PodRef): string {
  return `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`;
}

/** A node that is proven off and tainted, with the pods of one VM. */
function tainted(...pods: readonly PodRef[]): ActScene {
  const scene = new ActScene();
  scene.api.objects.change(NODE_PATH, (node) => (node.spec = { taints: [TAINT] }));
  for (const pod of pods) scene.api.objects.seed(pathOf(pod), { metadata: { uid: pod.uid } });
  return scene;
}

function stepFor(scene: ActScene, ...pods: readonly PodRef[]): ReleaseStep {
  return { kind: "Release", vmKey: "prod/db", pods, proof: scene.proof(), priority: 500 };
}

describe("a release", () => {
  it("deletes all pods of the VM at once and by force, each by its UID, and the facts know", async () => {
    const scene = tainted(LAUNCHER, HOTPLUG);
    expect(await performRelease(stepFor(scene, LAUNCHER, HOTPLUG), scene.context())).toEqual({
      outcome: "done",
    });
    expect(scene.api.seen.filter(({ method }) => method === "DELETE").map(({ body }) => body)).toEqual(
      [LAUNCHER, HOTPLUG].map(({ uid }) => ({
        apiVersion: "v1",
        kind: "DeleteOptions",
        preconditions: { uid },
        gracePeriodSeconds: 0,
      })),
    );
    expect(scene.ownDeletes).toEqual([
      `launcherPods/prod/${LAUNCHER.name}/${LAUNCHER.uid}`,
      `launcherPods/prod/${HOTPLUG.name}/${HOTPLUG.uid}`,
    ]);
  });

  it("is done where the pods are gone already", async () => {
    const scene = tainted();
    expect(await performRelease(stepFor(scene, LAUNCHER), scene.context())).toEqual({ outcome: "done" });
    expect(scene.ownDeletes).toHaveLength(1);
  });

  it("leaves a newer pod of the same name alone", async () => {
    const newer = { ...LAUNCHER, uid: "newer-uid" };
    const scene = tainted(newer);
    expect(await performRelease(stepFor(scene, LAUNCHER), scene.context())).toEqual({ outcome: "done" });
    expect(scene.api.objects.peek(pathOf(newer))).toBeDefined();
  });

  it("does not call a pod gone that a finalizer still holds", async () => {
    const scene = tainted(LAUNCHER);
    scene.api.objects.change(pathOf(LAUNCHER), (pod) => (pod.metadata.finalizers = ["example.com/keep"]));
    expect(await performRelease(stepFor(scene, LAUNCHER), scene.context())).toEqual({ outcome: "done" });
    expect(scene.ownDeletes).toEqual([]);
  });

  it("is tried again when one of its deletes was not heard", async () => {
    const scene = tainted(LAUNCHER, HOTPLUG);
    scene.api.intercept = ({ path }) => (path === pathOf(HOTPLUG) ? failing("timeout") : undefined);
    expect(await performRelease(stepFor(scene, LAUNCHER, HOTPLUG), scene.context())).toMatchObject({
      outcome: "retry",
    });
  });

  it("goes ahead where the Node object is gone", async () => {
    const scene = tainted(LAUNCHER);
    scene.api.objects.drop(NODE_PATH);
    expect(await performRelease(stepFor(scene, LAUNCHER), scene.context())).toEqual({ outcome: "done" });
  });

  const CONTRADICTIONS: readonly (readonly [string, (scene: ActScene) => void, string])[] = [
    ["another boot ID", (scene) => scene.reboot(), "boot-2"],
    [
      "another UID",
      (scene) => {
        scene.api.objects.change(NODE_PATH, (node) => (node.metadata.uid = "other-uid"));
      },
      "other-uid",
    ],
    [
      "no out-of-service taint",
      (scene) => {
        scene.api.objects.change(NODE_PATH, (node) => (node.spec = {}));
      },
      "taint",
    ],
  ];
  for (const [what, happens, why] of CONTRADICTIONS) {
    it(`is refused, and no pod touched, where the node now has ${what}`, async () => {
      const scene = tainted(LAUNCHER);
      const step = stepFor(scene, LAUNCHER);
      happens(scene);
      expect(await performRelease(step, scene.context())).toMatchObject({
        outcome: "refused",
        detail: expect.stringContaining(why),
      });
      expect(scene.api.writes).toEqual([]);
    });
  }

  it("does not go ahead where the node cannot be read", async () => {
    const scene = tainted(LAUNCHER);
    scene.api.intercept = ({ line }) => (line === GET_NODE ? failing("timeout") : undefined);
    expect(await performRelease(stepFor(scene, LAUNCHER), scene.context())).toMatchObject({
      outcome: "retry",
    });
    expect(scene.api.writes).toEqual([]);
  });
});

describe("a hundred releases", () => {
  const pods = Array.from({ length: 100 }, (_, i) => ({
    ...LAUNCHER,
    name: `virt-launcher-${i}`,
    uid: `uid-of-${i}`,
  }));

  it("read the node once between them", async () => {
    const scene = tainted(...pods);
    const context = scene.context();
    await Promise.all(pods.map((pod) => performRelease(stepFor(scene, pod), context)));
    expect(scene.api.seen.filter(({ line }) => line === GET_NODE)).toHaveLength(1);
    expect(scene.api.writes).toHaveLength(100);
  });

  it("read it anew when the reading is older than a second, and notice that it is back", async () => {
    const scene = tainted(...pods);
    const context = scene.context();
    expect(await performRelease(stepFor(scene, pods[0] as PodRef), context)).toEqual({ outcome: "done" });
    scene.reboot();
    await scene.clock.advance(NODE_READING_MAX_AGE_MS + 1);
    expect(await performRelease(stepFor(scene, pods[1] as PodRef), context)).toMatchObject({
      outcome: "refused",
    });
  });

  it("do not rely on a reading from before our taint, nor on one that failed", async () => {
    const scene = new ActScene();
    scene.api.objects.seed(pathOf(LAUNCHER), { metadata: { uid: LAUNCHER.uid } });
    const context = scene.context();
    scene.api.intercept = ({ line }) => (line === GET_NODE ? failing("unreachable") : undefined);
    expect(await performRelease(stepFor(scene, LAUNCHER), context)).toMatchObject({ outcome: "retry" });
    scene.api.intercept = () => undefined;
    expect(await performRelease(stepFor(scene, LAUNCHER), context)).toMatchObject({ outcome: "refused" });
    await performTaint({ kind: "Taint", node: NODE, proof: scene.proof() }, context);
    expect(await performRelease(stepFor(scene, LAUNCHER), context)).toEqual({ outcome: "done" });
  });
});
