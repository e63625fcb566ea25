// A real Prometheus and Alertmanager on loopback for one test, and what the Alertmanager sends.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { findFreePort } from "../../lab/control-plane/free-port.ts";
import type { PrometheusPrograms } from "./programs.ts";

const READY_MS = 60_000;
const STOP_MS = 10_000;

/** One alert as Alertmanager's webhook tells of it. */
export interface Notified {
  readonly status: "firing" | "resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

export interface RunningPrometheus {
  /** Everything the Alertmanager has sent, in order. */
  readonly notified: readonly Notified[];
  /** The instant query's samples; throws with Prometheus' words where it is no query. */
  query(expr: string): Promise<readonly Sample[]>;
  stop(): Promise<void>;
}

/** Starts both; scrapes the targets every second and evaluates as often. */
export async function startPrometheus(
  programs: PrometheusPrograms,
  options: { readonly targets: readonly string[]; readonly rules: string },
): Promise<RunningPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-prometheus-"));
  const notified: Notified[] = [];
  const receiver = await startReceiver(notified);
  const [prometheusPort, alertmanagerPort] = [await findFreePort(), await findFreePort()];
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const alertmanagerConfig = write(
    "alertmanager.yaml",
    stringify({
      route: {
        receiver: "test",
        group_by: ["..."],
        group_wait: "0s",
        group_interval: "1s",
        repeat_interval: "1h",
      },
      receivers: [
        {
          name: "test",
          webhook_configs: [{ url: `http://127.0.0.1:${receiver.port}/`, send_resolved: true }],
        },
      ],
    }),
  );
  const prometheusConfig = write(
    "prometheus.yaml",
    stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [write("rules.yaml", options.rules)],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanagerPort}`] }] }] },
      scrape_configs: [
        { job_name: "holdfast", honor_labels: true, static_configs: [{ targets: options.targets }] },
      ],
    }),
  );
  mkdirSync(join(folder, "data"));
  const children = [
    start(programs.alertmanager.program, join(folder, "alertmanager.log"), [
      ...programs.alertmanager.args,
      `--config.file=${alertmanagerConfig}`,
      `--storage.path=${join(folder, "alerts")}`,
      `--web.listen-address=127.0.0.1:${alertmanagerPort}`,
      "--cluster.listen-address=",
    ]),
    start(programs.prometheus, join(folder, "prometheus.log"), [
      `--config.file=${prometheusConfig}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${prometheusPort}`,
    ]),
  ];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end));
    await receiver.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const base = `http://127.0.0.1:${prometheusPort}`;
  try {
    for (const url of [`${base}/-/ready`, `http://127.0.0.1:${alertmanagerPort}/-/ready`]) {
      await waitFor(
        `${url} answers`,
        async () => (await fetch(url).catch(() => undefined))?.ok || undefined,
        READY_MS,
      );
    }
  } catch (error) {
    for (const name of ["alertmanager.log", "prometheus.log"])
      console.error(readFileSync(join(folder, name), "utf8").slice(-2_000));
    await stop();
    throw error;
  }
  return { notified, query: (expr) => query(base, expr), stop };
}

async function query(base: string, expr: string): Promise<readonly Sample[]> {
  const answer = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(expr)}`);
  const body = (await answer.json()) as { status: string; error?: string; data?: { result: Sample[] } };
  if (body.status !== "success") throw new Error(`${expr}: ${body.error ?? answer.statusText}`);
  return body.data?.result ?? [];
}

function start(program: string, logPath: string, flags: readonly string[]): ChildProcess {
  const log = openSync(logPath, "a");
  const child = spawn(program, flags, { stdio: ["ignore", log, log] });
  closeSync(log);
  process.once("exit", () => child.kill("SIGKILL"));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}

async function startReceiver(
  notified: Notified[],
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { alerts } = JSON.parse(Buffer.concat(chunks).toString()) as { alerts: Notified[] };
      notified.push(...alerts);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { port, close };
}
