// `npm run scenario` as people type it: from any folder, its exit codes, and the facts that it prints.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EXPECTATION_FILE } from "./expectation.ts";
import type { ScenarioFacts } from "./facts.ts";
import { SCRIPT_FILE, WORLD_FILE } from "./scenario.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const CORPUS = join(ROOT, "test/scenarios");
const MAIN = join(ROOT, "test/sim/scenario/main.ts");
/** Room for a machine that does other things meanwhile. */
const TIMEOUT_MS = 120_000;

let away = "";
beforeEach(() => {
  away = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-scenarios-")));
});
afterEach(() => rmSync(away, { recursive: true, force: true }));

/** A scenario of the corpus, copied to a folder of somebody's own. */
const mine = (name: string, as = name): string => {
  const folder = join(away, as);
  mkdirSync(folder);
  for (const file of [WORLD_FILE, SCRIPT_FILE, EXPECTATION_FILE])
    cpSync(join(CORPUS, name, file), join(folder, file));
  return folder;
};
const edit = (folder: string, file: string, from: string, to: string): void => {
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
};
const scenario = (...args: readonly string[]): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, [MAIN, ...args], { cwd: away, encoding: "utf8" });

describe("npm run scenario", { timeout: TIMEOUT_MS }, () => {
  it("runs scenarios of any folder, named from the folder one is in", () => {
    mine("one-late-lease", "theirs");
    const run = spawnSync("npm", ["run", "--silent", "--prefix", ROOT, "scenario", "--", "theirs"], {
      cwd: away,
      encoding: "utf8",
    });
    expect(run.stderr).toBe("");
    expect(run.stdout).toBe("theirs: same\n");
    expect(run.status).toBe(0);
  });

  it("runs all scenarios right below a folder", () => {
    mine("one-late-lease", "b");
    mine("paused-vm", "a");
    expect(scenario(".").stdout).toBe("a: same\nb: same\n");
  });

  it("records an expectation that is missing", () => {
    const folder = mine("one-late-lease");
    const path = join(folder, EXPECTATION_FILE);
    const recorded = readFileSync(path, "utf8");
    rmSync(path);
    expect(scenario(folder)).toMatchObject({ stdout: "one-late-lease: recorded\n", status: 0 });
    expect(readFileSync(path, "utf8")).toBe(recorded);
  });

  it("shows one that has changed as a difference, ends with 1, and changes nothing unless told to", () => {
    const folder = mine("one-late-lease");
    edit(folder, EXPECTATION_FILE, "node-1 is suspect", "node-1 is well");
    const run = scenario(folder);
    expect(run.status).toBe(1);
    expect(run.stdout).toMatch(
      /one-late-lease: different\n(.*\n)* {2}-.*node-1 is well.*\n {2}\+.*node-1 is suspect/,
    );
    expect(readFileSync(join(folder, EXPECTATION_FILE), "utf8")).toContain("node-1 is well");
    expect(scenario("--update", folder)).toMatchObject({ stdout: "one-late-lease: updated\n", status: 0 });
    expect(scenario(folder).status).toBe(0);
  });

  it("ends with 1 where the script's own demands are not met, and records nothing of it", () => {
    const folder = mine("one-late-lease");
    rmSync(join(folder, EXPECTATION_FILE));
    edit(folder, SCRIPT_FILE, "cutPowerOf: []", "cutPowerOf: [node-1]");
    const run = scenario("--update", folder);
    expect(run.status).toBe(1);
    expect(run.stderr).toContain("must.cutPowerOf: should be node-1, and is none");
    expect(existsSync(join(folder, EXPECTATION_FILE))).toBe(false);
  });

  it.each([
    ["a folder without a scenario", ["nowhere"], /nowhere: no scenario is there/],
    ["no folder", [], /no folder was named/],
    ["another output than JSON", ["-o", "yaml", "."], /there is only -o json/],
    ["an option it does not know", ["--quick"], /--quick/],
  ])("ends with 2 where it is given %s", (_what, args, said) => {
    const run = scenario(...args);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(said);
  });

  it("ends with 2 where a file cannot be read, and names file and field", () => {
    const folder = mine("one-late-lease");
    edit(folder, WORLD_FILE, "name: node-1 }", "name: node-1, colour: red }");
    const run = scenario(folder);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/world\.yaml: nodes\[0\].*colour/);
  });
});

describe("-o json", { timeout: TIMEOUT_MS }, () => {
  const ASKED = [
    "bmc-begins-to-lie",
    "crossed-cables",
    "every-run-strategy",
    "node-hangs",
    "rack-without-power",
    "storm-of-silence",
  ];
  const all = new Map<string, ScenarioFacts>();
  const factsOf = (name: string): ScenarioFacts => {
    const facts = all.get(name);
    if (facts === undefined) throw new Error(`no facts of ${name}`);
    return facts;
  };

  it("prints one object for each scenario, nothing else, and leaves expectations alone", () => {
    const folders = ASKED.map((name) => mine(name));
    for (const folder of folders) rmSync(join(folder, EXPECTATION_FILE));
    const run = scenario("-o", "json", ".");
    expect(run).toMatchObject({ status: 0, stderr: "" });
    for (const facts of JSON.parse(run.stdout) as ScenarioFacts[]) all.set(facts.scenario, facts);
    expect([...all.keys()]).toEqual(ASKED);
    for (const folder of folders) expect(existsSync(join(folder, EXPECTATION_FILE))).toBe(false);
  });

  it("gives every event with its virtual time, in order, the operator's small steps among them", () => {
    const { events } = factsOf("node-hangs");
    const times = events.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((one, other) => one - other));
    expect(events.find(({ kind }) => kind === "script")).toMatchObject({ atMs: 10_000, node: "node-1" });
    const kinds = new Set(events.map(({ kind }) => kind));
    for (const kind of [
      "verdict",
      "fencing",
      "shot",
      "power",
      "taint",
      "release",
      "guest",
      "promise",
      "step",
    ] as const)
      expect(kinds).toContain(kind);
  });

  it("gives the final node and state of each VM, and its outages", () => {
    const { vms } = factsOf("every-run-strategy");
    const vmOf = (name: string) => vms.find((vm) => vm.name === `vms/${name}`);
    expect(vmOf("always")).toMatchObject({ isUp: true, told: [] });
    expect(vmOf("always")?.nodes.join()).toMatch(/^node-[23]$/);
    expect(vmOf("always")?.outages[0]?.toMs).toBeGreaterThan(60_000);
    expect(vmOf("once")).toMatchObject({ runStrategy: "Once", nodes: [], isUp: false });
    expect(vmOf("once")?.outages).toEqual([{ fromMs: 60_000 }]);
    expect(vmOf("halted")?.told).toContainEqual({ type: "Available", status: "False", reason: "Stopped" });
  });

  it("gives the nodes that were fenced, by whom and how, and how they are", () => {
    const facts = factsOf("rack-without-power");
    expect(facts.proven).toEqual(["node-1", "node-2", "node-3"]);
    expect(facts.powerCuts).toEqual([]);
    expect(facts.fencings.map(({ node, phase, proof }) => ({ node, phase, proof }))).toEqual(
      facts.proven.map((node) => ({ node, phase: "Released", proof: "PowerOff" })),
    );
    expect(facts.nodes.find(({ name }) => name === "node-1")).toMatchObject({
      state: "off",
      ready: "Unknown",
    });
    expect(factsOf("node-hangs").powerCuts).toMatchObject([{ node: "node-1" }]);
  });

  it("gives overlaps, with both nodes and how long", () => {
    const { overlaps, violations } = factsOf("bmc-begins-to-lie");
    expect(overlaps.length).toBeGreaterThan(0);
    for (const { nodes, fromMs, toMs } of overlaps) {
      expect(nodes).toContain("node-1");
      expect(toMs ?? Number.POSITIVE_INFINITY).toBeGreaterThan(fromMs);
    }
    expect(violations.map(({ check }) => check)).toContain("never two");
  });

  it("gives what was refused and why: decisions with their reason, steps with what stood against them", () => {
    const storm = factsOf("storm-of-silence").refusals.find(({ about }) => about === "node/node-1");
    expect(storm).toMatchObject({ reason: "StormHold" });
    expect(storm?.message).toContain("nothing is powered off");
    expect(storm?.firstAtMs).toBeGreaterThan(10_000);
    expect(factsOf("crossed-cables").refusedSteps[0]).toMatchObject({
      replica: "replica-1",
      step: expect.stringMatching(/^Fence\//) as string,
      why: expect.stringContaining("the address leads to another machine") as string,
    });
  });
});
