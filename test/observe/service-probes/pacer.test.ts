import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/model/clock.ts";
import { ProbeTrace } from "../../../src/model/probe-trace.ts";
import { OpenQuestions } from "../../../src/observe/service-probes/open-questions.ts";
import { Pacer } from "../../../src/observe/service-probes/pacer.ts";
import { mayBeGuest } from "../../../src/observe/service-probes/probe-address.ts";
import { numberedPacket, numberOf } from "../../../src/observe/service-probes/udp-packet.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function paced(periodMs: number) {
  const virtual = new VirtualClock();
  let heldUpMs = 0;
  const clock: Clock = {
    now: () => ({ monotonicMs: virtual.now().monotonicMs + heldUpMs, wallMs: 0 }),
    schedule: (delayMs, wake) => virtual.schedule(delayMs, wake),
  };
  const counts = { asked: 0, skipped: 0, heldUpMs: 0 };
  const pacer = new Pacer({
    clock,
    periodMs,
    onDue: () => (counts.asked += 1),
    onSkipped: (count) => (counts.skipped += count),
    onHeldUp: (ms) => (counts.heldUpMs += ms),
  });
  return {
    counts,
    pacer,
    advance: (byMs: number) => virtual.advance(byMs),
    holdUp: (byMs: number) => (heldUpMs += byMs),
  };
}

describe("the pace of questions", () => {
  it.each([
    [100, 11],
    [10, 101],
    [1, 1_001],
  ])("one every %f ms is %i in a second, the first at once", async (periodMs, asked) => {
    const { counts, pacer, advance } = paced(periodMs);
    pacer.start();
    await advance(1_000);
    expect(counts).toEqual({ asked, skipped: 0, heldUpMs: 0 });
    pacer.stop();
    await advance(1_000);
    expect(counts.asked).toBe(asked);
  });

  it("does not make up for the time in which the process was held up", async () => {
    const { counts, pacer, advance, holdUp } = paced(1);
    pacer.start();
    await advance(100);
    holdUp(5_000);
    await advance(100);
    // 5,200 ms have begun 5,201 periods.
    expect(counts.asked + counts.skipped).toBe(5_201);
    expect(counts.skipped).toBeGreaterThan(4_950);
    expect(counts.heldUpMs).toBe(5_000);
  });

  it("asks a little late rather than not at all", async () => {
    const { counts, pacer, advance, holdUp } = paced(100);
    pacer.start();
    await advance(50);
    holdUp(80);
    await advance(60);
    expect(counts).toEqual({ asked: 2, skipped: 0, heldUpMs: 80 });
    pacer.stop();
  });
});

describe("open questions", () => {
  const factsOf = (play: (questions: OpenQuestions) => void) => {
    const trace = new ProbeTrace({ kind: "Udp", port: 7, packetsPerSecond: 10 }, 0);
    play(new OpenQuestions(trace));
    return trace.facts(10_000);
  };

  it("are not lost because this process stood still and could not hear the answers", () => {
    const facts = factsOf((questions) => {
      questions.asked(0, 100);
      questions.asked(1, 200);
      questions.heldUp(5_000);
      questions.settle(5_210);
      questions.answered(0, 5_211);
      questions.settle(5_212);
      // The other one had its whole second of attention, and was lost.
      questions.settle(6_201);
    });
    expect(facts).toMatchObject({ answered: 1, lost: 1, maxLatencyMs: 111 });
  });

  it("are written down in the order of asking, whatever is answered first", () => {
    const facts = factsOf((questions) => {
      for (const number of [0, 1, 2]) questions.asked(number, number * 100);
      questions.answered(2, 250);
      questions.answered(0, 260);
      questions.settle(260);
      expect(questions.oldestMs).toBe(100);
      questions.failed(1);
      questions.answered(1, 270);
      questions.answered(7, 270);
      questions.settle(270);
      expect(questions.count).toBe(0);
    });
    expect(facts).toMatchObject({ answered: 2, lost: 1 });
    expect(facts.outages).toEqual([{ startMs: 100, endMs: 200, ended: true, lost: 1 }]);
  });
});

describe("a numbered packet", () => {
  it("is known by its key, and only whole", () => {
    const key = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
    const packet = numberedPacket(4_000_000_000, key);
    expect(numberOf(packet, key)).toBe(4_000_000_000);
    expect(numberOf(packet, key.toReversed())).toBeUndefined();
    expect(numberOf(packet.subarray(1), key)).toBeUndefined();
    expect(numberOf(new Uint8Array(16), key)).toBeUndefined();
  });
});

describe("an address that a guest agent reports", () => {
  it.each([
    "10.1.2.3",
    "192.168.0.7",
    "203.0.113.9",
    "127.64.0.1",
    "127.127.255.254",
    "fd00::7",
    "2001:db8::1",
  ])("may be a guest's: %s", (address) => {
    expect(mayBeGuest(address)).toBe(true);
  });

  it.each([
    "127.0.0.1",
    "127.128.0.1",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "example.org",
    "",
  ])("is refused: %s", (address) => {
    expect(mayBeGuest(address)).toBe(false);
  });
});
