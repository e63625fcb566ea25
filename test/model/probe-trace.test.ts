import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIRST_SLICE_MS, MAX_OUTAGES_KEPT, MAX_SLICES, ProbeTrace } from "../../src/model/probe-trace.ts";
import { type ProbeFacts, periodMsOf, type ServiceProbe, slowDownMs } from "../../src/model/service-probe.ts";

const UDP: ServiceProbe = { kind: "Udp", port: 7, packetsPerSecond: 100 };

function folded(latencies: readonly (number | undefined)[], periodMs: number): ProbeFacts {
  const trace = new ProbeTrace(UDP, 5_000);
  latencies.forEach((latencyMs, index) => {
    trace.add({ sentAtMs: index * periodMs, latencyMs });
  });
  return trace.facts(latencies.length * periodMs);
}

describe("a probe's trace", () => {
  it("comes to what was counted by hand", () => {
    const facts = folded([2, 4, undefined, undefined, 6, undefined, 8, 8], 10);
    expect(facts).toMatchObject({
      startedAtMs: 5_000,
      observedMs: 80,
      sent: 8,
      answered: 5,
      lost: 3,
      meanLatencyMs: 5.6,
      maxLatencyMs: 8,
      outageCount: 2,
      outageMs: 30,
      longestOutageMs: 20,
    });
    expect(facts.outages).toEqual([
      { startMs: 20, endMs: 40, ended: true, lost: 2 },
      { startMs: 50, endMs: 60, ended: true, lost: 1 },
    ]);
    expect(facts.slices).toEqual([{ startMs: 0, sent: 8, lost: 3, meanLatencyMs: 5.6 }]);
  });

  it("shows an outage that lasts as one that has not ended", () => {
    const facts = folded([1, undefined, undefined], 10);
    expect(facts.outages).toEqual([{ startMs: 10, endMs: 30, ended: false, lost: 2 }]);
    expect(facts).toMatchObject({ outageCount: 1, outageMs: 20, longestOutageMs: 20 });
  });

  it("does not count the time in which we did not ask, unless it was down on both sides of it", () => {
    const trace = new ProbeTrace(UDP, 0);
    trace.add({ sentAtMs: 0, latencyMs: 1 });
    trace.add({ sentAtMs: 10, latencyMs: undefined });
    trace.skip(200);
    trace.add({ sentAtMs: 2_020, latencyMs: 1 });
    trace.add({ sentAtMs: 2_030, latencyMs: undefined });
    trace.skip(100);
    trace.add({ sentAtMs: 3_040, latencyMs: undefined });
    trace.add({ sentAtMs: 3_050, latencyMs: 1 });
    expect(trace.facts(3_060).outages).toEqual([
      { startMs: 10, endMs: 20, ended: true, lost: 1 },
      { startMs: 2_030, endMs: 3_050, ended: true, lost: 2 },
    ]);
  });

  it("of nothing says nothing", () => {
    expect(folded([], 10)).toMatchObject({ sent: 0, meanLatencyMs: undefined, outages: [], slices: [] });
  });

  it("keeps the longest outages, in order of time, and counts the others", () => {
    const latencies = Array.from({ length: 60 }, (_, outage) => [1, ...lostTimes(1 + (outage % 30))]).flat();
    const facts = folded([...latencies, 1], 10);
    expect(facts.outageCount).toBe(60);
    expect(facts.outages).toHaveLength(MAX_OUTAGES_KEPT);
    expect(Math.min(...facts.outages.map(({ lost }) => lost))).toBe(21);
    expect(facts.outages.map(({ startMs }) => startMs)).toEqual(
      facts.outages.map(({ startMs }) => startMs).toSorted((a, b) => a - b),
    );
    expect(facts.longestOutageMs).toBe(300);
  });

  it("grows no further than its bounds in a day of probing, and loses no count by that", () => {
    const trace = new ProbeTrace({ kind: "Tcp", port: 22 }, 0);
    for (let second = 0; second < 86_400; second++)
      trace.add({ sentAtMs: second * 1_000, latencyMs: second % 7 === 0 ? undefined : 1 });
    const facts = trace.facts(86_400_000);
    expect(facts.slices.length).toBeLessThanOrEqual(MAX_SLICES);
    expect(facts.slices.reduce((sum, { sent }) => sum + sent, 0)).toBe(86_400);
    expect(facts.slices.reduce((sum, { lost }) => sum + lost, 0)).toBe(facts.lost);
  });

  it("adds up, whatever comes of the questions", () => {
    const latency = fc.option(fc.integer({ min: 0, max: 1_000 }), { nil: undefined, freq: 2 });
    const periods = fc.constantFrom(1, 10, 100, 700);
    fc.assert(
      fc.property(fc.array(latency, { maxLength: 600 }), periods, (latencies, periodMs) => {
        const facts = folded(latencies, periodMs);
        expect(facts.sent).toBe(latencies.length);
        expect(facts.answered + facts.lost).toBe(facts.sent);
        // Each lost question stands for one period of outage.
        expect(facts.outageMs).toBe(facts.lost * periodMs);
        expect(facts.slices.reduce((sum, { sent }) => sum + sent, 0)).toBe(facts.sent);
        expect(facts.slices.length).toBeLessThanOrEqual(MAX_SLICES);
        expect(Math.log2(facts.sliceMs / FIRST_SLICE_MS) % 1).toBe(0);
        if (facts.outageCount <= MAX_OUTAGES_KEPT)
          expect(facts.outages.reduce((sum, { lost }) => sum + lost, 0)).toBe(facts.lost);
      }),
    );
  });
});

function lostTimes(count: number): readonly undefined[] {
  return Array.from({ length: count }, () => undefined);
}

describe("a probe", () => {
  it("asks as often as its kind says", () => {
    expect(periodMsOf({ kind: "Udp", port: 7, packetsPerSecond: 1000 })).toBe(1);
    expect(periodMsOf({ kind: "Http", port: 80, path: "/" })).toBe(100);
  });

  it("that transfers is compared only with one of the same size, and when both have ended", () => {
    const transfer = (bytes: number, durationMs: number | undefined): ProbeFacts => ({
      ...folded([1], 10),
      transfer: { bytes, receivedBytes: bytes, durationMs, reconnections: 0 },
    });
    expect(slowDownMs(transfer(600, 74_400), transfer(600, 70_800))).toBe(3_600);
    expect(slowDownMs(transfer(600, undefined), transfer(600, 70_800))).toBeUndefined();
    expect(slowDownMs(transfer(600, 74_400), transfer(500, 70_800))).toBeUndefined();
  });
});
