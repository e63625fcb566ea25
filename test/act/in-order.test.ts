import { describe, expect, it } from "vitest";
import { InOrder } from "../../src/act/in-order.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

describe("effects in order", () => {
  /** Effects that take so long to get ready and then to be answered; told when they leave. */
  const run = async (effects: readonly { readonly readyMs: number; readonly answerMs: number }[]) => {
    const clock = new VirtualClock();
    const order = new InOrder(clock);
    const left: string[] = [];
    const sleep = (ms: number) => new Promise<void>((resolve) => void clock.schedule(ms, resolve));
    const all = effects.map(({ readyMs, answerMs }, at) =>
      order.run(async (leaves) => {
        await sleep(readyMs);
        left.push(`${at} at ${Math.round(clock.now().monotonicMs)}`);
        leaves();
        await sleep(answerMs);
        return at;
      }),
    );
    await clock.advance(2_000);
    expect(await Promise.all(all)).toEqual(effects.map((_, at) => at));
    return left;
  };
  const effect = (readyMs: number, answerMs: number) => ({ readyMs, answerMs });

  it("leave one after the other, each when the one before is answered", async () => {
    expect(await run([effect(1, 5), effect(1, 5), effect(1, 5)])).toEqual(["0 at 1", "1 at 7", "2 at 13"]);
  });

  it("have a head start where the answer takes long", async () => {
    expect(await run([effect(1, 900), effect(1, 900)])).toEqual(["0 at 1", "1 at 14"]);
  });

  it("are not overtaken where the first takes longer to get ready", async () => {
    expect(await run([effect(40, 5), effect(1, 5)])).toEqual(["0 at 40", "1 at 46"]);
  });

  it("do not wait for one that is stuck", async () => {
    expect(await run([effect(1_500, 5), effect(1, 5)])).toEqual(["1 at 251", "0 at 1500"]);
  });

  it("go on after one that threw", async () => {
    const order = new InOrder(new VirtualClock());
    await expect(order.run(() => Promise.reject(new Error("ours")))).rejects.toThrow("ours");
    expect(await order.run(async () => 1)).toBe(1);
  });
});
