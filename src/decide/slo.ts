// The figures a status shows, and how the promise stands: within its error budget, at risk, violated.
import type { Account, Figures } from "../model/availability.ts";
import { meanMs, type PhaseSum, sumPhases } from "../model/outage-phases.ts";
import type { AvailabilityStatus, Condition, OutageRecord, ShownFigures } from "../model/protection.ts";
import {
  downtimePerYearMs,
  figuresAt,
  ninesOf,
  percentText,
  type SLOVerdict,
  sloVerdict,
  untilVerdictChangesMs,
} from "../model/sla.ts";
import { countingOf, isDaily } from "./availability.ts";
import type { Judgement } from "./condition.ts";
import type { Subject } from "./subject.ts";
import { timestamp } from "./text.ts";

export interface Standing {
  readonly availability: AvailabilityStatus;
  /** None where nothing is promised. */
  readonly judgements: readonly Judgement[];
}

const SLO_CONDITIONS = ["SLOAtRisk", "SLOViolated"] as const;

/**
 * Figures and conditions for the account. Figures are worked out anew with every change of the account, once a day while a
 * day is on it, and where the verdict has turned; else what stands is kept, so that nothing is written for time alone.
 */
export function judgeSLO(
  subject: Subject,
  account: AvailabilityStatus,
  outages: readonly OutageRecord[],
): Standing {
  const { turn, protection } = subject;
  const { status } = protection;
  const nowMs = turn.now.wallMs;
  const kept = keptStanding(subject, account);
  const lasting = account.open !== undefined && protection.availability.objective !== undefined;
  if (kept !== undefined && !lasting) return kept;
  const figures = figuresAt(account, nowMs, countingOf(subject));
  const verdict = sloVerdict(figures);
  wakeWhenItTurns(subject, account, figures);
  if (kept !== undefined && verdictOf(status.conditions)?.verdict === verdict) return kept;
  const { figures: _, ...rest } = account;
  return {
    availability: { ...rest, figures: shown(figures, outages, nowMs) },
    judgements: verdict === undefined ? [] : judgementsOf(verdict, figures),
  };
}

/** What stands, where only an outage that lasts could change it: the case of almost every VM at almost every turn. */
function keptStanding({ turn, protection }: Subject, account: AvailabilityStatus): Standing | undefined {
  const { status, generation } = protection;
  if (account !== status.availability || account.figures === undefined) return undefined;
  if (status.observedGeneration !== generation || isDaily(protection, account, turn.now.wallMs))
    return undefined;
  return { availability: account, judgements: verdictOf(status.conditions)?.judgements ?? [] };
}

function verdictOf(
  conditions: readonly Condition[],
): { readonly verdict: SLOVerdict; readonly judgements: readonly Judgement[] } | undefined {
  const [risk, violated] = SLO_CONDITIONS.map((type) => conditions.find((one) => one.type === type));
  if (risk === undefined || violated === undefined) return undefined;
  const verdict = violated.status === "True" ? "Violated" : risk.status === "True" ? "AtRisk" : "Met";
  const judgements = [risk, violated].map(({ type, status, reason, message }) => ({
    type,
    status,
    reason: reason as Judgement["reason"],
    message,
  }));
  return { verdict, judgements };
}

/** An outage that lasts eats the budget as time passes: asks for a turn when that changes the verdict. */
function wakeWhenItTurns({ turn, protection }: Subject, { open }: Account, figures: Figures): void {
  const counts =
    open?.class === "Unplanned" || (open?.class === "Planned" && protection.availability.countPlanned);
  const leftMs = counts ? untilVerdictChangesMs(figures) : undefined;
  if (leftMs !== undefined) turn.plan.lookAgain(turn.now.monotonicMs + leftMs);
}

function shown(figures: Figures, outages: readonly OutageRecord[], nowMs: number): ShownFigures {
  const { availability, budget, mtbfMs, mttrMs, window } = figures;
  const phases = sumPhases(outages, window);
  return {
    asOf: timestamp(nowMs),
    windowFrom: timestamp(window.fromMs),
    windowTo: timestamp(window.toMs),
    ...(availability === undefined ? {} : ratios(availability)),
    outages: figures.outages,
    plannedOutages: figures.plannedOutages,
    unplannedMs: figures.unplannedMs,
    plannedMs: figures.plannedMs,
    unobservedMs: figures.unobservedMs,
    ...(mtbfMs === undefined ? {} : { mtbfMs: Math.round(mtbfMs) }),
    ...(mttrMs === undefined ? {} : { mttrMs: Math.round(mttrMs) }),
    ...(phases.length === 0 ? {} : { mttrPhases: phases.map(shownPhase) }),
    ...(budget === undefined
      ? {}
      : {
          errorBudgetMs: budget.totalMs,
          errorBudgetLeftMs: budget.leftMs,
          errorBudgetLeft: budgetPercent(budget),
        }),
  };
}

function shownPhase(sum: PhaseSum) {
  return { phase: sum.phase, meanMs: meanMs(sum), failovers: sum.failovers };
}

function ratios(
  availability: number,
): Pick<Required<ShownFigures>, "availability" | "nines" | "downtimePerYear"> {
  const nines = ninesOf(availability);
  return {
    availability: percentText(availability),
    nines: nines === Number.POSITIVE_INFINITY ? "inf" : nines.toFixed(2),
    downtimePerYear: spanText(downtimePerYearMs(availability)),
  };
}

function budgetPercent({ totalMs, leftMs }: { readonly totalMs: number; readonly leftMs: number }): string {
  if (totalMs === 0) return leftMs < 0 ? "-100%" : "100%";
  return `${Math.floor((leftMs / totalMs) * 100)}%`;
}

function judgementsOf(verdict: SLOVerdict, figures: Figures): readonly Judgement[] {
  const { budget } = figures;
  const totalMs = budget?.totalMs ?? 0;
  const spent = `${spanText(figures.countedMs)} of the ${spanText(totalMs)} that the objective allows in the window are spent`;
  const allowed = `the objective allows ${spanText(totalMs)} of downtime in the window`;
  const say = (type: string, holds: boolean, reason: Judgement["reason"]): Judgement => ({
    type,
    status: holds ? "True" : "False",
    reason,
    message: holds ? spent : allowed,
  });
  const reason = verdict === "Met" ? "WithinBudget" : verdict === "AtRisk" ? "BudgetLow" : "BudgetSpent";
  return [
    say("SLOAtRisk", verdict !== "Met", reason),
    say("SLOViolated", verdict === "Violated", verdict === "Violated" ? "BudgetSpent" : "WithinBudget"),
  ];
}

/** A span for people: `4h22m`, `38s`, `0.4s`. */
export function spanText(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 100) / 10}s`;
  const minutes = Math.round(ms / 60_000);
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor(minutes / 60) % 24;
  const parts = [
    [days, "d"],
    [hours, "h"],
    [minutes % 60, "m"],
  ] as const;
  return parts
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value}${unit}`)
    .join("");
}
