// Every test run tells a budgeted number of fresh histories, all that once failed, and one twice.
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { drawn } from "./history/draw.ts";
import { FAILED_SEEDS } from "./history/failed-seeds.ts";
import { runHistory } from "./history/history.ts";

/** New to each commit, and the same for all runs of it: a test that fails by chance, and not again, is worth nothing. */
const FIRST_FRESH_SEED = seedOfCommit();
const FRESH_HISTORIES = 60;
/** Room for a machine that does other things meanwhile. */
const TIMEOUT_MS = 180_000;

it("the same seed is the same history, and another seed another", { timeout: TIMEOUT_MS }, async () => {
  const first = await runHistory(drawn(7), 7);
  const again = await runHistory(drawn(7), 7);
  expect([again.trace, again.virtualMs, again.steps]).toEqual([first.trace, first.virtualMs, first.steps]);
  expect((await runHistory(drawn(8), 8)).trace).not.toBe(first.trace);
});

it.each(FAILED_SEEDS)(
  "seed $seed does not fail again: $was",
  { timeout: TIMEOUT_MS },
  async ({ seed, plan }) => {
    expect((await runHistory(plan, seed)).violations).toEqual([]);
  },
);

it("fresh histories keep every promise", { timeout: TIMEOUT_MS }, async () => {
  for (let seed = FIRST_FRESH_SEED; seed < FIRST_FRESH_SEED + FRESH_HISTORIES; seed++) {
    const { violations } = await runHistory(drawn(seed), seed);
    expect(violations, `npm run sim -- --seed ${seed} --trace`).toEqual([]);
  }
});

function seedOfCommit(): number {
  const asked = spawnSync("git", ["rev-parse", "--short=7", "HEAD"], { encoding: "utf8" });
  const seed = Number.parseInt(asked.stdout ?? "", 16);
  // A checkout without its history.
  return Number.isNaN(seed) ? 1 : seed;
}
