// Renders plans, steps and sources as metrics. Knows what they mean; decides nothing.
import { REFUSAL_REASONS, type RefusalReason } from "../api/reasons.ts";
import type { Plan } from "../model/plan.ts";
import type { MigrationFact } from "../model/virtual-machine.ts";
import type { FencingFact, FencingPhase } from "../model/fencing.ts";
import type { LevelReadiness } from "../model/fencing-readiness.ts";
import type { NodeFact } from "../model/node.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { SourceState } from "../model/snapshot.ts";
import { METRICS } from "./metric-table.ts";
import { type Metrics, setCounts } from "./metrics.ts";

/** Series of one readiness metric at most; a cluster beyond that has the counts. */
const MAX_READINESS_SERIES = 4_000;

const QUEUE = { queue: "steps" } as const;

interface CheckedLevel {
  readonly node: string;
  readonly level: string;
  /** RFC 3339. */
  readonly lastReadyAt: string | undefined;
}

/** What is read when Prometheus asks, rather than told when it changes. */
export interface Scraped {
  readonly leading: boolean;
  readonly epoch: number;
  readonly sources: Readonly<Record<string, SourceState>>;
  readonly fencings: Iterable<FencingFact>;
  readonly nodes: Iterable<NodeFact>;
  /** What this replica's own checks found; none where it does not lead. */
  readonly checked: readonly CheckedLevel[];
  readonly nowMs: number;
}

/** Takes what the operator tells, and sets the metrics from it. */
export class OperatorMetrics {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  planned(plan: Plan, tookMs: number): void {
    this.#metrics.turnDuration.observe(tookMs / 1000);
    const counts = new Map<NodeVerdict["kind"], number>();
    for (const verdict of plan.verdicts.values())
      counts.set(verdict.kind, (counts.get(verdict.kind) ?? 0) + 1);
    setCounts(this.#metrics.nodeVerdicts, METRICS.nodeVerdicts, counts);
    this.#metrics.disarmedNodes.set(plan.disarmedNodes);
    setCounts(this.#metrics.heldNodes, METRICS.heldNodes, heldNodes(plan));
  }

  stepDone(done: { readonly waitedMs: number; readonly ranMs: number }): void {
    this.#metrics.queueWait.observe(QUEUE, done.waitedMs / 1000);
    this.#metrics.queueRun.observe(QUEUE, done.ranMs / 1000);
  }

  depth(waiting: number, running: number): void {
    this.#metrics.queueDepth.set(QUEUE, waiting);
    this.#metrics.queueRunning.set(QUEUE, running);
  }

  refused(): void {
    this.#metrics.queueRefused.inc(QUEUE);
  }

  lostLeadership(reason: string): void {
    this.#metrics.leadershipsLost.inc({ reason });
    setCounts(this.#metrics.nodeVerdicts, METRICS.nodeVerdicts, new Map<NodeVerdict["kind"], number>());
    setCounts(this.#metrics.heldNodes, METRICS.heldNodes, new Map<RefusalReason, number>());
    this.#metrics.disarmedNodes.set(0);
  }

  migrationEnded(migration: MigrationFact): void {
    const outcome = migration.succeeded ? "succeeded" : migration.deleting ? "aborted" : "failed";
    this.#metrics.migrations.inc({ outcome });
  }

  /** Brings up to date what only has a meaning at the moment it is read. */
  scrape(now: Scraped): void {
    this.#metrics.leader.set(now.leading ? 1 : 0);
    this.#metrics.leaderEpoch.set(now.epoch);
    for (const [source, state] of Object.entries(now.sources)) {
      this.#metrics.sourceSynced.set({ source }, state.synced ? 1 : 0);
      if (state.synced)
        this.#metrics.sourceStaleness.set({ source }, Math.max(0, now.nowMs - state.asOfMs) / 1000);
    }
    const phases = new Map<FencingPhase, number>();
    for (const { status } of now.fencings) phases.set(status.phase, (phases.get(status.phase) ?? 0) + 1);
    setCounts(this.#metrics.fencings, METRICS.fencings, phases);
    this.#scrapeReadiness(now);
  }

  #scrapeReadiness({ nodes, checked, leading }: Scraped): void {
    const { fencingReady, fencingLastReady, fencingNodes } = this.#metrics;
    fencingReady.reset();
    fencingLastReady.reset();
    const counts = new Map<ReadinessState, number>();
    let series = 0;
    for (const { name, fencing = [] } of leading ? nodes : []) {
      const state = stateOf(fencing);
      counts.set(state, (counts.get(state) ?? 0) + 1);
      for (const { level, ready } of fencing) {
        if (series++ < MAX_READINESS_SERIES) fencingReady.set({ node: name, level }, ready ? 1 : 0);
      }
    }
    for (const { node, level, lastReadyAt } of checked.slice(0, MAX_READINESS_SERIES)) {
      if (lastReadyAt !== undefined) fencingLastReady.set({ node, level }, Date.parse(lastReadyAt) / 1000);
    }
    setCounts(fencingNodes, METRICS.fencingNodes, counts);
  }
}

/** Nodes by what was refused about them; a node counts once for each reason. */
function heldNodes(plan: Plan): ReadonlyMap<RefusalReason, number> {
  const nodes = new Map<RefusalReason, Set<string>>();
  for (const { about, reason } of plan.refusals) {
    if (!about.startsWith("node/")) continue;
    const known = REFUSAL_REASONS.find((one) => one === reason);
    if (known === undefined) continue;
    const held = nodes.get(known) ?? new Set();
    nodes.set(known, held.add(about));
  }
  return new Map([...nodes].map(([reason, held]) => [reason, held.size]));
}

type ReadinessState = (typeof METRICS.fencingNodes.labels.state)[number];

function stateOf(levels: readonly LevelReadiness[]): ReadinessState {
  if (levels.length === 0) return "unchecked";
  const ready = levels.filter((level) => level.ready).length;
  return ready === levels.length ? "ready" : ready > 0 ? "degraded" : "notReady";
}
