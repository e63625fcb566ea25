import { connect } from "node:net";
import { Counter, Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createHealthServer, type HealthServer } from "../../src/run/health-server.ts";

let server: HealthServer;
let base: string;
let port: number;
let stuck: string | undefined;
let broken: boolean;
let bugs: unknown[];

beforeEach(async () => {
  stuck = undefined;
  broken = false;
  bugs = [];
  const registry = new Registry();
  new Counter({ name: "holdfast_things_total", help: "Things.", registers: [registry] }).inc(3);
  server = createHealthServer({
    host: "127.0.0.1",
    port: 0,
    alive: [
      { name: "process", check: () => undefined },
      {
        name: "turn-loop",
        check: () => {
          if (broken) throw new Error("secret path /etc/passwd");
          return stuck;
        },
      },
    ],
    ready: [{ name: "nodes", check: () => "not synced yet" }],
    metrics: registry,
    decisions: { list: () => '{"decisions":[]}', read: (id) => (id === 7 ? '{"seven":true}' : undefined) },
    onBug: (error) => bugs.push(error),
  });
  const outcome = await server.listen();
  if (!outcome.ok) throw new Error(outcome.message);
  ({ port } = outcome);
  base = `http://127.0.0.1:${port}`;
});

afterEach(() => server.close());

async function get(path: string, init?: RequestInit) {
  const response = await fetch(base + path, init);
  return { status: response.status, body: await response.text(), headers: response.headers };
}

describe("/decisions", () => {
  it("lists what is kept, gives one by its number, and knows no other", async () => {
    expect((await get("/decisions")).body).toBe('{"decisions":[]}');
    const one = await get("/decisions?id=7");
    expect([one.status, one.body, one.headers.get("content-type")]).toEqual([
      200,
      '{"seven":true}',
      "application/json",
    ]);
    expect((await get("/decisions?id=8")).status).toBe(404);
    expect((await get("/decisions?id=x")).status).toBe(404);
  });
});

describe("/healthz and /readyz", () => {
  it("say ok where every check passes", async () => {
    expect(await get("/healthz")).toMatchObject({ status: 200, body: "ok\n" });
  });

  it("list every check when asked to be verbose", async () => {
    const { body } = await get("/healthz?verbose");
    expect(body).toBe("[+]process ok\n[+]turn-loop ok\nhealthz check passed\n");
  });

  it("name the failing check and why, with 503", async () => {
    stuck = "no turn has ended for 95 s, limit 60 s";
    expect(await get("/healthz")).toMatchObject({
      status: 503,
      body: "[-]turn-loop failed: no turn has ended for 95 s, limit 60 s\nhealthz check failed\n",
    });
    expect((await get("/healthz?verbose=1")).body).toContain("[+]process ok\n[-]turn-loop failed:");
  });

  it("are apart: not ready is not dead", async () => {
    expect((await get("/readyz")).status).toBe(503);
    expect((await get("/healthz")).status).toBe(200);
  });

  it("a check that throws answers a bare 500 and is reported as a bug", async () => {
    broken = true;
    const { status, body } = await get("/healthz");
    expect([status, body]).toEqual([500, "internal error\n"]);
    expect(String(bugs[0])).toContain("secret path");
  });
});

describe("/metrics", () => {
  it("renders the injected registry with Prometheus' content type", async () => {
    const { status, body, headers } = await get("/metrics");
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(body).toContain("holdfast_things_total 3");
  });
});

describe("everything else", () => {
  it.each(["/", "/healthz/", "/debug/pprof", "/__proto__", "/constructor", "//healthz"])(
    "answers 404 for %s",
    async (path) => {
      expect((await get(path)).status).toBe(404);
    },
  );

  it("answers 405 for other methods and says which are allowed", async () => {
    const { status, headers } = await get("/metrics", { method: "POST", body: "x" });
    expect(status).toBe(405);
    expect(headers.get("allow")).toBe("GET, HEAD");
  });

  it("answers HEAD without a body", async () => {
    expect(await get("/healthz", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  });

  it("refuses headers that are too large", async () => {
    expect((await get("/healthz", { headers: { "x-large": "x".repeat(9_000) } })).status).toBe(431);
  });

  it("ends a connection that dawdles over its headers", { timeout: 15_000 }, async () => {
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.1\r\n");
    let answer = "";
    socket.on("data", (chunk) => (answer += chunk.toString()));
    await new Promise<void>((resolve) => socket.on("close", () => resolve()));
    expect(answer).toContain("408");
  });
});

it("says why it cannot listen, as a value", async () => {
  const second = createHealthServer({
    host: "127.0.0.1",
    port,
    alive: [],
    ready: [],
    metrics: new Registry(),
    onBug: () => {},
  });
  expect(await second.listen()).toMatchObject({ ok: false, message: expect.stringContaining("EADDRINUSE") });
});
