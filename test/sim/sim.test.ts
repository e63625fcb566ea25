// Every test run tells a budgeted number of fresh histories, all that once failed, and one twice.
import { expect, it } from "vitest";
import { drawn } from "./history/draw.ts";
import { FAILED_SEEDS } from "./history/failed-seeds.ts";
import { runHistory } from "./history/history.ts";

const BUDGET_MS = 12_000;
const FRESH_SEEDS = 2 ** 31;
/** Room for a machine that does other things meanwhile. */
const TIMEOUT_MS = 180_000;

it("the same seed is the same history, and another seed another", { timeout: TIMEOUT_MS }, async () => {
  const first = await runHistory(drawn(7), 7);
  const again = await runHistory(drawn(7), 7);
  expect([again.trace, again.virtualMs, again.steps]).toEqual([first.trace, first.virtualMs, first.steps]);
  expect((await runHistory(drawn(8), 8)).trace).not.toBe(first.trace);
});

it.each(FAILED_SEEDS)("seed $seed does not fail again: $was", { timeout: TIMEOUT_MS }, async ({ seed }) => {
  expect((await runHistory(drawn(seed), seed)).violations).toEqual([]);
});

it("fresh histories keep every promise", { timeout: TIMEOUT_MS }, async () => {
  const endMs = performance.now() + BUDGET_MS;
  let told = 0;
  for (
    let seed = Math.floor(Math.random() * FRESH_SEEDS);
    told === 0 || performance.now() < endMs;
    seed += 1
  ) {
    const { violations } = await runHistory(drawn(seed), seed);
    expect(violations, `npm run sim -- --seed ${seed} --trace`).toEqual([]);
    told += 1;
  }
  console.log(`${told} fresh histories in ${BUDGET_MS / 1_000} s`);
});
