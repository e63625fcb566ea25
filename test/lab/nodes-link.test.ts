import { describe, expect, it } from "vitest";
import { Lifeline } from "../../lab/nodes/lifeline.ts";
import { Cable, NodeLink } from "../../lab/nodes/node-link.ts";
import type { ApiOutcome, ApiRequest, ApiStream, ApiTransport } from "../../src/kube/transport.ts";

const tick = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const GET: ApiRequest = { method: "GET", path: "/api" };

/** Answers after `answerMs`, and notes which calls were given up before. */
class SlowServer implements ApiTransport {
  readonly answerMs: number;
  calls = 0;
  aborted = 0;

  constructor(answerMs: number) {
    this.answerMs = answerMs;
  }

  async request<T>(request: ApiRequest): Promise<ApiOutcome<T>> {
    this.calls += 1;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ ok: true, status: 200, value: "done" as T }), this.answerMs);
      request.signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        this.aborted += 1;
        resolve({ ok: false, kind: "aborted", status: undefined, message: "" });
      });
    });
  }

  async stream(request: ApiRequest): Promise<ApiOutcome<ApiStream>> {
    let closed = false;
    let wake: () => void = () => undefined;
    async function* lines() {
      for (let line = 0; ; line += 1) {
        if (closed) return;
        yield line;
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, 5);
        });
      }
    }
    request.signal?.addEventListener("abort", () => wake());
    return {
      ok: true,
      status: 200,
      value: {
        lines: lines(),
        close: () => {
          closed = true;
          wake();
        },
      },
    };
  }

  redial(): void {}
  async close(): Promise<void> {}
}

function setUp(answerMs = 10) {
  const server = new SlowServer(answerMs);
  const cable = new Cable(server);
  const life = new Lifeline();
  return { server, cable, life, link: new NodeLink(cable, life) };
}

describe("NodeLink", () => {
  it("aborts what is being sent when the machine loses power, and never answers", async () => {
    const { server, life, link } = setUp();
    let answered = false;
    void (async () => {
      await link.request(GET);
      answered = true;
    })();
    await tick(1);
    life.end();
    await tick(30);
    expect(server.aborted).toBe(1);
    expect(answered).toBe(false);
  });

  it("sends nothing after the machine has lost power", async () => {
    const { server, life, link } = setUp();
    life.end();
    void link.request(GET);
    await tick(20);
    expect(server.calls).toBe(0);
  });

  it("swallows a call in a cut network until its deadline", async () => {
    const { server, cable, link } = setUp();
    cable.cut();
    const startedMs = performance.now();
    const outcome = await link.request({ ...GET, deadlineMs: 40 });
    expect(outcome).toMatchObject({ ok: false, kind: "unreachable" });
    expect(performance.now() - startedMs).toBeGreaterThan(35);
    expect(server.calls).toBe(0);
  });

  it("fails calls that hang in a cut network as soon as it heals, so that they are tried anew", async () => {
    const { server, cable, link } = setUp();
    const call = link.request(GET);
    await tick(1);
    cable.cut();
    await tick(20);
    expect(server.aborted).toBe(1);
    cable.heal();
    expect(await call).toMatchObject({ ok: false, kind: "unreachable" });
    expect(await link.request(GET)).toMatchObject({ ok: true });
  });

  it("withholds answers and new calls while the machine hangs", async () => {
    const { server, life, link } = setUp();
    let answered = false;
    const call = link.request(GET).then((outcome) => {
      answered = true;
      return outcome;
    });
    await tick(1);
    life.freeze();
    void link.request(GET);
    await tick(30);
    expect(answered).toBe(false);
    expect(server.calls).toBe(1);
    life.thaw();
    expect(await call).toMatchObject({ ok: true });
    await tick(20);
    expect(server.calls).toBe(2);
  });

  it("breaks a watch when the network is cut", async () => {
    const { cable, link } = setUp();
    const opened = await link.stream(GET);
    if (!opened.ok) throw new Error("the stream did not open");
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const line of opened.value.lines) {
        seen.push(line);
        if (seen.length === 2) cable.cut();
      }
    })();
    await expect(watching).rejects.toThrow("cut");
    expect(seen).toEqual([0, 1]);
  });
});
