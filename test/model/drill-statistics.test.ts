import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  convergenceMs,
  drillSummary,
  judgeRuns,
  type MeasuredRun,
  measuredRun,
  studentT95,
  summaryOf,
} from "../../src/model/drill-statistics.ts";
import { ProbeTrace } from "../../src/model/probe-trace.ts";
import type { ProbeFacts, ServiceProbe } from "../../src/model/service-probe.ts";
import { scriptedServiceProbe } from "../support/scripted-service-probe.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const UDP: ServiceProbe = { kind: "Udp", port: 7, packetsPerSecond: 10 };

describe("the summary of several measurements", () => {
  it("is worked out by hand for three", () => {
    // 200, 300, 400: mean 300, squares 10000 + 0 + 10000 over 2, t(2) = 4.30265: 4.30265 * 100 / sqrt 3 = 248.414.
    const summary = summaryOf([200, 300, 400]);
    expect(summary?.mean).toBe(300);
    expect(summary?.standardDeviation).toBe(100);
    expect(summary?.confidence95?.low).toBeCloseTo(51.586, 2);
    expect(summary?.confidence95?.high).toBeCloseTo(548.414, 2);
  });

  it("has no deviation and no interval for one, and is nothing of none", () => {
    expect(summaryOf([7])).toEqual({
      count: 1,
      mean: 7,
      standardDeviation: undefined,
      confidence95: undefined,
    });
    expect(summaryOf([])).toBeUndefined();
  });

  it.each([
    [1, 12.706],
    [2, 4.303],
    [5, 2.571],
    [10, 2.228],
    [11, 2.201],
    [12, 2.179],
    [15, 2.131],
    [20, 2.086],
    [29, 2.045],
    [60, 2.0],
    [120, 1.98],
    [100_000, 1.96],
  ])("takes Student's t for %i degrees of freedom from the published table: %f", (degrees, published) => {
    expect(studentT95(degrees)).toBeCloseTo(published, 3);
  });

  const values = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 50 });

  it("always has its mean inside the interval and between the extremes, and does not know their order", () => {
    fc.assert(
      fc.property(values, (some) => {
        const summary = summaryOf(some);
        const reversed = summaryOf(some.toReversed());
        const { low, high } = summary?.confidence95 ?? { low: Number.NaN, high: Number.NaN };
        const mean = summary?.mean ?? Number.NaN;
        expect(low).toBeLessThanOrEqual(mean);
        expect(high).toBeGreaterThanOrEqual(mean);
        expect(mean).toBeGreaterThanOrEqual(Math.min(...some) - 1e-6);
        expect(mean).toBeLessThanOrEqual(Math.max(...some) + 1e-6);
        expect(reversed?.mean).toBeCloseTo(mean, 6);
        expect(reversed?.standardDeviation).toBeCloseTo(summary?.standardDeviation ?? 0, 3);
      }),
    );
  });

  it("moves with its values and stretches with them", () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0.5, max: 10, noNaN: true }), (some, factor) => {
        const usual = summaryOf(some);
        const stretched = summaryOf(some.map((value) => value * factor + 5));
        expect(stretched?.mean).toBeCloseTo((usual?.mean ?? 0) * factor + 5, 3);
        expect(stretched?.standardDeviation).toBeCloseTo((usual?.standardDeviation ?? 0) * factor, 3);
      }),
    );
  });
});

/** Ten questions a second for `seconds`; `latencyMs` says what became of the one sent at a time. */
function trace(seconds: number, latencyMs: (atMs: number) => number | undefined): ProbeFacts {
  const written = new ProbeTrace(UDP, 0);
  for (let atMs = 0; atMs < seconds * 1_000; atMs += 100)
    written.add({ sentAtMs: atMs, latencyMs: latencyMs(atMs) });
  return written.facts(seconds * 1_000);
}

describe("one run", () => {
  it("in which packets are lost from 3.0 to 3.4 s was down for 500 ms and converged by then", () => {
    const facts = trace(10, (atMs) => (atMs >= 3_000 && atMs < 3_500 ? undefined : 1));
    expect(measuredRun(facts, 2_900)).toEqual({
      sent: 100,
      lost: 5,
      skipped: 0,
      outageMs: 500,
      longestOutageMs: 500,
      // Disturbed at 2,900, answered again from 3,500 on; the slice of the last loss ends there as well.
      convergenceMs: 600,
      answeredBefore: true,
      restored: true,
    });
  });

  it("counts only what was down after the disturbance", () => {
    const facts = trace(10, (atMs) => (atMs < 500 || (atMs >= 2_000 && atMs < 3_000) ? undefined : 1));
    expect(measuredRun(facts, 2_500)).toMatchObject({ outageMs: 500, longestOutageMs: 500 });
  });

  it("converges only when the latency is back in its band", () => {
    const facts = trace(12, (atMs) => (atMs >= 4_000 && atMs < 6_000 ? 80 : 2));
    expect(convergenceMs(facts, 4_000)).toBe(2_000);
    expect(measuredRun(facts, 4_000)).toMatchObject({ outageMs: 0, lost: 0 });
  });

  it("takes no jitter of the prober for a disturbance", () => {
    const facts = trace(10, (atMs) => (atMs >= 4_000 && atMs < 6_000 ? 45 : 2));
    expect(convergenceMs(facts, 4_000)).toBe(0);
  });

  it("is not known to have converged when the trace ends too soon after the last loss", () => {
    const facts = trace(10, (atMs) => (atMs >= 8_000 && atMs < 8_500 ? undefined : 1));
    expect(convergenceMs(facts, 5_000)).toBeUndefined();
  });

  it("that never comes back is neither restored nor converged, and was down to its end", () => {
    const facts = trace(10, (atMs) => (atMs >= 4_000 ? undefined : 1));
    expect(measuredRun(facts, 3_950)).toMatchObject({
      outageMs: 6_000,
      convergenceMs: undefined,
      answeredBefore: true,
      restored: false,
    });
  });

  it("whose service never answered says so", () => {
    expect(
      measuredRun(
        trace(5, () => undefined),
        2_000,
      ),
    ).toMatchObject({
      answeredBefore: false,
      restored: false,
      outageMs: 3_000,
    });
  });
});

describe("a run with a VM that comes back on another address", () => {
  it("lasts until that address answers", async () => {
    const clock = new VirtualClock();
    let up: string | undefined = "127.64.0.1";
    let reported: string | undefined = up;
    const start = scriptedServiceProbe({ clock, latencyMs: (to) => (to === up ? 1 : undefined) });
    const running = start({ probe: UDP, address: () => reported });
    await clock.advance(3_950);
    up = undefined;
    await clock.advance(1_000);
    reported = undefined;
    await clock.advance(1_000);
    [up, reported] = ["127.64.0.2", "127.64.0.2"];
    await clock.advance(4_000);
    const facts = await running.stop();
    expect(measuredRun(facts, 3_950)).toMatchObject({ outageMs: 2_000, lost: 20, restored: true });
  });
});

const good: MeasuredRun = {
  sent: 100,
  lost: 3,
  skipped: 0,
  outageMs: 300,
  longestOutageMs: 300,
  convergenceMs: 500,
  answeredBefore: true,
  restored: true,
};

describe("several runs", () => {
  it("add up, and converge as often as they did", () => {
    const runs = [good, { ...good, lost: 5, outageMs: 500, longestOutageMs: 400, convergenceMs: undefined }];
    expect(drillSummary(runs)).toMatchObject({
      runs: 2,
      sent: 200,
      lost: 8,
      longestOutageMs: 400,
      converged: 1,
      lostPerRun: { mean: 4 },
      outageMs: { count: 2, mean: 400 },
      convergenceMs: { count: 1, mean: 500 },
    });
    expect(drillSummary([])).toBeUndefined();
  });

  it("pass when each kept within the budget, to the millisecond", () => {
    expect(judgeRuns([good, good], { outageBudgetMs: 300, recoveryTimeMs: 300 }).result).toBe("Passed");
    expect(judgeRuns([good, good], { outageBudgetMs: 299 })).toEqual({
      result: "Failed",
      why: "in 2 of 2 runs the service was away for more than 299 ms: at worst 300 ms",
    });
    expect(judgeRuns([good], { outageBudgetMs: 299 }).why).toBe(
      "the service was away for more than 299 ms: 300 ms",
    );
    expect(judgeRuns([good], {}).why).toBe("the service was away for 300 ms");
    expect(judgeRuns([good, good], {}).why).toBe("the service was away for at worst 300 ms in 2 runs");
  });

  it("fail for one bad run, however good the mean", () => {
    const runs = [...Array.from({ length: 9 }, () => ({ ...good, outageMs: 0 })), { ...good, outageMs: 900 }];
    expect(judgeRuns(runs, { outageBudgetMs: 800 }).result).toBe("Failed");
  });

  it("tell the promised time to recover from the budget of all outages", () => {
    const twice = { ...good, outageMs: 600, longestOutageMs: 300 };
    expect(judgeRuns([twice], { recoveryTimeMs: 400 }).result).toBe("Passed");
    expect(judgeRuns([twice], { outageBudgetMs: 400 }).result).toBe("Failed");
    expect(judgeRuns([twice], { recoveryTimeMs: 200 }).result).toBe("Failed");
  });

  it("show nothing where a VM was still away when probing ended within its budget", () => {
    const gone = { ...good, restored: false };
    expect(judgeRuns([good, gone], { outageBudgetMs: 1_000 }).result).toBe("Inconclusive");
    expect(judgeRuns([good, gone], { outageBudgetMs: 200 }).result).toBe("Failed");
    expect(judgeRuns([good, gone], {}).result).toBe("Failed");
  });

  it("show nothing where nobody answered to begin with, where we were too slow to ask, or where there is none", () => {
    const silent = { ...good, answeredBefore: false, restored: false, outageMs: 60_000 };
    expect(judgeRuns([silent], { outageBudgetMs: 100 }).result).toBe("Inconclusive");
    expect(judgeRuns([{ ...good, skipped: 12 }], { outageBudgetMs: 1_000 }).result).toBe("Inconclusive");
    expect(judgeRuns([], { outageBudgetMs: 1_000 }).result).toBe("Inconclusive");
  });
});
