// What the container runtime of a simulated node runs: anything that starts, can be told to stop, and exits.

/** A running set of containers. Exits exactly once, unless its machine loses power first: then it is simply gone. */
export interface Workload {
  /** SIGTERM. `graceMs` is what is left until `kill`. */
  terminate(graceMs: number): void;
  /** SIGKILL: has exited when this returns. */
  kill(): void;
  /** The machine lost power: gone without a word to anybody. */
  vanish(): void;
}

/** Exit code of a process ended by SIGKILL. */
export const KILLED = 137;
