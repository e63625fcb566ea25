import { describe, expect, it } from "vitest";
import { StepPacing, type StepEnd } from "../../src/run/step-pacing.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function pausesAfter(...ends: readonly StepEnd[]): number {
  const clock = new VirtualClock();
  const pacing = new StepPacing(clock);
  for (const end of ends) pacing.ended("step", end);
  return (pacing.notBeforeMs("step") ?? clock.now().monotonicMs) - clock.now().monotonicMs;
}

describe("pacing of steps", () => {
  it("lets a step go that was never tried", () => {
    expect(new StepPacing(new VirtualClock()).notBeforeMs("step")).toBeUndefined();
  });

  it.each<readonly [string, StepEnd, number]>([
    ["gives the watch time to show what took effect", { outcome: "done" }, 2_000],
    ["does not ask again soon where nothing was to be done", { outcome: "unchanged" }, 5_000],
    ["waits for newer facts after a conflict", { outcome: "conflict" }, 150],
    ["leaves a refusal alone for a while", { outcome: "refused" }, 15_000],
    ["keeps nothing back of a step that leadership ended", { outcome: "stale" }, 0],
    ["waits as long as the server asks", { outcome: "retry", retryAfterMs: 4_000 }, 4_000],
  ])("%s", (_what, end, expected) => {
    expect(pausesAfter(end)).toBe(expected);
  });

  it("doubles the pause with each failure in a row, up to half a minute, and begins anew after a success", () => {
    const retry: StepEnd = { outcome: "retry" };
    expect([1, 2, 3, 4].map((n) => pausesAfter(...Array.from({ length: n }, () => retry)))).toEqual([
      250, 500, 1_000, 2_000,
    ]);
    expect(pausesAfter(...Array.from({ length: 20 }, () => retry))).toBe(30_000);
    expect(pausesAfter(retry, retry, { outcome: "done" }, retry)).toBe(250);
  });

  it("lets a step go once its pause is over", async () => {
    const clock = new VirtualClock();
    const pacing = new StepPacing(clock);
    pacing.ended("step", { outcome: "done" });
    await clock.advance(2_000);
    expect(pacing.notBeforeMs("step")).toBeUndefined();
  });
});
