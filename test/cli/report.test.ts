// The report's figures against those worked out by hand, in every format.
import { describe, expect, it } from "vitest";
import type { AvailabilityReport } from "../../src/cli/report/availability-report.ts";
import { run } from "./cli-bench.ts";
import { countedShop, DAY } from "./report-fixture.ts";

const files = { d: countedShop().yaml };
const report = async (...argv: readonly string[]) => run(["report", "--from=d", ...argv], { files });

async function figures(...argv: readonly string[]): Promise<AvailabilityReport> {
  return JSON.parse((await report("-o", "json", ...argv)).out) as AvailabilityReport;
}

describe("the figures", () => {
  it("are those worked out by hand: 144 minutes of ten days are one percent", async () => {
    const { vms } = await figures("--days=10");
    const db = vms.find(({ vm }) => vm === "shop/db");
    // Nine whole days, and as much of today as has passed: at least 9 x 1440 minutes, at most 10 x 1440.
    const down = 144;
    expect(db?.availability).toBeGreaterThanOrEqual(1 - down / (9 * 1440));
    expect(db?.availability).toBeLessThanOrEqual(1 - down / (10 * 1440) + 1e-12);
    expect(db).toMatchObject({
      verdict: "Violated",
      outages: 1,
      unplannedMs: 144 * 60_000,
      mttrMs: 144 * 60_000,
    });
    // 0.1 % of ten days are 14.4 minutes.
    expect(db?.budget).toEqual({ totalMs: 864_000, leftMs: 864_000 - 8_640_000 });
  });

  it("keep planned and unobserved time apart from what was promised", async () => {
    const { vms } = await figures("--days=10");
    const of = (vm: string) => vms.find((one) => one.vm === vm);
    expect(of("shop/batch")).toMatchObject({
      availability: 1,
      plannedMs: 1_800_000,
      outages: 0,
      plannedOutages: 1,
    });
    expect(of("office/mail")).toMatchObject({
      availability: 1,
      unobservedMs: 3_600_000,
      verdict: "Met",
    });
    expect(of("shop/web")).toMatchObject({ verdict: "Met", unplannedMs: 60_000, plannedMs: 600_000 });
  });

  it("come worst first, and add up for namespaces and the fleet", async () => {
    const { fleet, namespaces, vms, uncounted } = await figures("--days=10");
    expect(vms.map(({ vm }) => vm).slice(0, 2)).toEqual(["shop/db", "shop/web"]);
    expect(fleet).toMatchObject({
      vms: 4,
      unplannedMs: 145 * 60_000,
      verdicts: { Met: 2, AtRisk: 0, Violated: 1 },
    });
    expect(namespaces.map(({ namespace, vms }) => [namespace, vms])).toEqual([
      ["shop", 3],
      ["office", 1],
    ]);
    expect(uncounted).toEqual(["shop/young"]);
  });

  it("tell each outage with the phases of its failover", async () => {
    const { outages } = await figures();
    expect(outages.find(({ vm }) => vm === "shop/db")).toMatchObject({
      cause: "NodeLost",
      class: "Unplanned",
      durationMs: 144 * 60_000,
      phases: [
        { phase: "detect", ms: 22_000 },
        { phase: "fence", ms: 4_000 },
        { phase: "release", ms: 500 },
        { phase: "schedule", ms: 1_500 },
        { phase: "boot", ms: 12_000 },
        { phase: "ready", ms: 20_000 },
      ],
    });
  });

  it("take the mean time to repair apart, phase by phase, for VM, namespace and fleet", async () => {
    const { vms, namespaces, fleet } = await figures("--days=10");
    const phases = [
      { phase: "detect", meanMs: 22_000, failovers: 1 },
      { phase: "fence", meanMs: 4_000, failovers: 1 },
      { phase: "release", meanMs: 500, failovers: 1 },
      { phase: "schedule", meanMs: 1_500, failovers: 1 },
      { phase: "boot", meanMs: 12_000, failovers: 1 },
      { phase: "ready", meanMs: 20_000, failovers: 1 },
    ];
    const of = <T>(all: readonly T[], is: (one: T) => boolean): T | undefined => all.find(is);
    expect(of(vms, ({ vm }) => vm === "shop/db")?.mttrPhases).toEqual(phases);
    expect(of(vms, ({ vm }) => vm === "shop/web")?.mttrPhases).toEqual([]);
    expect(of(namespaces, ({ namespace }) => namespace === "shop")?.mttrPhases).toEqual(phases);
    expect(of(namespaces, ({ namespace }) => namespace === "office")?.mttrPhases).toEqual([]);
    expect(fleet.mttrPhases).toEqual(phases);
    // The failover was two days ago.
    expect((await figures("--days=1")).fleet.mttrPhases).toEqual([]);
  });

  it("are of one namespace where that is asked for", async () => {
    expect((await figures("-n", "office")).vms.map(({ vm }) => vm)).toEqual(["office/mail"]);
  });
});

describe("the formats", () => {
  it("text says what is violated, and exits with 3", async () => {
    const { code, out } = await report();
    expect(out).toMatch(/shop\/db +99\.9 % +Violated/);
    // 144 and 1 minutes in two outages; db alone would be down for 30 hours a year.
    expect(out).toMatch(/Fleet .* MTBF \d+ d \d+ h, MTTR 1 h 12 min, \d+ h \d+ min a year at this rate/);
    expect(out).toContain("2 met, 0 at risk, 1 violated");
    expect(out).toContain(
      "MTTR       detect 22.0 s, fence 4.0 s, release 0.5 s, schedule 1.5 s, boot 12.0 s, ready 20.0 s (mean of 1 failover)",
    );
    expect(out).toContain("Not counted yet: shop/young");
    expect(code).toBe(3);
    expect((await report("-n", "office")).code).toBe(0);
  });

  it("csv has one line per VM", async () => {
    const { out } = await report("-o", "csv", "--days=10");
    const lines = out.trimEnd().split("\r\n");
    expect(lines).toHaveLength(5);
    expect(lines[0]?.split(",")).toHaveLength(lines[1]?.split(",").length ?? 0);
    expect(lines[0]).toContain(",mttr_detect_seconds,mttr_fence_seconds,");
    expect(lines[1]).toContain(",8640,22,4,0.5,1.5,12,20,");
    expect(lines[1]).toMatch(/^shop\/db,0\.999,Violated,0\.9[89]/);
  });

  it("html is one file without scripts or links to elsewhere, and takes no name for markup", async () => {
    const name = "<script>alert(1)</script>";
    const bench = { files: { [name]: files.d } };
    const { written, out } = await run(["report", "--from", name, "-o", "html", "--to=report.html"], bench);
    const html = written.get("report.html") ?? "";
    expect(out).toContain("written to report.html");
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(html).not.toMatch(/<script|<link|src=|href=|url\(|@import|https?:\/\/(?!fake)/i);
    expect(html.match(/<svg /g)).toHaveLength(3);
    expect(html).toContain("<td>shop/db</td><td>1</td><td>22.0 s</td><td>4.0 s</td>");
    expect(html).toContain(`${DAY}: 145.0 min unplanned`);
    const open = html.match(/<(table|tr|td|figure|svg|div)\b/g)?.length;
    expect(html.match(/<\/(table|tr|td|figure|svg|div)>/g)).toHaveLength(open ?? -1);
  });

  it.each([["--days=0"], ["--days=93"], ["--days=x"], ["-o=pdf"]])("refuses %s", async (flag) => {
    expect((await report(flag)).code).toBe(2);
  });
});
