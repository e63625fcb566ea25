// The operator's process: reads its configuration, joins the rooms, serves probes, and ends in order.
import { Registry } from "prom-client";
import packageJson from "../package.json" with { type: "json" };
import { loadConfig, type Config } from "./config.ts";
import { createHttpTransport } from "./kube/http-transport.ts";
import { AvailabilityMetrics } from "./measure/availability-metrics.ts";
import { tellDrills } from "./measure/drill-metrics.ts";
import { createLog, type Log, roomLog } from "./measure/log.ts";
import { createApiRequestCounter, createMetrics } from "./measure/metrics.ts";
import { OperatorMetrics } from "./measure/operator-metrics.ts";
import type { Instant } from "./model/clock.ts";
import { DecisionRing } from "./run/decision-ring.ts";
import { createHealthServer } from "./run/health-server.ts";
import { loadKubeconfig } from "./run/kubeconfig.ts";
import { Operator } from "./run/operator.ts";
import { createRealClock, keepProcessAlive } from "./run/real-clock.ts";
import { EXIT_CODES, Shutdown } from "./run/shutdown.ts";

const BUILD = { version: packageJson.version, nodeVersion: process.version };

/** A leader whose turns stand still for this long is stuck: MAX_QUIET_MS of the turn loop, and as much again. */
const TURN_STUCK_MS = 90_000;
/** The API server not heard for this long makes a replica unready, not unhealthy: a restart would not help. */
const CONTACT_LOST_MS = 30_000;

function main(): void {
  const loaded = loadConfig();
  if (loaded.kind === "help") {
    process.stdout.write(loaded.text);
    return;
  }
  if (loaded.kind === "invalid") {
    process.stderr.write(loaded.text);
    process.exitCode = EXIT_CODES.usage;
    return;
  }
  const { config } = loaded;
  const log = createLog({ ...config.log, fields: { replica: config.identity } });
  for (const warning of loaded.warnings) log.warn({}, warning);
  const kubeconfig = loadKubeconfig(config.kubeconfig);
  if (!kubeconfig.ok) {
    process.stderr.write(`holdfast: ${kubeconfig.message}\n`);
    process.exitCode = EXIT_CODES.usage;
    return;
  }
  run(config, log, kubeconfig.kubeConfig);
}

function run(config: Config, log: Log, kubeConfig: Parameters<typeof createHttpTransport>[0]): void {
  const clock = createRealClock();
  const shutdown = new Shutdown({
    clock,
    keepAlive: keepProcessAlive,
    exit: (code) => process.exit(code),
    report: (event) =>
      event.kind === "bug"
        ? log.fatal({ err: event.error }, "our own bug")
        : log.info({ ...event }, `shutdown: ${event.kind}`),
  });
  shutdown.listen(process);
  const registry = new Registry();
  const metrics = createMetrics(registry, BUILD);
  const measured = new OperatorMetrics(metrics);
  const availability = new AvailabilityMetrics(metrics);
  const transport = createHttpTransport(kubeConfig, {
    userAgent: `holdfast/${BUILD.version}`,
    onRequest: createApiRequestCounter(metrics),
  });
  const decisions = new DecisionRing(config.decisionRecords, BUILD.version);
  const operator: Operator = new Operator({
    ...config,
    decisions,
    transport,
    clock,
    random: Math.random,
    log: roomLog(log, "run"),
    leaseName: config.election.leaseName,
    timings: config.election.timings,
    observer: {
      onPlan: (plan, tookMs) => {
        measured.planned(plan, tookMs);
        availability.planned(plan);
      },
      onAttemptEnded: (attempt) => availability.attemptEnded(attempt),
      onFailoverEnded: (outage) => availability.failoverEnded(outage),
      onStepDone: (done) => measured.stepDone(done),
      onRefused: () => measured.refused(),
      onDepth: (waiting, running) => measured.depth(waiting, running),
      onLost: (why) => measured.lostLeadership(why),
      onMigrationEnded: (migration) => measured.migrationEnded(migration),
    },
    onBug: (error) => shutdown.crash(error),
  });
  const health = createHealthServer({
    ...config.listen,
    alive: [{ name: "turns", check: () => turnsProblem(operator, clock.now().monotonicMs) }],
    ready: [
      { name: "sources", check: () => sourcesProblem(operator) },
      { name: "contact", check: () => contactProblem(operator, clock.now().monotonicMs) },
    ],
    ...(config.decisionRecords === 0 ? {} : { decisions }),
    metrics: {
      contentType: registry.contentType,
      metrics: () => {
        measured.scrape(scraped(operator, clock.now().monotonicMs));
        availability.scrape(scrapedAvailability(operator, clock.now()));
        tellDrills(metrics, operator.leading ? operator.world.reflectors.drills.store.values() : []);
        return registry.metrics();
      },
    },
    onBug: (error) => shutdown.crash(error),
  });
  shutdown.add({ name: "connections", deadlineMs: 2_000, close: () => transport.close() });
  shutdown.add({ name: "health server", deadlineMs: 2_000, close: () => health.close() });
  shutdown.add({ name: "operator", deadlineMs: 10_000, close: () => operator.stop() });
  void health.listen().then((listening) => {
    if (listening.ok) {
      log.info(
        { port: listening.port, namespace: config.namespace, dryRun: config.dryRun },
        "holdfast started",
      );
      operator.start();
      return undefined;
    }
    log.error({ listen: config.listen }, `cannot listen: ${listening.message}`);
    return shutdown.begin("the health server cannot listen", EXIT_CODES.unclean);
  });
  keepProcessAlive();
}

function turnsProblem(operator: Operator, nowMs: number): string | undefined {
  if (!operator.leading) return undefined;
  const lastMs = operator.turns.lastTurnAtMs ?? nowMs;
  return nowMs - lastMs > TURN_STUCK_MS ? `no turn for ${Math.round((nowMs - lastMs) / 1000)} s` : undefined;
}

function sourcesProblem(operator: Operator): string | undefined {
  const unsynced = Object.entries(operator.world.sources()).filter(([, source]) => !source.synced);
  return unsynced.length === 0 ? undefined : `not yet synced: ${unsynced.map(([name]) => name).join(", ")}`;
}

function contactProblem(operator: Operator, nowMs: number): string | undefined {
  const silentMs = nowMs - operator.world.contact.lastOkMs;
  return silentMs > CONTACT_LOST_MS
    ? `the API server has not answered for ${Math.round(silentMs / 1000)} s`
    : undefined;
}

function scraped(operator: Operator, nowMs: number) {
  return {
    leading: operator.leading,
    epoch: operator.election.state().epoch,
    sources: operator.world.sources(),
    fencings: operator.world.reflectors.fencings.store.values(),
    nodes: operator.world.reflectors.nodes.store.values(),
    checked: operator.checkedLevels(),
    nowMs,
  };
}

function scrapedAvailability({ leading, world }: Operator, now: Instant) {
  const { protections, fencings } = world.reflectors;
  return {
    leading,
    protections: { [Symbol.iterator]: () => protections.store.values() },
    fencings: { [Symbol.iterator]: () => fencings.store.values() },
    unobserved: world.unobserved,
    now,
  };
}

main();
