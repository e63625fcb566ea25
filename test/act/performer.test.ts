import { describe, expect, it } from "vitest";
import { identityOf, performStep, priorityOf, queueKeyOf } from "../../src/act/performer.ts";
import type { Step } from "../../src/model/plan.ts";
import { ActScene, BY_FACTS, NODE } from "./act-fixture.ts";
import { FakeDevice } from "./fake-device.ts";
import { PROTECTION, sampleSteps } from "./sample-steps.ts";

const KINDS = Object.keys(sampleSteps(new ActScene())) as Step["kind"][];

function note(reason: string) {
  const about = { apiVersion: "v1", kind: "Node", namespace: undefined, name: NODE, uid: "node-uid" };
  return { about, type: "Normal", reason, message: "said" } as const;
}

describe("every step", () => {
  for (const kind of KINDS) {
    it(`${kind}: sends nothing when we do not lead`, async () => {
      const scene = new ActScene();
      const device = new FakeDevice(scene.clock);
      scene.device = device;
      const step = sampleSteps(scene)[kind];
      scene.leading = false;
      expect(await performStep(step, scene.context())).toMatchObject({ outcome: "stale" });
      expect(scene.api.seen).toEqual([]);
      expect(device.seen).toEqual([]);
    });

    it(`${kind}: sends nothing more once leadership ends with one of its requests`, async () => {
      const scene = new ActScene();
      const device = new FakeDevice(scene.clock);
      scene.device = device;
      const step = sampleSteps(scene)[kind];
      let sentBefore = 0;
      scene.api.intercept = () => {
        if (scene.leading) sentBefore = scene.api.seen.length;
        scene.leading = false;
        return undefined;
      };
      await scene.finish(performStep(step, scene.context()));
      const sentAfter = scene.api.seen.slice(sentBefore).filter(({ query }) => query !== BY_FACTS.query);
      expect(sentAfter).toEqual([]);
      expect(device.requests).toEqual([]);
    });

    it(`${kind}: bounds every request by a deadline and by our leadership`, async () => {
      const scene = new ActScene();
      const step = sampleSteps(scene)[kind];
      await scene.finish(performStep(step, scene.context()));
      for (const request of scene.api.seen) {
        if (request.query === BY_FACTS.query) continue;
        expect(request.signal, request.line).toBe(scene.leadership.signal);
        expect(request.deadlineMs, request.line).toBeGreaterThan(0);
      }
    });
  }
});

describe("a step's Events", () => {
  it("are recorded once it took effect", async () => {
    const scene = new ActScene();
    const context = scene.context();
    const step = { ...sampleSteps(scene).Taint, events: [note("NodeFenced")] };
    expect(await performStep(step, context)).toEqual({ outcome: "done" });
    await context.events.settled();
    expect(scene.api.objects.list("/api/v1/namespaces/default/events")).toHaveLength(1);
  });

  it("are not recorded when it changed nothing", async () => {
    const scene = new ActScene();
    const context = scene.context();
    const step = { ...sampleSteps(scene).Untaint, events: [note("NodeReturned")] };
    expect(await performStep(step, context)).toMatchObject({ outcome: "unchanged" });
    await context.events.settled();
    expect(scene.api.writes).toEqual([]);
  });
});

describe("the queue", () => {
  const steps = sampleSteps(new ActScene());

  it("works on one node's ledger, power and taint one after the other", () => {
    const kinds = ["OpenFencing", "Fence", "WriteFencing", "Taint", "PowerOn", "Untaint"] as const;
    expect(new Set(kinds.map((kind) => queueKeyOf(steps[kind])))).toEqual(new Set([`node/${NODE}`]));
  });

  it("never lets a long fencing hold up a fresh look at the node or the release of its VMs", () => {
    expect(queueKeyOf(steps.RefreshNode)).not.toBe(queueKeyOf(steps.Fence));
    expect(queueKeyOf(steps.Release)).not.toBe(queueKeyOf(steps.Fence));
  });

  it("keeps apart what one turn may want for the same VM, since only the newest step of a key is kept", () => {
    const kinds = ["Release", "StartVM", "CreateMigration", "WriteProtection", "ApplyProtection"] as const;
    expect(new Set(kinds.map((kind) => queueKeyOf(steps[kind]))).size).toBe(kinds.length);
  });

  it("tells any two different steps apart", () => {
    expect(new Set(KINDS.map((kind) => identityOf(steps[kind]))).size).toBe(KINDS.length);
  });

  it("sees one step in two writes from the same version, and two in writes from different ones", () => {
    const step = steps.WriteProtection;
    const later = { ...step, status: { ...step.status, node: "worker-2" } };
    const newer = { ...later, protection: { ...PROTECTION, resourceVersion: "6" } };
    expect(identityOf(later)).toBe(identityOf(step));
    expect(identityOf(newer)).not.toBe(identityOf(step));
  });

  it("tells a fencing's next attempt from its last, but not from itself under way", () => {
    const attempt = {
      number: 1,
      level: "bmc",
      method: "Redfish",
      epoch: 7,
      startedAt: "2026-11-22T00:00:00.000Z",
    } as const;
    const after = (outcome: "Started" | "StillOn"): Step => {
      const { fencing } = steps.Fence;
      const status = { ...fencing.status, attempts: [{ ...attempt, outcome }] };
      return { ...steps.Fence, fencing: { ...fencing, resourceVersion: "999", status } };
    };
    expect(identityOf(after("Started"))).toBe(identityOf(steps.Fence));
    expect(identityOf(after("StillOn"))).not.toBe(identityOf(steps.Fence));
  });

  it("fences first, then taints, then releases by priority, and writes statuses last", () => {
    const release = (priority: number): Step => ({ ...steps.Release, priority });
    const failover = {
      fromNode: NODE,
      vmiUID: "vmi-uid",
      lastGoodAt: "",
      lostAt: "",
      phase: "Recovering",
      message: "",
    } as const;
    const order: readonly Step[] = [
      steps.Fence,
      steps.Taint,
      release(1_000),
      release(500),
      release(0),
      steps.StartVM,
      steps.CreateMigration,
      { ...steps.WriteProtection, status: { ...steps.WriteProtection.status, failover } },
      steps.WriteProtection,
      steps.ApplyProtection,
      steps.WriteSummary,
    ];
    const priorities = order.map(priorityOf);
    expect(priorities).toEqual([...priorities].sort((a, b) => a - b));
    expect(new Set(priorities).size).toBe(order.length);
  });
});
