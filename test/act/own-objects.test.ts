import { describe, expect, it } from "vitest";
import { performStep } from "../../src/act/performer.ts";
import type { Step } from "../../src/model/plan.ts";
import { readProtection } from "../../src/observe/facts/protection.ts";
import { failing } from "../support/fake-api.ts";
import { ActScene } from "./act-fixture.ts";
import { POLICY, PROTECTION, PROTECTION_STATUS, sampleSteps } from "./sample-steps.ts";

const HAVM = "/apis/holdfast.dev/v1alpha1/namespaces/prod/havirtualmachines/db";

function seeded(labels: Record<string, string> = {}): { scene: ActScene; resourceVersion: string } {
  const scene = new ActScene();
  const stored = scene.api.objects.seed(HAVM, {
    metadata: { namespace: "prod", uid: "havm-uid", labels },
    spec: { virtualMachineName: "db", priority: 1 },
  });
  return { scene, resourceVersion: stored.metadata.resourceVersion };
}

describe("a protection's status", () => {
  const condition = {
    type: "Protected",
    status: "True",
    reason: "Protected",
    message: "",
    lastTransitionTime: "2026-11-22T00:00:00.000Z",
  } as const;
  const status = { ...PROTECTION_STATUS, conditions: [condition], node: "worker-1" };

  it("is applied at the version it was computed from, its times as they are", async () => {
    const { scene, resourceVersion } = seeded();
    const step: Step = { kind: "WriteProtection", protection: { ...PROTECTION, resourceVersion }, status };
    expect(await performStep(step, scene.context())).toEqual({ outcome: "done" });
    expect(scene.api.objects.peek(HAVM)?.status).toEqual(status);
    expect(scene.ownWrites).toEqual(["protections/db"]);
  });

  it("is a conflict at any other version, and of an object made anew", async () => {
    const { scene, resourceVersion } = seeded();
    for (const stale of [{ resourceVersion: "1" }, { resourceVersion, uid: "earlier-uid" }]) {
      const step: Step = { kind: "WriteProtection", protection: { ...PROTECTION, ...stale }, status };
      expect(await performStep(step, scene.context())).toMatchObject({ outcome: "conflict" });
    }
    expect(scene.api.objects.peek(HAVM)?.status).toBeUndefined();
  });
});

describe("a summary", () => {
  for (const resource of ["fencingtopologies", "havirtualmachinepolicies", "fencingdisarms"] as const) {
    it(`of ${resource} is applied at its version`, async () => {
      const scene = new ActScene();
      const path = `/apis/holdfast.dev/v1alpha1/${resource}/all`;
      const { metadata } = scene.api.objects.seed(path, { spec: {} });
      const { resourceVersion } = metadata;
      const step: Step = {
        kind: "WriteSummary",
        resource,
        name: "all",
        resourceVersion,
        status: { coveredNodes: 3 },
      };
      expect(await performStep(step, scene.context())).toEqual({ outcome: "done" });
      expect(scene.api.objects.peek(path)?.status).toEqual({ coveredNodes: 3 });
      expect(await performStep(step, scene.context())).toMatchObject({ outcome: "conflict" });
    });
  }
});

describe("a protection that a policy wants", () => {
  it("is made from its template, marked as its own, and goes with its VM", async () => {
    const scene = new ActScene();
    expect(await performStep(sampleSteps(scene).ApplyProtection, scene.context())).toEqual({
      outcome: "done",
    });
    expect(scene.api.objects.peek(HAVM)).toMatchObject({
      kind: "HAVirtualMachine",
      metadata: {
        labels: { "holdfast.dev/policy": "gold", "app.kubernetes.io/managed-by": "holdfast" },
        annotations: { "holdfast.dev/policy-generation": "4" },
        ownerReferences: [
          { apiVersion: "kubevirt.io/v1", kind: "VirtualMachine", name: "db", uid: "vm-uid" },
        ],
      },
      spec: { virtualMachineName: "db", priority: 900, failover: { maxRestarts: 5 } },
    });
    expect(scene.api.seen.at(-1)).toMatchObject({ query: { fieldManager: "holdfast-policy", force: true } });
    expect(scene.ownWrites).toEqual(["protections/db"]);
  });

  it("is known again by the facts as that policy's, of that generation", async () => {
    const scene = new ActScene();
    await performStep(sampleSteps(scene).ApplyProtection, scene.context());
    const read = readProtection(scene.api.objects.peek(HAVM));
    expect(read).toMatchObject({ fact: { madeByPolicy: "gold", policyGeneration: 4, vmKey: "prod/db" } });
  });

  it("is brought up to the template, and left as it is once it is", async () => {
    const { scene } = seeded({ "holdfast.dev/policy": "silver" });
    const step = sampleSteps(scene).ApplyProtection;
    expect(await performStep(step, scene.context())).toEqual({ outcome: "done" });
    expect(scene.api.objects.peek(HAVM)?.spec).toEqual({ virtualMachineName: "db", ...POLICY.template });
    expect(await performStep(step, scene.context())).toMatchObject({ outcome: "unchanged" });
  });

  it("is not laid over one that a person wrote", async () => {
    const { scene } = seeded();
    expect(await performStep(sampleSteps(scene).ApplyProtection, scene.context())).toMatchObject({
      outcome: "refused",
    });
    expect(scene.api.writes).toEqual([]);
  });

  it("is not laid over one that a person writes between our look and our write", async () => {
    const scene = new ActScene();
    scene.api.intercept = ({ method }) => {
      if (method !== "POST" || scene.api.objects.peek(HAVM) !== undefined) return undefined;
      scene.api.objects.seed(HAVM, { metadata: { namespace: "prod" }, spec: { priority: 1 } });
      return undefined;
    };
    expect(await performStep(sampleSteps(scene).ApplyProtection, scene.context())).toMatchObject({
      outcome: "conflict",
      detail: expect.stringContaining("was written by somebody"),
    });
    expect(scene.api.objects.peek(HAVM)?.spec).toEqual({ priority: 1 });
    expect(scene.ownWrites).toEqual([]);
  });

  it("is completed by the next turn where we die after making it", async () => {
    const scene = new ActScene();
    scene.api.intercept = ({ method }) => (method === "PATCH" ? failing("timeout") : undefined);
    const step = sampleSteps(scene).ApplyProtection;
    expect(await performStep(step, scene.context())).toMatchObject({ outcome: "retry" });
    expect(readProtection(scene.api.objects.peek(HAVM))).toMatchObject({
      fact: { madeByPolicy: "gold", policyGeneration: undefined },
    });
    scene.api.intercept = () => undefined;
    expect(await performStep(step, scene.context())).toEqual({ outcome: "done" });
    expect(scene.api.objects.peek(HAVM)?.spec).toMatchObject(POLICY.template);
  });

  it("is not written onto one that was changed since we looked", async () => {
    const { scene } = seeded({ "holdfast.dev/policy": "gold" });
    scene.api.intercept = ({ method }) => {
      if (method === "PATCH") scene.api.objects.change(HAVM, (havm) => (havm.metadata.labels = {}));
      return undefined;
    };
    expect(await performStep(sampleSteps(scene).ApplyProtection, scene.context())).toMatchObject({
      outcome: "conflict",
    });
  });

  it("waits for one that is being deleted to be gone", async () => {
    const { scene } = seeded({ "holdfast.dev/policy": "gold" });
    scene.api.objects.change(HAVM, (havm) => (havm.metadata.deletionTimestamp = "now"));
    expect(await performStep(sampleSteps(scene).ApplyProtection, scene.context())).toMatchObject({
      outcome: "conflict",
    });
    expect(scene.api.writes).toEqual([]);
  });
});

describe("a protection that no policy wants any more", () => {
  it("is deleted, and the facts know", async () => {
    const { scene } = seeded();
    expect(await performStep(sampleSteps(scene).DeleteProtection, scene.context())).toEqual({
      outcome: "done",
    });
    expect(scene.ownDeletes).toEqual(["protections/prod/db/havm-uid"]);
  });

  it("is left alone when it was made anew since", async () => {
    const { scene } = seeded();
    const step: Step = { ...sampleSteps(scene).DeleteProtection, uid: "earlier-uid" };
    expect(await performStep(step, scene.context())).toMatchObject({ outcome: "unchanged" });
    expect(scene.api.objects.peek(HAVM)).toBeDefined();
  });
});
