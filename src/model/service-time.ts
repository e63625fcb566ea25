// Local days and service hours in a time zone, daylight-saving changes included. Knows the rule; knows nothing of outages.
import type { AvailabilityRule, Span, WeeklyHours } from "./availability.ts";
import { civilFromDays, daysFromCivil } from "./wall-time.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Formats are dear to make and few: one per time zone in use. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  formats.set(timeZone, made);
  return made;
}

/** What local clocks are ahead of UTC at that moment. */
function offsetMs(timeZone: string, wallMs: number): number {
  if (timeZone === "UTC") return 0;
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(wallMs)) part[type] = Number(value);
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  const localMs = daysFromCivil(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000;
  return localMs - Math.floor(wallMs / 1000) * 1000;
}

/** The local date of a moment, as days since 1970-01-01. */
export function localDay(timeZone: string, wallMs: number): number {
  return Math.floor((wallMs + offsetMs(timeZone, wallMs)) / DAY_MS);
}

/**
 * When local clocks show that minute of that day. What they show twice counts the first time; what they skip counts as the
 * moment after as many minutes as if they had not skipped (Temporal's "compatible").
 */
function momentOf(timeZone: string, day: number, minute: number): number {
  const localMs = day * DAY_MS + minute * MINUTE_MS;
  const before = offsetMs(timeZone, localMs - DAY_MS);
  const after = offsetMs(timeZone, localMs + DAY_MS);
  if (before === after) return localMs - before;
  const moments = [before, after]
    .filter((offset) => offsetMs(timeZone, localMs - offset) === offset)
    .map((offset) => localMs - offset);
  return moments.length === 0 ? localMs - before : Math.min(...moments);
}

/** `2026-11-22` of a day since 1970-01-01. */
export function dayName(day: number): string {
  const [year, month, date] = civilFromDays(day);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(date)}`;
}

/** The day that a name like `2026-11-22` names; not checked. */
export function dayNumber(name: string): number {
  const [year = 1970, month = 1, day = 1] = name.split("-").map(Number);
  return daysFromCivil(year, month, day);
}

/** 1970-01-01 was a Thursday. */
function weekdayOf(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}

/** The first moment after `afterMs` at which local clocks show that minute on one of these weekdays (0 is Sunday). */
export function nextWeekly(
  timeZone: string,
  { days, minute }: { readonly days: readonly number[]; readonly minute: number },
  afterMs: number,
): number | undefined {
  const today = localDay(timeZone, afterMs);
  for (let day = today; day <= today + DAYS_A_WEEK; day += 1) {
    if (!days.includes(weekdayOf(day))) continue;
    const atMs = momentOf(timeZone, day, minute);
    if (atMs > afterMs) return atMs;
  }
  return undefined;
}

const DAYS_A_WEEK = 7;

/** One local day with what the rule says about it. */
interface LocalDay {
  readonly day: number;
  readonly span: Span;
  readonly service: readonly Span[];
  readonly maintenance: readonly Span[];
}

/** Days remembered per calendar: two of the longest windows. Beyond that all are forgotten and computed anew. */
const MAX_DAYS_REMEMBERED = 256;

/** A rule's calendar: what each local day means. Remembers days, for many VMs share one rule. */
export class Calendar {
  readonly #rule: AvailabilityRule;
  readonly #days = new Map<number, LocalDay>();

  constructor(rule: AvailabilityRule) {
    this.#rule = rule;
  }

  dayAt(wallMs: number): number {
    return localDay(this.#rule.timeZone, wallMs);
  }

  day(day: number): LocalDay {
    const known = this.#days.get(day);
    if (known !== undefined) return known;
    const made = this.#make(day);
    if (this.#days.size >= MAX_DAYS_REMEMBERED) this.#days.clear();
    this.#days.set(day, made);
    return made;
  }

  /** The local days that a span touches, each with the part of the span that is in it. */
  *parts(span: Span): Generator<{ readonly in: LocalDay; readonly part: Span }> {
    if (span.toMs <= span.fromMs) return;
    for (let number = this.dayAt(span.fromMs); ; number += 1) {
      const day = this.day(number);
      const part = overlap(span, day.span);
      if (part !== undefined) yield { in: day, part };
      if (day.span.toMs >= span.toMs) return;
    }
  }

  /** How much of a span is service time. */
  serviceMs(span: Span): number {
    let total = 0;
    for (const { in: day, part } of this.parts(span)) total += lengthWithin(part, day.service);
    return total;
  }

  #make(day: number): LocalDay {
    const { timeZone, serviceHours, holidays, maintenance } = this.#rule;
    const span = { fromMs: momentOf(timeZone, day, 0), toMs: momentOf(timeZone, day + 1, 0) };
    const hours = (weekly: readonly WeeklyHours[]): Span[] =>
      weekly
        .filter(({ days }) => days.includes(weekdayOf(day)))
        .map(({ fromMinute, toMinute }) => ({
          fromMs: momentOf(timeZone, day, fromMinute),
          toMs: momentOf(timeZone, day, toMinute),
        }));
    const service = holidays.has(day) ? [] : serviceHours.length === 0 ? [span] : hours(serviceHours);
    const once = maintenance.once.flatMap((window) => overlap(window, span) ?? []);
    return {
      day,
      span,
      service: merged(service),
      maintenance: merged([...once, ...hours(maintenance.weekly)]),
    };
  }
}

const calendars = new WeakMap<AvailabilityRule, Calendar>();

/** The calendar of a rule; the same for the same object. */
export function calendarOf(rule: AvailabilityRule): Calendar {
  const known = calendars.get(rule);
  if (known !== undefined) return known;
  const made = new Calendar(rule);
  calendars.set(rule, made);
  return made;
}

/** The part that two spans share; undefined where they share none. */
export function overlap(a: Span, b: Span): Span | undefined {
  const fromMs = Math.max(a.fromMs, b.fromMs);
  const toMs = Math.min(a.toMs, b.toMs);
  return fromMs < toMs ? { fromMs, toMs } : undefined;
}

/** How much of a span lies in others, which must not overlap. */
export function lengthWithin(span: Span, others: readonly Span[]): number {
  let total = 0;
  for (const other of others) {
    const shared = overlap(span, other);
    if (shared !== undefined) total += shared.toMs - shared.fromMs;
  }
  return total;
}

/** The same time in ascending spans that do not overlap. */
export function merged(spans: readonly Span[]): readonly Span[] {
  const out: Span[] = [];
  for (const span of spans.filter(({ fromMs, toMs }) => fromMs < toMs).sort((a, b) => a.fromMs - b.fromMs)) {
    const last = out.at(-1);
    if (last !== undefined && span.fromMs <= last.toMs)
      out[out.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, span.toMs) };
    else out.push(span);
  }
  return out;
}

/** What is left of a span without others, which must be ascending and not overlap. */
export function without(span: Span, others: readonly Span[]): readonly Span[] {
  const left: Span[] = [];
  let fromMs = span.fromMs;
  for (const other of others) {
    if (other.toMs <= fromMs) continue;
    if (other.fromMs >= span.toMs) break;
    if (other.fromMs > fromMs) left.push({ fromMs, toMs: other.fromMs });
    fromMs = Math.max(fromMs, other.toMs);
  }
  if (fromMs < span.toMs) left.push({ fromMs, toMs: span.toMs });
  return left;
}
