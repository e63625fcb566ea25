import { describe, expect, it } from "vitest";
import { performPowerOn } from "../../src/act/power-on.ts";
import { ActScene, BOOT_ID, EPOCH, LEVEL, NODE_PATH, SECRET_PATH } from "./act-fixture.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

function sceneWith(state: "On" | "Off" | "PoweringOn") {
  const scene = new ActScene();
  const device = new FakeDevice(scene.clock, state);
  scene.device = device;
  return { scene, device };
}

function powerOn(scene: ActScene) {
  const fencing = scene.fencingFact();
  return scene.finish(performPowerOn({ kind: "PowerOn", fencing, level: LEVEL }, scene.context()));
}

describe("powering a node on", () => {
  it("asks once where it is off, waits until it reads On, and writes nothing", async () => {
    const { scene, device } = sceneWith("Off");
    scene.fencing({ phase: "Pending" });
    expect(await powerOn(scene)).toEqual({ outcome: "done" });
    expect(device.requests).toEqual(["on"]);
    expect(scene.api.writes).toEqual([]);
    expect(device.seen.at(-1)?.call).toBe("close");
  });

  for (const state of ["On", "PoweringOn"] as const) {
    it(`asks nothing of a machine that is ${state}`, async () => {
      const { scene, device } = sceneWith(state);
      scene.fencing();
      expect(await powerOn(scene)).toMatchObject({ outcome: "unchanged" });
      expect(device.requests).toEqual([]);
    });
  }

  it("goes by the state read back: a 204 that does nothing is no success", async () => {
    const { scene, device } = sceneWith("Off");
    device.misread = () => ({ ok: true, state: "Off", identity: IDENTITY });
    scene.fencing();
    expect(await powerOn(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining("Off"),
    });
    expect(device.requests).toEqual(["on"]);
    expect(scene.clock.now().monotonicMs).toBeLessThan(LEVEL.timeoutMs + 2_000);
  });

  it("does not switch on another machine", async () => {
    const { scene, device } = sceneWith("Off");
    scene.api.objects.change(NODE_PATH, (node) => {
      node.status = { nodeInfo: { bootID: BOOT_ID, systemUUID: "11111111-2222-3333-4444-555555555555" } };
    });
    scene.fencing();
    expect(await powerOn(scene)).toMatchObject({ outcome: "refused" });
    expect(device.requests).toEqual([]);
  });

  it("is refused where the device cannot be read", async () => {
    const { scene, device } = sceneWith("Off");
    device.misread = () => ({ ok: false, kind: "unreachable", message: "no route" });
    scene.fencing();
    expect(await powerOn(scene)).toMatchObject({ outcome: "refused", detail: "no route" });
  });

  it("asks for a new decision where the Secret is gone", async () => {
    const { scene } = sceneWith("Off");
    scene.api.objects.drop(SECRET_PATH);
    scene.fencing();
    expect(await powerOn(scene)).toMatchObject({ outcome: "conflict" });
  });

  it("is not done for a newer leader's ledger, nor for a closed one", async () => {
    const { scene, device } = sceneWith("Off");
    scene.fencing({ epoch: EPOCH + 1 });
    expect(await powerOn(scene)).toMatchObject({ outcome: "stale" });
    scene.fencing({ phase: "Aborted" });
    expect(await powerOn(scene)).toMatchObject({ outcome: "unchanged" });
    expect(device.seen).toEqual([]);
  });

  it("sends nothing once leadership has ended between the reading and the request", async () => {
    const { scene, device } = sceneWith("Off");
    scene.fencing();
    device.after = () => {
      scene.leading = false;
    };
    expect(await powerOn(scene)).toMatchObject({ outcome: "stale" });
    expect(device.requests).toEqual([]);
  });
});
