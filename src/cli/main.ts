// The plugin's process: the only file of it that touches arguments, environment, files, streams and clocks.
import { readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { KubeConfig } from "@kubernetes/client-node";
import packageJson from "../../package.json" with { type: "json" };
import { createHttpTransport } from "../kube/http-transport.ts";
import type { Clock } from "../model/clock.ts";
import type { CliWorld, ClusterChoice, Connection, Outcome } from "./cli-world.ts";
import { runCli } from "./run.ts";

/** Under this name kubectl calls us for completion. */
const COMPLETER = "kubectl_complete-holdfast";
const COLUMNS_UNKNOWN = 100;
/** Keeps the process alive while a command waits. */
const KEEP_ALIVE_MS = 1_000;

const clock: Clock = {
  now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
  schedule: (delayMs, wake) => {
    const timer = setTimeout(wake, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

function connect({ kubeconfig, context }: ClusterChoice): Outcome<Connection> {
  const config = new KubeConfig();
  const where = kubeconfig ?? process.env["KUBECONFIG"] ?? join(homedir(), ".kube", "config");
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    return { ok: false, message: `${where} cannot be used: ${wordsOf(error)}` };
  }
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context))
      return {
        ok: false,
        message: `${where} has no context ${context}; it has ${known.join(", ") || "none"}`,
      };
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster)
    return { ok: false, message: `${where} has no current context with a cluster: name one with --context` };
  const transport = createHttpTransport(config, { userAgent: `kubectl-holdfast/${packageJson.version}` });
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  return { ok: true, value: { transport, server: cluster.server, namespace } };
}

function readFile(path: string): Outcome<string> {
  try {
    return { ok: true, value: readFileSync(path === "-" ? 0 : path, "utf8") };
  } catch (error) {
    return { ok: false, message: `${path} cannot be read: ${wordsOf(error)}` };
  }
}

function writeFile(path: string, text: string): Outcome<undefined> {
  try {
    writeFileSync(path, text);
    return { ok: true, value: undefined };
  } catch (error) {
    return { ok: false, message: `${path} cannot be written: ${wordsOf(error)}` };
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function ask(question: string): Promise<string | undefined> {
  // Words that come through a pipe were not typed by anybody who read the question.
  if (!process.stdin.isTTY) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question, { signal: interruption.signal });
  } catch {
    return undefined;
  } finally {
    lines.close();
  }
}

async function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  interruption.signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort());
process.once("SIGTERM", () => interruption.abort());
// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", () => process.exit());

const called = basename(process.argv[1] ?? "");
const words = process.argv.slice(2);
const world: CliWorld = {
  argv: called.startsWith(COMPLETER) ? ["__complete", ...words] : words,
  environment: process.env,
  terminal: {
    isTerminal: process.stdout.isTTY,
    columns: process.stdout.columns ?? COLUMNS_UNKNOWN,
  },
  clock,
  write: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
  ask,
  pause,
  connect,
  readFile,
  writeFile,
  interrupted: interruption.signal,
};

const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
process.exitCode = await runCli(world);
clearInterval(alive);
