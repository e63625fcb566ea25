import { describe, expect, it } from "vitest";
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

  it("counts a gap that is still open from the last word to now", () => {
    const contact = heardAt(100, 50_000, 52_000);
    expect(contact.stateAt(80_000)).toEqual({ brokenSinceMs: 52_000, unbrokenSinceMs: 80_000 });
  });
});
