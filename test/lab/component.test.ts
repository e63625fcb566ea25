// One server process: ready, dead too early, too slow, stubborn.
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Component, type ComponentOptions } from "../../lab/control-plane/component.ts";
import { startOrphanGuard } from "../../lab/control-plane/orphan-guard.ts";
import { isRunning } from "./running-process.ts";
import { scratchFolder, writeScript } from "./scratch-folder.ts";

function start(script: string, options: Partial<ComponentOptions> = {}): Component {
  const directory = scratchFolder();
  const guard = startOrphanGuard();
  const component = new Component({
    name: "etcd",
    binary: writeScript(join(directory, "etcd"), script),
    args: [],
    logPath: join(directory, "etcd.log"),
    guard,
    ...options,
  });
  onTestFinished(async () => {
    await component.stop(0);
    await guard.release();
  });
  return component;
}

const never = () => Promise.resolve(false);
const always = () => Promise.resolve(true);

describe("a component of the control plane", () => {
  it("is awaited until its probe answers", async () => {
    let probes = 0;
    await start("exec sleep 60").waitUntilReady(() => Promise.resolve(++probes === 3), 5_000);
    expect(probes).toBe(3);
  });

  it("that ends before it is ready is named with its log and the last 20 lines of it", async () => {
    const component = start(
      "i=1; while [ $i -le 30 ]; do echo line $i; i=$((i+1)); done; echo why >&2; exit 3",
    );
    const failure = await component.waitUntilReady(never, 5_000).catch((error: unknown) => String(error));
    expect(failure).toMatch(/etcd ended with exit code 3 before it was ready\. Log: \/.*\/etcd\.log\n/);
    const lines = String(failure).split("\n").slice(1);
    expect(lines).toHaveLength(20);
    expect([lines[0], lines.at(-2), lines.at(-1)]).toEqual(["  line 12", "  line 30", "  why"]);
  });

  it("that is not ready in time is named too", async () => {
    await expect(start("echo busy; exec sleep 60").waitUntilReady(never, 300)).rejects.toThrow(
      /^etcd was not ready within 0 s\. Log: .*\n {2}busy$/,
    );
  });

  it("that cannot be executed says which file", async () => {
    expect(() => start("", { binary: "/nonexistent/etcd" })).toThrow(
      "etcd: /nonexistent/etcd cannot be executed",
    );
  });

  it("is killed when it does not heed SIGTERM within its grace", async () => {
    const component = start("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    const startedMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await component.stop(200);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(isRunning(component.pid)).toBe(false);
  });

  it("that dies later is reported, unless we stopped it", async () => {
    const onUnexpectedEnd = vi.fn();
    const killed = start("exec sleep 60", { onUnexpectedEnd });
    await killed.waitUntilReady(always, 1_000);
    process.kill(killed.pid, "SIGKILL");
    await vi.waitFor(() => expect(onUnexpectedEnd).toHaveBeenCalledOnce());
    expect(onUnexpectedEnd.mock.calls[0]?.[0]).toMatch(/^etcd ended with SIGKILL\. Log: /);
    expect(() => killed.requireRunning()).toThrow("etcd ended with SIGKILL");

    const stopped = start("exec sleep 60", { onUnexpectedEnd });
    await stopped.waitUntilReady(always, 1_000);
    stopped.requireRunning();
    await stopped.stop(1_000);
    expect(onUnexpectedEnd).toHaveBeenCalledOnce();
  });
});
