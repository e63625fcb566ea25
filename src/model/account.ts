// The arithmetic of an account: outages and unobserved time into totals per local day. Pure; every span is counted once.
import {
  type Account,
  type AvailabilityRule,
  type CauseTotals,
  type DayTotals,
  type DownTimes,
  MAX_DAYS_KEPT,
  MAX_RECENT_OUTAGES,
  type OpenOutage,
  type OutageClass,
  type PastOutage,
  type Span,
} from "./availability.ts";
import { calendarOf, dayName, lengthWithin, merged, overlap, without } from "./service-time.ts";
import { timestamp, wallMsOf } from "./wall-time.ts";

/** What accounting needs beside the account: how to count, and when nobody looked. */
export interface Counting {
  readonly rule: AvailabilityRule;
  /** In which nobody watched any VM; in any order, may overlap. */
  readonly unobserved: readonly Span[];
}

/** An account that begins now. */
export function newAccount(nowMs: number): Account {
  const now = timestamp(nowMs);
  return { since: now, until: now, recent: [], days: [], totals: [], burntMs: 0 };
}

/** The same with an outage that lasts; it never begins in time already counted. */
export function openOutage(account: Account, outage: OpenOutage): Account {
  const since = timestamp(Math.max(wallMsOf(outage.since), wallMsOf(account.until)));
  return { ...account, open: { ...outage, since } };
}

/**
 * The same with the open outage ended and counted. Down beats unobserved: what began and ended as the same outage was down
 * in between, whoever looked. An end before the beginning counts as no time.
 */
export function closeOutage(
  account: Account,
  end: { readonly atMs: number; readonly class?: OutageClass; readonly cause?: OpenOutage["cause"] },
  counting: Counting,
): Account {
  const { open, ...rest } = account;
  if (open === undefined) return account;
  const fromMs = wallMsOf(open.since);
  const toMs = Math.max(fromMs, end.atMs);
  const outage = { ...open, class: end.class ?? open.class, cause: end.cause ?? open.cause };
  const sheet = new Sheet(rest, counting.rule);
  sheet.addUnobserved({ fromMs: wallMsOf(account.until), toMs: fromMs }, counting.unobserved);
  const counted = sheet.addOutage(outage, { fromMs, toMs });
  const past: PastOutage = {
    cause: outage.cause,
    class: counted,
    since: open.since,
    until: timestamp(toMs),
    ...(open.node === undefined ? {} : { node: open.node }),
  };
  const remembered = counted === "Unobserved" ? rest.recent : [past, ...rest.recent];
  return sheet.finish(toMs, remembered.slice(0, MAX_RECENT_OUTAGES));
}

/** The same with everything up to `toMs` counted. An open outage stays open, and is counted when it ends. */
export function countUntil(account: Account, toMs: number, counting: Counting): Account {
  const untilMs = wallMsOf(account.until);
  const end = account.open === undefined ? toMs : Math.min(toMs, wallMsOf(account.open.since));
  if (end <= untilMs) return account;
  const sheet = new Sheet(account, counting.rule);
  sheet.addUnobserved({ fromMs: untilMs, toMs: end }, counting.unobserved);
  return sheet.finish(end, account.recent);
}

/** As if everything ended now: what figures are made of. Not to be written down, for the outage goes on. */
export function asOf(account: Account, nowMs: number, counting: Counting): Account {
  const closed = closeOutage(account, { atMs: nowMs }, counting);
  return countUntil(closed, nowMs, counting);
}

/** An account being added to. */
class Sheet {
  readonly #account: Account;
  readonly #rule: AvailabilityRule;
  readonly #days: Map<string, DayTotals>;
  readonly #totals: Map<string, CauseTotals>;
  #burntMs: number;

  constructor(account: Account, rule: AvailabilityRule) {
    this.#account = account;
    this.#rule = rule;
    this.#days = new Map(account.days.map((day) => [day.day, day]));
    this.#totals = new Map(account.totals.map((totals) => [`${totals.cause}/${totals.class}`, totals]));
    this.#burntMs = account.burntMs;
  }

  addUnobserved(span: Span, gaps: readonly Span[]): void {
    for (const gap of merged(gaps.flatMap((one) => overlap(one, span) ?? [])))
      this.#addDown("Unobserved", gap);
  }

  /** Returns the class that it counts as: what begins in a maintenance window is planned. */
  addOutage(outage: Pick<OpenOutage, "cause" | "class">, span: Span): OutageClass {
    const { cause } = outage;
    if (outage.class === "Unobserved") {
      this.#addDown("Unobserved", span);
      this.#count(cause, "Unobserved", { outages: 1, durationMs: span.toMs - span.fromMs });
      return "Unobserved";
    }
    const calendar = calendarOf(this.#rule);
    const firstDay = calendar.day(calendar.dayAt(span.fromMs));
    const atBeginning = { fromMs: span.fromMs, toMs: span.fromMs + 1 };
    const inMaintenance = lengthWithin(atBeginning, firstDay.maintenance) > 0;
    const counted = inMaintenance ? "Planned" : outage.class;
    this.#countOutage(firstDay.day, counted, span);
    this.#count(cause, counted, { outages: 1, durationMs: 0 });
    for (const { in: day, part } of calendar.parts(span)) {
      const planned =
        outage.class === "Planned" ? [part] : day.maintenance.flatMap((m) => overlap(m, part) ?? []);
      for (const piece of planned) this.#addDown("Planned", piece, cause);
      for (const piece of without(part, planned)) this.#addDown("Unplanned", piece, cause);
    }
    return counted;
  }

  finish(untilMs: number, recent: readonly PastOutage[]): Account {
    const days = [...this.#days.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
    const { open, since } = this.#account;
    return {
      since,
      until: timestamp(untilMs),
      ...(open === undefined ? {} : { open }),
      recent,
      days: days.slice(-MAX_DAYS_KEPT),
      totals: [...this.#totals.values()],
      burntMs: this.#burntMs,
    };
  }

  #addDown(kind: OutageClass, span: Span, cause?: CauseTotals["cause"]): void {
    for (const { in: day, part } of calendarOf(this.#rule).parts(span)) {
      const ms = part.toMs - part.fromMs;
      const serviceMs = lengthWithin(part, day.service);
      this.#change(dayName(day.day), (before, after) => ({
        ...plus(before, kind, ms),
        ...(after === undefined ? {} : { service: plus(after, kind, serviceMs) }),
      }));
      if (kind === "Unplanned" || (kind === "Planned" && this.#rule.countPlanned)) this.#burntMs += serviceMs;
      if (cause !== undefined) this.#count(cause, kind, { outages: 0, durationMs: ms });
    }
  }

  #countOutage(day: number, kind: OutageClass, span: Span): void {
    const key = kind === "Planned" ? "plannedOutages" : "outages";
    const inService = calendarOf(this.#rule).serviceMs(span) > 0 ? 1 : 0;
    this.#change(dayName(day), (before, service) => ({
      ...before,
      [key]: before[key] + 1,
      ...(service === undefined ? {} : { service: { ...service, [key]: service[key] + inService } }),
    }));
  }

  #change(name: string, change: (day: DayTotals, service: DayTotals["service"]) => DayTotals): void {
    const before = this.#days.get(name) ?? { day: name, ...NOTHING };
    const { serviceHours, holidays } = this.#rule;
    const around = serviceHours.length === 0 && holidays.size === 0;
    // Where the hours were declared later, what was counted before counts in full.
    const service = before.service ?? (around ? undefined : timesOf(before));
    this.#days.set(name, change(before, service));
  }

  #count(
    cause: CauseTotals["cause"],
    kind: OutageClass,
    more: { outages: number; durationMs: number },
  ): void {
    const key = `${cause}/${kind}`;
    const before = this.#totals.get(key) ?? { cause, class: kind, outages: 0, durationMs: 0 };
    const { outages, durationMs } = before;
    this.#totals.set(key, {
      ...before,
      outages: outages + more.outages,
      durationMs: durationMs + more.durationMs,
    });
  }
}

const NOTHING = { unplannedMs: 0, plannedMs: 0, unobservedMs: 0, outages: 0, plannedOutages: 0 };

function timesOf({
  unplannedMs,
  plannedMs,
  unobservedMs,
  outages,
  plannedOutages,
}: DayTotals): typeof NOTHING {
  return { unplannedMs, plannedMs, unobservedMs, outages, plannedOutages };
}

function plus<T extends DownTimes>(times: T, kind: OutageClass, ms: number): T {
  switch (kind) {
    case "Unplanned":
      return { ...times, unplannedMs: times.unplannedMs + ms };
    case "Planned":
      return { ...times, plannedMs: times.plannedMs + ms };
    case "Unobserved":
      return { ...times, unobservedMs: times.unobservedMs + ms };
  }
}
