import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Config, type ConfigOutcome, type ConfigWorld, readConfig } from "../src/config.ts";
import { formatDuration, parseDuration } from "../src/config/duration.ts";
import { type SettingName, SETTINGS } from "../src/config/settings.ts";
import type { Setting } from "../src/config/setting.ts";
import { loadKubeconfig } from "../src/run/kubeconfig.ts";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

function read(
  argv: readonly string[],
  world: Partial<Omit<ConfigWorld, "readFile">> & { files?: Record<string, string> } = {},
): ConfigOutcome {
  const files = world.files ?? { "/home/op/.kube/config": "" };
  return readConfig({
    argv,
    environment: {},
    hostname: "holdfast-6d5f",
    homeDirectory: "/home/op",
    randomSuffix: "a1b2c3d4",
    ...world,
    readFile: (path) => files[path],
  });
}

function configOf(outcome: ConfigOutcome): Config {
  if (outcome.kind !== "config") throw new Error(outcome.text);
  return outcome.config;
}

function problemsOf(outcome: ConfigOutcome): readonly string[] {
  return outcome.kind === "invalid" ? outcome.problems : [];
}

describe("defaults", () => {
  it("are a working configuration by themselves", () => {
    expect(configOf(read([]))).toEqual({
      kubeconfig: { kind: "default", path: "/home/op/.kube/config" },
      namespace: "holdfast-system",
      identity: "holdfast-6d5f_a1b2c3d4",
      listen: { host: undefined, port: 8080 },
      log: { level: "info", format: "json" },
      election: {
        leaseName: "holdfast",
        timings: { leaseDurationMs: 10_000, renewDeadlineMs: 7_000, retryPeriodMs: 2_000 },
      },
      policy: {
        nodeSuspectAfterMs: 12_000,
        nodeLostAfterMs: 22_000,
        heartbeatTrustMs: 140_000,
        latePowerOffGraceMs: 120_000,
        stormMaxLost: { percent: 20 },
        maxConcurrentFencings: 3,
        maxRestartsInFlight: 12,
        restartSlotMs: 5_000,
        migrationAckGraceMs: 10_000,
        maxConcurrentMigrations: undefined,
        migrationBackoffMs: 5_000,
        migrationUnschedulableTimeoutSeconds: 60,
        failureDomainLabel: "topology.kubernetes.io/zone",
        maxFencingsPerHour: 20,
        quarantineAfterReturns: 3,
        quarantineWindowMs: 3_600_000,
        quarantineMs: 7_200_000,
        onIsolated: "hold",
        isolatedGraceMs: 300_000,
      },
      probe: undefined,
      readiness: { intervalMs: 300_000, maxConcurrent: 8 },
      dryRun: false,
      decisionRecords: 20,
    });
  });
});

describe("probes", () => {
  it("take the addresses of several networks, each once, or are off", () => {
    const addresses = "--probe-addresses=InternalIP,annotation:example.com/storage-ip,InternalIP";
    expect(configOf(read([addresses, "--probe-at=22", "--probe-method=tcp"])).probe).toEqual({
      method: "tcp",
      port: 22,
      addresses: [{ kind: "InternalIP" }, { kind: "annotation", key: "example.com/storage-ip" }],
      periodMs: 60_000,
    });
    expect(configOf(read(["--probe-method=https"])).probe).toEqual({
      method: "https",
      port: 10_250,
      addresses: [{ kind: "InternalIP" }],
      periodMs: 60_000,
    });
    expect(configOf(read([])).probe).toBeUndefined();
    expect(problemsOf(read(["--probe-addresses=ExternalIP"]))).toHaveLength(1);
  });
});

describe("where values come from", () => {
  it("a flag, with = or as two arguments, wins over the environment, which wins over the default", () => {
    const environment = { HOLDFAST_NODE_LOST_AFTER: "40s", HOLDFAST_NODE_SUSPECT_AFTER: "20s" };
    const { policy } = configOf(read(["--node-lost-after", "1m30s"], { environment }));
    expect([policy.nodeLostAfterMs, policy.nodeSuspectAfterMs]).toEqual([90_000, 20_000]);
  });

  it("an empty variable counts as unset, as manifests have them", () => {
    expect(configOf(read([], { environment: { HOLDFAST_NAMESPACE: "" } })).namespace).toBe("holdfast-system");
  });

  it("a boolean flag may stand alone or be given a value", () => {
    expect(configOf(read(["--dry-run"])).dryRun).toBe(true);
    expect(configOf(read(["--dry-run=false"])).dryRun).toBe(false);
    expect(configOf(read([], { environment: { HOLDFAST_DRY_RUN: "true" } })).dryRun).toBe(true);
  });

  it("the identity always ends in a random suffix, given or not", () => {
    expect(configOf(read(["--identity=replica-0"])).identity).toBe("replica-0_a1b2c3d4");
  });

  it.each([
    [":9090", { host: undefined, port: 9090 }],
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
    ["[::1]:8080", { host: "::1", port: 8080 }],
    ["localhost:8080", { host: "localhost", port: 8080 }],
  ])("reads the listen address %s", (text, listen) => {
    expect(configOf(read([`--listen-address=${text}`])).listen).toEqual(listen);
  });

  it.each([
    ["3", { count: 3 }],
    ["25%", { percent: 25 }],
    ["100%", { percent: 100 }],
  ])("reads the storm limit %s", (text, limit) => {
    expect(configOf(read([`--storm-max-lost-nodes=${text}`])).policy.stormMaxLost).toEqual(limit);
  });
});

describe("the kubeconfig", () => {
  const inPod = {
    environment: { KUBERNETES_SERVICE_HOST: "10.0.0.1" },
    files: { [`${SERVICE_ACCOUNT}/token`]: "t", [`${SERVICE_ACCOUNT}/namespace`]: "ha\n" },
  };

  it("is the flag's, else KUBECONFIG's, else the pod's, else the home directory's", () => {
    const variable = { ...inPod.environment, KUBECONFIG: "/k" };
    const flags = ["--kubeconfig=/f"];
    expect(configOf(read(flags, { ...inPod, environment: variable })).kubeconfig).toEqual({
      kind: "file",
      path: "/f",
    });
    expect(configOf(read([], { ...inPod, environment: variable })).kubeconfig).toEqual({
      kind: "default",
      path: "/k",
    });
    expect(configOf(read([], inPod)).kubeconfig).toEqual({ kind: "inCluster" });
    expect(configOf(read([])).kubeconfig).toEqual({ kind: "default", path: "/home/op/.kube/config" });
  });

  it("that is nowhere is a problem, not a try at localhost", () => {
    expect(problemsOf(read([], { files: {} }))).toEqual([
      expect.stringContaining("--kubeconfig: found none"),
    ]);
  });

  it("tells the namespace of the pod", () => {
    expect(configOf(read([], inPod)).namespace).toBe("ha");
    expect(configOf(read(["--namespace=other"], inPod)).namespace).toBe("other");
  });

  it("is loaded, or refused with the file's name", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-kubeconfig-"));
    const path = join(directory, "config");
    const missing = loadKubeconfig({ kind: "file", path });
    expect(missing).toMatchObject({ ok: false, message: expect.stringContaining(`${path} cannot be used`) });
    writeFileSync(path, JSON.stringify({ clusters: [{ name: "c", cluster: { server: "https://x" } }] }));
    const contextless = loadKubeconfig({ kind: "file", path });
    expect(contextless).toMatchObject({ ok: false, message: expect.stringContaining("set current-context") });
    writeFileSync(
      path,
      JSON.stringify({
        clusters: [{ name: "c", cluster: { server: "https://x" } }],
        users: [],
        contexts: [{ name: "m", context: { cluster: "c", user: "u" } }],
        "current-context": "m",
      }),
    );
    expect(loadKubeconfig({ kind: "file", path }).ok).toBe(true);
    rmSync(directory, { recursive: true });
  });
});

describe("mistakes", () => {
  it("are reported all at once, each with the flag, what was found and what is allowed", () => {
    const outcome = read(
      [
        "--node-lost-after=15",
        "--log-level=loud",
        "--max-concurrent-fencings=0",
        "--listen-address=8080",
        "up",
      ],
      { environment: { HOLDFAST_DRY_RUN: "yes" } },
    );
    expect(problemsOf(outcome)).toEqual([
      'found "up"; allowed: flags only, as --name=value',
      '--node-lost-after: found "15"; allowed: a duration from 1s to 1h, such as 22s or 1m30s',
      '--max-concurrent-fencings: found "0"; allowed: a whole number from 1 to 100',
      '--dry-run: found "yes" (HOLDFAST_DRY_RUN); allowed: true or false',
      '--listen-address: found "8080"; allowed: [HOST]:PORT with a port from 0 (any free one) to 65535, such as :8080, 127.0.0.1:8080 or [::1]:8080',
      '--log-level: found "loud"; allowed: one of trace, debug, info, warn, error, fatal',
    ]);
    expect(outcome).toMatchObject({ text: expect.stringContaining("6 problems") });
  });

  it.each([
    ["--node-lost-aftr=30s", "did you mean --node-lost-after?"],
    ["--bmc-password=hunter2", "see --help"],
    ["--node-lost-after", "found no value"],
    ["--__proto__=x", "a flag that does not exist"],
  ])("%s is refused: %s", (flag, words) => {
    const problems = problemsOf(read([flag]));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
    expect(problems[0]).not.toContain("hunter2");
  });

  it("a flag given twice is refused", () => {
    expect(problemsOf(read(["--log-level=info", "--log-level=debug"]))).toEqual([
      "--log-level: found twice; allowed: once",
    ]);
  });

  it("a boolean's value as an argument of its own is refused with a hint", () => {
    expect(problemsOf(read(["--dry-run", "false"]))[0]).toContain("a boolean needs the =");
  });

  it.each([
    [
      ["--leader-elect-renew-deadline=10s"],
      "--leader-elect-lease-duration: found 10s; allowed: longer than --leader-elect-renew-deadline (10s)",
    ],
    [
      ["--leader-elect-retry-period=6s"],
      "--leader-elect-renew-deadline: found 7s; allowed: longer than 1.2 times --leader-elect-retry-period (6s)",
    ],
    [
      ["--node-lost-after=12s"],
      "--node-lost-after: found 12s; allowed: longer than --node-suspect-after (12s)",
    ],
  ])("%s contradicts another setting", (argv, problem) => {
    expect(problemsOf(read(argv))).toEqual([problem]);
  });

  it("a mistyped variable is warned of, and what Kubernetes sets for a Service is not", () => {
    const outcome = read([], {
      environment: {
        HOLDFAST_NODE_LOST_AFER: "30s",
        HOLDFAST_SERVICE_HOST: "10.0.0.7",
        HOLDFAST_SERVICE_PORT_METRICS: "8080",
        HOLDFAST_PORT: "tcp://10.0.0.7:8080",
        HOLDFAST_METRICS_PORT_8080_TCP_ADDR: "10.0.0.7",
        HOLDFAST_ASSETS: "/assets",
      },
    });
    expect(outcome).toMatchObject({
      warnings: ["HOLDFAST_NODE_LOST_AFER: no such setting, ignored; did you mean HOLDFAST_NODE_LOST_AFTER?"],
    });
  });
});

describe("the table of settings", () => {
  const all = Object.entries(SETTINGS) as [SettingName, Setting<unknown>][];

  it.each(all)("--%s has a default and an example that it would itself accept", (_name, setting) => {
    if ("text" in setting.default) expect(setting.schema.safeParse(setting.default.text).success).toBe(true);
    if (setting.example !== undefined) expect(setting.schema.safeParse(setting.example).success).toBe(true);
  });

  it("has no secret: a flag is seen by everybody who may list processes", () => {
    for (const [name] of all) expect(name).not.toMatch(/password|token|secret|credential|key/);
  });

  it("has no name that Kubernetes' Service variables could set by accident", () => {
    for (const [name] of all) expect(name).not.toMatch(/(^|-)port$|service-host/);
  });
});

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["15s", 15_000],
    ["1m30s", 90_000],
    ["1.5s", 1_500],
    ["2h", 7_200_000],
    ["1h2m3s4ms", 3_723_004],
    ["0", 0],
    ["0s", 0],
  ])("%s is %d ms", (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  it.each(["", "15", "s", "1s1m", "-1s", "1 s", "1d", "1s1s", "1e3s", "١s"])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it("are written so that they read back", () => {
    fc.assert(
      fc.property(fc.nat(1e9), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });
});
