import { describe, expect, it } from "vitest";
import { renderDrillTable } from "../../lab/demo/drill-table.ts";

describe("the table of a drill", () => {
  const row = {
    name: "udp",
    runs: 3,
    sent: 300,
    skipped: 0,
    lost: 9,
    outageMs: { mean: 300, standardDeviation: 100, confidence95: { low: 51.586, high: 548.414 } },
    longestOutageMs: 400,
    convergenceMs: { mean: 2_499.6 },
    converged: 2,
    result: "Passed",
  };

  it("shows mean, deviation and interval in whole milliseconds, and how often the state was seen to be stable", () => {
    const [, , line] = renderDrillTable([row]).split("\n");
    expect(line?.split("|").map((cell) => cell.trim())).toEqual([
      "",
      "udp",
      "3",
      "300",
      "9",
      "300 ± 100",
      "52 to 548",
      "400",
      "2500 (2 of 3)",
      "Passed",
      "",
    ]);
  });

  it("claims no interval for one run, and says what was not asked", () => {
    const single = { ...row, runs: 1, skipped: 4, outageMs: { mean: 212 }, convergenceMs: undefined };
    const lines = renderDrillTable([single, row]).split("\n");
    expect(lines[2]).toContain("300 (and 4 not)");
    expect(lines[2]?.split("|").map((cell) => cell.trim())).toContain("-");
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });
});
