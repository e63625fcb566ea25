// simulate --replay: a decision that the operator kept, decided once more.
import packageJson from "../../package.json" with { type: "json" };
import { describe, expect, it } from "vitest";
import { decide } from "../../src/decide/decide.ts";
import { DecisionRing } from "../../src/run/decision-ring.ts";
import { NOW_MS, NOW_WALL_MS, POLICY, threeNodes } from "../decide/builder.ts";
import { run } from "./cli-bench.ts";

function recorded(version = packageJson.version): string {
  const ring = new DecisionRing(1, version);
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

  it("says which version recorded it where that decides otherwise", async () => {
    const text = recorded("0.0.1").replace(/"kind":"OpenFencing"/, '"kind":"Untaint"');
    const { out } = await run(["simulate", "--replay=d"], { files: { d: text } });
    expect(out).toContain(`recorded by 0.0.1, and ${packageJson.version} decides differently`);
    const json = await run(["simulate", "--replay=d", "-o", "json"], { files: { d: text } });
    expect(JSON.parse(json.out)).toMatchObject({
      identical: false,
      recordedBy: "0.0.1",
      replayedBy: packageJson.version,
    });
    expect(json.code).toBe(3);
  });

  it("says that a file was changed where the same version recorded it", async () => {
    const text = recorded().replace(/"nodeLostAfterMs":\d+/, '"nodeLostAfterMs":99000000');
    const { code, out } = await run(["simulate", "--replay=d"], { files: { d: text } });
    expect(out).toContain("so the file was changed since");
    expect(code).toBe(3);
  });

  it("ends with an error, and no stack, where an edited record cannot be decided", async () => {
    const text = recorded().replace(/"placement":\{/g, '"placing":{');
    const { code, out, err } = await run(["simulate", "--replay=d"], { files: { d: text } });
    expect(err).toMatch(/^error: d cannot be decided again by .*\n$/);
    expect(out).toBe("");
    expect(code).toBe(1);
  });

  it("says when this version decides otherwise, and shows both", async () => {
    const text = recorded().replace(/"kind":"OpenFencing"/, '"kind":"Untaint"');
    const { code, out } = await run(["simulate", "--replay=d"], { files: { d: text } });
    expect(out).toContain("another plan than the recorded one");
    expect(out).toMatch(/Recorded steps:\n(.*\n)* {2}Untaint n2\n/);
    expect(code).toBe(3);
  });

  it("refuses what a replay would pass over in silence", async () => {
    const argv = ["simulate", "--replay=d", "--from=e", "--lose=n1"];
    const { code, err } = await run(argv, { files: { d: recorded(), e: "" } });
    expect(err).toContain("leave out --from, --lose");
    expect(code).toBe(2);
  });

  it("refuses a file that is none", async () => {
    const { code, err } = await run(["simulate", "--replay=d"], { files: { d: "{}" } });
    expect(err).toContain("d is no recorded decision: its format is not told; this version reads");
    expect(code).toBe(1);
  });
});
