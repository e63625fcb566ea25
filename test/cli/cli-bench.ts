// A command line in a box: runs the plugin on a fake API server or a dump, and keeps what it said.
import { readFileSync } from "node:fs";
import type { CliWorld } from "../../src/cli/cli-world.ts";
import { runCli } from "../../src/cli/run.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { createRealClock } from "../../src/run/real-clock.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What was asked of the person. */
  readonly questions: readonly string[];
  readonly written: ReadonlyMap<string, string>;
}

interface Bench {
  readonly transport?: ApiTransport;
  /** What the person types, in order; nobody is there where there are no more. */
  readonly answers?: readonly string[];
  readonly terminal?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  /** What happens while the command waits between two looks; without it whoever waits is interrupted. */
  readonly meanwhile?: ((interrupt: () => void, intervalMs: number) => void) | undefined;
}

/** Runs `kubectl holdfast <line>`. */
export async function run(argv: readonly string[], bench: Bench = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const questions: string[] = [];
  const answers = [...(bench.answers ?? [])];
  const written = new Map<string, string>();
  const interruption = new AbortController();
  const { transport, files = {} } = bench;
  const world: CliWorld = {
    argv,
    environment: bench.environment ?? {},
    terminal: { isTerminal: bench.terminal === true, columns: 100 },
    clock: createRealClock(),
    write: (text) => void out.push(text),
    complain: (text) => void err.push(text),
    ask: async (question) => {
      await Promise.resolve();
      questions.push(question);
      return answers.shift();
    },
    pause: async (intervalMs) => {
      const interrupt = () => interruption.abort();
      if (bench.meanwhile === undefined) interrupt();
      else bench.meanwhile(interrupt, intervalMs);
    },
    connect: () =>
      transport === undefined
        ? { ok: false, message: "no kubeconfig in this test" }
        : { ok: true, value: { transport, server: "https://fake", namespace: "shop" } },
    readFile: (path) => {
      const text = files[path];
      if (text !== undefined) return { ok: true, value: text };
      try {
        return { ok: true, value: readFileSync(path, "utf8") };
      } catch {
        return { ok: false, message: `${path} cannot be read: there is no such file` };
      }
    },
    writeFile: (path, text) => {
      written.set(path, text);
      return { ok: true, value: undefined };
    },
    interrupted: interruption.signal,
  };
  const code = await runCli(world);
  return { code, out: out.join(""), err: err.join(""), questions, written };
}
