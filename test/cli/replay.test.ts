// simulate --replay: a decision that the operator kept, decided once more.
import { describe, expect, it } from "vitest";
import { decide } from "../../src/decide/decide.ts";
import { DecisionRing } from "../../src/run/decision-ring.ts";
import { NOW_MS, NOW_WALL_MS, POLICY, threeNodes } from "../decide/builder.ts";
import { run } from "./cli-bench.ts";

function recorded(): string {
  const ring = new DecisionRing(1);
  const now = { monotonicMs: NOW_MS, wallMs: NOW_WALL_MS };
  const snapshot = threeNodes()
    .node("n2", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 })
    .vm("db", { on: "n2" })
    .snapshot();
  ring.consider(snapshot, decide(snapshot, POLICY, now), { policy: POLICY, now });
  return ring.read(1) ?? "";
}

describe("simulate --replay", () => {
  it("reproduces the plan, and says so", async () => {
    const { code, out } = await run(["simulate", "--replay=d"], { files: { d: recorded() } });
    expect(out).toContain("Decided 2026-11-22T12:00:00.000Z, decided again: the identical plan");
    expect(out).toContain("n2 is lost");
    expect(out).toContain("OpenFencing n2: no sign of life from n2");
    expect(code).toBe(0);
  });

  it("says when this version decides otherwise, and shows both", async () => {
    const text = recorded().replace(/"kind":"OpenFencing"/, '"kind":"Untaint"');
    const { code, out } = await run(["simulate", "--replay=d"], { files: { d: text } });
    expect(out).toContain("another plan than the recorded one");
    expect(out).toMatch(/Recorded steps:\n(.*\n)* {2}Untaint n2\n/);
    expect(code).toBe(3);
  });

  it("refuses a file that is none", async () => {
    const { code, err } = await run(["simulate", "--replay=d"], { files: { d: "{}" } });
    expect(err).toContain("d is no recorded decision");
    expect(code).toBe(1);
  });
});
