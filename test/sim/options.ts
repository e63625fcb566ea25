// The command line of `npm run sim`: read once, and refused where a value means nothing. A run that tells no history and
// ends well would pass for a proof.
import { availableParallelism } from "node:os";
import { type ParseArgsConfig, parseArgs } from "node:util";

/** What `--help` prints. */
export const HELP = `npm run sim -- [--seeds N] [--from SEED] [--budget SECONDS]   fresh histories (default 100), beginning at a random seed
npm run sim -- --seed N [--trace]                             one history again, as a story with --trace
npm run sim -- --failed                                       every seed that ever failed
  --jobs N           processes that tell histories (default: as many as there are processors)
  --budget SECONDS   begin no more histories after this long, however many were asked for
  --coverage         how often each fault was drawn, and what came of them
  --no-shrink        leave a failing history as long as it is
  --stop-at-failure  begin no more histories after the first that fails

Exit codes: 0 no promise was broken, 1 one was, 2 the command line is wrong and nothing was run.
`;
const FRESH_SEEDS = 2 ** 31;
const DEFAULT_SEEDS = 100;
/** Seeds are whole numbers that doubles hold exactly, with all that follow in a run. */
const LARGEST = 2 ** 52;
const MAX_JOBS = 256;

const OPTIONS = {
  seeds: { type: "string" },
  seed: { type: "string" },
  from: { type: "string" },
  budget: { type: "string" },
  jobs: { type: "string" },
  trace: { type: "boolean", default: false },
  failed: { type: "boolean", default: false },
  coverage: { type: "boolean", default: false },
  "no-shrink": { type: "boolean", default: false },
  "stop-at-failure": { type: "boolean", default: false },
  worker: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const satisfies ParseArgsConfig["options"];

/** Which histories a run tells. */
export type Choice =
  | { readonly kind: "fresh"; readonly from: number; readonly count: number }
  | { readonly kind: "one"; readonly seed: number; readonly tells: boolean }
  | { readonly kind: "failed" };

export interface SimOptions {
  readonly choice: Choice;
  /** Infinity where no budget was set. */
  readonly budgetS: number;
  readonly jobs: number;
  readonly coverage: boolean;
  readonly shrinks: boolean;
  readonly stopsAtFailure: boolean;
  readonly help: boolean;
}

export type Asked =
  | { readonly ok: true; readonly options: SimOptions }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the arguments. `chance` picks the first of fresh seeds. Every problem is named: the option, what was found, what is allowed. */
export function readOptions(args: readonly string[], chance: () => number): Asked {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return { ok: false, problems: [error instanceof Error ? error.message : String(error)] };
  }
  const problems: string[] = [];
  const number = (name: "seeds" | "seed" | "from" | "jobs", range: Range): number =>
    whole(name, values[name], range, problems);
  const count = number("seeds", { least: 1, most: LARGEST, unless: DEFAULT_SEEDS });
  const from = number("from", { least: 0, most: LARGEST, unless: Math.floor(chance() * FRESH_SEEDS) });
  const seed = number("seed", { least: 0, most: LARGEST, unless: 0 });
  const jobs = number("jobs", { least: 1, most: MAX_JOBS, unless: availableParallelism() });
  const budgetS = Number(values.budget ?? Number.POSITIVE_INFINITY);
  if (!(budgetS > 0) || values.budget?.trim() === "" || (values.budget && !Number.isFinite(budgetS)))
    problems.push(`--budget: found ${shown(values.budget)}; allowed: seconds, more than 0`);
  const isOne = values.seed !== undefined;
  const others = (["seeds", "from"] as const).filter((name) => values[name] !== undefined);
  for (const name of others)
    if (isOne || values.failed)
      problems.push(`--${name} chooses fresh seeds, and ${isOne ? "--seed" : "--failed"} does not`);
  if (isOne && values.failed) problems.push("--seed and --failed choose different histories: name one");
  if (values.trace && !isOne) problems.push("--trace tells one history: name it with --seed N");
  if (problems.length > 0) return { ok: false, problems };
  const choice: Choice = isOne
    ? { kind: "one", seed, tells: values.trace }
    : values.failed
      ? { kind: "failed" }
      : { kind: "fresh", from, count };
  const { coverage, help } = values;
  const switches = { coverage, shrinks: !values["no-shrink"], stopsAtFailure: values["stop-at-failure"] };
  return { ok: true, options: { choice, budgetS, jobs, help, ...switches } };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: args.map(joined(args)).filter((arg) => arg !== undefined), options: OPTIONS })
    .values;
}

/** `--seeds -3` as `--seeds=-3`, so that it is refused for its value and not for looking like an option. */
function joined(args: readonly string[]): (arg: string, at: number) => string | undefined {
  const takesValue = (arg: string | undefined): boolean => {
    const option = Object.entries(OPTIONS).find(([name]) => arg === `--${name}`)?.[1];
    return option?.type === "string";
  };
  const isNegative = (arg: string | undefined): boolean => arg !== undefined && /^-\d/.test(arg);
  return (arg, at) => {
    if (isNegative(arg) && takesValue(args[at - 1])) return undefined;
    return takesValue(arg) && isNegative(args[at + 1]) ? `${arg}=${args[at + 1] ?? ""}` : arg;
  };
}

interface Range {
  readonly least: number;
  readonly most: number;
  readonly unless: number;
}

function whole(
  name: string,
  text: string | undefined,
  { least, most, unless }: Range,
  problems: string[],
): number {
  if (text === undefined) return unless;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  problems.push(`--${name}: found ${shown(text)}; allowed: a whole number from ${least} to ${most}`);
  return unless;
}

function shown(text: string | undefined): string {
  return text === undefined || text === "" ? "nothing" : text;
}
