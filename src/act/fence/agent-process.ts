// Runs one program to its end or to our deadline, whichever comes first, and leaves nothing of it behind. Knows nothing
// of fencing.
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Clock } from "../../model/clock.ts";
import { type CallDeadline, pause } from "./call-deadline.ts";

export interface AgentRun {
  /** Absolute path; run without arguments, so that nothing shows in a list of processes. */
  readonly program: string;
  /** Standard input, whole. */
  readonly input: string;
  /** The whole environment: nothing of ours is handed on. */
  readonly environment: Readonly<Record<string, string>>;
  /** How much of each output is kept; the rest is read and dropped. */
  readonly maxOutputBytes: number;
}

/** `killed`: it was still running at the deadline, or when the caller gave up; what it has done is unknown. */
export type AgentEnd =
  | { readonly kind: "exited"; readonly code: number; readonly output: string; readonly errors: string }
  | { readonly kind: "killed"; readonly output: string; readonly errors: string }
  | { readonly kind: "notStarted"; readonly message: string; readonly isMissing: boolean };

/** After the program has ended or was killed: how long its outputs and its end are still waited for. */
const LAST_WORDS_MS = 300;

/**
 * Guarantees: ends soon after the deadline whatever the program does; the program and every process in its group are
 * killed then, and what is left of the group when the program has ended by itself as well.
 * Caveats: a process that has left the group (a daemon) outlives it.
 */
export async function runAgent(run: AgentRun, deadline: CallDeadline, clock: Clock): Promise<AgentEnd> {
  if (deadline.signal.aborted) return { kind: "notStarted", message: "no time left", isMissing: false };
  const child = start(run);
  const output = new KeptOutput(child.stdout, run.maxOutputBytes);
  const errors = new KeptOutput(child.stderr, run.maxOutputBytes);
  const end = await ended(child, deadline.signal);
  killGroup(child);
  if (end.kind === "notStarted") return end;
  const lastWords = new AbortController();
  await Promise.race([
    Promise.all([output.closed, errors.closed]),
    pause(clock, LAST_WORDS_MS, lastWords.signal),
  ]);
  lastWords.abort();
  const said = { output: output.text(), errors: errors.text() };
  return end.kind === "killed" ? { ...end, ...said } : { ...end, ...said };
}

type Started = ChildProcess & { readonly stdout: Readable; readonly stderr: Readable };

function start(run: AgentRun): Started {
  const child = spawn(run.program, [], {
    // A group of its own: the agent and what it starts are killed together.
    detached: true,
    cwd: "/",
    env: { ...run.environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  // An agent that ends without reading all it is told says so by its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(run.input);
  return child;
}

type Ending =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed" }
  | Extract<AgentEnd, { kind: "notStarted" }>;

/** A program that a signal has ended counts as killed, whoever sent it: nobody knows how far it came. */
function ended(child: ChildProcess, signal: AbortSignal): Promise<Ending> {
  return new Promise((resolve) => {
    const onAbort = () => resolve({ kind: "killed" });
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = (ending: Ending): void => {
      signal.removeEventListener("abort", onAbort);
      resolve(ending);
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === "ENOENT" || error.code === "EACCES";
      settle({ kind: "notStarted", message: `it could not be run: ${error.code ?? error.name}`, isMissing });
    });
    child.once("exit", (code) => settle(code === null ? { kind: "killed" } : { kind: "exited", code }));
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nobody is left in the group.
  }
}

/** The beginning of a stream; read to its end all the same, lest the writer be held up. */
class KeptOutput {
  readonly closed: Promise<void>;
  #stream: Readable;
  #maxBytes: number;
  #chunks: Buffer[] = [];
  #keptBytes = 0;

  constructor(stream: Readable, maxBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    stream.on("data", (chunk: Buffer) => this.#keep(chunk));
    stream.on("error", () => {});
    this.closed = new Promise((resolve) => {
      stream.once("close", () => resolve());
    });
  }

  /** What was kept; the stream is given up. */
  text(): string {
    this.#stream.destroy();
    return Buffer.concat(this.#chunks).toString("utf8");
  }

  #keep(chunk: Buffer): void {
    const kept = chunk.subarray(0, this.#maxBytes - this.#keptBytes);
    if (kept.length === 0) return;
    this.#chunks.push(kept);
    this.#keptBytes += kept.length;
  }
}
