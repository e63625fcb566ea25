// Renders accounts, failovers and fencing attempts as metrics. Knows what they mean; counts nothing that no status holds.
import { asOf } from "../model/account.ts";
import type { Account, AvailabilityRule, CauseTotals, Figures, Span } from "../model/availability.ts";
import type { Instant } from "../model/clock.ts";
import type { FencingAttempt, FencingFact } from "../model/fencing.ts";
import type { Plan } from "../model/plan.ts";
import type { OutageRecord, ProtectionFact } from "../model/protection.ts";
import { calendarOf } from "../model/service-time.ts";
import { addFigures, figuresAt, sloVerdict } from "../model/sla.ts";
import { wallMsOf } from "../model/wall-time.ts";
import {
  AVAILABILITY_METRICS,
  type FAILOVER_PHASES,
  MAX_NAMESPACES,
  MAX_VMS_WITH_SERIES,
  WINDOW_DAYS,
} from "./availability-metric-table.ts";
import { type Metrics, setCounts } from "./metrics.ts";

/** What is read when Prometheus asks. */
export interface ScrapedAvailability {
  /** Only the leader tells of VMs: two tellers would count everything twice. */
  readonly leading: boolean;
  readonly protections: Iterable<ProtectionFact>;
  readonly fencings: Iterable<FencingFact>;
  readonly unobserved: readonly Span[];
  readonly now: Instant;
}

const OTHER_NAMESPACE = "other";

type Phase = (typeof FAILOVER_PHASES)[number];

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
    for (const [phase, ms] of phasesOf(outage)) {
      if (ms >= 0) this.#metrics.failoverPhase.observe({ phase }, ms / 1000);
    }
  }

  scrape(now: ScrapedAvailability): void {
    const { leading, unobserved } = now;
    this.#metrics.unobserved.set(unobserved.reduce((ms, gap) => ms + gap.toMs - gap.fromMs, 0) / 1000);
    this.#resetVMs();
    if (!leading) this.#metrics.failoverCapacity.set(0);
    const sums = new Sums(now);
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
    const { vmUp, vmProtected, vmAvailability, vmObjective, vmBudgetRemaining, vmBudgetBurnt } =
      this.#metrics;
    for (const gauge of [vmUp, vmProtected, vmAvailability, vmObjective, vmBudgetRemaining, vmBudgetBurnt])
      gauge.reset();
    this.#metrics.availability.reset();
    this.#metrics.fleetAvailability.reset();
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
    if (budget.totalMs > 0) this.#metrics.vmBudgetRemaining.set(labels, budget.leftMs / budget.totalMs);
    this.#metrics.vmBudgetBurnt.set(labels, burntMs / 1000);
  }

  #tellSums(sums: Sums): void {
    const { vms, slos, vmsNotRestartable, availability, fleetAvailability, lastFailover } = this.#metrics;
    setCounts(vms, AVAILABILITY_METRICS.vms, sums.states);
    setCounts(slos, AVAILABILITY_METRICS.slos, sums.verdicts);
    vmsNotRestartable.set(sums.notRestartable);
    lastFailover.set(sums.lastFailoverMs / 1000);
    for (const [window, namespaces] of sums.windows) {
      const all = [...namespaces.values()].flat();
      for (const [namespace, figures] of namespaces) {
        const ratio = addFigures(figures)?.availability;
        if (ratio !== undefined) availability.set({ namespace, window }, ratio);
      }
      const fleet = addFigures(all)?.availability;
      if (fleet !== undefined) fleetAvailability.set({ window }, fleet);
    }
  }

  #tellTotals(totals: Sums["totals"], leading: boolean): void {
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

/** What one scrape adds up. */
class Sums {
  readonly states = new Map<"up" | "down" | "unobserved", number>();
  readonly verdicts = new Map<"Met" | "AtRisk" | "Violated", number>();
  readonly windows = new Map<string, Map<string, Figures[]>>();
  readonly totals = new Map<
    string,
    { readonly namespace: string; readonly totals: readonly CauseTotals[] }
  >();
  notRestartable = 0;
  lastFailoverMs = 0;
  readonly #now: ScrapedAvailability;
  readonly #namespaces = new Set<string>();
  /** Figures of VMs without a blemish: the same for all that share a rule and are older than its window. */
  readonly #unblemished = new Map<AvailabilityRule, Map<string, Figures>>();

  constructor(now: ScrapedAvailability) {
    this.#now = now;
  }

  /** Returns the VM's figures in its SLO's own window. */
  add(protection: ProtectionFact, account: Account): Figures {
    const namespace = this.#boundedNamespace(protection.namespace);
    count(this.states, stateOf(account));
    if (!isTrue(protection, "Restartable")) this.notRestartable += 1;
    this.totals.set(protection.uid, { namespace, totals: account.totals });
    for (const { readyAt } of protection.status.outages)
      if (readyAt !== undefined) this.lastFailoverMs = Math.max(this.lastFailoverMs, wallMsOf(readyAt));
    const own = this.#figures(protection.availability, account, "own");
    const verdict = sloVerdict(own);
    if (verdict !== undefined) count(this.verdicts, verdict);
    for (const window of Object.keys(WINDOW_DAYS)) {
      const namespaces = this.windows.get(window) ?? new Map<string, Figures[]>();
      this.windows.set(window, namespaces);
      const all = namespaces.get(namespace) ?? [];
      namespaces.set(namespace, all);
      all.push(this.#figures(protection.availability, account, window));
    }
    return own;
  }

  #boundedNamespace(namespace: string): string {
    if (this.#namespaces.has(namespace)) return namespace;
    if (this.#namespaces.size >= MAX_NAMESPACES) return OTHER_NAMESPACE;
    this.#namespaces.add(namespace);
    return namespace;
  }

  #figures(rule: AvailabilityRule, account: Account, window: string): Figures {
    const { unobserved, now } = this.#now;
    const counting = { rule, unobserved };
    const span = window === "own" ? undefined : lastDays(rule, now.wallMs, daysOf(window));
    const work = (): Figures =>
      figuresAt(account, now.wallMs, span === undefined ? counting : { ...counting, window: span });
    const blemished = account.days.length > 0 || account.open !== undefined;
    if (blemished || wallMsOf(account.since) > now.wallMs - OLD_MS) return work();
    const known = this.#unblemished.get(rule) ?? new Map<string, Figures>();
    this.#unblemished.set(rule, known);
    const key = `${window}/${account.until}`;
    const figures = known.get(key) ?? work();
    known.set(key, figures);
    return figures;
  }
}

/** Older than the longest window: when accounting began plays no part any more. */
const OLD_MS = 93 * 86_400_000;

function daysOf(window: string): number {
  return Object.entries(WINDOW_DAYS).find(([name]) => name === window)?.[1] ?? 1;
}

function lastDays(rule: AvailabilityRule, nowMs: number, days: number): Span {
  const calendar = calendarOf(rule);
  const today = calendar.dayAt(nowMs);
  return { fromMs: calendar.day(today - days + 1).span.fromMs, toMs: calendar.day(today).span.toMs };
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
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

function stateOf({ open }: Account): "up" | "down" | "unobserved" {
  if (open === undefined) return "up";
  return open.class === "Unobserved" ? "unobserved" : "down";
}

function isTrue({ status }: ProtectionFact, type: string): boolean {
  return status.conditions.some((condition) => condition.type === type && condition.status === "True");
}

/** Lengths of the phases whose both ends are known. */
function phasesOf(outage: OutageRecord): readonly (readonly [Phase, number])[] {
  const { lastGoodAt, lostAt, provedAt, releasedAt, scheduledAt, runningAt, readyAt } = outage;
  const steps: readonly (readonly [Phase, string | undefined, string | undefined])[] = [
    ["detect", lastGoodAt, lostAt],
    ["fence", lostAt, provedAt],
    ["release", provedAt, releasedAt],
    ["schedule", releasedAt, scheduledAt],
    ["boot", scheduledAt, runningAt],
    ["ready", runningAt, readyAt],
    ["total", lastGoodAt, readyAt],
  ];
  return steps.flatMap(([phase, from, to]) =>
    from === undefined || to === undefined ? [] : [[phase, wallMsOf(to) - wallMsOf(from)] as const],
  );
}
