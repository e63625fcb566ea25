import { describe, expect, it } from "vitest";
import { closeOutage, newAccount, openOutage } from "../../src/model/account.ts";
import {
  type Account,
  type AvailabilityRule,
  DEFAULT_AVAILABILITY_RULE,
  type OutageCause,
  type OutageClass,
} from "../../src/model/availability.ts";
import {
  addFigures,
  downtimePerYearMs,
  figuresAt,
  ninesOf,
  percentText,
  sloVerdict,
  untilVerdictChangesMs,
  windowAt,
} from "../../src/model/sla.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const iso = (wallMs: number): string => new Date(wallMs).toISOString();

/** An account with one outage after the other. */
function after(
  sinceMs: number,
  rule: AvailabilityRule,
  outages: readonly { from: string; to: string; cause?: OutageCause; class?: OutageClass }[],
): Account {
  let account = newAccount(sinceMs);
  for (const { from, to, cause = "NodeLost", class: kind = "Unplanned" } of outages) {
    account = openOutage(account, { cause, class: kind, since: from, noticedAt: from });
    account = closeOutage(account, { atMs: Date.parse(to) }, { rule, unobserved: [] });
  }
  return account;
}

const OFFICE: AvailabilityRule = {
  ...DEFAULT_AVAILABILITY_RULE,
  objective: 0.99,
  window: { type: "CalendarMonth" },
  timeZone: "Europe/Bucharest",
  serviceHours: [{ days: [1, 2, 3, 4, 5], fromMinute: 8 * 60, toMinute: 20 * 60 }],
  holidays: new Set([Date.UTC(2026, 11, 1) / DAY, Date.UTC(2026, 11, 25) / DAY]),
};

describe("the figures of an account", () => {
  const since = Date.UTC(2026, 10, 1);
  const now = Date.UTC(2026, 10, 22, 12);
  const rule: AvailabilityRule = { ...DEFAULT_AVAILABILITY_RULE, objective: 0.999 };

  it("say 100 percent and the whole budget for a VM that never was down", () => {
    const figures = figuresAt(newAccount(since), now, { rule, unobserved: [] });
    expect(figures).toMatchObject({ availability: 1, mtbfMs: undefined, mttrMs: undefined, outages: 0 });
    // A thousandth of 30 days.
    expect(figures.budget).toEqual({ totalMs: 2_592_000, leftMs: 2_592_000 });
    expect(sloVerdict(figures)).toBe("Met");
  });

  it("are MTBF / (MTBF + MTTR), worked out by hand", () => {
    const account = after(since, rule, [
      { from: "2026-11-10T10:00:00.000Z", to: "2026-11-10T10:10:00.000Z" },
      { from: "2026-11-20T23:55:00.000Z", to: "2026-11-21T00:15:00.000Z" },
    ]);
    const figures = figuresAt(account, now, { rule, unobserved: [] });
    // 21.5 days observed, 30 minutes down in two outages.
    expect(figures.serviceMs).toBe(21.5 * DAY);
    expect(figures.mttrMs).toBe(15 * MINUTE);
    expect(figures.mtbfMs).toBe((21.5 * DAY - 30 * MINUTE) / 2);
    const { mtbfMs = 0, mttrMs = 0 } = figures;
    expect(figures.availability).toBeCloseTo(mtbfMs / (mtbfMs + mttrMs), 12);
    expect(figures.budget?.leftMs).toBe(43.2 * MINUTE - 30 * MINUTE);
    expect(account.days.map(({ day, outages, unplannedMs }) => [day, outages, unplannedMs / MINUTE])).toEqual(
      [
        ["2026-11-10", 1, 10],
        ["2026-11-20", 1, 5],
        ["2026-11-21", 0, 15],
      ],
    );
  });

  it("leave out planned outages, or count them, as the SLA says", () => {
    const planned = [
      {
        from: "2026-11-10T10:00:00.000Z",
        to: "2026-11-10T11:00:00.000Z",
        cause: "Evacuation",
        class: "Planned",
      },
    ] as const;
    const excluded = figuresAt(after(since, rule, planned), now, { rule, unobserved: [] });
    expect(excluded).toMatchObject({ availability: 1, plannedMs: HOUR, plannedOutages: 1, countedMs: 0 });
    expect(excluded.upMs).toBe(21.5 * DAY - HOUR);
    const strict = { ...rule, countPlanned: true };
    const counted = figuresAt(after(since, strict, planned), now, { rule: strict, unobserved: [] });
    expect(counted).toMatchObject({ countedMs: HOUR, countedOutages: 1 });
    expect(sloVerdict(counted)).toBe("Violated");
  });

  it("call down in a maintenance window planned, and what exceeds it unplanned", () => {
    const window = { fromMs: Date.UTC(2026, 10, 10, 10), toMs: Date.UTC(2026, 10, 10, 11) };
    const declared = { ...rule, maintenance: { once: [window], weekly: [] } };
    const account = after(since, declared, [
      { from: "2026-11-10T10:30:00.000Z", to: "2026-11-10T11:10:00.000Z" },
      { from: "2026-11-10T12:00:00.000Z", to: "2026-11-10T12:01:00.000Z" },
    ]);
    expect(account.days[0]).toMatchObject({
      plannedMs: 30 * MINUTE,
      unplannedMs: 11 * MINUTE,
      plannedOutages: 1,
      outages: 1,
    });
  });

  it("count time in which nobody looked neither for nor against", () => {
    const gap = { fromMs: Date.UTC(2026, 10, 5), toMs: Date.UTC(2026, 10, 7) };
    const figures = figuresAt(newAccount(since), now, { rule, unobserved: [gap] });
    expect(figures).toMatchObject({ unobservedMs: 2 * DAY, upMs: 19.5 * DAY, availability: 1 });
  });

  it("let down beat unobserved: an outage that was under way before and after was one in between", () => {
    const gap = { fromMs: Date.UTC(2026, 10, 5, 1), toMs: Date.UTC(2026, 10, 5, 3) };
    let account = newAccount(since);
    const from = "2026-11-05T00:30:00.000Z";
    account = openOutage(account, { cause: "NodeLost", class: "Unplanned", since: from, noticedAt: from });
    account = closeOutage(account, { atMs: Date.UTC(2026, 10, 5, 4) }, { rule, unobserved: [gap] });
    expect(account.days).toMatchObject([{ unplannedMs: 3.5 * HOUR, unobservedMs: 0 }]);
  });

  it("read service hours on local clocks, without holidays", () => {
    // December 2026 has 23 weekdays in Bucharest; the 1st and the 25th are holidays: 21 of 12 hours.
    const midMonth = Date.UTC(2026, 11, 15);
    expect(windowAt(OFFICE, midMonth)).toEqual({
      fromMs: Date.parse("2026-11-30T22:00:00Z"),
      toMs: Date.parse("2026-12-31T22:00:00Z"),
    });
    const account = after(Date.UTC(2026, 10, 30), OFFICE, [
      // Wednesday 05:00 to 07:00 UTC is 07:00 to 09:00 there: one hour of service.
      { from: "2026-12-02T05:00:00.000Z", to: "2026-12-02T07:00:00.000Z" },
      // A Saturday.
      { from: "2026-12-05T10:00:00.000Z", to: "2026-12-05T15:00:00.000Z" },
    ]);
    const figures = figuresAt(account, Date.UTC(2027, 0, 1) - 3 * HOUR, { rule: OFFICE, unobserved: [] });
    expect(figures.serviceMs).toBe(21 * 12 * HOUR);
    expect(figures).toMatchObject({ unplannedMs: HOUR, outages: 1 });
    expect(figures.budget).toEqual({ totalMs: 2.52 * HOUR, leftMs: 1.52 * HOUR });
    expect(account.days).toMatchObject([
      { day: "2026-12-02", unplannedMs: 2 * HOUR, outages: 1, service: { unplannedMs: HOUR, outages: 1 } },
      { day: "2026-12-05", unplannedMs: 5 * HOUR, outages: 1, service: { unplannedMs: 0, outages: 0 } },
    ]);
  });

  it.each([
    // Clocks in Bucharest go forward on 29 March 2026 at 03:00 and back on 25 October at 04:00.
    ["23 hours on the day that loses one", "2026-03-29", 23],
    ["25 hours on the day that gains one", "2026-10-25", 25],
    ["24 hours on the day after", "2026-10-26", 24],
  ])("know %s", (_, day, hours) => {
    const rule1: AvailabilityRule = {
      ...DEFAULT_AVAILABILITY_RULE,
      timeZone: "Europe/Bucharest",
      window: { type: "Rolling", days: 1 },
    };
    const window = windowAt(rule1, Date.parse(`${day}T12:00:00Z`));
    expect((window.toMs - window.fromMs) / HOUR).toBe(hours);
    const figures = figuresAt(newAccount(0), window.toMs - 1, { rule: rule1, unobserved: [] });
    expect(Math.round(figures.serviceMs / HOUR)).toBe(hours);
  });

  it("add up over many VMs to those of one system", () => {
    const one = after(since, rule, [{ from: iso(now - 2 * HOUR), to: iso(now - HOUR) }]);
    const figures = [one, newAccount(since)].map((account) =>
      figuresAt(account, now, { rule, unobserved: [] }),
    );
    const sum = addFigures(figures);
    expect(sum).toMatchObject({ serviceMs: 43 * DAY, unplannedMs: HOUR, outages: 1, mttrMs: HOUR });
    expect(sum?.availability).toBeCloseTo((43 * DAY - HOUR) / (43 * DAY), 12);
    expect(sum?.budget).toEqual({ totalMs: 5_184_000, leftMs: 5_184_000 - HOUR });
    expect(addFigures([])).toBeUndefined();
  });
});

describe("the verdict on an SLO", () => {
  const rule: AvailabilityRule = { ...DEFAULT_AVAILABILITY_RULE, objective: 0.999 };
  const now = Date.UTC(2026, 10, 22, 12);
  const open = (agoMs: number): Account =>
    openOutage(newAccount(now - 20 * DAY), {
      cause: "NotReady",
      class: "Unplanned",
      since: iso(now - agoMs),
      noticedAt: iso(now - agoMs),
    });

  it.each([
    [1 * MINUTE, "Met"],
    [32 * MINUTE, "Met"],
    [33 * MINUTE, "AtRisk"],
    [43 * MINUTE, "AtRisk"],
    [44 * MINUTE, "Violated"],
  ])("after %i ms down of 43.2 minutes allowed is %s", (downMs, verdict) => {
    expect(sloVerdict(figuresAt(open(downMs), now, { rule, unobserved: [] }))).toBe(verdict);
  });

  it("turns exactly when it was said to turn", () => {
    let at = now;
    const seen: (string | undefined)[] = [];
    const account = open(1 * MINUTE);
    for (let i = 0; i < 3; i += 1) {
      const figures = figuresAt(account, at, { rule, unobserved: [] });
      seen.push(sloVerdict(figures));
      const leftMs = untilVerdictChangesMs(figures);
      if (leftMs === undefined) break;
      const before = figuresAt(account, at + Math.floor(leftMs) - 2, { rule, unobserved: [] });
      expect(sloVerdict(before)).toBe(seen.at(-1));
      at += Math.ceil(leftMs);
    }
    expect(seen).toEqual(["Met", "AtRisk", "Violated"]);
  });
});

describe("nines", () => {
  it.each([
    [0.99, 2, 3.6525 * DAY],
    [0.999, 3, 8.766 * HOUR],
    [0.999999, 6, 31_557.6],
  ])("of %f are %i, and leave the downtime of the textbook a year", (availability, nines, yearMs) => {
    expect(ninesOf(availability)).toBeCloseTo(nines, 6);
    expect(downtimePerYearMs(availability) / yearMs).toBeCloseTo(1, 6);
  });

  it("never round up: 99.9996 percent is not 100", () => {
    expect(percentText(0.999_996)).toBe("99.9996");
    expect(percentText(0.999_999_99)).toBe("99.99999");
    expect(percentText(1)).toBe("100");
    expect(ninesOf(1)).toBe(Number.POSITIVE_INFINITY);
  });
});
