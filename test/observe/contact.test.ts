import { describe, expect, it } from "vitest";
import { defaultPolicy } from "../../src/config.ts";
import { Contact, CONTACT_GAP_MS } from "../../src/observe/contact.ts";

describe("our contact with the API server", () => {
  const heardAt = (...timesMs: readonly number[]) => {
    let nowMs = 0;
    const contact = new Contact({
      now: () => ({ monotonicMs: nowMs, wallMs: nowMs }),
      schedule: () => () => undefined,
    });
    for (const ms of timesMs) {
      nowMs = ms;
      contact.heard();
    }
    return {
      stateAt: (ms: number) => {
        nowMs = ms;
        const { brokenSinceMs, unbrokenSinceMs } = contact.state();
        return { brokenSinceMs, unbrokenSinceMs };
      },
    };
  };

  it("knows no break before the first word, nor in pauses that are none", () => {
    const contact = heardAt(100, 100 + CONTACT_GAP_MS);
    expect(contact.stateAt(200 + CONTACT_GAP_MS)).toEqual({ brokenSinceMs: undefined, unbrokenSinceMs: 100 });
  });

  it("remembers the last word before a gap, for as long as contact lasts after it", () => {
    const contact = heardAt(100, 50_000, 52_000);
    expect(contact.stateAt(53_000)).toEqual({ brokenSinceMs: 100, unbrokenSinceMs: 50_000 });
  });

  describe("where it answers and stores nothing", () => {
    const storedAt = (...writes: readonly (readonly [number, boolean])[]) => {
      let nowMs = 0;
      const gaps: number[] = [];
      const clock = { now: () => ({ monotonicMs: nowMs, wallMs: nowMs }), schedule: () => () => undefined };
      const contact = new Contact(clock, (lengthMs) => gaps.push(lengthMs));
      for (let ms = 0; ms <= 100_000; ms += 2_000) {
        nowMs = ms;
        contact.heard();
        for (const [atMs, isStored] of writes) if (atMs === ms) contact.stored(isStored);
      }
      const { brokenSinceMs, unbrokenSinceMs } = contact.state();
      return { brokenSinceMs, unbrokenSinceMs, gaps };
    };

    it("is as good as away until it stores again, however often it is heard", () => {
      const state = storedAt([18_000, true], [20_000, false], [22_000, false], [80_000, true]);
      expect(state).toEqual({ brokenSinceMs: 20_000, unbrokenSinceMs: 80_000, gaps: [60_000] });
    });

    it("counts from when it was last seen to store, for one who notices only as it tries to lead", () => {
      const state = storedAt([10_000, true], [22_000, false], [24_000, true]);
      expect(state).toEqual({ brokenSinceMs: 22_000, unbrokenSinceMs: 24_000, gaps: [2_000] });
    });

    it("does not count where nobody wrote and nothing was refused: a leader has died", () => {
      const state = storedAt([10_000, true], [24_000, true]);
      expect(state).toEqual({ brokenSinceMs: undefined, unbrokenSinceMs: 0, gaps: [] });
    });

    it("judges nothing silent while that lasts", () => {
      expect(storedAt([20_000, false])).toEqual({
        brokenSinceMs: 20_000,
        unbrokenSinceMs: 100_000,
        gaps: [],
      });
    });

    it("forgives one refusal, as when etcd elects a leader", () => {
      expect(storedAt([20_000, false], [22_000, true])).toEqual({
        brokenSinceMs: undefined,
        unbrokenSinceMs: 0,
        gaps: [],
      });
    });
  });

  it("counts a gap that is still open from the last word to now", () => {
    const contact = heardAt(100, 50_000, 52_000);
    expect(contact.stateAt(80_000)).toEqual({ brokenSinceMs: 52_000, unbrokenSinceMs: 80_000 });
  });
});

it("is taken for broken before an outage alone could make a healthy node look lost", () => {
  // client-go's lease controller: a renewal is due after 10 s and 4 %, and is tried again with pauses that double.
  const renewalMs = 10_400;
  let [triedAtMs, pauseMs] = [0, 200];
  while (triedAtMs < CONTACT_GAP_MS)
    [triedAtMs, pauseMs] = [triedAtMs + pauseMs, Math.min(2 * pauseMs, 7_000)];
  expect(renewalMs + triedAtMs).toBeLessThan(defaultPolicy().nodeLostAfterMs);
});
