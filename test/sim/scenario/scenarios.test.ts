// Every scenario of test/scenarios runs as it is told there; and the format refuses what it does not know.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { compared, diffOf, EXPECTATION_FILE } from "./expectation.ts";
import { runScenario } from "./run-scenario.ts";
import { readScenario, SCRIPT_FILE, scenarioFolders, WORLD_FILE } from "./scenario.ts";
import { timelineOf } from "./timeline.ts";

const CORPUS = new URL("../../scenarios", import.meta.url).pathname;
const FOLDERS = scenarioFolders(CORPUS).map((folder) => ({ name: basename(folder), folder }));
/** Room for a machine that does other things meanwhile. */
const TIMEOUT_MS = 120_000;

describe("the corpus", () => {
  it("is worth its name", () => {
    expect(FOLDERS.length).toBeGreaterThanOrEqual(60);
  });

  it.each(FOLDERS)("$name", { timeout: TIMEOUT_MS }, async ({ folder }) => {
    const read = readScenario(folder);
    if (!read.ok) throw new Error(read.problems.join("\n"));
    const facts = await runScenario(read.scenario);
    expect(facts.unmet).toEqual([]);
    const mayRecord = process.env["CI"] === undefined;
    const comparison = compared(folder, timelineOf(facts), { update: false, mayRecord });
    const diff = comparison.kind === "different" ? comparison.diff.join("\n") : "";
    expect(diff, `npm run scenario -- --update test/scenarios/${basename(folder)}`).toBe("");
    expect(comparison.kind, "timeline.expect is missing").not.toBe("missing");
  });
});

describe("the traps of the field", () => {
  /** One word of each that no other trap has. */
  const TRAPS = [
    "409",
    "dead with its host",
    "NetworkFence",
    "stale VMI",
    "Ready False",
    "control plane",
    "operator is restarted",
    "file systems are frozen",
    "returns while it is being fenced",
    "six minutes",
    "rules that conflict",
  ];
  const page = readFileSync(new URL("../../../docs/scenarios.md", import.meta.url), "utf8");
  const rows = page
    .slice(page.indexOf("## Traps"))
    .split("\n")
    .flatMap((line) => {
      const [, trap = "", folders = ""] = line.split("|").map((cell) => cell.trim());
      return line.startsWith("|") && !/^(trap|-+)$/.test(trap)
        ? [{ trap, folders: folders.split(", ") }]
        : [];
    });

  it("are all in the table, and nothing else is", () => {
    expect(TRAPS.filter((word) => rows.filter(({ trap }) => trap.includes(word)).length !== 1)).toEqual([]);
    expect(rows).toHaveLength(TRAPS.length);
  });

  it.each(rows)("$trap: has a scenario", ({ folders }) => {
    const known = FOLDERS.map(({ name }) => name);
    expect(folders.filter((folder) => !known.includes(folder))).toEqual([]);
    expect(folders.length).toBeGreaterThan(0);
  });
});

describe("a scenario in any folder", () => {
  const made: string[] = [];
  afterEach(() => {
    for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** A copy of one of the corpus, with something replaced in one of its files. */
  const copyWith = (file: string, from: string, to: string): string => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-scenario-"));
    made.push(folder);
    cpSync(join(CORPUS, "one-late-lease"), folder, { recursive: true });
    const text = readFileSync(join(folder, file), "utf8");
    expect(text).toContain(from);
    writeFileSync(join(folder, file), text.replace(from, to));
    return folder;
  };
  const problemsOf = (file: string, from: string, to: string): string => {
    const read = readScenario(copyWith(file, from, to));
    return read.ok ? "" : read.problems.join("\n");
  };

  it.each([
    [WORLD_FILE, "name: node-1 }", "name: node-1, colour: red }", /world\.yaml: nodes\[0\].*colour/],
    [WORLD_FILE, "priority: 900", "urgency: 900", /world\.yaml: vms\[0\]\.promise.*urgency/],
    [WORLD_FILE, "on: node-1", "on: node-9", /VM db names node-9, which is not there/],
    [WORLD_FILE, "vms:", "settings: { storm: 1 }\nvms:", /world\.yaml: settings: .*storm/],
    [SCRIPT_FILE, "for: 14s", "during: 14s", /script\.yaml: events\[0\].*during/],
    [SCRIPT_FILE, "at: 10s", "at: soon", /events\[0\]\.at: must be a duration like 90s.* soon/],
    [
      SCRIPT_FILE,
      "cutNodeApi: node-1",
      "compact: true\n    hang: node-1",
      /exactly one act and holds hang, compact/,
    ],
    [SCRIPT_FILE, "cutNodeApi: node-1", "cutNodeApi: node-9", /event 1 \(cutNodeApi\) names node-9/],
    [SCRIPT_FILE, "cutNodeApi: node-1", "cutNodeApi: { node: node-1, way: up }", /events\[0\]\.cutNodeApi/],
    [SCRIPT_FILE, "cutNodeApi: node-1", "cutPlane: { plane: storage, nodes: node-9 }", /names node-9/],
    [SCRIPT_FILE, "cutNodeApi: node-1", "remediator: asleep", /events\[0\]\.remediator/],
    [WORLD_FILE, "vms:", "probes: [moon]\nvms:", /world\.yaml: probes\[0\]/],
    [WORLD_FILE, "vms:", "topology: { levels: [{ method: prayer }] }\nvms:", /topology\.levels\[0\]\.method/],
    [SCRIPT_FILE, "stayUp:", "stayDown:", /script\.yaml: must.*stayDown/],
  ])(
    "is refused where %s says something else than the format knows: %s becomes %s",
    (file, from, to, problem) => {
      expect(problemsOf(file, from, to)).toMatch(problem);
    },
  );

  it("leaves its timeline behind where none was, and shows what has changed where one is", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const folder = copyWith(SCRIPT_FILE, "for: 14s", "for: 13s");
    const path = join(folder, EXPECTATION_FILE);
    const recorded = readFileSync(path, "utf8");
    const read = readScenario(folder);
    if (!read.ok) throw new Error(read.problems.join("\n"));
    const timeline = timelineOf(await runScenario(read.scenario));
    const changed = compared(folder, timeline, { update: false, mayRecord: true });
    expect(changed).toMatchObject({ kind: "different" });
    expect(changed.kind === "different" ? changed.diff.join("\n") : "").toMatch(
      /^-.*0:24 \* no longer[^]*^\+.*0:23 \* no longer/m,
    );
    expect(readFileSync(path, "utf8")).toBe(recorded);
    expect(compared(folder, timeline, { update: true, mayRecord: false })).toMatchObject({
      kind: "different",
    });
    expect(compared(folder, timeline, { update: true, mayRecord: true })).toEqual({ kind: "updated" });
    rmSync(path);
    expect(compared(folder, timeline, { update: false, mayRecord: false })).toEqual({ kind: "missing" });
    expect(existsSync(path)).toBe(false);
    expect(compared(folder, timeline, { update: false, mayRecord: true })).toEqual({ kind: "recorded" });
    expect(compared(folder, timeline, { update: false, mayRecord: true })).toEqual({ kind: "same" });
  });

  it("fails by its own word whatever its timeline says", { timeout: TIMEOUT_MS }, async () => {
    const folder = copyWith(SCRIPT_FILE, "cutPowerOf: []", "cutPowerOf: [node-1]\n  refuse: [StormHold]");
    const read = readScenario(folder);
    if (!read.ok) throw new Error(read.problems.join("\n"));
    expect((await runScenario(read.scenario)).unmet).toEqual([
      "must.cutPowerOf: should be node-1, and is none",
      "must.refuse: nobody said StormHold",
    ]);
  });
});

describe("a difference", () => {
  it("shows what went and what came, with two lines around", () => {
    const before = ["a", "b", "c", "d", "e", "f"];
    expect(diffOf(before, ["a", "b", "c", "x", "e", "f"])).toEqual([" b", " c", "-d", "+x", " e", " f"]);
  });
});
