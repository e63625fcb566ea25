import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { duration, durationMs, parseDurationMs } from "../../src/api/duration.ts";

describe("a duration in text", () => {
  it.each([
    ["0s", 0],
    ["250ms", 250],
    ["90s", 90_000],
    ["5m", 300_000],
    ["1m30s", 90_000],
    ["24h", 86_400_000],
    ["168h", 604_800_000],
    ["1h1m1s1ms", 3_661_001],
    ["1s1s", 2_000],
    ["007s", 7_000],
  ])("%s is %i ms", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
    expect(durationMs(text)).toBe(ms);
  });

  it.each([
    "",
    "5",
    "s",
    "5 m",
    "-5m",
    "+5m",
    "1.5h",
    "5M",
    "1d",
    "5m ",
    "\n5m",
    "5m\n",
    "5us",
    "PT5M",
    "٥m",
  ])("%j is none", (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
    expect(() => durationMs(text)).toThrow("not a duration");
  });

  it("is the sum of its parts, whatever they are", () => {
    const part = fc.tuple(fc.nat({ max: 9_999 }), fc.constantFrom("ms", "s", "m", "h"));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const texts = parts.map(([amount, unit]) => `${amount}${unit}`);
        const sum = texts.reduce((total, text) => total + durationMs(text), 0);
        expect(parseDurationMs(texts.join(""))).toBe(sum);
      }),
    );
  });
});

describe("a bounded duration", () => {
  const bounded = duration({ min: "30s", max: "24h" });

  it.each(["30s", "24h", "1439m60s", "30000ms"])("takes %s", (text) => {
    expect(bounded.safeParse(text).success).toBe(true);
  });

  it.each(["29s", "29999ms", "24h1ms", "1d", "", "999999999999999h", "0000000000000030s"])(
    "refuses %j and says what it would take",
    (text) => {
      const messages = bounded.safeParse(text).error?.issues.map((issue) => issue.message) ?? [];
      expect(messages.length).toBeGreaterThan(0);
      if (text.length <= 16) {
        expect(messages).toContain(
          "must be a duration from 30s to 24h, like 90s, 5m or 1h30m (units ms, s, m, h)",
        );
      }
    },
  );
});
