// Servers must not outlive the process that started them, however it died.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { isRunning } from "./running-process.ts";
import { scratchFolder } from "./scratch-folder.ts";

const GUARD = new URL("../../lab/control-plane/orphan-guard.ts", import.meta.url).href;

/** A parent that guards two sleeping children, forgets the second, says their pids, and then does `what`. */
function startParent(directory: string, what: string) {
  const script = `
    import { spawn } from "node:child_process";
    import { startOrphanGuard } from ${JSON.stringify(GUARD)};
    const guard = startOrphanGuard({ removeDirectory: ${JSON.stringify(directory)} });
    const children = [1, 2].map(() => spawn("sleep", ["60"], { detached: true, stdio: "ignore" }));
    for (const child of children) { guard.watch(child.pid); child.unref(); }
    guard.forget(children[1].pid);
    console.log(children.map((child) => child.pid).join(" "));
    ${what}`;
  return spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function pidsOf(parent: ReturnType<typeof startParent>): Promise<number[]> {
  const [line] = (await once(createInterface({ input: parent.stdout }), "line")) as [string];
  const pids = line.split(" ").map(Number);
  onTestFinished(() => {
    for (const pid of pids.filter(isRunning)) process.kill(pid);
  });
  return pids;
}

describe("the orphan guard", () => {
  it.each(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
    "ends the children and removes their folder after %s, and spares whom it should forget",
    async (signal) => {
      const directory = join(scratchFolder(), "cluster");
      mkdirSync(directory);
      const parent = startParent(directory, "setInterval(() => undefined, 1000);");
      const [watched = 0, forgotten = 0] = await pidsOf(parent);
      expect(isRunning(watched)).toBe(true);
      parent.kill(signal);
      await vi.waitFor(() => expect(existsSync(directory)).toBe(false), { timeout: 5_000 });
      expect(isRunning(watched)).toBe(false);
      expect(isRunning(forgotten)).toBe(true);
    },
  );

  it("does not keep its process alive, and tidies up after one that just ends", async () => {
    const directory = join(scratchFolder(), "cluster");
    mkdirSync(directory);
    const parent = startParent(directory, "");
    const [watched = 0] = await pidsOf(parent);
    await once(parent, "exit");
    await vi.waitFor(() => expect(existsSync(directory)).toBe(false), { timeout: 5_000 });
    expect(isRunning(watched)).toBe(false);
  });

  it("touches nothing once it is released", async () => {
    const directory = join(scratchFolder(), "cluster");
    mkdirSync(directory);
    const parent = startParent(directory, "await guard.release();");
    const pids = await pidsOf(parent);
    await once(parent, "exit");
    expect(pids.map(isRunning)).toEqual([true, true]);
    expect(existsSync(directory)).toBe(true);
  });
});
