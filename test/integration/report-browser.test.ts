// The HTML report in a real browser: laid out, charts drawn, nothing asked of the network, and it prints.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../cli/cli-bench.ts";
import { countedShop } from "../cli/report-fixture.ts";
import { providePrograms } from "./debian-packages.ts";

const BROWSER = "/usr/bin/chromium";
const BROWSER_DEADLINE_MS = 120_000;
const exec = promisify(execFile);

/** Asks the laid-out page about itself; only this copy of it has a script. */
const PROBE = `<script>addEventListener("load", () => {
  const visible = (all) => all.filter((one) => { const box = one.getBoundingClientRect(); return box.width > 0 && box.height > 0; }).length;
  const seen = {
    wide: document.documentElement.scrollWidth - innerWidth,
    charts: visible([...document.querySelectorAll("svg")]),
    bars: visible([...document.querySelectorAll("svg rect")]),
    rows: visible([...document.querySelectorAll("tbody tr")]),
    cut: [...document.querySelectorAll("svg text")].filter((text) => { const box = text.getBBox(); return box.x < 0 || box.x + box.width > 961; }).length,
    violated: getComputedStyle(document.querySelector("td.Violated")).color,
    fetched: performance.getEntriesByType("resource").length,
  };
  document.body.setAttribute("data-seen", JSON.stringify(seen));
});</script>`;

let folder = "";
let reason: string | undefined;

/** HOLDFAST_KEEP_SCREENSHOT names a folder in which the picture and the print are left for a person to look at. */
const keep = process.env["HOLDFAST_KEEP_SCREENSHOT"];

beforeAll(async () => {
  const provided = await providePrograms([BROWSER], [["chromium"]]);
  if (!provided.ok) {
    ({ reason } = provided);
    console.warn(`SKIPPED: the report was not seen by a browser: ${provided.reason}`);
    return;
  }
  folder = await mkdtemp(join(keep ?? tmpdir(), "holdfast-report-"));
  const bench = { files: { d: countedShop().yaml } };
  const { written } = await run(["report", "--from=d", "-o", "html", "--to=page"], bench);
  const html = written.get("page") ?? "";
  await writeFile(join(folder, "report.html"), html);
  await writeFile(join(folder, "probed.html"), html.replace("</body>", `${PROBE}</body>`));
});

afterAll(async () => {
  if (folder !== "" && keep === undefined) await rm(folder, { recursive: true, force: true });
});

async function browse(page: string, ...flags: readonly string[]): Promise<string> {
  const fixed = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
  ];
  const profile = `--user-data-dir=${join(folder, "profile")}`;
  const { stdout } = await exec(
    BROWSER,
    [...fixed, profile, "--window-size=1100,1500", ...flags, `file://${join(folder, page)}`],
    {
      timeout: BROWSER_DEADLINE_MS,
      maxBuffer: 16 * 1024 * 1024,
    },
  );
  return stdout;
}

describe("the HTML report in Chromium", () => {
  it("is laid out without overflow, draws its charts, and asks the network for nothing", async ({ skip }) => {
    if (reason !== undefined) return skip(reason);
    const dom = await browse("probed.html", "--dump-dom");
    const [, seen = "{}"] = /data-seen="([^"]*)"/.exec(dom) ?? [];
    const page = JSON.parse(seen.replaceAll("&quot;", '"')) as Record<string, unknown>;
    expect(page).toMatchObject({ wide: 0, charts: 3, cut: 0, violated: "rgb(192, 57, 43)", fetched: 0 });
    expect(page["bars"]).toBeGreaterThan(10);
    expect(page["rows"]).toBeGreaterThan(5);
  });

  it("gives a picture that is not blank, and prints", async ({ skip }) => {
    if (reason !== undefined) return skip(reason);
    const png = join(folder, "report.png");
    await browse("report.html", `--screenshot=${png}`);
    // A blank page of this size is a few kilobytes.
    expect((await stat(png)).size).toBeGreaterThan(30_000);
    const pdf = join(folder, "report.pdf");
    await browse("report.html", "--no-pdf-header-footer", `--print-to-pdf=${pdf}`);
    expect((await readFile(pdf)).subarray(0, 5).toString()).toBe("%PDF-");
    expect((await stat(pdf)).size).toBeGreaterThan(10_000);
  });
});
