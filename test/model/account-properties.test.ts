import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asOf, closeOutage, countUntil, newAccount, openOutage } from "../../src/model/account.ts";
import {
  type Account,
  type AvailabilityRule,
  DEFAULT_AVAILABILITY_RULE,
  type OutageClass,
  type Span,
} from "../../src/model/availability.ts";
import { calendarOf, lengthWithin, localDay, merged } from "../../src/model/service-time.ts";
import { figuresAt } from "../../src/model/sla.ts";
import { ObservationGaps, parseGaps } from "../../src/observe/observation-gaps.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A fortnight around each change of clocks in Europe, America and Australia, and one over a leap day. */
const BEGINNINGS = ["2026-03-22", "2026-10-18", "2026-03-01", "2026-10-28", "2028-02-21"].map((day) =>
  Date.parse(`${day}T00:00:00Z`),
);
const ZONES = [
  "UTC",
  "Europe/Bucharest",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kolkata",
  "Pacific/Apia",
];
const iso = (wallMs: number): string => new Date(wallMs).toISOString();

const rules: fc.Arbitrary<AvailabilityRule> = fc
  .record({
    timeZone: fc.constantFrom(...ZONES),
    countPlanned: fc.boolean(),
    hours: fc.option(fc.tuple(fc.integer({ min: 0, max: 1439 }), fc.integer({ min: 1, max: 1440 }))),
    days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }),
    maintenance: fc.boolean(),
  })
  .map(({ timeZone, countPlanned, hours, days, maintenance }) => ({
    ...DEFAULT_AVAILABILITY_RULE,
    objective: 0.99,
    timeZone,
    countPlanned,
    serviceHours:
      hours === null || hours[0] >= hours[1] ? [] : [{ days, fromMinute: hours[0], toMinute: hours[1] }],
    maintenance: {
      once: [],
      weekly: maintenance ? [{ days, fromMinute: 100, toMinute: 300 }] : [],
    },
  }));

interface History {
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly outages: readonly (Span & { readonly class: OutageClass })[];
  readonly gaps: readonly Span[];
}

const spans = (maxLength: number) =>
  fc
    .uniqueArray(fc.integer({ min: 1, max: 14 * DAY }), { maxLength: maxLength * 2 })
    .map((points) => points.sort((a, b) => a - b))
    .map((points) =>
      points.flatMap((fromMs, i) =>
        i % 2 === 0 && i + 1 < points.length ? [{ fromMs, toMs: points[i + 1] ?? fromMs }] : [],
      ),
    );

const histories: fc.Arbitrary<History> = fc
  .record({
    sinceMs: fc.constantFrom(...BEGINNINGS),
    down: spans(6),
    classes: fc.array(fc.constantFrom<OutageClass>("Unplanned", "Planned", "Unobserved"), {
      minLength: 6,
      maxLength: 6,
    }),
    gaps: spans(6),
  })
  .map(({ sinceMs, down, classes, gaps }) => {
    const moved = ({ fromMs, toMs }: Span): Span => ({ fromMs: sinceMs + fromMs, toMs: sinceMs + toMs });
    return {
      sinceMs,
      nowMs: sinceMs + 14 * DAY,
      outages: down.map((span, i) => ({ ...moved(span), class: classes[i] ?? "Unplanned" })),
      gaps: gaps.map(moved),
    };
  });

/** The account of a history; `fold` is called between outages, as a daily write or another leader would. */
function accountOf(
  history: History,
  rule: AvailabilityRule,
  fold: (account: Account, untilMs: number) => Account = (account) => account,
): Account {
  let account = newAccount(history.sinceMs);
  for (const { fromMs, toMs, class: kind } of history.outages) {
    account = fold(account, fromMs);
    account = openOutage(account, {
      cause: "Other",
      class: kind,
      since: iso(fromMs),
      noticedAt: iso(fromMs),
    });
    account = fold(account, fromMs + (toMs - fromMs) / 2);
    account = closeOutage(account, { atMs: toMs }, { rule, unobserved: history.gaps });
  }
  return account;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe("an account, whatever happened", () => {
  it("adds up: up, unplanned, planned and unobserved are all the time there was", () => {
    fc.assert(
      fc.property(histories, rules, (history, rule) => {
        const account = accountOf(history, rule);
        const window = { fromMs: history.sinceMs - DAY, toMs: history.nowMs + DAY };
        const counting = { rule, unobserved: history.gaps, window };
        const figures = figuresAt(account, history.nowMs, counting);
        const { upMs, unplannedMs, plannedMs, unobservedMs, serviceMs } = figures;
        expect(upMs + unplannedMs + plannedMs + unobservedMs).toBe(serviceMs);
      }),
      { seed: 20_261_122, numRuns: 300 },
    );
  });

  it("holds exactly the time that was down, and the gaps outside it", () => {
    fc.assert(
      fc.property(histories, rules, (history, rule) => {
        const { days } = asOf(accountOf(history, rule), history.nowMs, { rule, unobserved: history.gaps });
        const lengths = (kinds: readonly OutageClass[]): number =>
          sum(history.outages.filter((one) => kinds.includes(one.class)).map((one) => one.toMs - one.fromMs));
        expect(sum(days.map((day) => day.unplannedMs + day.plannedMs))).toBe(
          lengths(["Unplanned", "Planned"]),
        );
        const down = merged(history.outages);
        const gaps = sum(history.gaps.map((gap) => gap.toMs - gap.fromMs - lengthWithin(gap, down)));
        expect(sum(days.map((day) => day.unobservedMs))).toBe(lengths(["Unobserved"]) + gaps);
      }),
      { seed: 20_261_122, numRuns: 300 },
    );
  });

  it("agrees with its own totals by cause and day, and never counts more service than time", () => {
    fc.assert(
      fc.property(histories, rules, (history, rule) => {
        const account = accountOf(history, rule);
        const of = (kind: OutageClass): number =>
          sum(account.totals.filter((one) => one.class === kind).map((one) => one.durationMs));
        expect(of("Unplanned")).toBe(sum(account.days.map((day) => day.unplannedMs)));
        expect(of("Planned")).toBe(sum(account.days.map((day) => day.plannedMs)));
        expect(sum(account.days.map((day) => day.outages + day.plannedOutages))).toBe(
          history.outages.filter((one) => one.class !== "Unobserved").length,
        );
        for (const day of account.days) {
          expect(day.service?.unplannedMs ?? 0).toBeLessThanOrEqual(day.unplannedMs);
          expect(day.service?.plannedMs ?? 0).toBeLessThanOrEqual(day.plannedMs);
        }
      }),
      { seed: 20_261_122, numRuns: 200 },
    );
  });

  it("does not depend on when it was brought up to date, by whom, or in which order gaps were learned", () => {
    fc.assert(
      fc.property(histories, rules, fc.infiniteStream(fc.boolean()), (history, rule, whims) => {
        const counting = { rule, unobserved: history.gaps };
        const once = asOf(accountOf(history, rule), history.nowMs, counting);
        const whim = (): boolean => whims.next().value === true;
        const folding = (account: Account, untilMs: number): Account =>
          whim() ? countUntil(account, untilMs, { rule, unobserved: history.gaps.toReversed() }) : account;
        const often = asOf(accountOf(history, rule, folding), history.nowMs, counting);
        expect(often).toEqual(once);
      }),
      { seed: 20_261_122, numRuns: 200 },
    );
  });

  it("splits time into local days that follow each other without gap or overlap", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...BEGINNINGS),
        rules,
        fc.integer({ min: 0, max: 14 * DAY }),
        (from, rule, ms) => {
          const span = { fromMs: from, toMs: from + ms };
          let reached = from;
          for (const { in: day, part } of calendarOf(rule).parts(span)) {
            expect(part.fromMs).toBe(reached);
            expect(localDay(rule.timeZone, part.fromMs)).toBe(day.day);
            expect(localDay(rule.timeZone, part.toMs - 1)).toBe(day.day);
            reached = part.toMs;
          }
          expect(reached).toBe(from + ms);
        },
      ),
      { seed: 20_261_122, numRuns: 200 },
    );
  });
});

describe("the gaps in the watch", () => {
  it("come back from their text as they were, and stay few", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(60 * DAY), fc.nat(HOUR)), { maxLength: 120 }), (entries) => {
        const gaps = new ObservationGaps();
        const base = BEGINNINGS[0] ?? 0;
        for (const [at, ms] of entries) gaps.add({ fromMs: base + at, toMs: base + at + ms });
        expect(gaps.spans.length).toBeLessThanOrEqual(48);
        expect(parseGaps(gaps.text)).toEqual(gaps.spans);
        const counted = merged(gaps.spans);
        for (const [at, ms] of entries) {
          const span = { fromMs: base + at, toMs: base + at + ms };
          expect(lengthWithin(span, counted)).toBe(ms);
        }
      }),
      { seed: 20_261_122, numRuns: 100 },
    );
  });

  it("leave out what is no gap", () => {
    expect(parseGaps("nonsense,2026-11-22T00:00:00Z/never,")).toEqual([]);
    expect(parseGaps(undefined)).toEqual([]);
  });
});
