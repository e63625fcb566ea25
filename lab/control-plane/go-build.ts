// Builds the control plane from its Go modules, whose content build/go.sum pins. Knows the go command, not the network.
import { execFile, spawn } from "node:child_process";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Progress } from "../terminal/progress.ts";
import type { OrphanGuard } from "./orphan-guard.ts";
import { BINARIES, type BinaryName, KUBERNETES_VERSION } from "./versions.ts";

export interface BuildOptions {
  readonly names: readonly BinaryName[];
  /** Where the binaries are put; they appear when everything is built. */
  readonly directory: string;
  readonly progress: Progress;
  readonly guard: OrphanGuard;
  /** The go command; `go` unless said. */
  readonly go?: string;
}

/** The oldest Go that builds these modules, as build/go.mod says. */
const GO_MINOR_NEEDED = 26;
const MODULE_FOLDER = join(import.meta.dirname, "build");
const ASK_DEADLINE_MS = 120_000;
const FETCH_DEADLINE_MS = 20 * 60_000;
const BUILD_DEADLINE_MS = 90 * 60_000;
const ERROR_LINES = 20;

const PACKAGES: Readonly<Record<BinaryName, string>> = {
  etcd: "go.etcd.io/etcd/server/v3",
  "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
  "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
  "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
  kubectl: "k8s.io/kubernetes/cmd/kubectl",
};

/**
 * Builds `names` into `directory`. Errors: throws, saying what to install, where Go is missing or too old; throws with
 * the compiler's last lines where the build fails.
 */
export async function buildFromModules(options: BuildOptions): Promise<void> {
  const go = options.go ?? "go";
  await requireGo(go);
  const packages = options.names.map((name) => PACKAGES[name]);
  const total = await countPackages(go, packages, options);
  const what = `building ${describeNames(options.names)} from the Go modules (once)`;
  let done = 0;
  options.progress.show(what, { done, total, unit: "packages" });
  await runGo(
    ["build", "-v", "-trimpath", "-ldflags", linkerFlags(), "-o", `${options.directory}/`, ...packages],
    {
      ...options,
      go,
      deadlineMs: BUILD_DEADLINE_MS,
      onLine: (line) => {
        // `go build -v` says one import path a line; messages have spaces.
        if (!/^\S+$/.test(line)) return;
        done += 1;
        options.progress.show(what, { done, total, unit: "packages" });
      },
    },
  );
  if (options.names.includes("etcd")) {
    // Go calls a main package after its folder.
    await rename(join(options.directory, "server"), join(options.directory, "etcd"));
  }
}

function describeNames(names: readonly BinaryName[]): string {
  return names.length === BINARIES.length ? "the control plane" : names.join(", ");
}

/** Without these the server would call itself v0.0.0, and clients that look at the version would misbehave. */
function linkerFlags(): string {
  const [major, minor] = KUBERNETES_VERSION.slice(1).split(".");
  const values = {
    gitVersion: KUBERNETES_VERSION,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: "clean",
    gitCommit: "module",
    buildDate: "1970-01-01T00:00:00Z",
  };
  const flags = Object.entries(values).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return ["-s", "-w", ...flags].join(" ");
}

async function requireGo(go: string): Promise<void> {
  const found = await promisify(execFile)(go, ["version"], {
    cwd: MODULE_FOLDER,
    env: goEnvironment(),
    timeout: ASK_DEADLINE_MS,
  }).then(
    ({ stdout }) => stdout.trim(),
    (error: NodeJS.ErrnoException & { stderr?: string }) =>
      error.code === "ENOENT" ? "no go command" : (error.stderr?.trim() ?? error.message),
  );
  const minor = /^go version go1\.(\d+)/.exec(found)?.[1];
  if (minor !== undefined && Number(minor) >= GO_MINOR_NEEDED) return;
  throw new Error(
    `building the control plane needs Go 1.${GO_MINOR_NEEDED} or newer, and this machine has: ${found}\n` +
      "Install it from https://go.dev/dl/ and put its bin folder on PATH, " +
      `or set HOLDFAST_ASSETS to a folder that holds ${BINARIES.join(", ")}.`,
  );
}

/** Resolves every package, which makes go fetch the modules that are not on this machine yet. */
async function countPackages(
  go: string,
  packages: readonly string[],
  options: BuildOptions,
): Promise<number> {
  const what = "fetching the Go modules";
  let modules = 0;
  let count = 0;
  options.progress.show("looking at the Go modules");
  await runGo(["list", "-deps", ...packages], {
    ...options,
    go,
    deadlineMs: FETCH_DEADLINE_MS,
    onLine: (line) => {
      if (!line.startsWith("go: downloading ")) return;
      modules += 1;
      options.progress.show(what, { done: modules, unit: "modules" });
    },
    onOutput: () => {
      count += 1;
    },
  });
  return count;
}

interface GoRun extends BuildOptions {
  readonly go: string;
  readonly deadlineMs: number;
  /** Each line of standard error, where go reports what it is doing. */
  readonly onLine: (line: string) => void;
  /** Each line of standard output. */
  readonly onOutput?: (line: string) => void;
}

async function runGo(args: readonly string[], options: GoRun): Promise<void> {
  const child = spawn(options.go, args, {
    cwd: MODULE_FOLDER,
    env: goEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.deadlineMs,
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  if (child.pid !== undefined) options.guard.watch(child.pid);
  const lastLines: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    lastLines.push(line);
    if (lastLines.length > ERROR_LINES) lastLines.shift();
    options.onLine(line);
  });
  createInterface({ input: child.stdout }).on("line", (line) => options.onOutput?.(line));
  const failure = await ended;
  if (child.pid !== undefined) options.guard.forget(child.pid);
  if (failure === undefined) return;
  throw new Error(`go ${args[0]} failed with ${failure}. Its last lines:\n${lastLines.join("\n")}`);
}

/** A fixed set of flags: what the user's own Go projects need must not change what is built here. */
function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false", GOWORK: "off" };
}
