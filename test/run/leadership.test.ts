import { expect, it } from "vitest";
import { HeldLeadership } from "../../src/run/leadership.ts";
import { FreezableClock } from "../support/candidate.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function leadership() {
  const virtual = new VirtualClock();
  const clock = new FreezableClock(virtual);
  const ends: string[] = [];
  const held = new HeldLeadership({
    epoch: 7,
    acquireTime: "2026-11-22T00:00:00.000000Z",
    clock,
    renewDeadlineMs: 7_000,
    sentAtMs: 0,
    onEnd: (why) => ends.push(`${virtual.now().monotonicMs} ${why}`),
  });
  return { virtual, clock, held, ends };
}

it("is valid until the renew deadline after the acquiring write was sent, and not a millisecond longer", async () => {
  const { virtual, held, ends } = leadership();
  await virtual.advance(6_999);
  expect(held.valid()).toBe(true);
  await virtual.advance(1);
  expect(held.valid()).toBe(false);
  expect(held.signal.aborted).toBe(true);
  expect(ends).toEqual(["7000 renewDeadlinePassed"]);
});

it("counts a renewal from when it was sent, not from when its success was heard", async () => {
  const { virtual, held } = leadership();
  await virtual.advance(5_000);
  held.extend(2_000);
  await virtual.advance(3_999);
  expect(held.valid()).toBe(true);
  await virtual.advance(1);
  expect(held.valid()).toBe(false);
});

it("is not revived by a renewal heard of after the deadline, even before its own timer could run", async () => {
  const { virtual, clock, held, ends } = leadership();
  clock.freeze();
  await virtual.advance(8_000);
  expect(held.signal.aborted).toBe(false);
  held.extend(6_000);
  expect(held.valid()).toBe(false);
  expect(ends).toEqual(["8000 renewDeadlinePassed"]);
});

it("ends once, says why in its signal, and stays ended", async () => {
  const { virtual, held, ends } = leadership();
  held.end("takenOver");
  held.end("released");
  held.extend(0);
  await virtual.advance(10_000);
  expect(ends).toEqual(["0 takenOver"]);
  expect(held.valid()).toBe(false);
  expect(String(held.signal.reason)).toContain("leadership of epoch 7 ended: takenOver");
  expect(virtual.pending).toBe(0);
});
