import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { measuredRun } from "../../../src/model/drill-statistics.ts";
import {
  type ProbeFacts,
  type RunningServiceProbe,
  type ServiceProbe,
  UDP_RATES,
} from "../../../src/model/service-probe.ts";
import { realProbeNetwork } from "../../../src/observe/service-probes/probe-network.ts";
import { serviceProbes } from "../../../src/observe/service-probes/service-probes.ts";
import { createRealClock } from "../../../src/run/real-clock.ts";
import { onLinux } from "../../support/on-linux.ts";
import { type Echo, type Listening, type ProbedService, tcpService, udpEcho } from "./probed-service.ts";

const start = serviceProbes({ clock: createRealClock(), random: Math.random, network: realProbeNetwork });
const services: ProbedService[] = [];
const running: RunningServiceProbe[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((probe) => probe.stop()));
  await Promise.all(services.splice(0).map((service) => service.die()));
});

async function echo(options?: Echo): Promise<ProbedService> {
  const service = await udpEcho(options);
  services.push(service);
  return service;
}

async function listening(options?: Listening): Promise<ProbedService> {
  const service = await tcpService(options);
  services.push(service);
  return service;
}

/** Ends a service for good before its test does. */
async function dies(service: ProbedService): Promise<void> {
  services.splice(services.indexOf(service), 1);
  await service.die();
}

function probing(probe: ServiceProbe, address: () => string | undefined): RunningServiceProbe {
  const started = start({ probe, address });
  running.push(started);
  return started;
}

async function until(condition: () => boolean, deadlineMs = 15_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("did not come about in time");
    await sleep(5);
  }
}

const settled = (probe: RunningServiceProbe, sent: number) => until(() => probe.facts().sent >= sent);

/** Counts add up, and no more was asked than the rate allows. */
function expectInOrder(facts: ProbeFacts, periodMs: number): void {
  expect(facts.answered + facts.lost).toBe(facts.sent);
  expect(facts.sent + facts.skipped).toBeLessThanOrEqual(Math.floor(facts.observedMs / periodMs) + 1);
}

onLinux("a UDP probe", () => {
  it.each(UDP_RATES)("asks %i times a second, never more, and is answered", async (packetsPerSecond) => {
    const service = await echo();
    const probe = probing({ kind: "Udp", port: service.port, packetsPerSecond }, () => service.address);
    await settled(probe, Math.max(8, packetsPerSecond / 2));
    const facts = await probe.stop();
    expectInOrder(facts, 1_000 / packetsPerSecond);
    expect(facts.answered).toBeGreaterThan(facts.sent * 0.9);
    expect(service.received()).toBeGreaterThanOrEqual(facts.answered);
    expect(facts.maxLatencyMs).toBeLessThanOrEqual(1_000);
  });

  it("counts exactly the packets that the service drops", async () => {
    let dropped = 0;
    const drops = (ordinal: number) => (ordinal % 5 === 3 ? ((dropped += 1), undefined) : 0);
    const service = await echo({ delayMs: drops });
    const probe = probing({ kind: "Udp", port: service.port, packetsPerSecond: 100 }, () => service.address);
    await settled(probe, 60);
    const facts = await probe.stop();
    expect(dropped).toBeGreaterThan(10);
    expect(facts.lost).toBe(dropped);
    expect(facts.outageCount).toBe(dropped);
  });

  it("tells an answer that takes its time from one that comes too late", async () => {
    const service = await echo({ delayMs: (ordinal) => (ordinal === 2 ? 1_200 : 150) });
    const probe = probing({ kind: "Udp", port: service.port, packetsPerSecond: 10 }, () => service.address);
    await settled(probe, 8);
    const facts = await probe.stop();
    expect(facts.lost).toBe(1);
    expect(facts.outages).toHaveLength(1);
    expect(facts.meanLatencyMs).toBeGreaterThan(145);
  });

  it("is not taken in by strange packets, nor by its own sent back twice", async () => {
    const other = (packet: Buffer): Buffer =>
      Buffer.from(packet.map((byte, index) => (index === 7 ? byte ^ 1 : byte)));
    const liar = await echo({
      answer: (packet) => [other(packet), Buffer.from("hello"), Buffer.alloc(1_400)],
    });
    const twice = await echo({ address: "127.64.0.2", answer: (packet) => [packet, packet, packet] });
    const lied = probing({ kind: "Udp", port: liar.port, packetsPerSecond: 100 }, () => liar.address);
    const doubled = probing({ kind: "Udp", port: twice.port, packetsPerSecond: 100 }, () => twice.address);
    await Promise.all([settled(lied, 10), settled(doubled, 10)]);
    expect((await lied.stop()).answered).toBe(0);
    const facts = await doubled.stop();
    expect(facts.answered).toBe(facts.sent);
  });

  it("follows a VM that dies and comes back on another address, and measures how long it was away", async () => {
    const first = await echo();
    let at: string | undefined = first.address;
    const probe = probing({ kind: "Udp", port: first.port, packetsPerSecond: 100 }, () => at);
    await settled(probe, 40);
    const disturbedAtMs = performance.now() - probe.facts().startedAtMs;
    await dies(first);
    const diedAtMs = performance.now();
    await sleep(300);
    at = undefined;
    await sleep(200);
    const second = await echo({ address: "127.64.0.2", port: first.port });
    at = second.address;
    const backAtMs = performance.now();
    await until(() => measuredRun(probe.facts(), disturbedAtMs).convergenceMs !== undefined);
    const run = measuredRun(await probe.stop(), disturbedAtMs);
    expect(run).toMatchObject({ answeredBefore: true, restored: true });
    const awayMs = backAtMs - diedAtMs;
    // What a busy machine kept us from asking is no part of the outage.
    expect(run.outageMs + run.skipped * 10).toBeGreaterThan(awayMs - 50);
    expect(run.outageMs).toBeLessThan(awayMs + 1_000);
    expect(run.convergenceMs).toBeGreaterThanOrEqual(run.longestOutageMs - 50);
    expect(second.received()).toBeGreaterThan(0);
  });

  it("loses what it cannot send, and what it will not send to an address that is no guest's", async () => {
    const service = await echo({ address: "127.0.0.1" });
    const nowhere = probing({ kind: "Udp", port: 7, packetsPerSecond: 100 }, () => undefined);
    const own = probing({ kind: "Udp", port: service.port, packetsPerSecond: 100 }, () => service.address);
    await Promise.all([settled(nowhere, 5), settled(own, 5)]);
    for (const facts of [await nowhere.stop(), await own.stop()]) expect(facts.lost).toBe(facts.sent);
    expect(service.received()).toBe(0);
  });
});

onLinux("a TCP probe", () => {
  it("sees a service that listens, and that it is gone", async () => {
    const service = await listening();
    const probe = probing({ kind: "Tcp", port: service.port }, () => service.address);
    await settled(probe, 4);
    const before = probe.facts();
    expect(before.lost).toBe(0);
    await dies(service);
    await until(() => probe.facts().lost >= 3);
    const facts = await probe.stop();
    expectInOrder(facts, 100);
    expect(facts.outages.at(-1)).toMatchObject({ ended: false });
  });
});

onLinux("an HTTP probe", () => {
  it("takes any status below 500 for an answer, and no other", async () => {
    const service = await listening({
      http: (request, response) => {
        response.statusCode = Number(request.url?.slice(1));
        response.end();
      },
    });
    const ask = (path: string) => probing({ kind: "Http", port: service.port, path }, () => service.address);
    const [found, missing, broken] = [ask("/200"), ask("/404"), ask("/503")];
    await Promise.all([settled(found, 3), settled(missing, 3), settled(broken, 3)]);
    expect((await found.stop()).lost).toBe(0);
    expect((await missing.stop()).lost).toBe(0);
    expect((await broken.stop()).answered).toBe(0);
  });

  it("gives up a service that accepts and says nothing, and never holds more connections than it may", async () => {
    let open = 0;
    let most = 0;
    const service = await listening({
      http: (request) => {
        most = Math.max(most, (open += 1));
        request.socket.on("close", () => (open -= 1));
      },
    });
    const probe = probing({ kind: "Http", port: service.port, path: "/" }, () => service.address);
    await settled(probe, 8);
    const facts = await probe.stop();
    expect(facts.answered).toBe(0);
    expect(most).toBeLessThanOrEqual(16);
    await until(() => open === 0);
  });

  it("does not read a body without end, nor a head that is too long", async () => {
    const service = await listening({
      http: (request, response) => {
        if (request.url === "/head") response.setHeader("x-long", "x".repeat(20_000));
        response.write(Buffer.alloc(64 * 1_024));
        const timer = setInterval(() => response.write(Buffer.alloc(64 * 1_024)), 1);
        response.on("close", () => clearInterval(timer));
      },
    });
    const ask = (path: string) => probing({ kind: "Http", port: service.port, path }, () => service.address);
    const [body, head, odd] = [ask("/body"), ask("/head"), ask("/ä b\r\nx: y")];
    await Promise.all([settled(body, 3), settled(head, 3), settled(odd, 3)]);
    expect((await body.stop()).lost).toBe(0);
    expect((await head.stop()).answered).toBe(0);
    expect((await odd.stop()).lost).toBe(0);
  });
});

const FILE_BYTES = 3_000_000;

/** Serves a file with ranges at a few megabytes a second; `breakAt`: cuts the connection once, after so many bytes. */
function fileServer({ ranges = true, breakAt = Number.POSITIVE_INFINITY } = {}): Required<
  Pick<Listening, "http">
> & {
  readonly from: number[];
} {
  const from: number[] = [];
  let broke = false;
  return {
    from,
    http: (request, response) => {
      const wanted = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      from.push(wanted);
      const first = ranges ? wanted : 0;
      if (first > 0)
        response.writeHead(206, { "content-range": `bytes ${first}-${FILE_BYTES - 1}/${FILE_BYTES}` });
      let sent = first;
      const timer = setInterval(() => {
        if (!broke && sent >= breakAt) {
          broke = true;
          response.destroy();
          return;
        }
        const chunk = Math.min(50_000, FILE_BYTES - sent);
        sent += chunk;
        response.write(Buffer.alloc(chunk));
        if (sent >= FILE_BYTES) response.end();
      }, 10);
      response.on("close", () => clearInterval(timer));
    },
  };
}

onLinux("a transfer", () => {
  const wanted = (service: ProbedService, bytes = FILE_BYTES): ServiceProbe => ({
    kind: "Transfer",
    port: service.port,
    path: "/file",
    bytes,
  });

  it("takes as long as it takes, and ends by itself", async () => {
    const service = await listening(fileServer());
    const probe = probing(wanted(service), () => service.address);
    await probe.finished;
    const facts = await probe.stop();
    expect(facts.transfer).toMatchObject({ bytes: FILE_BYTES, receivedBytes: FILE_BYTES, reconnections: 0 });
    expect(facts.transfer?.durationMs).toBeGreaterThan(500);
  });

  it("is taken up where it broke off", async () => {
    const files = fileServer({ breakAt: 1_000_000 });
    const service = await listening(files);
    const probe = probing(wanted(service), () => service.address);
    await probe.finished;
    expect(probe.facts().transfer).toMatchObject({ receivedBytes: FILE_BYTES, reconnections: 1 });
    expect(files.from).toHaveLength(2);
    expect(files.from[1]).toBeGreaterThan(0);
    expect(files.from[1]).toBeLessThanOrEqual(1_000_000);
  });

  it("begins again where the service knows no ranges", async () => {
    const service = await listening(fileServer({ ranges: false, breakAt: 1_000_000 }));
    const probe = probing(wanted(service), () => service.address);
    await probe.finished;
    expect(probe.facts().transfer).toMatchObject({ receivedBytes: FILE_BYTES, reconnections: 1 });
  });

  it("is not asked for again when the file is shorter than was thought", async () => {
    const files = fileServer();
    const service = await listening(files);
    const probe = probing(wanted(service, 2 * FILE_BYTES), () => service.address);
    await probe.finished;
    expect(probe.facts().transfer).toMatchObject({ receivedBytes: FILE_BYTES, durationMs: undefined });
    expect(files.from).toHaveLength(1);
  });

  it("goes on at another address, and shows the stall as an outage", async () => {
    const first = await listening(fileServer());
    let at: string | undefined = first.address;
    const probe = probing(wanted(first), () => at);
    await until(() => (probe.facts().transfer?.receivedBytes ?? 0) > 500_000);
    await dies(first);
    at = undefined;
    await sleep(500);
    const second = await listening({ ...fileServer(), address: "127.64.0.2", port: first.port });
    at = second.address;
    await probe.finished;
    const facts = await probe.stop();
    expect(facts.transfer).toMatchObject({ receivedBytes: FILE_BYTES, reconnections: 1 });
    expect(facts.longestOutageMs + facts.skipped * 100).toBeGreaterThan(200);
    expect(facts.outages.every(({ ended }) => ended)).toBe(true);
  });
});
