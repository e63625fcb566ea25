// The only reader of arguments and environment: turns them into one typed configuration, or into everything that is wrong.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { helpText } from "./config/describe-settings.ts";
import { type Environment, readSettings } from "./config/read-settings.ts";
import type { ListenAddress } from "./config/setting.ts";
import type { SettingValues } from "./config/settings.ts";
import type { DecisionPolicy, ReadinessPace } from "./model/decision-policy.ts";

/** Where the credentials come from. `default`: what client-node's `loadFromDefault` finds (KUBECONFIG, `~/.kube/config`). */
export type KubeconfigSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "inCluster" }
  | { readonly kind: "default"; readonly path: string };

/** Where the address of one network of a node comes from. */
type ProbeAddress = { readonly kind: "InternalIP" } | { readonly kind: "annotation"; readonly key: string };

interface ProbeConfig {
  readonly method: "tcp" | "https";
  readonly port: number;
  readonly addresses: readonly ProbeAddress[];
  readonly periodMs: number;
}

export type LogLevel = SettingValues["log-level"];
export type LogFormat = SettingValues["log-format"];

export interface Config {
  readonly kubeconfig: KubeconfigSource;
  /** Our own namespace. */
  readonly namespace: string;
  /** Unique to this process. */
  readonly identity: string;
  readonly listen: ListenAddress;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  readonly election: {
    readonly leaseName: string;
    readonly timings: {
      readonly leaseDurationMs: number;
      readonly renewDeadlineMs: number;
      readonly retryPeriodMs: number;
    };
  };
  readonly policy: DecisionPolicy;
  /** How nodes are probed directly; undefined: not at all. */
  readonly probe: ProbeConfig | undefined;
  readonly readiness: ReadinessPace;
  /** Decide and report, never act. */
  readonly dryRun: boolean;
  /** Decisions kept for replay. */
  readonly decisionRecords: number;
}

export type ConfigOutcome =
  | { readonly kind: "config"; readonly config: Config; readonly warnings: readonly string[] }
  /** Print and exit 0. */
  | { readonly kind: "help"; readonly text: string }
  /** Print and exit with the usage code. */
  | { readonly kind: "invalid"; readonly problems: readonly string[]; readonly text: string };

/** Everything outside the process that a configuration depends on. */
export interface ConfigWorld {
  /** Arguments after the script's name. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  /** The file's text, or undefined where there is none to read. */
  readonly readFile: (path: string) => string | undefined;
  readonly hostname: string;
  readonly homeDirectory: string;
  /** Tells two lives of one replica apart. */
  readonly randomSuffix: string;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const DEFAULT_NAMESPACE = "holdfast-system";
const RANDOM_SUFFIX_CHARS = 8;
const HELP_FLAGS: readonly string[] = ["--help", "-h", "help"];

/** Reads the configuration of this process. */
export function loadConfig(): ConfigOutcome {
  return readConfig({
    argv: process.argv.slice(2),
    environment: process.env,
    readFile: readFileIfAny,
    hostname: hostname(),
    homeDirectory: homedir(),
    randomSuffix: randomUUID().slice(0, RANDOM_SUFFIX_CHARS),
  });
}

/** The same of any world, for tests. Errors are values: all at once, each with flag, what was found and what is allowed. */
export function readConfig(world: ConfigWorld): ConfigOutcome {
  if (world.argv.some((argument) => HELP_FLAGS.includes(argument))) return { kind: "help", text: helpText() };
  const { values, problems, warnings } = readSettings(world.argv, world.environment);
  const kubeconfig = kubeconfigSource(values.kubeconfig, world);
  const all = kubeconfig ? problems : [...problems, NO_KUBECONFIG];
  if (!kubeconfig || all.length > 0) return { kind: "invalid", problems: all, text: problemText(all) };
  return { kind: "config", config: configOf(values, kubeconfig, world), warnings };
}

function configOf(values: SettingValues, kubeconfig: KubeconfigSource, world: ConfigWorld): Config {
  return {
    kubeconfig,
    namespace: values.namespace ?? podNamespace(world) ?? DEFAULT_NAMESPACE,
    identity: `${values.identity ?? world.hostname}_${world.randomSuffix}`,
    listen: values["listen-address"],
    log: { level: values["log-level"], format: values["log-format"] },
    election: {
      leaseName: values["leader-elect-lease-name"],
      timings: {
        leaseDurationMs: values["leader-elect-lease-duration"],
        renewDeadlineMs: values["leader-elect-renew-deadline"],
        retryPeriodMs: values["leader-elect-retry-period"],
      },
    },
    policy: policyOf(values),
    probe: probeOf(values),
    readiness: readinessOf(values),
    dryRun: values["dry-run"],
    decisionRecords: values["decision-records"],
  };
}

/** The policy that a process without any flag or variable decides by; for tests and the lab. */
export function defaultPolicy(): DecisionPolicy {
  return policyOf(readSettings([], {}).values);
}

/** The pace of readiness checks without any flag or variable; for tests and the lab. */
export function defaultReadiness(): ReadinessPace {
  return readinessOf(readSettings([], {}).values);
}

function readinessOf(values: SettingValues): ReadinessPace {
  return {
    intervalMs: values["fencing-check-interval"],
    maxConcurrent: values["fencing-check-concurrency"],
  };
}

function policyOf(values: SettingValues): DecisionPolicy {
  return {
    nodeSuspectAfterMs: values["node-suspect-after"],
    nodeLostAfterMs: values["node-lost-after"],
    heartbeatTrustMs: values["heartbeat-trust"],
    onIsolated: values["on-isolated"],
    isolatedGraceMs: values["isolated-grace"],
    latePowerOffGraceMs: values["late-power-off-grace"],
    stormMaxLost: values["storm-max-lost-nodes"],
    failureDomainLabel: values["failure-domain-label"],
    maxConcurrentFencings: values["max-concurrent-fencings"],
    maxFencingsPerHour: values["max-fencings-per-hour"],
    quarantineAfterReturns: values["quarantine-after-returns"],
    quarantineWindowMs: values["quarantine-window"],
    quarantineMs: values["quarantine-for"],
    maxRestartsInFlight: values["max-restarts-in-flight"],
    restartSlotMs: values["restart-slot"],
    migrationAckGraceMs: values["migration-ack-grace"],
    maxConcurrentMigrations: values["max-concurrent-migrations"],
    migrationBackoffMs: values["migration-backoff"],
    migrationUnschedulableTimeoutSeconds: Math.round(values["migration-unschedulable-timeout"] / 1000),
  };
}

function probeOf(values: SettingValues): ProbeConfig | undefined {
  const method = values["probe-method"];
  if (method === "off") return undefined;
  const written = new Set(values["probe-addresses"].split(","));
  const addresses = [...written].map(
    (source): ProbeAddress =>
      source === "InternalIP"
        ? { kind: "InternalIP" }
        : { kind: "annotation", key: source.slice("annotation:".length) },
  );
  return { method, port: values["probe-at"], addresses, periodMs: values["probe-period"] };
}

const NO_KUBECONFIG =
  "--kubeconfig: found none (no flag, KUBECONFIG is not set, this is no pod, and there is no ~/.kube/config); allowed: the path of a kubeconfig file";

/** The pod's own account comes before `~/.kube/config`: an image with a stray home directory must not lead elsewhere. */
function kubeconfigSource(given: string | undefined, world: ConfigWorld): KubeconfigSource | undefined {
  const { environment, readFile, homeDirectory } = world;
  if (given !== undefined) return { kind: "file", path: given };
  const variable = environment["KUBECONFIG"];
  if (variable) return { kind: "default", path: variable };
  if (environment["KUBERNETES_SERVICE_HOST"] && readFile(`${SERVICE_ACCOUNT}/token`) !== undefined)
    return { kind: "inCluster" };
  const path = join(homeDirectory, ".kube", "config");
  return readFile(path) === undefined ? undefined : { kind: "default", path };
}

function podNamespace({ readFile }: ConfigWorld): string | undefined {
  const text = readFile(`${SERVICE_ACCOUNT}/namespace`)?.trim();
  return text === "" ? undefined : text;
}

function problemText(problems: readonly string[]): string {
  const list = problems.map((problem) => `  ${problem}\n`).join("");
  return `holdfast: the configuration has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}:\n${list}See holdfast --help.\n`;
}

function readFileIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
