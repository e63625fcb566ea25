// The one door to the API server, against scripted servers on loopback: deadlines, failures, streams, connections.
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import { type ApiStream, type ApiTransport, MAX_BODY_BYTES, StreamBroken } from "../../src/kube/transport.ts";
import { type LoopbackServer, startLoopbackServer } from "./loopback-server.ts";

const GET = { method: "GET", path: "/api/v1/nodes" } as const;

describe.each([{ tls: false }, { tls: true }])("over loopback, TLS: $tls", ({ tls }) => {
  let server: LoopbackServer;
  let transport: ApiTransport;

  beforeEach(async () => {
    server = await startLoopbackServer({ tls });
    transport = createHttpTransport(server.kubeConfig);
  });
  afterEach(async () => {
    await transport.close();
    await server.close();
  });

  const status = (response: ServerResponse, code: number, body: unknown) => {
    response.writeHead(code, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };

  it("sends method, path, query, body and credentials, and parses the answer", async () => {
    server.handler = (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () =>
        status(response, 201, {
          method: request.method,
          url: request.url,
          type: request.headers["content-type"],
          token: request.headers.authorization,
          agent: request.headers["user-agent"],
          http: request.httpVersion,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    };
    const outcome = await transport.request({
      method: "PATCH",
      path: "/api/v1/nodes/a",
      query: { fieldManager: "holdfast", force: true, limit: 3, left: undefined },
      contentType: "application/merge-patch+json",
      body: { spec: { unschedulable: true } },
    });
    expect(outcome).toEqual({
      ok: true,
      status: 201,
      value: {
        method: "PATCH",
        url: "/api/v1/nodes/a?fieldManager=holdfast&force=true&limit=3",
        type: "application/merge-patch+json",
        token: "Bearer secret-token",
        agent: "holdfast",
        http: "1.1",
        body: '{"spec":{"unschedulable":true}}',
      },
    });
  });

  it("keeps its deadline while the answer's head, or the rest of it, does not come", async () => {
    server.handler = () => undefined;
    expect(await transport.request({ ...GET, deadlineMs: 100 })).toMatchObject({
      kind: "timeout",
      message: "no answer within 100 ms",
    });
    server.handler = (_request, response) => {
      response.writeHead(200);
      response.write('{"items":[');
    };
    expect(await transport.request({ ...GET, deadlineMs: 100 })).toMatchObject({ kind: "timeout" });
  });

  it("keeps the deadline of opening a stream, even where only a refusal's body does not end", async () => {
    server.handler = () => undefined;
    expect(await transport.stream({ ...GET, deadlineMs: 100 })).toMatchObject({ kind: "timeout" });
    server.handler = (_request, response) => {
      response.writeHead(500);
      response.write("{");
    };
    expect(await transport.stream({ ...GET, deadlineMs: 100 })).toMatchObject({ kind: "timeout" });
  });

  it("is given up when the caller's signal says so", async () => {
    server.handler = () => undefined;
    const signal = AbortSignal.timeout(30);
    expect(await transport.request({ ...GET, signal })).toMatchObject({ kind: "aborted" });
    expect(await transport.request({ ...GET, signal })).toMatchObject({ kind: "aborted" });
    expect(await transport.stream({ ...GET, signal })).toMatchObject({ kind: "aborted" });
  });

  it.each([
    ["POST", 409, { reason: "AlreadyExists" }, "alreadyExists"],
    ["POST", 409, { reason: "Conflict" }, "conflict"],
    ["PUT", 409, { reason: "Conflict" }, "conflict"],
    ["DELETE", 409, {}, "conflict"],
    ["GET", 400, {}, "invalid"],
    ["GET", 401, {}, "denied"],
    ["GET", 403, {}, "denied"],
    ["GET", 404, {}, "notFound"],
    ["GET", 410, {}, "gone"],
    ["GET", 418, {}, "unexpected"],
    ["POST", 422, {}, "invalid"],
    ["GET", 429, {}, "throttled"],
    ["GET", 503, {}, "serverError"],
  ] as const)("reads %s %i %o as %s", async (method, code, body, kind) => {
    server.handler = (_request, response) => status(response, code, { message: "because", ...body });
    const outcome = await transport.request({
      method,
      path: "/x",
      ...(method === "POST" ? { body: {} } : {}),
    });
    expect(outcome).toEqual({ ok: false, kind, status: code, message: "because" });
  });

  it("passes Retry-After on in milliseconds, for requests and streams", async () => {
    server.handler = (_request, response) => {
      response.writeHead(429, { "retry-after": "7" });
      response.end("slow down");
    };
    const expected = { kind: "throttled", message: "slow down", retryAfterMs: 7_000 };
    expect(await transport.request(GET)).toMatchObject(expected);
    expect(await transport.stream(GET)).toMatchObject(expected);
  });

  it("does not quote an answer that it cannot read: it may be a Secret", async () => {
    server.handler = (_request, response) => response.end("hunter2");
    const outcome = await transport.request(GET);
    expect(outcome).toMatchObject({ ok: false, kind: "unexpected" });
    expect(JSON.stringify(outcome)).not.toContain("hunter2");
  });

  it("refuses an answer larger than it may be, without holding it", async () => {
    const chunk = Buffer.alloc(1024 * 1024, 32);
    let sent = 0;
    server.handler = (_request, response) => {
      const more = () => {
        while (sent < MAX_BODY_BYTES * 2 && !response.destroyed) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    };
    expect(await transport.request(GET)).toMatchObject({ kind: "tooLarge" });
    expect(sent).toBeLessThan(MAX_BODY_BYTES + 16 * chunk.length);
  });

  it("answers unreachable where a connection breaks or nobody listens", async () => {
    server.handler = (request) => request.socket.destroy();
    expect(await transport.request(GET)).toMatchObject({ kind: "unreachable" });
    await server.close();
    expect(await transport.request(GET)).toMatchObject({ kind: "unreachable" });
    expect(await transport.stream(GET)).toMatchObject({ kind: "unreachable" });
  });

  it("yields the lines of a stream as they come, in however many pieces", async () => {
    server.handler = (_request, response) => {
      void (async () => {
        for (const piece of ['{"n":1}\n{"n"', ":2}", '\n\n{"n":"ü', '"}\n']) {
          response.write(piece);
          await sleep(10);
        }
        response.end();
      })();
    };
    expect(await collect(await opened(transport))).toEqual({
      lines: [{ n: 1 }, { n: 2 }, { n: "ü" }],
      end: "clean",
    });
  });

  it("breaks a stream on a reset, on a line that is not JSON, and on an end inside a line", async () => {
    const endings: ((response: ServerResponse) => void)[] = [
      (response) => response.destroy(),
      (response) => response.end("hunter2\n"),
      (response) => response.end('{"n":'),
    ];
    for (const ending of endings) {
      server.handler = (_request, response) => {
        response.write('{"n":1}\n');
        setTimeout(() => ending(response), 10);
      };
      const { lines, end } = await collect(await opened(transport));
      expect(lines).toEqual([{ n: 1 }]);
      expect(end).toBeInstanceOf(StreamBroken);
      expect(String(end)).not.toContain("hunter2");
    }
  });

  it("lets a stream live beyond the deadline of opening it, and ends the iteration when it is closed", async () => {
    server.handler = (_request, response) => response.flushHeaders();
    const stream = await opened(transport, 50);
    const reading = collect(stream);
    await sleep(150);
    stream.close();
    expect(await reading).toEqual({ lines: [], end: "clean" });
    await until(() => server.open.size === 0);
  });

  it("frees the connection of a stream that is closed before anyone reads, or left in the middle", async () => {
    server.handler = (_request, response) => response.write('{"n":1}\n{"n":2}\n');
    (await opened(transport)).close();
    for await (const line of (await opened(transport)).lines) {
      expect(line).toEqual({ n: 1 });
      break;
    }
    await until(() => server.open.size === 0);
  });

  it("gives every stream a connection of its own and re-uses those of requests", async () => {
    server.handler = (request, response) => {
      if (request.url?.includes("watch")) response.flushHeaders();
      else response.end("{}");
    };
    const streams: ApiStream[] = [];
    for (let i = 0; i < 5; i++) {
      await transport.request(GET);
      streams.push(await opened(transport));
    }
    expect(server.accepted).toBe(6);
    for (const stream of streams) stream.close();
  });

  it("opens every stream on a fresh connection, since one that was idle may have gone mute", async () => {
    server.handler = (_request, response) => response.end('{"n":1}\n');
    for (let i = 1; i <= 3; i++) {
      expect(await collect(await opened(transport))).toEqual({ lines: [{ n: 1 }], end: "clean" });
      expect(server.accepted).toBe(i);
    }
  });

  it("breaks open streams and calls under way on redial, and dials anew", async () => {
    server.handler = (_request, response) => response.flushHeaders();
    const reading = collect(await opened(transport));
    const calling = transport.request(GET);
    await sleep(30);
    transport.redial();
    expect((await reading).end).toBeInstanceOf(StreamBroken);
    expect(await calling).toMatchObject({ kind: "unreachable" });
    server.handler = (_request, response) => response.end("{}");
    const accepted = server.accepted;
    expect(await transport.request(GET)).toMatchObject({ ok: true });
    expect(server.accepted).toBe(accepted + 1);
  });

  it("reads a rotated token", async () => {
    const directory = await mkdtemp(join(tmpdir(), "holdfast-token-"));
    const tokenFile = join(directory, "token");
    await writeFile(tokenFile, "first");
    const rotating = createHttpTransport(
      server.configFor({ authProvider: { name: "tokenFile", config: { tokenFile } } }),
    );
    server.handler = (request, response) => status(response, 200, request.headers.authorization);
    expect(await rotating.request(GET)).toMatchObject({ value: "Bearer first" });
    await writeFile(tokenFile, "second");
    // client-node reads the file again after a minute.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    try {
      expect(await rotating.request(GET)).toMatchObject({ value: "Bearer second" });
    } finally {
      vi.useRealTimers();
      await rotating.close();
      await rm(directory, { recursive: true });
    }
  });
});

describe("a server that is only half there", () => {
  it("is left by the deadline when it accepts connections and says nothing, for requests and streams", async () => {
    const mute = createServer(() => undefined);
    await new Promise<void>((resolve) => {
      mute.listen(0, "127.0.0.1", resolve);
    });
    const address = mute.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const server = await startLoopbackServer({ tls: true });
    const kubeConfig = server.configFor({});
    const cluster = kubeConfig.clusters[0];
    if (!cluster) throw new Error("no cluster");
    kubeConfig.clusters = [{ ...cluster, server: `https://127.0.0.1:${port}` }];
    const transport = createHttpTransport(kubeConfig);
    const startedMs = performance.now();
    const [request, stream] = await Promise.all([
      transport.request({ ...GET, deadlineMs: 200 }),
      transport.stream({ ...GET, deadlineMs: 200 }),
    ]);
    expect(request).toMatchObject({ ok: false, kind: "timeout" });
    expect(stream).toMatchObject({ ok: false, kind: "timeout" });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await transport.close();
    await server.close();
    mute.close();
  });
});

it("keeps the deadline while credentials do not come: an exec plugin may hang", async () => {
  const server = await startLoopbackServer({ tls: false });
  const kubeConfig = server.configFor({});
  kubeConfig.applyToHTTPSOptions = () => new Promise(() => undefined);
  const transport = createHttpTransport(kubeConfig);
  expect(await transport.request({ ...GET, deadlineMs: 50 })).toMatchObject({ kind: "timeout" });
  expect(await transport.stream({ ...GET, deadlineMs: 50 })).toMatchObject({ kind: "timeout" });
  await transport.close();
  await server.close();
});

async function opened(transport: ApiTransport, deadlineMs = 5_000): Promise<ApiStream> {
  const outcome = await transport.stream({ ...GET, query: { watch: true }, deadlineMs });
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.value;
}

async function collect(stream: ApiStream): Promise<{ lines: unknown[]; end: unknown }> {
  const lines: unknown[] = [];
  try {
    for await (const line of stream.lines) lines.push(line);
    return { lines, end: "clean" };
  } catch (error) {
    return { lines, end: error };
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isTrue(); i++) await sleep(10);
  expect(isTrue()).toBe(true);
}
