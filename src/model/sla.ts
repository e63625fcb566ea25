// What an account amounts to against its promise: availability, error budget, MTBF, MTTR, nines. Pure arithmetic.
import { asOf, type Counting } from "./account.ts";
import type { Account, AvailabilityRule, DayTotals, Figures, Span } from "./availability.ts";
import { calendarOf, dayNumber } from "./service-time.ts";
import { civilFromDays, daysFromCivil, wallMsOf } from "./wall-time.ts";

/** Below this share of the error budget an SLO is at risk. */
const AT_RISK_SHARE = 0.25;

/** "Downtime per year" is of a Julian year, as tables of nines have it. */
const YEAR_MS = 365.25 * 86_400_000;

/** The window of a rule that `nowMs` is in: whole local days, the last of them perhaps still to come. */
export function windowAt(rule: AvailabilityRule, nowMs: number): Span {
  const calendar = calendarOf(rule);
  const today = calendar.dayAt(nowMs);
  const [first, last] =
    rule.window.type === "Rolling" ? [today - rule.window.days + 1, today] : monthOf(today);
  return { fromMs: calendar.day(first).span.fromMs, toMs: calendar.day(last).span.toMs };
}

function monthOf(day: number): readonly [number, number] {
  const [year, month] = civilFromDays(day);
  const next = month === 12 ? daysFromCivil(year + 1, 1, 1) : daysFromCivil(year, month + 1, 1);
  return [daysFromCivil(year, month, 1), next - 1];
}

/** The figures as of now, in the rule's own window or another one of whole local days (a report's). */
export function figuresAt(
  account: Account,
  nowMs: number,
  counting: Counting & { readonly window?: Span },
): Figures {
  const { rule } = counting;
  const calendar = calendarOf(rule);
  const window = counting.window ?? windowAt(rule, nowMs);
  const counted = asOf(account, nowMs, counting);
  const watched = {
    fromMs: Math.max(window.fromMs, wallMsOf(account.since)),
    toMs: Math.min(window.toMs, nowMs),
  };
  const serviceMs = calendar.serviceMs(watched);
  const first = calendar.dayAt(window.fromMs);
  const last = calendar.dayAt(window.toMs - 1);
  const sum = sumOf(
    counted.days.filter(({ day }) => {
      const number = dayNumber(day);
      return number >= first && number <= last;
    }),
  );
  const upMs = Math.max(0, serviceMs - sum.unplannedMs - sum.plannedMs - sum.unobservedMs);
  const countedMs = sum.unplannedMs + (rule.countPlanned ? sum.plannedMs : 0);
  const countedOutages = sum.outages + (rule.countPlanned ? sum.plannedOutages : 0);
  const observedMs = upMs + countedMs;
  return {
    window,
    serviceMs,
    upMs,
    ...sum,
    countedMs,
    countedOutages,
    availability: observedMs === 0 ? undefined : upMs / observedMs,
    mtbfMs: countedOutages === 0 ? undefined : upMs / countedOutages,
    mttrMs: countedOutages === 0 ? undefined : countedMs / countedOutages,
    budget: budgetOf(rule, calendar.serviceMs(window), countedMs),
  };
}

function budgetOf({ objective }: AvailabilityRule, windowMs: number, countedMs: number): Figures["budget"] {
  if (objective === undefined) return undefined;
  // Rounded, for 1 - 0.999 is not 0.001 in binary.
  const totalMs = Math.round((1 - objective) * windowMs);
  return { totalMs, leftMs: totalMs - countedMs };
}

type Sum = Pick<Figures, "unplannedMs" | "plannedMs" | "unobservedMs" | "outages" | "plannedOutages">;

function sumOf(days: readonly DayTotals[]): Sum {
  const sum = { unplannedMs: 0, plannedMs: 0, unobservedMs: 0, outages: 0, plannedOutages: 0 };
  for (const day of days) {
    const times = day.service ?? day;
    sum.unplannedMs += times.unplannedMs;
    sum.plannedMs += times.plannedMs;
    sum.unobservedMs += times.unobservedMs;
    sum.outages += times.outages;
    sum.plannedOutages += times.plannedOutages;
  }
  return sum;
}

/** Figures of many accounts as those of one system: times and counts add up, budgets too. `window` is the first's. */
export function addFigures(all: readonly Figures[]): Figures | undefined {
  const [first] = all;
  if (first === undefined) return undefined;
  const total = (pick: (one: Figures) => number): number => all.reduce((sum, one) => sum + pick(one), 0);
  const upMs = total((one) => one.upMs);
  const countedMs = total((one) => one.countedMs);
  const countedOutages = total((one) => one.countedOutages);
  const promised = all.flatMap(({ budget }) => budget ?? []);
  return {
    window: first.window,
    serviceMs: total((one) => one.serviceMs),
    upMs,
    unplannedMs: total((one) => one.unplannedMs),
    plannedMs: total((one) => one.plannedMs),
    unobservedMs: total((one) => one.unobservedMs),
    outages: total((one) => one.outages),
    plannedOutages: total((one) => one.plannedOutages),
    countedMs,
    countedOutages,
    availability: upMs + countedMs === 0 ? undefined : upMs / (upMs + countedMs),
    mtbfMs: countedOutages === 0 ? undefined : upMs / countedOutages,
    mttrMs: countedOutages === 0 ? undefined : countedMs / countedOutages,
    budget:
      promised.length === 0
        ? undefined
        : {
            totalMs: promised.reduce((sum, one) => sum + one.totalMs, 0),
            leftMs: promised.reduce((sum, one) => sum + one.leftMs, 0),
          },
  };
}

export type SLOVerdict = "Met" | "AtRisk" | "Violated";

/** How a promise stands; undefined where nothing is promised. Violated: more was lost than the budget of the window. */
export function sloVerdict({ budget }: Figures): SLOVerdict | undefined {
  if (budget === undefined) return undefined;
  if (budget.leftMs < 0) return "Violated";
  return budget.leftMs < budget.totalMs * AT_RISK_SHARE ? "AtRisk" : "Met";
}

/** After how much more counted downtime the verdict changes; undefined where it cannot get worse. */
export function untilVerdictChangesMs(figures: Figures): number | undefined {
  const { budget } = figures;
  if (budget === undefined || budget.leftMs < 0) return undefined;
  const toRisk = budget.leftMs - budget.totalMs * AT_RISK_SHARE;
  return (toRisk >= 0 ? toRisk : budget.leftMs) + 1;
}

/** 0.999 is 3; 1 is Infinity. */
export function ninesOf(availability: number): number {
  return availability >= 1 ? Number.POSITIVE_INFINITY : -Math.log10(1 - availability);
}

/** What that availability leaves of a year. */
export function downtimePerYearMs(availability: number): number {
  return (1 - availability) * YEAR_MS;
}

/** Percent with enough decimals to tell nines apart, rounded down: 99.9994 is not five nines. */
export function percentText(ratio: number): string {
  const scaled = Math.floor(ratio * 10_000_000 + 1e-6) / 100_000;
  return String(scaled);
}
