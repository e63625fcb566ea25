// `npm run sim`: tells histories from fresh seeds, or one seed again, and says what was found. Exit code 1 where a promise
// was broken, 2 where the command line is wrong.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { failureText } from "./failure-text.ts";
import { Coverage } from "./history/coverage.ts";
import { isWorker, serveCrew, tellAll, type Told } from "./history/crew.ts";
import { FAILED_SEEDS, planOfSeed } from "./history/failed-seeds.ts";
import { runHistory } from "./history/history.ts";
import { shrunk } from "./history/shrink.ts";
import { type Choice, HELP, readOptions } from "./options.ts";

const PROGRESS_EVERY = 500;
const WRONG_COMMAND_LINE = 2;

/** What all histories of a run come to. */
class Sum {
  readonly #startedMs = performance.now();
  readonly failed: Told[] = [];
  histories = 0;
  #virtualMs = 0;
  #cpuMs = 0;
  readonly #counts = { shots: 0, proofs: 0, failovers: 0, migrations: 0 };

  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1_000;
  }

  add(told: Told): void {
    this.histories += 1;
    this.#virtualMs += told.virtualMs;
    this.#cpuMs += told.cpuMs;
    for (const member of ["shots", "proofs", "failovers", "migrations"] as const)
      this.#counts[member] += told.counts[member];
    if (told.violations.length > 0) this.failed.push(told);
  }

  toString(): string {
    const { seconds, histories } = this;
    const hours = this.#virtualMs / 3_600_000;
    const { shots, proofs, failovers, migrations } = this.#counts;
    return (
      `${histories} histories, ${this.failed.length} failed; ${hours.toFixed(1)} virtual hours in ${seconds.toFixed(1)} s: ` +
      `${(histories / seconds).toFixed(1)} histories/s, ${(hours / seconds).toFixed(2)} virtual hours/s, ` +
      `${(this.#cpuMs / histories).toFixed(0)} ms of processor time each; ` +
      `${shots} shots, ${proofs} proofs, ${failovers} VMs released, ${migrations} migrations`
    );
  }
}

async function main(): Promise<void> {
  const asked = readOptions(process.argv.slice(2), Math.random);
  if (!asked.ok) {
    for (const problem of asked.problems) console.error(problem);
    console.error("See npm run sim -- --help");
    process.exitCode = WRONG_COMMAND_LINE;
    return;
  }
  const { options } = asked;
  const { choice } = options;
  if (options.help) return void process.stdout.write(HELP);
  const tells = choice.kind === "one" && choice.tells;
  // Thousands of errors are values here; their stacks would be a tenth of the time.
  if (!tells) Error.stackTraceLimit = 0;
  if (isWorker()) return serveCrew();
  if (tells) return tellOne(choice.seed);
  const sum = new Sum();
  const coverage = new Coverage();
  await tellAll({
    program: fileURLToPath(import.meta.url),
    workers: options.jobs,
    seeds: seedsOf(choice),
    onTold: (told) => {
      sum.add(told);
      coverage.add(told.seed, told.happened);
      if (told.violations.length > 0) report(told);
      if (sum.histories % PROGRESS_EVERY === 0) console.error(sum.toString());
      if (choice.kind === "one") console.log(`trace ${told.trace}`);
      const isOver = sum.seconds > options.budgetS || (options.stopsAtFailure && sum.failed.length > 0);
      return !isOver;
    },
  });
  if (options.shrinks) for (const told of sum.failed) await shrink(told);
  if (options.coverage) console.log(coverage.toString());
  console.log(sum.toString());
  process.exitCode = sum.failed.length > 0 ? 1 : 0;
}

async function tellOne(seed: number): Promise<void> {
  const { story, trace, violations } = await runHistory(planOfSeed(seed), seed, { tells: true });
  for (const line of story) console.log(line);
  console.log(`trace ${trace}`);
  report({ seed, violations });
  process.exitCode = violations.length > 0 ? 1 : 0;
}

function* seedsOf(choice: Choice): Generator<number> {
  switch (choice.kind) {
    case "failed":
      for (const { seed } of FAILED_SEEDS) yield seed;
      return;
    case "one":
      return yield choice.seed;
    case "fresh":
      for (let seed = choice.from; seed < choice.from + choice.count; seed += 1) yield seed;
  }
}

function report({ seed, violations }: Pick<Told, "seed" | "violations">): void {
  if (violations.length > 0) console.log(failureText({ seed, commit: commit(), violations }));
}

async function shrink({ seed, violations }: Told): Promise<void> {
  const check = violations[0]?.check;
  if (check === undefined) return;
  const { plan, runs } = await shrunk(planOfSeed(seed), seed, check);
  console.log(`seed ${seed} shrunk in ${runs} runs to: ${JSON.stringify(plan)}`);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

await main();
