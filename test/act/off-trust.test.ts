// "Already off" of a node that was alive a moment ago: whose word is taken, and what becomes of the rest.
import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import { deviceFingerprint } from "../../src/act/readiness/level-check.ts";
import { readinessCondition } from "../../src/api/fencing-readiness.ts";
import type { FencingAttempt } from "../../src/model/fencing.ts";
import type { SeenState } from "../../src/model/fencing-readiness.ts";
import { ActScene, BOOT_ID, LEVEL, NODE_PATH } from "./act-fixture.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

const LABEL = "Redfish https://bmc-worker-1.example.com";
const THIS = deviceFingerprint(LABEL, IDENTITY);
const DOUBTED: FencingAttempt = {
  number: 1,
  level: "pdu",
  method: "Redfish",
  epoch: 7,
  startedAt: "2026-11-22T00:00:00.000Z",
  outcome: "Doubted",
  powerState: "Off",
  addresses: ["0123456789ab"],
};

interface Setting {
  /** What stands on the node of this level and of others. */
  readonly seen?: Readonly<Record<string, SeenState>>;
  readonly systemUUID?: string;
  readonly attempts?: readonly FencingAttempt[];
}

async function fenceOff({ seen = {}, systemUUID = "none", attempts = [] }: Setting) {
  const scene = new ActScene();
  const device = new FakeDevice(scene.clock, "Off");
  scene.device = device;
  const conditions = Object.entries(seen).map(([level, one]) =>
    readinessCondition(
      { level, ready: one.state === "On", reason: "x", message: "x", seen: one, since: undefined },
      "2026-11-21T00:00:00Z",
    ),
  );
  scene.api.objects.change(NODE_PATH, (node) => {
    node.status = { nodeInfo: { bootID: BOOT_ID, systemUUID }, conditions };
  });
  scene.fencing({ attempts });
  const step = { kind: "Fence", fencing: scene.fencingFact(), level: LEVEL, mayPowerOff: true } as const;
  const startedMs = scene.clock.now().monotonicMs;
  await scene.finish(performFence(step, scene.context()));
  expect(device.requests).toEqual([]);
  return { scene, tookMs: scene.clock.now().monotonicMs - startedMs };
}

describe("a device that says Off before anything was asked of it", () => {
  it("is believed at once where it was last read On of the living node", async () => {
    const { scene, tookMs } = await fenceOff({ seen: { bmc: { state: "On", device: THIS } } });
    expect(scene.ledger.proof).toMatchObject({ type: "PowerOff" });
    expect(tookMs).toBeLessThan(3_000);
  });

  it("is believed where it tells the node's own system UUID, if Off lasts", async () => {
    const { scene, tookMs } = await fenceOff({ systemUUID: IDENTITY.uuid ?? "" });
    expect(scene.ledger.proof).toMatchObject({ type: "PowerOff" });
    expect(tookMs).toBeGreaterThanOrEqual(10_000);
  });

  it("is doubted, and the attempt says what would settle it, where nobody ever saw it say On of this node", async () => {
    const { scene } = await fenceOff({});
    expect(scene.ledger.proof).toBeUndefined();
    expect(scene.ledger.attempts).toMatchObject([
      {
        outcome: "Doubted",
        powerState: "Off",
        answer: expect.stringMatching(
          /never read On while worker-1 was alive.*a second level at another address has to agree/,
        ),
      },
    ]);
  });

  it("is doubted where another address was vouched for: a correction made during the outage is a new device", async () => {
    const device = deviceFingerprint("Redfish https://elsewhere.example.com", IDENTITY);
    const { scene } = await fenceOff({ seen: { bmc: { state: "On", device } } });
    expect(scene.ledger.attempts.at(-1)).toMatchObject({ outcome: "Doubted" });
  });

  it("is never believed by its own word where it said so of the living node, whatever UUID it tells", async () => {
    const { scene } = await fenceOff({
      seen: { bmc: { state: "Off", device: THIS } },
      systemUUID: IDENTITY.uuid ?? "",
      attempts: [DOUBTED],
    });
    expect(scene.ledger.proof).toBeUndefined();
    expect(scene.ledger.attempts.at(-1)).toMatchObject({
      outcome: "Doubted",
      answer: expect.stringContaining("it said so too while worker-1 was alive"),
    });
  });

  it("is believed where a second level has said so too, unless that one had said so of the living node", async () => {
    const agreed = await fenceOff({ attempts: [DOUBTED] });
    expect(agreed.scene.ledger.proof).toMatchObject({ type: "PowerOff" });
    const liar = { pdu: { state: "Off", device: "000000000000" } } as const;
    const lied = await fenceOff({ attempts: [DOUBTED], seen: liar });
    expect(lied.scene.ledger.proof).toBeUndefined();
  });

  it("is not believed because a second level has said so that leads to the same device", async () => {
    const alone = await fenceOff({});
    const [{ addresses = [] } = {}] = alone.scene.ledger.attempts;
    expect(addresses).toHaveLength(1);
    const echoed = await fenceOff({ attempts: [{ ...DOUBTED, addresses }] });
    expect(echoed.scene.ledger.proof).toBeUndefined();
    expect(echoed.scene.ledger.attempts.at(-1)).toMatchObject({
      level: "bmc",
      outcome: "Doubted",
      addresses,
    });
    const { addresses: _, ...old } = DOUBTED;
    const unknown = await fenceOff({ attempts: [old] });
    expect(unknown.scene.ledger.proof, "recorded by a version that did not say where").toBeUndefined();
  });
});
