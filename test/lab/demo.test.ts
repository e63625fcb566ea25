import { describe, expect, it } from "vitest";
import { Checks } from "../../lab/demo/checks.ts";
import { readOptions } from "../../lab/demo/options.ts";
import { Timeline } from "../../lab/demo/timeline.ts";

const quiet = () => new Timeline({ isTTY: false, write: () => true } as never);

describe("what the demo is asked for", () => {
  it("is three nodes and fourteen VMs unless said, and everything that may be said is heard", () => {
    expect(readOptions([])).toEqual({
      kind: "run",
      options: { nodes: 3, vms: 14, report: undefined, keep: false },
    });
    expect(readOptions(["--nodes", "5", "--vms=40", "--report", "r.json", "--keep"])).toEqual({
      kind: "run",
      options: { nodes: 5, vms: 40, report: "r.json", keep: true },
    });
    expect(readOptions(["--help"])).toEqual({ kind: "help" });
  });

  it.each([
    [["--nodes=2"], '--nodes: found "2", allowed is a whole number from 3 to 20'],
    [["--vms=many"], '--vms: found "many", allowed is a whole number from 14 to 200'],
    [["--fast"], "--fast"],
  ])("is refused before anything is started: %j", (argv, words) => {
    expect(readOptions(argv)).toEqual({ kind: "wrong", problem: expect.stringContaining(words) });
  });
});

describe("the demo's outcome", () => {
  it("is ok only if something was claimed and all of it held, in time or at once", async () => {
    const checks = new Checks(quiet());
    expect(checks.ok, "nothing was shown").toBe(false);
    checks.claim("it runs", true);
    await checks.becomes("it comes back", Promise.resolve());
    expect(checks.ok).toBe(true);
    await checks.becomes("it is fast", Promise.reject(new Error("not within 90000 ms; last seen: nothing")));
    expect(checks.ok).toBe(false);
    checks.claim("it runs still", true);
    expect(checks.ok, "a later success mends nothing").toBe(false);
    expect(checks.all.filter(({ held }) => !held)).toEqual([
      { what: "it is fast", held: false, detail: "not within 90000 ms; last seen: nothing" },
    ]);
  });
});
