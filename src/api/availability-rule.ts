// From what somebody wrote under spec.availability to the rule that is counted by: minutes, ratios, day numbers.
import type { z } from "zod";
import {
  type AvailabilityRule,
  DEFAULT_AVAILABILITY_RULE,
  type Span,
  type WeeklyHours,
} from "../model/availability.ts";
import { dayNumber } from "../model/service-time.ts";
import { type availabilityField, minuteOf, weekdayNumber } from "./availability.ts";
import { wallMsOf } from "../model/wall-time.ts";

type AvailabilitySpec = Exclude<z.output<typeof availabilityField>, undefined>;
type Weekly = Exclude<AvailabilitySpec["serviceHours"], undefined>[number];

/** Rules told apart at most; policies give one to many VMs. Beyond that all are forgotten and read anew. */
const MAX_RULES_REMEMBERED = 10_000;

const rules = new Map<string, AvailabilityRule>();

/** The rule that a spec means; the same object for the same spec, so that its calendar is worked out once. */
export function availabilityRuleOf(spec: AvailabilitySpec | undefined): AvailabilityRule {
  if (spec === undefined) return DEFAULT_AVAILABILITY_RULE;
  const key = JSON.stringify(spec);
  const known = rules.get(key);
  if (known !== undefined) return known;
  if (rules.size >= MAX_RULES_REMEMBERED) rules.clear();
  const made = makeRule(spec);
  rules.set(key, made);
  return made;
}

function makeRule(spec: AvailabilitySpec): AvailabilityRule {
  const once: Span[] = [];
  const weekly: WeeklyHours[] = [];
  for (const { start, end, days, from, to } of spec.maintenance ?? []) {
    if (start !== undefined && end !== undefined) once.push({ fromMs: wallMsOf(start), toMs: wallMsOf(end) });
    else if (days !== undefined && from !== undefined && to !== undefined)
      weekly.push(hoursOf({ days, from, to }));
  }
  return {
    objective: objectiveOf(spec),
    window:
      spec.window === "Rolling" ? { type: "Rolling", days: spec.windowDays } : { type: "CalendarMonth" },
    countPlanned: spec.plannedOutages === "Counted",
    upWhen: spec.upWhen,
    timeZone: spec.timeZone,
    serviceHours: (spec.serviceHours ?? []).map(hoursOf),
    holidays: new Set((spec.holidays ?? []).map(dayNumber)),
    maintenance: { once, weekly },
  };
}

function objectiveOf({ objective, nines }: AvailabilitySpec): number | undefined {
  if (objective !== undefined) return Number(objective) / 100;
  return nines === undefined ? undefined : 1 - 10 ** -nines;
}

function hoursOf({ days, from, to }: Weekly): WeeklyHours {
  return { days: days.map(weekdayNumber), fromMinute: minuteOf(from), toMinute: minuteOf(to) };
}
