import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { GUEST_PORTS, loopbackAddress, TRANSFER_PATH } from "../../lab/guests/guest-address.ts";
import { GuestServices } from "../../lab/guests/guest-services.ts";
import { labTime } from "../../lab/lab-time.ts";
import { everyWitness, type GuestExecution } from "../../lab/oracle/witness.ts";
import { Oracle } from "../../lab/oracle/oracle.ts";
import { mayBeGuest } from "../../src/observe/service-probes/probe-address.ts";
import { periodMsOf, type RunningServiceProbe, type ServiceProbe } from "../../src/model/service-probe.ts";
import { realProbeNetwork } from "../../src/observe/service-probes/probe-network.ts";
import { serviceProbes } from "../../src/observe/service-probes/service-probes.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { onLinux } from "../support/on-linux.ts";

const HAND_OVER_MS = 300;
const start = serviceProbes({ clock: createRealClock(), random: Math.random, network: realProbeNetwork });
const running: RunningServiceProbe[] = [];
let guests = new GuestServices();

afterEach(async () => {
  await Promise.all(running.splice(0).map((probe) => probe.stop()));
  guests.close();
});

function execution(podUid: string, vmiUid = labTime.uuid()): GuestExecution {
  return { vm: "default/vm", vmiUid, node: "node-1", bootID: "boot", podUid };
}

async function answers(guest: GuestExecution): Promise<readonly boolean[]> {
  const address = loopbackAddress(guest);
  const signal = AbortSignal.timeout(2_000);
  const tcp = await realProbeNetwork.connect({ address, port: GUEST_PORTS.http, signal });
  const http = await realProbeNetwork.get({ address, port: GUEST_PORTS.http, path: "/", signal });
  return [tcp, http === 200];
}

function probing(guest: GuestExecution, probe: ServiceProbe): RunningServiceProbe {
  const started = start({ probe, address: () => loopbackAddress(guest) });
  running.push(started);
  return started;
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("did not come about in time");
    await sleep(5);
  }
}

onLinux("a guest that answers the network", () => {
  it("does so once it has booted, not while it hangs, and no more when it has stopped", async () => {
    guests = new GuestServices();
    const guest = execution("a");
    guests.started(guest);
    expect(await answers(guest)).toEqual([false, false]);
    guests.up(guest);
    expect(await answers(guest)).toEqual([true, true]);
    guests.froze(guest);
    expect(await answers(guest)).toEqual([false, false]);
    guests.thawed(guest);
    expect(await answers(guest)).toEqual([true, true]);
    guests.stopped(guest, "powerLoss");
    expect(await answers(guest)).toEqual([false, false]);
  });

  it("stands still for a moment when it is handed over, at the same address, and UDP, TCP and HTTP all measure it", async () => {
    guests = new GuestServices({ handOverMs: { min: HAND_OVER_MS, max: HAND_OVER_MS } });
    const oracle = new Oracle();
    const witness = everyWitness(oracle, guests);
    const source = execution("a");
    const target = { ...source, podUid: "b", node: "node-2" };
    witness.started(source);
    witness.up(source);
    const { udpEcho, http } = GUEST_PORTS;
    const probes = [
      probing(source, { kind: "Udp", port: udpEcho, packetsPerSecond: 100 }),
      probing(source, { kind: "Tcp", port: http }),
      probing(source, { kind: "Http", port: http, path: "/" }),
    ];
    await until(() => probes.every((probe) => probe.facts().answered >= 5));
    witness.handedOver(source, target);
    await until(() => probes.every((probe) => probe.facts().outages.some(({ ended }) => ended)));
    for (const facts of await Promise.all(probes.map((probe) => probe.stop()))) {
      // What a busy machine kept us from asking is no part of the outage.
      const unwatchedMs = facts.skipped * periodMsOf(facts.probe);
      expect(facts.longestOutageMs + unwatchedMs, facts.probe.kind).toBeGreaterThan(HAND_OVER_MS - 150);
      expect(facts.longestOutageMs, facts.probe.kind).toBeLessThan(HAND_OVER_MS + 2_000);
    }
    expect(oracle.outages("default/vm")).toEqual([]);
    expect(oracle.running("default/vm").map(({ node }) => node)).toEqual(["node-2"]);
  });

  it("does not drop a transfer at a hand-over", async () => {
    guests = new GuestServices({ handOverMs: { min: HAND_OVER_MS, max: HAND_OVER_MS } });
    const source = execution("a");
    guests.started(source);
    guests.up(source);
    const bytes = 10_000_000;
    const probe = probing(source, { kind: "Transfer", port: GUEST_PORTS.http, path: TRANSFER_PATH, bytes });
    await until(() => (probe.facts().transfer?.receivedBytes ?? 0) > 1_000_000);
    guests.handedOver(source, { ...source, podUid: "b" });
    await probe.finished;
    expect(probe.facts().transfer).toMatchObject({ receivedBytes: bytes, reconnections: 0 });
    // 12.5 MB/s for 10 MB, and the pause.
    expect(probe.facts().transfer?.durationMs).toBeGreaterThan(800 + HAND_OVER_MS - 150);
  });

  it("says no goodbye when its power is cut: a transfer notices the silence and goes on at the next incarnation", async () => {
    guests = new GuestServices();
    const first = execution("a");
    const second = execution("b");
    let at = loopbackAddress(first);
    guests.started(first);
    guests.up(first);
    const bytes = 20_000_000;
    const probe = start({
      probe: { kind: "Transfer", port: GUEST_PORTS.http, path: TRANSFER_PATH, bytes },
      address: () => at,
    });
    running.push(probe);
    await until(() => (probe.facts().transfer?.receivedBytes ?? 0) > 1_000_000);
    guests.stopped(first, "powerLoss");
    guests.started(second);
    guests.up(second);
    at = loopbackAddress(second);
    await probe.finished;
    expect(probe.facts().transfer).toMatchObject({ receivedBytes: bytes, reconnections: 1 });
    // The silence of the first connection had to last for as long as an answer may take.
    const { longestOutageMs, skipped } = probe.facts();
    expect(longestOutageMs + skipped * 100).toBeGreaterThan(800);
  });

  it("is found at an address that a drill may ask, another one for each incarnation", () => {
    const all = Array.from({ length: 200 }, () => loopbackAddress(execution("a")));
    expect(all.every(mayBeGuest)).toBe(true);
    expect(new Set(all).size).toBeGreaterThan(195);
  });
});
