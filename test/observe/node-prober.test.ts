import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, it } from "vitest";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";
import type { NodeFact } from "../../src/model/node.ts";
import { NodeProber, type ProbeSettings } from "../../src/observe/node-prober.ts";
import { probeConnection, type ProbeRequest } from "../../src/observe/probe-connection.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { Cluster } from "../decide/builder.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const SETTINGS: ProbeSettings = {
  method: "tcp",
  port: 10250,
  addresses: [{ kind: "InternalIP" }, { kind: "annotation", key: "example.com/storage-ip" }],
  periodMs: 60_000,
};

function proberOn(count: number, settings: Partial<ProbeSettings> = {}) {
  const clock = new VirtualClock();
  const cluster = new Cluster();
  for (let i = 0; i < count; i++) cluster.node(`n${i}`);
  const nodes = new Map<string, NodeFact>();
  for (const [name, node] of cluster.nodes)
    nodes.set(name, { ...node, internalIP: `10.0.0.${name.slice(1)}` });
  const asked: { readonly atMs: number; readonly request: ProbeRequest }[] = [];
  const dead = new Set<string>();
  const refusing = new Set<string>();
  const state = { running: 0, mostRunning: 0, changes: 0, hangs: false };
  const prober = new NodeProber({
    settings: { ...SETTINGS, ...settings },
    clock,
    random: () => 0.5,
    nodes: () => nodes.values(),
    onChange: () => (state.changes += 1),
    probe: async (request) => {
      asked.push({ atMs: clock.now().monotonicMs, request });
      state.running += 1;
      state.mostRunning = Math.max(state.mostRunning, state.running);
      if (state.hangs) await new Promise<void>((resolve) => clock.schedule(request.deadlineMs, resolve));
      state.running -= 1;
      if (refusing.has(request.address)) return "refused";
      return state.hangs || dead.has(request.address) ? "silent" : "answered";
    },
  });
  return { clock, nodes, asked, dead, refusing, state, prober };
}

describe("probing nodes", () => {
  it("costs little while all is well: each network once a period", async () => {
    const { clock, asked, prober } = proberOn(100);
    prober.start();
    await clock.advance(600_000);
    prober.stop();
    expect(asked.length).toBeGreaterThanOrEqual(900);
    expect(asked.length).toBeLessThanOrEqual(1_100);
  });

  it("is quick for a node that is attended to, at once and every 2 s", async () => {
    const { clock, asked, prober } = proberOn(3);
    prober.start();
    await clock.advance(20_000);
    const before = asked.length;
    prober.attend(new Set(["n1"]));
    await clock.advance(10_000);
    const quick = asked.slice(before).filter(({ request }) => request.address === "10.0.0.1");
    expect(quick.length).toBeGreaterThanOrEqual(4);
    prober.stop();
  });

  it("knows an answer, one failure, and silence after two; and says when that changes", async () => {
    const { clock, dead, state, prober } = proberOn(1);
    prober.start();
    prober.attend(new Set(["n0"]));
    expect(prober.get("n0")).toMatchObject([{ answeredAtMs: undefined, failures: 0 }]);
    await clock.advance(10_000);
    expect(prober.get("n0")).toMatchObject([
      { network: "InternalIP", failures: 0, silentSinceMs: undefined },
    ]);
    const changesBefore = state.changes;
    dead.add("10.0.0.0");
    await clock.advance(6_000);
    const [path] = prober.get("n0") ?? [];
    expect(path?.failures).toBeGreaterThanOrEqual(2);
    expect(path?.answeredAtMs).toBeDefined();
    expect(state.changes).toBeGreaterThan(changesBefore);
    prober.stop();
  });

  it("knows a host that it has heard in an earlier leadership, but not when it last answered", async () => {
    const { clock, refusing, prober } = proberOn(1);
    prober.start();
    await clock.advance(20_000);
    prober.stop();
    refusing.add("10.0.0.0");
    prober.start();
    expect(prober.get("n0")?.[0]?.answeredAtMs).toBeUndefined();
    await clock.advance(20_000);
    expect(prober.get("n0")?.[0]).toMatchObject({ failures: 0, answeredAtMs: expect.any(Number) });
    prober.stop();
  });

  it("takes a refusal for a sign of life of a host that has answered before, and of no other", async () => {
    const { clock, refusing, prober } = proberOn(1);
    refusing.add("10.0.0.0");
    prober.start();
    prober.attend(new Set(["n0"]));
    await clock.advance(15_000);
    expect(prober.get("n0")).toMatchObject([{ answeredAtMs: undefined }]);
    refusing.clear();
    await clock.advance(4_000);
    refusing.add("10.0.0.0");
    await clock.advance(20_000);
    const [path] = prober.get("n0") ?? [];
    expect(clock.now().monotonicMs - (path?.answeredAtMs ?? 0)).toBeLessThan(5_000);
    prober.stop();
  });

  it("asks each network a node has an address for, and begins anew where that changes", async () => {
    const { clock, nodes, asked, prober } = proberOn(1);
    const [node] = nodes.values();
    if (node === undefined) throw new Error("no node");
    nodes.set("n0", { ...node, annotations: { "example.com/storage-ip": "10.9.0.1" } });
    prober.start();
    await clock.advance(15_000);
    expect(prober.get("n0")?.map(({ network }) => network)).toEqual(["InternalIP", "example.com/storage-ip"]);
    expect(new Set(asked.map(({ request }) => request.address))).toEqual(new Set(["10.0.0.0", "10.9.0.1"]));
    nodes.set("n0", { ...node, internalIP: "10.0.0.77" });
    await clock.advance(600);
    expect(prober.get("n0")).toMatchObject([{ network: "InternalIP", answeredAtMs: undefined }]);
    prober.stop();
  });

  it("keeps to its limit when everything hangs", async () => {
    const { clock, state, prober } = proberOn(400);
    state.hangs = true;
    prober.start();
    await clock.advance(60_000);
    expect(state.mostRunning).toBeLessThanOrEqual(64);
    prober.stop();
  });

  it("asks nobody and remembers nothing once stopped", async () => {
    const { clock, asked, prober } = proberOn(3);
    prober.start();
    await clock.advance(20_000);
    prober.stop();
    const before = asked.length;
    await clock.advance(120_000);
    expect(asked).toHaveLength(before);
    expect(prober.get("n0")).toBeUndefined();
  });
});

describe("one probe on a real connection", () => {
  const clock = createRealClock();
  const probe = (change: Partial<ProbeRequest>) =>
    probeConnection({
      address: "127.0.0.1",
      port: 1,
      method: "tcp",
      deadlineMs: 500,
      signal: new AbortController().signal,
      clock,
      ...change,
    });
  const serving = async (server: Server, work: (port: number) => Promise<void>): Promise<void> => {
    const open = new Set<Socket>();
    server.on("connection", (socket: Socket) => open.add(socket.on("error", () => {})));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await work((server.address() as AddressInfo).port);
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };

  it("is answered by a host that accepts; with https it must go through the handshake, which a proxy cannot feign", async () => {
    await serving(createServer(), async (port) => {
      expect(await probe({ port })).toBe("answered");
      expect(await probe({ port, method: "https" })).toBe("silent");
    });
    const authority = createCertificateAuthority("probe");
    const { certPem, keyPem } = authority.issue({ commonName: "node", usages: ["serverAuth"] });
    await serving(createTlsServer({ cert: certPem, key: keyPem }), async (port) => {
      expect(await probe({ port, method: "https", deadlineMs: 10_000 })).toBe("answered");
    });
  });

  it("tells a refusal from silence", async () => {
    let closed = 0;
    await serving(createServer(), async (port) => {
      closed = port;
    });
    expect(await probe({ port: closed })).toBe("refused");
    expect(await probe({ port: closed, method: "https" })).toBe("refused");
  });

  it("looks up no name, and makes no connection once it was called off", async () => {
    await serving(createServer(), async (port) => {
      expect(await probe({ port, address: "localhost" })).toBe("silent");
      expect(await probe({ port, signal: AbortSignal.abort() })).toBe("silent");
    });
  });
});
