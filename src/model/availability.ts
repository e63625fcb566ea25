// The words of availability: what is promised (the rule), what has been (the account), and what follows (the figures).

/** Whether somebody meant it. `Unobserved`: nobody looked, so it is neither up nor down. */
export type OutageClass = "Unplanned" | "Planned" | "Unobserved";

/** Why a VM was not up. */
export const OUTAGE_CAUSES = [
  "NodeLost",
  "Evacuation",
  "Stopped",
  "Restarted",
  "PausedByUser",
  "PausedByError",
  "GuestFailed",
  "GuestShutdown",
  "NotReady",
  "NodeIsolated",
  "Drill",
  "Other",
] as const;
export type OutageCause = (typeof OUTAGE_CAUSES)[number];

/** Part of a week, in minutes since local midnight; days as 0 (Sunday) to 6. */
export interface WeeklyHours {
  readonly days: readonly number[];
  readonly fromMinute: number;
  /** After `fromMinute`; 1440 is the end of the day. */
  readonly toMinute: number;
}

/** A span of wall time; `toMs` is no longer part of it. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What is promised for a VM, and how it is counted. Equal rules should be one object: calendars are kept per object. */
export interface AvailabilityRule {
  /** From 0 to 1; undefined where nothing is promised and only measured. */
  readonly objective: number | undefined;
  readonly window: { readonly type: "Rolling"; readonly days: number } | { readonly type: "CalendarMonth" };
  /** Whether planned outages count against the objective. */
  readonly countPlanned: boolean;
  readonly upWhen: "Ready" | "GuestAgentConnected";
  /** IANA name: where days begin and service hours are read. */
  readonly timeZone: string;
  /** Empty: always. */
  readonly serviceHours: readonly WeeklyHours[];
  /** Local dates without service, as days since 1970-01-01. */
  readonly holidays: ReadonlySet<number>;
  /** What is down in these is planned. */
  readonly maintenance: { readonly once: readonly Span[]; readonly weekly: readonly WeeklyHours[] };
}

/** Nothing promised: measured around the clock, in UTC days. */
export const DEFAULT_AVAILABILITY_RULE: AvailabilityRule = {
  objective: undefined,
  window: { type: "Rolling", days: 30 },
  countPlanned: false,
  upWhen: "Ready",
  timeZone: "UTC",
  serviceHours: [],
  holidays: new Set(),
  maintenance: { once: [], weekly: [] },
};

/** Time not up, in whole milliseconds, by what it was. */
export interface DownTimes {
  readonly unplannedMs: number;
  readonly plannedMs: number;
  readonly unobservedMs: number;
}

/** One local day on which a VM was not up all the time; other days are not written down. */
export interface DayTotals extends DownTimes {
  /** `2026-11-22`, in the rule's time zone at the time. */
  readonly day: string;
  /** Unplanned outages that began on this day. */
  readonly outages: number;
  readonly plannedOutages: number;
  /** The same within service hours; absent where the service is around the clock. */
  readonly service?: DownTimes & { readonly outages: number; readonly plannedOutages: number };
}

/** Of all outages of one cause and class since accounting began. */
export interface CauseTotals {
  readonly cause: OutageCause;
  readonly class: OutageClass;
  readonly outages: number;
  readonly durationMs: number;
}

/** An outage that lasts. */
export interface OpenOutage {
  readonly cause: OutageCause;
  readonly class: OutageClass;
  /** The last moment at which the VM was known to be up; RFC 3339. */
  readonly since: string;
  /** When it was noticed. */
  readonly noticedAt: string;
  readonly node?: string;
  /** The VMI that went down. */
  readonly vmiUID?: string;
}

export interface PastOutage {
  readonly cause: OutageCause;
  readonly class: OutageClass;
  readonly since: string;
  readonly until: string;
  readonly node?: string;
}

/**
 * What has been counted for one VM. Between `since` and `until` all time that no day holds was up; from `until` on it is
 * still to be counted, from the open outage and from the times in which nobody looked.
 */
export interface Account {
  readonly since: string;
  readonly until: string;
  readonly open?: OpenOutage;
  /** Ended outages, the newest first; the oldest goes. */
  readonly recent: readonly PastOutage[];
  /** Ascending. */
  readonly days: readonly DayTotals[];
  readonly totals: readonly CauseTotals[];
  /** Of the error budget, ever, by closed outages. */
  readonly burntMs: number;
}

/** What the account amounts to in the SLA's window. Ratios from 0 to 1. */
export interface Figures {
  readonly window: Span;
  /** Service time in the window up to now, since accounting began. */
  readonly serviceMs: number;
  readonly upMs: number;
  readonly unplannedMs: number;
  readonly plannedMs: number;
  readonly unobservedMs: number;
  readonly outages: number;
  readonly plannedOutages: number;
  /** What counts against the objective. */
  readonly countedMs: number;
  readonly countedOutages: number;
  /** up / (up + counted) = MTBF / (MTBF + MTTR); undefined while nothing was observed. */
  readonly availability: number | undefined;
  /** Undefined without an outage. */
  readonly mtbfMs: number | undefined;
  readonly mttrMs: number | undefined;
  /** Undefined where nothing is promised. */
  readonly budget: { readonly totalMs: number; readonly leftMs: number } | undefined;
}

/** Outages kept in `Account.recent`. */
export const MAX_RECENT_OUTAGES = 10;
/** Days kept in an account: the longest window, and a month to compare with. */
export const MAX_DAYS_KEPT = 124;
/** Longest rolling window. */
export const MAX_WINDOW_DAYS = 92;
