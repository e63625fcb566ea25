// What one scrape adds up over all protected VMs, by namespace and window. Knows accounts and figures; knows no metric.
import type { Account, AvailabilityRule, CauseTotals, Figures, Span } from "../model/availability.ts";
import type { Instant } from "../model/clock.ts";
import type { FencingFact } from "../model/fencing.ts";
import { addPhases, type PhaseSum, sumPhases } from "../model/outage-phases.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { calendarOf } from "../model/service-time.ts";
import { figuresAt, sloVerdict } from "../model/sla.ts";
import { wallMsOf } from "../model/wall-time.ts";
import { MAX_NAMESPACES, WINDOW_DAYS } from "./availability-metric-table.ts";

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

/** What one scrape adds up. */
export class AvailabilitySums {
  readonly states = new Map<"up" | "down" | "unobserved", number>();
  readonly verdicts = new Map<"Met" | "AtRisk" | "Violated", number>();
  readonly windows = new Map<string, Map<string, Figures[]>>();
  /** Of VMs that were ever down, by UID. */
  readonly totals = new Map<
    string,
    { readonly namespace: string; readonly totals: readonly CauseTotals[] }
  >();
  /** Own windows: the budgets of different VMs are of different lengths of time, and add up all the same. */
  readonly budgets = new Map<string, { readonly totalMs: number; readonly leftMs: number }>();
  /** Of the failovers remembered of the longest window, by namespace. */
  readonly phases = new Map<string, readonly PhaseSum[]>();
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
    if (account.totals.length > 0) this.totals.set(protection.uid, { namespace, totals: account.totals });
    for (const { readyAt } of protection.status.outages)
      if (readyAt !== undefined) this.lastFailoverMs = Math.max(this.lastFailoverMs, wallMsOf(readyAt));
    const own = this.#figures(protection.availability, account, "own");
    this.#addBudget(namespace, own);
    this.#addPhases(namespace, protection);
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

  #addBudget(namespace: string, { budget }: Figures): void {
    if (budget === undefined) return;
    const before = this.budgets.get(namespace);
    this.budgets.set(namespace, {
      totalMs: budget.totalMs + (before?.totalMs ?? 0),
      leftMs: budget.leftMs + (before?.leftMs ?? 0),
    });
  }

  #addPhases(namespace: string, { availability: rule, status }: ProtectionFact): void {
    if (status.outages.length === 0) return;
    const window = lastDays(rule, this.#now.now.wallMs, WINDOW_DAYS["30d"]);
    const sum = sumPhases(status.outages, window);
    if (sum.length > 0) this.phases.set(namespace, addPhases([this.phases.get(namespace) ?? [], sum]));
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

/** How an account stands now. */
export function stateOf({ open }: Account): "up" | "down" | "unobserved" {
  if (open === undefined) return "up";
  return open.class === "Unobserved" ? "unobserved" : "down";
}

/** Whether a condition of that type is true. */
export function isTrue({ status }: ProtectionFact, type: string): boolean {
  return status.conditions.some((condition) => condition.type === type && condition.status === "True");
}
