import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/model/clock.ts";
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
  const counts = { asked: 0, skipped: 0 };
  const pacer = new Pacer({
    clock,
    periodMs,
    onDue: () => (counts.asked += 1),
    onSkipped: (count) => (counts.skipped += count),
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
    expect(counts).toEqual({ asked, skipped: 0 });
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
  });

  it("asks a little late rather than not at all", async () => {
    const { counts, pacer, advance, holdUp } = paced(100);
    pacer.start();
    await advance(50);
    holdUp(80);
    await advance(60);
    expect(counts).toEqual({ asked: 2, skipped: 0 });
    pacer.stop();
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
