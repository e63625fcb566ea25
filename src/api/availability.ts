// What may be promised and declared about a VM's availability: the spec's part. What it means in numbers is availability-rule.ts.
import { z } from "zod";
import { MAX_WINDOW_DAYS } from "../model/availability.ts";
import { wallMsOf } from "../model/wall-time.ts";
import { atomicList } from "./list.ts";
import { withRule } from "./rule.ts";
import { matching, text } from "./scalar.ts";
import { timestamp } from "./timestamp.ts";

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const MAX_HOURS = 14;
const MAX_HOLIDAYS = 64;
const MAX_MAINTENANCE = 32;
const MAX_ZONE_LENGTH = 64;
const MAX_NAME_LENGTH = 253;

/** `08:30`, or `24:00` for the end of the day; texts of this form compare as times do. */
const TIME = /^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$/;
const DATE = /^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/;
/** From 1 to 99.99999 percent. 100 is no promise that anything could keep. */
const PERCENT = /^[1-9][0-9]?(\.[0-9]{1,5})?$/;

const time = (description: string) =>
  matching(TIME, {
    maxLength: 5,
    message: "must be a time of day like 08:00, from 00:00 to 24:00",
  }).meta({ description });

/** Days of the week, at least one. */
export const weekdays = () => atomicList(z.enum(WEEKDAYS), { max: 7 }).min(1);

/** A time of day at which something may begin. */
export const startOfDayTime = () =>
  matching(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, {
    maxLength: 5,
    message: "must be a time of day like 08:00, from 00:00 to 23:59",
  });

const weekly = {
  days: weekdays().meta({
    description: "Days of the week, at least one: Mon, Tue, Wed, Thu, Fri, Sat, Sun.",
  }),
  from: time("Local time at which it begins, like 08:00."),
  to: time("Local time at which it ends, after from and on the same day; 24:00 is the end of the day."),
};

const serviceHours = withRule(z.object(weekly), {
  cel: "self.from < self.to",
  message:
    "must end after it begins: for hours past midnight write two entries, one to 24:00 and one from 00:00",
  holds: ({ from, to }) => from < to,
  field: ["to"],
});

const maintenance = withRule(
  z.object({
    reason: text(MAX_NAME_LENGTH).meta({ description: "What it is for; shown in reports." }).exactOptional(),
    start: timestamp().meta({ description: "When a single window begins, RFC 3339 in UTC." }).exactOptional(),
    end: timestamp().meta({ description: "When that window ends." }).exactOptional(),
    days: weekly.days.exactOptional(),
    from: weekly.from.exactOptional(),
    to: weekly.to.exactOptional(),
  }),
  {
    cel: "has(self.start) ? has(self.end) && !has(self.days) && !has(self.from) && !has(self.to) && timestamp(self.start) < timestamp(self.end) : !has(self.end) && has(self.days) && has(self.from) && has(self.to) && self.from < self.to",
    message:
      "must be either start and end (once), or days, from and to (every week), and end after it begins",
    holds: (one) =>
      one.start === undefined
        ? one.end === undefined &&
          one.days !== undefined &&
          (one.from ?? "") < (one.to ?? "") &&
          one.from !== undefined
        : one.end !== undefined &&
          one.days === undefined &&
          one.from === undefined &&
          one.to === undefined &&
          wallMsOf(one.start) < wallMsOf(one.end),
  },
);

/** Whether this Node.js knows the zone; the API server asks its own database. */
function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** An IANA time zone that this Node.js and the API server know. */
export const timeZone = withRule(
  matching(/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/, {
    maxLength: MAX_ZONE_LENGTH,
    message: "must be the name of an IANA time zone, like Europe/Bucharest or UTC",
  }),
  {
    // Unknown zones make the call itself fail, and so the rule.
    cel: "timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",
    message: "must be the name of an IANA time zone that is known, like Europe/Bucharest or UTC",
    holds: isTimeZone,
  },
);

const holiday = withRule(matching(DATE, { maxLength: 10, message: "must be a date like 2026-12-25" }), {
  cel: "timestamp(self + 'T00:00:00Z').getDayOfMonth() >= 0",
  message: "must be a date that exists, like 2026-12-25",
  holds: (date) => z.iso.date().safeParse(date).success,
});

/** The field `availability`, for a spec or a template. */
export const availabilityField = withRule(
  z.object({
    objective: matching(PERCENT, {
      maxLength: 8,
      message:
        'must be a percentage in quotes from "1" to "99.99999", like "99.95"; 100 leaves no error budget',
    })
      .meta({
        description:
          'The SLO: how much of the service time the VM is to be up, in percent, as text: "99.95". Left out together with nines, availability is measured and nothing is promised.',
      })
      .exactOptional(),
    nines: z
      .int()
      .min(1)
      .max(7)
      .meta({ description: "The same said in nines: 3 is 99.9 percent. From 1 to 7." })
      .exactOptional(),
    window: z.enum(["Rolling", "CalendarMonth"]).default("Rolling").meta({
      description:
        "What the objective is about. Rolling: the last windowDays days. CalendarMonth: the month, in timeZone.",
    }),
    windowDays: z
      .int()
      .min(1)
      .max(MAX_WINDOW_DAYS)
      .default(30)
      .meta({
        description: `Length of a rolling window in whole local days, today among them. From 1 to ${MAX_WINDOW_DAYS}.`,
      }),
    plannedOutages: z.enum(["Excluded", "Counted"]).default("Excluded").meta({
      description:
        "Whether planned outages (evacuation by restart, stopped or restarted or paused by a person, drills, maintenance windows) count against the objective. Excluded: they are neither up nor down.",
    }),
    upWhen: z.enum(["Ready", "GuestAgentConnected"]).default("Ready").meta({
      description:
        "When the VM counts as up. Ready: its instance runs and is Ready (its readiness probe passes, if it has one). GuestAgentConnected: besides, the guest agent is connected.",
    }),
    timeZone: timeZone.default("UTC").meta({
      description: "IANA time zone in which days begin and hours are read, like Europe/Bucharest.",
    }),
    serviceHours: atomicList(serviceHours, { max: MAX_HOURS })
      .meta({
        description:
          "When the VM is needed. Time outside counts neither for nor against it. Left out: around the clock.",
      })
      .exactOptional(),
    holidays: atomicList(holiday, { max: MAX_HOLIDAYS })
      .meta({ description: "Local dates without service, like 2026-12-25." })
      .exactOptional(),
    maintenance: atomicList(maintenance, { max: MAX_MAINTENANCE })
      .meta({
        description:
          "Declared maintenance windows: what is down in them is planned. Either start and end (once), or days, from and to (every week, in timeZone).",
      })
      .exactOptional(),
  }),
  {
    cel: "!(has(self.objective) && has(self.nines))",
    message: "must give the objective once: either objective or nines",
    holds: ({ objective, nines }) => objective === undefined || nines === undefined,
    field: ["nines"],
  },
)
  .meta({
    description: "What availability is promised, how it is counted, and which outages are planned.",
  })
  .exactOptional();

/** `Mon` as its place in a week that begins with Sunday. */
export function weekdayNumber(day: (typeof WEEKDAYS)[number]): number {
  return WEEKDAYS.indexOf(day);
}

/** `08:30` as minutes since local midnight. */
export function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}
