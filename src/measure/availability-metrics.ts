// Renders accounts, failovers and fencing attempts as metrics. Knows what they mean; counts nothing that no status holds.
import type { Gauge } from "prom-client";
import { asOf } from "../model/account.ts";
import type { CauseTotals, Figures } from "../model/availability.ts";
import type { FencingAttempt } from "../model/fencing.ts";
import { addPhases, meanMs, phaseLengths } from "../model/outage-phases.ts";
import type { Plan } from "../model/plan.ts";
import type { OutageRecord, ProtectionFact } from "../model/protection.ts";
import { addFigures } from "../model/sla.ts";
import { wallMsOf } from "../model/wall-time.ts";
import { AVAILABILITY_METRICS, MAX_VMS_WITH_SERIES } from "./availability-metric-table.ts";
import { AvailabilitySums, isTrue, type ScrapedAvailability, stateOf } from "./availability-sums.ts";
import { type Metrics, setCounts } from "./metrics.ts";

export class AvailabilityMetrics {
  readonly #metrics: Metrics;
  /** Totals last told of each VM, so that those of a deleted one still count. */
  #told = new Map<string, { readonly namespace: string; readonly totals: readonly CauseTotals[] }>();
  readonly #retired = new Map<string, Map<string, CauseTotals>>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  planned(plan: Plan): void {
    let hosts = 0;
    for (const node of plan.conclusions?.nodes.values() ?? []) if (node.canHost) hosts += 1;
    this.#metrics.failoverCapacity.set(hosts);
  }

  attemptEnded(attempt: FencingAttempt): void {
    const { method, outcome, startedAt, endedAt } = attempt;
    this.#metrics.fencingAttempts.inc({ method, outcome });
    if (endedAt === undefined) return;
    const ms = wallMsOf(endedAt) - wallMsOf(startedAt);
    this.#metrics.fencingAttemptDuration.observe({ method }, Math.max(0, ms) / 1000);
  }

  failoverEnded(outage: OutageRecord): void {
    const { failoverPhase } = this.#metrics;
    for (const [phase, ms] of phaseLengths(outage)) failoverPhase.observe({ phase }, ms / 1000);
    const { lastGoodAt, readyAt } = outage;
    if (readyAt === undefined) return;
    const totalMs = wallMsOf(readyAt) - wallMsOf(lastGoodAt);
    if (totalMs >= 0) failoverPhase.observe({ phase: "total" }, totalMs / 1000);
  }

  scrape(now: ScrapedAvailability): void {
    const { leading, unobserved } = now;
    this.#metrics.unobserved.set(unobserved.reduce((ms, gap) => ms + gap.toMs - gap.fromMs, 0) / 1000);
    this.#resetVMs();
    if (!leading) this.#metrics.failoverCapacity.set(0);
    const sums = new AvailabilitySums(now);
    let series = 0;
    for (const protection of leading ? now.protections : []) {
      const account = protection.status.availability;
      if (protection.deleting || account === undefined) continue;
      const figures = sums.add(protection, account);
      if (series++ < MAX_VMS_WITH_SERIES) this.#tellVM(protection, figures, now);
    }
    this.#tellSums(sums);
    this.#tellTotals(sums.totals, leading);
    this.#tellUnderWay(now);
  }

  #resetVMs(): void {
    this.#metrics.vmUnplannedOutage.reset();
    const { vmUp, vmProtected, vmAvailability, vmObjective } = this.#metrics;
    const { vmBudget, vmBudgetRemaining, vmBudgetBurnt } = this.#metrics;
    for (const gauge of [vmUp, vmProtected, vmAvailability, vmObjective]) gauge.reset();
    for (const gauge of [vmBudget, vmBudgetRemaining, vmBudgetBurnt]) gauge.reset();
    const { availability, errorBudget, mtbf, mttr, mttrPhase } = this.#metrics;
    for (const gauge of [availability, errorBudget, mtbf, mttr, mttrPhase]) gauge.reset();
    const { fleetAvailability, fleetErrorBudget, fleetMTBF, fleetMTTR, fleetMTTRPhase } = this.#metrics;
    for (const gauge of [fleetAvailability, fleetMTBF, fleetMTTR, fleetMTTRPhase]) gauge.reset();
    // Without labels a reset would leave it at 0: a budget that is spent.
    fleetErrorBudget.remove();
  }

  #tellVM(protection: ProtectionFact, figures: Figures, now: ScrapedAvailability): void {
    const { namespace, name, status, availability: rule } = protection;
    const labels = { namespace, name };
    const account = status.availability;
    if (account === undefined) return;
    const up = stateOf(account);
    if (up !== "unobserved") this.#metrics.vmUp.set(labels, up === "up" ? 1 : 0);
    const { open } = account;
    if (open?.class === "Unplanned")
      this.#metrics.vmUnplannedOutage.set(labels, Math.max(0, now.now.wallMs - wallMsOf(open.since)) / 1000);
    if (protection.failover.enabled)
      this.#metrics.vmProtected.set(labels, isTrue(protection, "Protected") ? 1 : 0);
    if (figures.availability !== undefined) this.#metrics.vmAvailability.set(labels, figures.availability);
    const { budget } = figures;
    if (rule.objective === undefined || budget === undefined) return;
    const counting = { rule, unobserved: now.unobserved };
    const burntMs =
      account.open === undefined ? account.burntMs : asOf(account, now.now.wallMs, counting).burntMs;
    this.#metrics.vmObjective.set(labels, rule.objective);
    if (budget.totalMs > 0) {
      this.#metrics.vmBudget.set(labels, budget.totalMs / 1000);
      this.#metrics.vmBudgetRemaining.set(labels, budget.leftMs / budget.totalMs);
    }
    this.#metrics.vmBudgetBurnt.set(labels, burntMs / 1000);
  }

  #tellSums(sums: AvailabilitySums): void {
    const { vms, slos, vmsNotRestartable, lastFailover } = this.#metrics;
    setCounts(vms, AVAILABILITY_METRICS.vms, sums.states);
    setCounts(slos, AVAILABILITY_METRICS.slos, sums.verdicts);
    vmsNotRestartable.set(sums.notRestartable);
    lastFailover.set(sums.lastFailoverMs / 1000);
    const { availability, mtbf, mttr, fleetAvailability, fleetMTBF, fleetMTTR } = this.#metrics;
    for (const [window, namespaces] of sums.windows) {
      const parts = [...namespaces].map(([namespace, all]) => ({ namespace, figures: addFigures(all) }));
      for (const { namespace, figures } of parts)
        tellRatios({ availability, mtbf, mttr }, { namespace, window }, figures);
      const fleet = addFigures(parts.flatMap(({ figures }) => figures ?? []));
      tellRatios({ availability: fleetAvailability, mtbf: fleetMTBF, mttr: fleetMTTR }, { window }, fleet);
    }
    this.#tellBudgets(sums);
    this.#tellPhases(sums);
  }

  #tellBudgets({ budgets }: AvailabilitySums): void {
    const { errorBudget, fleetErrorBudget } = this.#metrics;
    let [fleetTotalMs, fleetLeftMs] = [0, 0];
    for (const [namespace, { totalMs, leftMs }] of budgets) {
      fleetTotalMs += totalMs;
      fleetLeftMs += leftMs;
      if (totalMs > 0) errorBudget.set({ namespace }, leftMs / totalMs);
    }
    if (fleetTotalMs > 0) fleetErrorBudget.set(fleetLeftMs / fleetTotalMs);
  }

  #tellPhases({ phases }: AvailabilitySums): void {
    const { mttrPhase, fleetMTTRPhase } = this.#metrics;
    for (const [namespace, sums] of phases)
      for (const sum of sums) mttrPhase.set({ namespace, phase: sum.phase }, meanMs(sum) / 1000);
    for (const sum of addPhases([...phases.values()]))
      fleetMTTRPhase.set({ phase: sum.phase }, meanMs(sum) / 1000);
  }

  #tellTotals(totals: AvailabilitySums["totals"], leading: boolean): void {
    this.#metrics.outages.reset();
    this.#metrics.downtime.reset();
    if (!leading) return;
    for (const [key, told] of this.#told) {
      if (totals.has(key)) continue;
      for (const one of told.totals) addTotals(this.#retired, told.namespace, one);
    }
    this.#told = totals;
    const sums = new Map([...this.#retired].map(([namespace, causes]) => [namespace, new Map(causes)]));
    for (const { namespace, totals: causes } of totals.values())
      for (const one of causes) addTotals(sums, namespace, one);
    for (const [namespace, causes] of sums) {
      for (const { cause, class: kind, outages, durationMs } of causes.values()) {
        const labels = { namespace, cause, class: kind };
        this.#metrics.outages.inc(labels, outages);
        this.#metrics.downtime.inc(labels, durationMs / 1000);
      }
    }
  }

  #tellUnderWay({ leading, protections, fencings, now }: ScrapedAvailability): void {
    const counts = new Map<"Recovering" | "Blocked", number>();
    const ages = new Map<"Recovering" | "Blocked", number>();
    for (const { status } of leading ? protections : []) {
      if (status.failover === undefined) continue;
      const { phase, lostAt } = status.failover;
      counts.set(phase, (counts.get(phase) ?? 0) + 1);
      ages.set(phase, Math.max(ages.get(phase) ?? 0, (now.wallMs - wallMsOf(lostAt)) / 1000));
    }
    setCounts(this.#metrics.failovers, AVAILABILITY_METRICS.failovers, counts);
    setCounts(this.#metrics.failoverOldest, AVAILABILITY_METRICS.failoverOldest, ages);
    const fencingAges = new Map<"Pending" | "Fencing" | "Fenced" | "Releasing", number>();
    for (const { status, detectedAt } of leading ? fencings : []) {
      const { phase } = status;
      if (phase === "Released" || phase === "Returned" || phase === "Aborted") continue;
      const age = (now.wallMs - wallMsOf(detectedAt)) / 1000;
      fencingAges.set(phase, Math.max(fencingAges.get(phase) ?? 0, age));
    }
    setCounts(this.#metrics.fencingOldest, AVAILABILITY_METRICS.fencingOldest, fencingAges);
  }
}

function addTotals(sums: Map<string, Map<string, CauseTotals>>, namespace: string, more: CauseTotals): void {
  const causes = sums.get(namespace) ?? new Map<string, CauseTotals>();
  sums.set(namespace, causes);
  const key = `${more.cause}/${more.class}`;
  const before = causes.get(key);
  causes.set(key, {
    ...more,
    outages: more.outages + (before?.outages ?? 0),
    durationMs: more.durationMs + (before?.durationMs ?? 0),
  });
}

interface RatioGauges<L extends string> {
  readonly availability: Gauge<L>;
  readonly mtbf: Gauge<L>;
  readonly mttr: Gauge<L>;
}

function tellRatios<L extends string>(
  gauges: RatioGauges<L>,
  labels: Readonly<Record<L, string>>,
  figures: Figures | undefined,
): void {
  if (figures?.availability !== undefined) gauges.availability.set(labels, figures.availability);
  if (figures?.mtbfMs !== undefined) gauges.mtbf.set(labels, figures.mtbfMs / 1000);
  if (figures?.mttrMs !== undefined) gauges.mttr.set(labels, figures.mttrMs / 1000);
}
