// Off that is too good to be true: what is believed of a device that says Off of a node that was alive a moment ago.
import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import type { SystemIdentity } from "../../src/act/fence/fence-device.ts";
import type { FencingAttempt } from "../../src/model/fencing.ts";
import { ActScene, BOOT_ID, LEVEL, NODE_PATH } from "./act-fixture.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

const ANONYMOUS: SystemIdentity = { path: "fence_apc_snmp 10.0.0.9 plug 17" };

const EARLIER: FencingAttempt = {
  number: 1,
  level: LEVEL.name,
  method: "FenceAgent",
  epoch: 1,
  startedAt: "2026-11-22T00:00:00.000Z",
  endedAt: "2026-11-22T00:00:10.000Z",
  outcome: "TimedOut",
  powerState: "On",
  seenOn: true,
};

/** What becomes of one attempt at a machine that says Off from the start. */
async function fenced(identity: SystemIdentity, attempts: readonly FencingAttempt[] = []) {
  const scene = new ActScene();
  const device = new FakeDevice(scene.clock, "Off");
  device.identity = identity;
  // Nothing was ever checked while the node lived.
  const nodeInfo = { bootID: BOOT_ID, systemUUID: IDENTITY.uuid };
  scene.api.objects.change(NODE_PATH, (node) => (node.status = { nodeInfo }));
  scene.device = device;
  const fencing = scene.fencing({ phase: "Fencing", attempts });
  const step = { kind: "Fence" as const, fencing, level: LEVEL, mayPowerOff: true };
  const outcome = await scene.finish(performFence(step, scene.context()));
  return { outcome, ledger: scene.ledger, requests: device.requests };
}

describe("a device that says Off from the start", () => {
  it("is believed where it names the very machine that the kubelet names", async () => {
    const { ledger } = await fenced(IDENTITY);
    expect(ledger).toMatchObject({ phase: "Fenced", attempts: [{ outcome: "AlreadyOff" }] });
  });

  it("is not believed where it names no machine: an outlet that does not exist is never on", async () => {
    const { ledger, outcome } = await fenced(ANONYMOUS);
    expect(ledger).toMatchObject({ attempts: [{ outcome: "Doubted", powerState: "Off" }] });
    expect(ledger).not.toHaveProperty("proof");
    expect(outcome).toMatchObject({ outcome: "refused" });
  });

  it("is not believed where only some of its devices name the machine", async () => {
    const { ledger } = await fenced({ ...IDENTITY, isPartial: true });
    expect(ledger).toMatchObject({ attempts: [{ outcome: "Doubted" }] });
  });

  it("is believed where an earlier attempt of this fencing heard it say On", async () => {
    const { ledger } = await fenced(ANONYMOUS, [EARLIER]);
    expect(ledger).toMatchObject({ phase: "Fenced", proof: { type: "PowerOff" } });
  });

  it("is not believed for what another level's device had said", async () => {
    const { ledger } = await fenced(ANONYMOUS, [{ ...EARLIER, level: "pdu" }]);
    expect(ledger).not.toHaveProperty("proof");
  });

  it("is not asked to cut anything while it is doubted", async () => {
    expect((await fenced(ANONYMOUS)).requests).toEqual([]);
  });
});
