// Tells histories in several processes that live on from one to the next. Knows who works on which seed; knows nothing of
// what a history is about.
import { type ChildProcess, fork } from "node:child_process";
import { planOfSeed } from "./failed-seeds.ts";
import { type HistoryOutcome, runHistory } from "./history.ts";

/** What came of one seed. A story is told by one process alone and never travels. */
export interface Told extends Omit<HistoryOutcome, "story"> {
  readonly seed: number;
  /** Processor time it took, in user and system. */
  readonly cpuMs: number;
}

/** Young objects die young here, by the megabyte: a larger nursery saves a tenth of the time. */
const NODE_FLAGS = ["--max-semi-space-size=32", "--min-semi-space-size=16"];
/** The argument that makes the program one of the crew. */
const WORKER_FLAG = "--worker";
/** Seeds that one worker has at hand, so that it never waits for the next. */
const SEEDS_AT_HAND = 2;

export interface CrewOptions {
  /** The program to start for each worker; it must call `serveCrew` when `isWorker()`. */
  readonly program: string;
  readonly workers: number;
  readonly seeds: Iterable<number>;
  /** Told in the order in which histories end, not of their seeds; `false`: begin no more, and end those begun. */
  readonly onTold: (told: Told) => boolean;
}

/** Whether this process was started as one of a crew. */
export function isWorker(): boolean {
  return process.argv.includes(WORKER_FLAG);
}

/** Tells what it is asked for until its parent goes. */
export function serveCrew(): void {
  let last: Promise<void> = Promise.resolve();
  process.on("message", (seed: number) => {
    // One world at a time: the lab has one clock per process.
    last = last.then(() => tell(seed));
  });
  process.once("disconnect", () => process.exit());
}

async function tell(seed: number): Promise<void> {
  process.send?.(await told(seed));
}

async function told(seed: number): Promise<Told> {
  const before = process.cpuUsage();
  const { story: _, ...outcome } = await runHistory(planOfSeed(seed), seed);
  const { user, system } = process.cpuUsage(before);
  return { seed, ...outcome, cpuMs: (user + system) / 1_000 };
}

/** Settles when all seeds were told, or `onTold` had enough. Errors: rejects where a worker ends by itself. */
export async function tellAll(options: CrewOptions): Promise<void> {
  const { program, workers, onTold } = options;
  const seeds = options.seeds[Symbol.iterator]();
  const given = { enough: false };
  const children: ChildProcess[] = [];
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(program, [WORKER_FLAG], { execArgv: NODE_FLAGS });
      children.push(child);
      let atHand = 0;
      const give = () => {
        while (!given.enough && atHand < SEEDS_AT_HAND) {
          const { done, value } = seeds.next();
          if (done === true) break;
          atHand += 1;
          child.send(value);
        }
        if (atHand === 0) resolve();
      };
      child.on("message", (told: Told) => {
        atHand -= 1;
        if (!onTold(told)) given.enough = true;
        give();
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`a worker ended with code ${code}`)));
      give();
    });
  try {
    await Promise.all(Array.from({ length: workers }, work));
  } finally {
    for (const child of children) child.removeAllListeners("exit").disconnect();
  }
}
