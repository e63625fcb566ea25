// The command line of `npm run sim`: a value that means nothing is refused, never taken for "no histories, none failed".
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { readOptions, type SimOptions } from "./options.ts";

const MAIN = new URL("main.ts", import.meta.url).pathname;
const half = (): number => 0.5;
const read = (...args: readonly string[]) => readOptions(args, half);
const optionsOf = (...args: readonly string[]): SimOptions => {
  const asked = read(...args);
  if (!asked.ok) throw new Error(asked.problems.join("; "));
  return asked.options;
};

describe("the command line of the simulation", () => {
  it("tells a hundred fresh histories from a random seed on where nothing is said", () => {
    expect(optionsOf().choice).toEqual({ kind: "fresh", from: 2 ** 30, count: 100 });
    expect(optionsOf().budgetS).toBe(Number.POSITIVE_INFINITY);
    expect(optionsOf("--seeds", "7", "--from=3").choice).toEqual({ kind: "fresh", from: 3, count: 7 });
  });

  it("tells one history, or those that ever failed", () => {
    expect(optionsOf("--seed", "42", "--trace").choice).toEqual({ kind: "one", seed: 42, tells: true });
    expect(optionsOf("--failed").choice).toEqual({ kind: "failed" });
    expect(
      optionsOf("--seeds=2", "--jobs=3", "--budget=0.5", "--stop-at-failure", "--no-shrink", "--coverage"),
    ).toMatchObject({
      jobs: 3,
      budgetS: 0.5,
      stopsAtFailure: true,
      shrinks: false,
      coverage: true,
    });
  });

  it.each([
    [["--seeds", "foo"], "--seeds: found foo; allowed: a whole number from 1 to"],
    [["--seeds", "0"], "--seeds: found 0;"],
    [["--seeds", "-3"], "--seeds: found -3;"],
    [["--seeds", "1.5"], "--seeds: found 1.5;"],
    [["--seeds="], "--seeds: found nothing;"],
    [["--seeds"], "--seeds"],
    [["--seed", "abc", "--trace"], "--seed: found abc;"],
    [["--seed", "1e400"], "--seed: found 1e400;"],
    [["--seed", "9007199254740993"], "--seed: found 9007199254740993;"],
    [["--from", "x"], "--from: found x;"],
    [["--budget", "x"], "--budget: found x; allowed: seconds, more than 0"],
    [["--budget", "0"], "--budget: found 0;"],
    [["--budget", "-1"], "--budget: found -1;"],
    [["--budget="], "--budget: found nothing;"],
    [["--budget=Infinity"], "--budget: found Infinity;"],
    [["--jobs", "0"], "--jobs: found 0; allowed: a whole number from 1 to 256"],
    [["--jobs", "x"], "--jobs: found x;"],
    [["--trace"], "--trace tells one history: name it with --seed N"],
    [["--seed", "3", "--failed"], "name one"],
    [["--seed", "3", "--seeds", "5"], "--seeds chooses fresh seeds, and --seed does not"],
    [["--failed", "--from", "5"], "--from chooses fresh seeds, and --failed does not"],
    [["--nonsense"], "--nonsense"],
    [["7"], "7"],
  ])("refuses %j", (args, said) => {
    const asked = read(...args);
    expect(asked).toMatchObject({ ok: false });
    expect(asked.ok ? [] : asked.problems.join("\n")).toContain(said);
  });

  it("names every problem at once", () => {
    const asked = read("--seeds=x", "--jobs=y");
    expect(asked.ok ? [] : asked.problems).toHaveLength(2);
  });

  it("ends with 2 and runs nothing, without a stack trace", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "--seeds", "many"], {
      encoding: "utf8",
    });
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^--seeds: found many;.*\nSee npm run sim -- --help\n$/);
  });

  it("teaches with --help", () => {
    const { status, stdout } = spawnSync(process.execPath, [MAIN, "--help"], { encoding: "utf8" });
    expect(status).toBe(0);
    for (const word of ["--seed N", "--failed", "--budget", "--jobs", "--stop-at-failure", "Exit codes"])
      expect(stdout).toContain(word);
  });
});
