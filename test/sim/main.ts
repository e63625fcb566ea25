// `npm run sim`: tells histories from fresh seeds, or one seed again, and says what was found. Exit code 1 where a promise
// was broken.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { FAILED_SEEDS, planOfSeed } from "./history/failed-seeds.ts";
import { type HistoryOutcome, runHistory } from "./history/history.ts";
import { shrunk } from "./history/shrink.ts";

const HELP = `npm run sim -- [--seeds N] [--from SEED] [--budget SECONDS]   fresh histories (default 100), beginning at a random seed
npm run sim -- --seed N [--trace]                             one history again, as a story with --trace
npm run sim -- --failed                                       every seed that ever failed
`;
const FRESH_SEEDS = 2 ** 31;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    seed: { type: "string" },
    from: { type: "string" },
    budget: { type: "string" },
    trace: { type: "boolean", default: false },
    failed: { type: "boolean", default: false },
    "no-shrink": { type: "boolean", default: false },
    "stop-at-failure": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(HELP);
  // Thousands of errors are values here; their stacks would be a tenth of the time.
  if (!values.trace) Error.stackTraceLimit = 0;
  const startedMs = performance.now();
  const budgetMs = values.budget === undefined ? Number.POSITIVE_INFINITY : Number(values.budget) * 1_000;
  const sum = { histories: 0, failed: 0, virtualMs: 0, shots: 0, proofs: 0, failovers: 0, migrations: 0 };
  for (const seed of seeds()) {
    if (performance.now() - startedMs > budgetMs) break;
    const outcome = await runHistory(planOfSeed(seed), seed, { tells: values.trace });
    sum.histories += 1;
    sum.virtualMs += outcome.virtualMs;
    for (const member of ["shots", "proofs", "failovers", "migrations"] as const)
      sum[member] += outcome.counts[member];
    for (const line of outcome.story) console.log(line);
    if (values.seed !== undefined) console.log(`trace ${outcome.trace}`);
    if (outcome.violations.length === 0) continue;
    sum.failed += 1;
    await report(seed, outcome);
    if (values["stop-at-failure"]) break;
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  const hours = sum.virtualMs / 3_600_000;
  console.log(
    `${sum.histories} histories, ${sum.failed} failed; ${hours.toFixed(1)} virtual hours in ${seconds.toFixed(1)} s: ` +
      `${(sum.histories / seconds).toFixed(1)} histories/s, ${((hours * 3_600) / seconds).toFixed(0)} virtual seconds/s; ` +
      `${sum.shots} shots, ${sum.proofs} proofs, ${sum.failovers} VMs released, ${sum.migrations} migrations`,
  );
  process.exitCode = sum.failed > 0 ? 1 : 0;
}

function* seeds(): Generator<number> {
  if (values.failed) {
    for (const { seed } of FAILED_SEEDS) yield seed;
    return;
  }
  const from = Number(values.seed ?? values.from ?? Math.floor(Math.random() * FRESH_SEEDS));
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  for (let seed = from; seed < from + count; seed += 1) yield seed;
}

async function report(seed: number, { violations }: HistoryOutcome): Promise<void> {
  console.log(`FAILED seed ${seed} at commit ${commit()}: npm run sim -- --seed ${seed} --trace`);
  for (const { check, atMs, message } of violations)
    console.log(`  ${check}, at ${(atMs / 1_000).toFixed(3)} s: ${message}`);
  const check = violations[0]?.check;
  if (check === undefined || values["no-shrink"]) return;
  const { plan, runs } = await shrunk(planOfSeed(seed), seed, check);
  console.log(`  shrunk in ${runs} runs to: ${JSON.stringify(plan)}`);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

await main();
