// The whole power-off procedure over real TLS against the lab BMC, once per fault; the machine is looked at from behind.
import { afterAll, describe, expect, it } from "vitest";
import type { BmcFaults } from "../../lab/bmc/bmc-faults.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import type { PowerOffOptions, PowerOffResult } from "../../src/act/fence/power-off-result.ts";
import { type RedfishRig, startRedfishRig } from "./fence-redfish-rig.ts";

const rigs: RedfishRig[] = [];
afterAll(async () => {
  await Promise.all(rigs.map((rig) => rig.stop()));
});

async function cut(
  faults: Partial<BmcFaults>,
  optionsFor: (rig: RedfishRig) => Partial<PowerOffOptions> & { readonly off?: boolean } = () => ({}),
): Promise<{ result: PowerOffResult; lastedMs: number; rig: RedfishRig }> {
  const rig = await startRedfishRig();
  rigs.push(rig);
  const options = optionsFor(rig);
  if (options.off === true) rig.machine.set("Off");
  await rig.bmc.faults.set(faults);
  const startedMs = performance.now();
  const result = await powerOff(rig.device, {
    clock: rig.clock,
    deadlineMs: 5_000,
    beforeRequest: async () => true,
    ...options,
  });
  return { result, lastedMs: performance.now() - startedMs, rig };
}

const resets = (rig: RedfishRig) => rig.bmc.requests.filter((request) => request.resetType === "ForceOff");

describe("a node behind a BMC that works", () => {
  it("is proven off at once, with one ForceOff, over two connections", async () => {
    const { result, rig } = await cut({});
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(result.outcome === "off" && result.provenAfterMs).toBeLessThan(1_500);
    expect(rig.machine.read()).toBe("Off");
    expect(resets(rig)).toHaveLength(1);
    const reads = rig.bmc.requests.filter(
      ({ path, method }) => path === rig.bmc.systemPath && method === "GET",
    );
    expect(reads.at(-1)?.connection).not.toBe(reads.at(-2)?.connection);
  });

  it("is asked for the state, and nothing more, by a service that is known already", async () => {
    const { rig } = await cut({});
    rig.machine.set("On");
    const asked = rig.bmc.requests.length;
    const device = rig.service.open();
    const result = await powerOff(device, {
      clock: rig.clock,
      deadlineMs: 5_000,
      beforeRequest: async () => true,
    });
    await device.close();
    expect(result.outcome).toBe("off");
    expect(
      rig.bmc.requests.slice(asked).map(({ method, path }) => `${method} ${path.replace(/\d+$/, "N")}`),
    ).toEqual([
      "POST /redfish/v1/SessionService/Sessions",
      "GET /redfish/v1/Systems/N",
      "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
      "GET /redfish/v1/Systems/N",
      "GET /redfish/v1/Systems/N",
      "DELETE /redfish/v1/SessionService/Sessions/N",
    ]);
  });

  it("that is off already is proven so without a request", async () => {
    const { result, rig } = await cut({}, () => ({ off: true }));
    expect(result).toMatchObject({ outcome: "off", how: "AlreadyOff", requests: 0 });
    expect(resets(rig)).toHaveLength(0);
  });

  it("already-off host (409): one that goes off by itself between reading and request is AlreadyOff, though the BMC refuses", async () => {
    const { result, rig } = await cut({}, (rig) => ({
      beforeRequest: async () => {
        rig.machine.set("Off");
        return true;
      },
    }));
    expect(result).toMatchObject({ outcome: "off", how: "AlreadyOff", requests: 1 });
    expect(resets(rig)[0]?.status).toBe(409);
  });
});

describe.concurrent("a fault of the BMC", () => {
  it("down: unreachable long before the deadline, nothing requested", async () => {
    const { result, rig, lastedMs } = await cut({ down: true });
    expect(result).toMatchObject({ outcome: "notOff", kind: "unreachable", requests: 0 });
    expect(lastedMs).toBeLessThan(3_000);
    expect(rig.machine.read()).toBe("On");
  });

  it("silent: ended by the deadline, nothing requested", async () => {
    const { result, rig, lastedMs } = await cut({ silent: true }, () => ({ deadlineMs: 1_500 }));
    expect(result).toMatchObject({ outcome: "notOff", kind: "timeout", requests: 0 });
    expect(lastedMs).toBeLessThan(3_000);
    expect(rig.machine.read()).toBe("On");
  });

  it("silent for one request only: read again and cut", async () => {
    const { result } = await cut({ hangNext: 1 }, () => ({ timings: { readDeadlineMs: 300 } }));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff" });
  });

  it("slow answers: cut, in its own time", async () => {
    const { result } = await cut({ delayMs: 150 });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
  });

  it("acts late: waited for, with one request", async () => {
    const { result } = await cut({ slowOffMs: 1_200 });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(result.outcome === "off" && result.provenAfterMs).toBeGreaterThan(1_400);
  });

  it("acts only after the deadline: still on, and it is said that it may yet go off", async () => {
    const { result, rig } = await cut({ slowOffMs: 1_500 }, () => ({ deadlineMs: 1_000 }));
    expect(result).toMatchObject({ outcome: "notOff", kind: "stillOn", mayHaveActed: true, lastState: "On" });
    await expect.poll(() => rig.machine.read(), { timeout: 3_000 }).toBe("Off");
  });

  it("stuck (204, nothing happens): still on, never off", async () => {
    const { result, rig } = await cut({ ignore: true }, () => ({ deadlineMs: 2_000 }));
    expect(result).toMatchObject({ outcome: "notOff", kind: "stillOn", lastState: "On", requests: 1 });
    expect(rig.machine.read()).toBe("On");
  });

  it("refuses: refused, after a look at the state", async () => {
    const { result, rig } = await cut({ refuse: true });
    expect(result).toMatchObject({ outcome: "notOff", kind: "refused", mayHaveActed: false });
    expect(result.outcome === "notOff" && result.message).toContain("409");
    expect(rig.machine.read()).toBe("On");
  });

  it("busy for a reset: waited for as long as it says, then cut", async () => {
    const { result, rig } = await cut({ busyResets: 1, retryAfterS: 1 });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 2 });
    const [first, second] = resets(rig);
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  it("busy for longer than there is time: given up at once", async () => {
    const { result, lastedMs } = await cut({ busy: true, retryAfterS: 60 });
    expect(result).toMatchObject({ outcome: "notOff", kind: "timeout", requests: 0 });
    expect(lastedMs).toBeLessThan(3_000);
  });

  it("lies Off once: not believed, and the node is cut", async () => {
    const { result, rig } = await cut({ lieOff: 1 });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(rig.machine.read()).toBe("Off");
  });

  it("lies Off always: believed, which no reading of this BMC can prevent; it is called AlreadyOff", async () => {
    const { result, rig } = await cut({ lieOff: true });
    expect(result).toMatchObject({ outcome: "off", how: "AlreadyOff", requests: 0 });
    expect(rig.machine.read()).toBe("On");
  });

  it("loses its reply after acting: proven off by the state", async () => {
    const { result } = await cut({ loseReply: true });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
  });

  it("never replies after acting: proven off while the reply is still awaited", async () => {
    const { result } = await cut({ noReply: true });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(result.outcome === "off" && result.provenAfterMs).toBeLessThan(4_000);
  });

  it("rejects the password: denied, after one login", async () => {
    const { result, rig } = await cut({ wrongPassword: true });
    expect(result).toMatchObject({ outcome: "notOff", kind: "denied", requests: 0 });
    expect(rig.bmc.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
  });

  it("answers garbage: unreachable, nothing requested", async () => {
    const { result, rig } = await cut({ garbage: true });
    expect(result).toMatchObject({ outcome: "notOff", kind: "unreachable", requests: 0 });
    expect(rig.machine.read()).toBe("On");
  });

  it("offers no sessions: Basic is used", async () => {
    const { result, rig } = await cut({ noSessions: true });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff" });
    expect(rig.bmc.requests.some(({ path }) => path.includes("SessionService"))).toBe(false);
  });

  it("dies with its node: no proof, and it is said that it may have acted", async () => {
    const { result, rig, lastedMs } = await cut({ deadWithHost: true }, () => ({ deadlineMs: 3_000 }));
    expect(result).toMatchObject({ outcome: "notOff", kind: "timeout", lastState: "On", mayHaveActed: true });
    expect(lastedMs).toBeLessThan(4_500);
    expect(rig.machine.read()).toBe("Off");
  });

  it("goes away after the request and comes back: proven off", async () => {
    const { result } = await cut({ slowOffMs: 300 }, (rig) => ({
      onProgress: (step) => {
        if (step.step !== "answered") return;
        void rig.bmc.faults.set({ down: true });
        setTimeout(() => void rig.bmc.faults.clear(), 1_000);
      },
    }));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
  });

  it("forgets its sessions between reading and request: one new login, and the node is cut", async () => {
    const { result, rig } = await cut({}, (rig) => ({
      beforeRequest: async () => {
        rig.bmc.expireSessions();
        return true;
      },
    }));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(
      rig.bmc.requests.filter(({ path, method }) => method === "POST" && path.endsWith("/Sessions")),
    ).toHaveLength(2);
  });
});

describe.concurrent("what is left behind at the BMC", () => {
  it.each<Partial<BmcFaults>>([
    {},
    { ignore: true },
    { loseReply: true },
    { noReply: true },
    { refuse: true },
  ])("is no session: %j", async (faults) => {
    const { rig } = await cut(faults, () => ({ deadlineMs: 1_500 }));
    await rig.device.close();
    expect(rig.bmc.sessionCount()).toBe(0);
  });
});
