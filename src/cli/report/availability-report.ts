// How available each VM, each namespace and the fleet have been: the operator's accounts, worked out for one window.
import type { AvailabilityRule, Figures, OutageCause, OutageClass, Span } from "../../model/availability.ts";
import { addPhases, meanMs, type OutagePhase, type PhaseSum, sumPhases } from "../../model/outage-phases.ts";
import type { OutageRecord, ProtectionFact } from "../../model/protection.ts";
import { calendarOf } from "../../model/service-time.ts";
import {
  addFigures,
  downtimePerYearMs,
  figuresAt,
  ninesOf,
  type SLOVerdict,
  sloVerdict,
} from "../../model/sla.ts";
import { asOf } from "../../model/account.ts";
import { timestamp, wallMsOf } from "../../model/wall-time.ts";
import { protectionOf } from "../../decide/turn.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { outagePhases } from "../ledger-story.ts";

/** An outage is told with the phases of the failover that began so close to it. */
const SAME_OUTAGE_MS = 120_000;

export interface Summary {
  /** From 0 to 1; undefined while nothing was observed. */
  readonly availability: number | undefined;
  readonly nines: number | undefined;
  readonly downtimePerYearMs: number | undefined;
  readonly outages: number;
  readonly plannedOutages: number;
  readonly unplannedMs: number;
  readonly plannedMs: number;
  readonly unobservedMs: number;
  readonly mtbfMs: number | undefined;
  readonly mttrMs: number | undefined;
  /** Of the failovers that ended in the window; only phases that any of them had. */
  readonly mttrPhases: readonly ReportedPhase[];
  readonly budget: { readonly totalMs: number; readonly leftMs: number } | undefined;
  readonly verdict: SLOVerdict | undefined;
}

export interface ReportedPhase {
  readonly phase: OutagePhase;
  readonly meanMs: number;
  readonly failovers: number;
}

export interface ReportedDay {
  readonly day: string;
  readonly unplannedMs: number;
  readonly plannedMs: number;
  readonly unobservedMs: number;
}

export interface ReportedOutage {
  readonly vm: string;
  readonly cause: OutageCause;
  readonly class: OutageClass;
  readonly since: string;
  /** Undefined while it lasts. */
  readonly until: string | undefined;
  readonly node: string | undefined;
  readonly durationMs: number;
  /** Of a failover; empty where there was none. */
  readonly phases: readonly { readonly phase: string; readonly ms: number }[];
}

export interface ReportedVM extends Summary {
  readonly vm: string;
  readonly namespace: string;
  readonly objective: number | undefined;
  readonly window: { readonly from: string; readonly to: string };
  readonly days: readonly ReportedDay[];
}

export interface AvailabilityReport {
  readonly at: string;
  readonly server: string;
  /** Undefined: each VM's own window. */
  readonly windowDays: number | undefined;
  readonly fleet: Summary & { readonly vms: number; readonly verdicts: Readonly<Record<SLOVerdict, number>> };
  readonly namespaces: readonly (Summary & { readonly namespace: string; readonly vms: number })[];
  /** The worst first. */
  readonly vms: readonly ReportedVM[];
  /** The newest first. */
  readonly outages: readonly ReportedOutage[];
  /** VMs that are promised something and have no account yet. */
  readonly uncounted: readonly string[];
}

/** What the report is about. */
export interface ReportScope {
  readonly nowMs: number;
  readonly server: string;
  readonly windowDays: number | undefined;
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** When nobody watched, beside what the accounts hold. */
  readonly unobserved: readonly Span[];
}

/** Works the report out. */
export function availabilityReport(snapshot: Snapshot, scope: ReportScope): AvailabilityReport {
  const inCharge = [...snapshot.protections.values()].filter(
    (protection) =>
      protectionOf(snapshot, protection.vmKey) === protection &&
      (scope.namespace === undefined || protection.namespace === scope.namespace),
  );
  const counted = inCharge.flatMap((protection) => vmOf(protection, scope) ?? []);
  const vms = counted.map(({ vm }) => vm);
  vms.sort(worstFirst);
  const verdicts = { Met: 0, AtRisk: 0, Violated: 0 };
  for (const { verdict } of vms) if (verdict !== undefined) verdicts[verdict] += 1;
  const byNamespace = Map.groupBy(counted, ({ vm }) => vm.namespace);
  return {
    at: timestamp(scope.nowMs),
    server: scope.server,
    windowDays: scope.windowDays,
    fleet: { ...together(counted), vms: vms.length, verdicts },
    namespaces: [...byNamespace]
      .map(([namespace, of]) => ({ namespace, vms: of.length, ...together(of) }))
      .sort((a, b) => (a.availability ?? 1) - (b.availability ?? 1) || (a.namespace < b.namespace ? -1 : 1)),
    vms,
    outages: inCharge
      .flatMap((protection) => outagesOf(protection, scope))
      .sort((a, b) => wallMsOf(b.since) - wallMsOf(a.since)),
    uncounted: inCharge.filter(({ status }) => status.availability === undefined).map(({ vmKey }) => vmKey),
  };
}

interface Counted {
  readonly vm: ReportedVM;
  readonly figures: Figures;
  readonly phases: readonly PhaseSum[];
}

function vmOf(protection: ProtectionFact, scope: ReportScope): Counted | undefined {
  const { availability: rule, vmKey, namespace } = protection;
  const account = protection.status.availability;
  if (account === undefined) return undefined;
  const { nowMs, unobserved } = scope;
  const window = windowOf(rule, scope);
  const figures = figuresAt(account, nowMs, {
    rule,
    unobserved,
    ...(window === undefined ? {} : { window }),
  });
  const phases = sumPhases(protection.status.outages, figures.window);
  const calendar = calendarOf(rule);
  const first = calendar.dayAt(figures.window.fromMs);
  const days = asOf(account, nowMs, { rule, unobserved }).days.filter(
    ({ day }) => Date.parse(`${day}T00:00:00Z`) / 86_400_000 >= first,
  );
  const vm = {
    vm: vmKey,
    namespace,
    objective: rule.objective,
    window: { from: timestamp(figures.window.fromMs), to: timestamp(figures.window.toMs) },
    days: days.map(({ day, service, ...all }) => ({ day, ...timesOf(service ?? all) })),
    ...summaryOf(figures, phases),
  };
  return { vm, figures, phases };
}

function timesOf({
  unplannedMs,
  plannedMs,
  unobservedMs,
}: Omit<ReportedDay, "day">): Omit<ReportedDay, "day"> {
  return { unplannedMs, plannedMs, unobservedMs };
}

/** The last so many whole local days, today among them; undefined where each VM's own window is asked for. */
function windowOf(rule: AvailabilityRule, { windowDays, nowMs }: ReportScope): Span | undefined {
  if (windowDays === undefined) return undefined;
  const calendar = calendarOf(rule);
  const today = calendar.dayAt(nowMs);
  return { fromMs: calendar.day(today - windowDays + 1).span.fromMs, toMs: calendar.day(today).span.toMs };
}

function summaryOf(figures: Figures, phases: readonly PhaseSum[]): Summary {
  const {
    availability,
    outages,
    plannedOutages,
    unplannedMs,
    plannedMs,
    unobservedMs,
    mtbfMs,
    mttrMs,
    budget,
  } = figures;
  return {
    availability,
    nines: availability === undefined ? undefined : ninesOf(availability),
    downtimePerYearMs: availability === undefined ? undefined : downtimePerYearMs(availability),
    outages,
    plannedOutages,
    unplannedMs,
    plannedMs,
    unobservedMs,
    mtbfMs,
    mttrMs,
    mttrPhases: phases.map((sum) => ({ phase: sum.phase, meanMs: meanMs(sum), failovers: sum.failovers })),
    budget,
    verdict: sloVerdict(figures),
  };
}

const NOTHING: Summary = {
  availability: undefined,
  nines: undefined,
  downtimePerYearMs: undefined,
  outages: 0,
  plannedOutages: 0,
  unplannedMs: 0,
  plannedMs: 0,
  unobservedMs: 0,
  mtbfMs: undefined,
  mttrMs: undefined,
  mttrPhases: [],
  budget: undefined,
  verdict: undefined,
};

function together(counted: readonly Counted[]): Summary {
  const sum = addFigures(counted.map(({ figures }) => figures));
  return sum === undefined ? NOTHING : summaryOf(sum, addPhases(counted.map(({ phases }) => phases)));
}

const ORDER: readonly (SLOVerdict | undefined)[] = ["Violated", "AtRisk", undefined, "Met"];

function worstFirst(a: ReportedVM, b: ReportedVM): number {
  return (
    (a.availability ?? 1) - (b.availability ?? 1) ||
    ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) ||
    (a.vm < b.vm ? -1 : 1)
  );
}

function outagesOf(protection: ProtectionFact, scope: ReportScope): readonly ReportedOutage[] {
  const account = protection.status.availability;
  if (account === undefined) return [];
  const { nowMs } = scope;
  const window = windowOf(protection.availability, scope);
  const open = account.open === undefined ? [] : [{ ...account.open, until: undefined }];
  return [...open, ...account.recent]
    .filter(({ until }) => window === undefined || until === undefined || wallMsOf(until) > window.fromMs)
    .map((outage) => ({
      vm: protection.vmKey,
      cause: outage.cause,
      class: outage.class,
      since: outage.since,
      until: outage.until,
      node: outage.node,
      durationMs: Math.max(
        0,
        (outage.until === undefined ? nowMs : wallMsOf(outage.until)) - wallMsOf(outage.since),
      ),
      phases: phasesOf(protection.status.outages, outage.since),
    }));
}

function phasesOf(records: readonly OutageRecord[], since: string): ReportedOutage["phases"] {
  const record = records.find(
    ({ lastGoodAt }) => Math.abs(Date.parse(lastGoodAt) - Date.parse(since)) < SAME_OUTAGE_MS,
  );
  return record === undefined ? [] : outagePhases(record);
}
