// What a benchmark is to the command that runs it.
import type { Line } from "./table.ts";

/** What a benchmark may ask of the command line. */
export interface BenchContext {
  /** Says on stderr what is being done. */
  readonly progress: (message: string) => void;
  /** Restart windows to compare besides the default one; for `restart`. */
  readonly windows: readonly number[];
}

/** One benchmark: measures and returns its figures. Errors: throws where something could not be measured. */
export interface Bench {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /** Roughly, on two cores. */
  readonly minutes: number;
  run(context: BenchContext): Promise<readonly Line[]>;
}
