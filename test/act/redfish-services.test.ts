// What a readiness check leaves for a fencing: nothing has to be found out again, unless something was changed.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { DeviceAccess } from "../../src/act/device-access.ts";
import { createDeviceOpener } from "../../src/act/open-device.ts";
import type { RedfishAccess } from "../../src/act/fence/redfish-access.ts";
import { authority, PASSWORD, type RedfishRig, startRedfishRig, USERNAME } from "./fence-redfish-rig.ts";

const DEADLINE = { deadlineMs: 10_000 };
let rig: RedfishRig;
beforeAll(async () => {
  rig = await startRedfishRig();
});
afterAll(() => rig.stop());

const accessWith = (change: Partial<RedfishAccess> = {}): DeviceAccess => ({
  method: "Redfish",
  redfish: {
    address: rig.bmc.address,
    username: USERNAME,
    password: PASSWORD,
    caPem: authority.certPem,
    ...change,
  },
});

/** What a device opened this way asks for one reading. */
async function askedBy(open: ReturnType<typeof createDeviceOpener>, access: DeviceAccess) {
  const before = rig.bmc.requests.length;
  const device = open(access, rig.clock);
  const reading = await device.readPower(DEADLINE);
  const asked = rig.bmc.requests.slice(before).map(({ method, path }) => `${method} ${path}`);
  await device.close();
  return { asked, reading };
}

it("a fencing right after a check asks for a session and the state, and finds nothing out anew", async () => {
  const open = createDeviceOpener();
  const first = await askedBy(open, accessWith());
  expect(first.asked).toContain("GET /redfish/v1");
  expect(first.asked).toContain("GET /redfish/v1/Systems");
  const second = await askedBy(open, accessWith());
  expect(second.reading).toMatchObject({ ok: true, state: "On" });
  expect(second.asked).toEqual([expect.stringMatching(/^POST .*Sessions$/), `GET ${rig.bmc.systemPath}`]);
});

it("a rotated password is another service: it is used at once, and what the old one had learned is not", async () => {
  const open = createDeviceOpener();
  await askedBy(open, accessWith());
  const wrong = await askedBy(open, accessWith({ password: "rotated" }));
  expect(wrong.reading).toMatchObject({ ok: false, kind: "denied" });
  expect(wrong.asked).toContain("GET /redfish/v1");
  expect((await askedBy(open, accessWith())).reading).toMatchObject({ ok: true });
});
