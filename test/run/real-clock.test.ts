import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { createRealClock } from "../../src/run/real-clock.ts";

const clock = createRealClock();

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, delayMs));
}

describe("the real clock", () => {
  it("never fires early", async () => {
    for (let n = 0; n < 50; n += 1) {
      const startMs = clock.now().monotonicMs;
      const delayMs = n / 5;
      await new Promise<void>((resolve) => {
        const keepAlive = setTimeout(() => {}, 1_000);
        clock.schedule(delayMs, () => {
          clearTimeout(keepAlive);
          resolve();
        });
      });
      expect(clock.now().monotonicMs - startMs).toBeGreaterThanOrEqual(delayMs);
    }
  });

  it("does not fire what was cancelled, and takes a second cancel", async () => {
    let fired = false;
    const cancel = clock.schedule(5, () => (fired = true));
    cancel();
    cancel();
    await sleep(20);
    expect(fired).toBe(false);
  });

  it("waits for a delay longer than Node's longest timer", async () => {
    let fired = false;
    const cancel = clock.schedule(2 ** 31 + 1_000, () => (fired = true));
    await sleep(20);
    expect(fired).toBe(false);
    cancel();
  });

  it("does not keep the process alive", () => {
    const { href } = new URL("../../src/run/real-clock.ts", import.meta.url);
    const program = `import { createRealClock } from ${JSON.stringify(href)}; createRealClock().schedule(60000, () => {});`;
    const result = spawnSync(process.execPath, ["--input-type=module", "-e", program], { timeout: 10_000 });
    expect(result.status).toBe(0);
  });
});
