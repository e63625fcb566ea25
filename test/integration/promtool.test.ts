// The alerts against Prometheus' own rule engine: what fires when, by promtool.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { readRules, RULES_FILE } from "../prometheus/alert-rules.ts";
import { providePrometheus } from "../prometheus/programs.ts";

const run = promisify(execFile);
const provided = await providePrometheus();
if (!provided.ok) console.warn(`SKIPPED, the alerts are not tested by promtool: ${provided.why}`);

const CASES = ["alert-cases.yaml", "alert-cases-slow.yaml"];
const read = (name: string): string =>
  readFileSync(new URL(`../prometheus/${name}`, import.meta.url), "utf8");

describe("promtool", () => {
  it.skipIf(!provided.ok)("finds the rules well-formed", async () => {
    if (!provided.ok) return;
    const { stdout } = await run(provided.programs.promtool, ["check", "rules", RULES_FILE]);
    expect(stdout).toMatch(/SUCCESS: \d+ rules found/);
  });

  it.skipIf(!provided.ok).each(CASES)(
    "sees every alert of %s fire when it should, and only then",
    async (name) => {
      if (!provided.ok) return;
      const folder = mkdtempSync(join(tmpdir(), "holdfast-promtool-"));
      try {
        const file = join(folder, name);
        writeFileSync(file, read(name).replaceAll("{{RULES}}", RULES_FILE));
        // What promtool says of a failure is in the error.
        const { stdout } = await run(provided.programs.promtool, ["test", "rules", file]);
        expect(stdout).toContain("SUCCESS");
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    300_000,
  );

  it("is given a case in which it fires for every alert", () => {
    const text = CASES.map(read).join("\n");
    const fired = [...text.matchAll(/alertname: (\w+)\n\s+exp_alerts:\n/g)].map(([, name]) => name);
    expect(new Set(fired)).toEqual(new Set(readRules().flatMap(({ alert }) => alert ?? [])));
  });
});
