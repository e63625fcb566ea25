// Stops the operator after every single request of a fencing step, be it to the API server or to the device: the request
// arrives, its answer does not, and nothing is sent after it. What stands then must be safe, and the next leader must
// bring it to its end without doing harm again.
import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import type { FencingStatus } from "../../src/model/fencing.ts";
import { ActScene, BOOT_ID, EPOCH, LEVEL } from "./act-fixture.ts";
import { FakeDevice } from "./fake-device.ts";

/** More requests than the step ever makes; the tests see to it that none of them is left out. */
const MAX_REQUESTS = 40;
const SETTLE_MS = 5_000;

interface Crashed {
  readonly scene: ActScene;
  readonly device: FakeDevice;
  /** Whether the step had ended before its crash point came. */
  readonly endedFirst: boolean;
}

const forever = <T>(): Promise<T> => new Promise<T>(() => {});

async function crashAfter(requests: number, setting: Setting): Promise<Crashed> {
  const scene = new ActScene();
  const device = new FakeDevice(scene.clock, setting.powerState);
  scene.device = device;
  scene.fencing(setting.status);
  let count = 0;
  const isDead = () => count > requests;
  scene.api.intercept = (request) => {
    count += 1;
    if (isDead()) return forever();
    if (count < requests) return undefined;
    scene.api.answer(request);
    return forever();
  };
  device.before = () => {
    count += 1;
    return isDead() ? forever() : undefined;
  };
  device.after = () => (count >= requests ? forever() : undefined);
  let endedFirst = false;
  const step = {
    kind: "Fence",
    fencing: scene.fencingFact(),
    level: LEVEL,
    mayPowerOff: setting.mayPowerOff,
  } as const;
  void performFence(step, scene.context()).then(() => (endedFirst = true));
  await scene.clock.advance(SETTLE_MS);
  scene.api.intercept = () => undefined;
  device.before = () => {};
  device.after = () => {};
  return { scene, device, endedFirst };
}

interface Setting {
  readonly powerState: "On" | "Off";
  readonly mayPowerOff: boolean;
  readonly status: Partial<FencingStatus>;
}

const OPEN = {
  number: 1,
  level: "bmc",
  method: "Redfish",
  epoch: EPOCH - 1,
  startedAt: "2026-11-22T00:00:00.000Z",
  outcome: "Started",
} as const;

const SETTINGS: readonly (readonly [string, Setting])[] = [
  ["of a machine that runs", { powerState: "On", mayPowerOff: true, status: {} }],
  ["of a machine that is off", { powerState: "Off", mayPowerOff: true, status: {} }],
  [
    "after another leader's attempt",
    { powerState: "On", mayPowerOff: true, status: { phase: "Fencing", epoch: EPOCH - 1, attempts: [OPEN] } },
  ],
  ["that may only look", { powerState: "Off", mayPowerOff: false, status: {} }],
];

function expectSafe({ scene, device }: Crashed): void {
  const { ledger } = scene;
  if (device.requests.length > 0) {
    expect(ledger.attempts.at(-1), "a power request without an attempt on record").toMatchObject({
      epoch: EPOCH,
    });
  }
  const offReadings = device.seen.filter(({ call, state }) => call === "read" && state === "Off").length;
  if (ledger.proof === undefined) {
    expect(["Pending", "Fencing"]).toContain(ledger.phase);
    return;
  }
  expect(offReadings, "a proof without two readings of Off").toBeGreaterThanOrEqual(2);
  expect(device.state).toBe("Off");
  expect(ledger).toMatchObject({
    phase: "Fenced",
    proof: { bootID: BOOT_ID, attempt: ledger.attempts.at(-1)?.number },
  });
}

describe("a crash during a fencing", () => {
  for (const [what, setting] of SETTINGS) {
    it(`${what} leaves a safe ledger after every single request, and the next leader ends it`, async () => {
      let points = 0;
      for (let requests = 0; requests < MAX_REQUESTS; requests++) {
        const crashed = await crashAfter(requests, setting);
        expectSafe(crashed);
        if (crashed.endedFirst) break;
        points += 1;
        await expectNextLeaderEndsIt(crashed, setting);
      }
      expect(points, "too few crash points: is the step still what it was?").toBeGreaterThan(5);
      expect(points, "the step never ended by itself").toBeLessThan(MAX_REQUESTS);
    });
  }
});

async function expectNextLeaderEndsIt({ scene, device }: Crashed, setting: Setting): Promise<void> {
  const requestsBefore = device.requests.length;
  const wasOff = device.state === "Off";
  const fencing = scene.fencingFact();
  if (fencing.status.proof !== undefined) return;
  const step = { kind: "Fence", fencing, level: LEVEL, mayPowerOff: setting.mayPowerOff } as const;
  const performed = await scene.finish(performFence(step, scene.context(EPOCH + 1)));
  expect(performed).toEqual({ outcome: "done" });
  if (wasOff) expect(device.requests, "a machine that is off was shot again").toHaveLength(requestsBefore);
  const { attempts, proof, epoch } = scene.ledger;
  expect(epoch).toBe(EPOCH + 1);
  expect(proof).toMatchObject({ type: "PowerOff", attempt: attempts.at(-1)?.number });
  expect(attempts.map((attempt) => attempt.number)).toEqual(attempts.map((_, i) => i + 1));
  for (const abandoned of attempts.slice(0, -1)) {
    expect(abandoned.outcome).toBe("Abandoned");
  }
}
