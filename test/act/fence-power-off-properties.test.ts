// Whatever a device does, the procedure keeps its word. Random scripts in virtual time.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DeviceAnswerKind, DeviceFailureKind, PowerState } from "../../src/act/fence/fence-device.ts";
import { type AnswerStep, play, type ReadStep } from "./fence-scripted-device.ts";

const state = fc.constantFrom<PowerState>("On", "Off", "PoweringOn", "PoweringOff", "Unknown");
const readFailure = fc.constantFrom<DeviceFailureKind>(
  "timeout",
  "unreachable",
  "busy",
  "faulty",
  "aborted",
  "denied",
  "misconfigured",
);
const lastsMs = fc.constantFrom(0, 10, 700, 4_000, 20_000);
const readStep: fc.Arbitrary<ReadStep> = fc.oneof(
  { weight: 4, arbitrary: state },
  { weight: 5, arbitrary: fc.constant<ReadStep>("Off") },
  { weight: 1, arbitrary: fc.record({ state, lastsMs }) },
  { weight: 2, arbitrary: fc.record({ fails: readFailure, lastsMs }) },
  { weight: 1, arbitrary: fc.constantFrom<ReadStep>("hang", "throw") },
);
const answerKind = fc.constantFrom<DeviceAnswerKind>(
  "accepted",
  "refused",
  "noAnswer",
  "faulty",
  "busy",
  "unreachable",
  "denied",
);
const answerStep: fc.Arbitrary<AnswerStep> = fc.oneof(
  { weight: 4, arbitrary: answerKind },
  { weight: 3, arbitrary: fc.constant<AnswerStep>("accepted") },
  { weight: 2, arbitrary: fc.record({ kind: answerKind, lastsMs }) },
  { weight: 1, arbitrary: fc.constantFrom<AnswerStep>("hang", "throw") },
);
const scripts = fc.record({
  reads: fc.array(readStep, { minLength: 1, maxLength: 10 }),
  answers: fc.array(answerStep, { minLength: 1, maxLength: 4 }),
  deadlineMs: fc.constantFrom(500, 3_000, 12_000),
  leave: fc.array(fc.constantFrom(true, true, true, true, false), { maxLength: 3 }),
});

describe("the power-off procedure, whatever the device does", () => {
  it("proves Off only by two successive states of Off, asks before each request, and ends in time", async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async ({ reads, answers, deadlineMs, leave }) => {
        const played = await play(
          { reads, answers },
          { deadlineMs, beforeRequest: async (_, attempt) => leave[attempt - 1] ?? true },
        );
        const { result, device, asked, progress } = played;
        expect(played.lastedMs).toBeLessThanOrEqual(deadlineMs + 5);
        expect(played.clock.pending).toBe(0);
        expect(device.requests).toBe(asked.filter((attempt) => leave[attempt - 1] ?? true).length);
        expect(result.requests).toBe(device.requests);
        const states = progress.filter((step) => step.step === "read");
        const [last, confirming] = [states.at(-2), states.at(-1)];
        const twiceOff = last?.state === "Off" && confirming?.state === "Off" && confirming.fresh;
        expect(result.outcome === "off").toBe(twiceOff);
        if (result.outcome === "off" && result.how === "PoweredOff")
          expect(result.requests).toBeGreaterThan(0);
        if (result.outcome === "notOff" && result.mayHaveActed) expect(result.requests).toBeGreaterThan(0);
      }),
      { numRuns: 1_500 },
    );
  });
});
