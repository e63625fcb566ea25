// The report for a terminal, and as CSV.
import { OUTAGE_PHASES } from "../../model/outage-phases.ts";
import { percentText } from "../../model/sla.ts";
import type { CommandContext } from "../command-context.ts";
import { type Cell, counted, durationText, table, type Tone } from "../terminal.ts";
import type { AvailabilityReport, ReportedOutage, ReportedVM, Summary } from "./availability-report.ts";

const MAX_VMS = 15;
const MAX_OUTAGES = 15;
const TONES: Readonly<Record<string, Tone>> = { Violated: "bad", AtRisk: "warn", Met: "good" };

/** The page: fleet, namespaces, worst VMs, outages. `all` leaves nothing out. */
export function renderReport({ paint }: CommandContext, report: AvailabilityReport, all: boolean): string {
  const { fleet, namespaces, vms, outages, uncounted } = report;
  const shownVMs = all ? vms : vms.slice(0, MAX_VMS);
  const shownOutages = all ? outages : outages.slice(0, MAX_OUTAGES);
  const { Met, AtRisk, Violated } = fleet.verdicts;
  const rest = (total: number, shown: number, what: string): string =>
    total > shown ? `… and ${counted(total - shown, what)} more: --all lists them\n` : "";
  return [
    `${paint("strong", `Availability of ${counted(fleet.vms, "VM")}`)}, ${windowText(report)}, as of ${report.at}\n`,
    `Fleet      ${figureText(fleet)}\n`,
    fleet.mttrPhases.length === 0 ? "" : `MTTR       ${phasesText(fleet)}\n`,
    `Promises   ${paint("good", `${Met} met`)}, ${paint(AtRisk > 0 ? "warn" : "plain", `${AtRisk} at risk`)}, ${paint(Violated > 0 ? "bad" : "plain", `${Violated} violated`)}\n\n`,
    namespaces.length < 2
      ? ""
      : `${table(
          paint,
          ["namespace", "VMs", "availability", "nines", "down", "planned", "unobserved", "outages"],
          namespaces.map((one) => [one.namespace, String(one.vms), ...summaryCells(one)]),
        )}\n`,
    table(
      paint,
      [
        "VM, worst first",
        "SLO",
        "verdict",
        "availability",
        "nines",
        "down",
        "planned",
        "unobserved",
        "outages",
        "budget left",
      ],
      shownVMs.map((vm) => vmRow(vm)),
    ),
    rest(vms.length, shownVMs.length, "VM"),
    outages.length === 0
      ? ""
      : `\n${table(
          paint,
          ["outage", "VM", "cause", "class", "node", "lasted", "phases (s)"],
          shownOutages.map((one) => outageRow(one)),
        )}`,
    rest(outages.length, shownOutages.length, "outage"),
    uncounted.length === 0 ? "" : `\nNot counted yet: ${uncounted.join(", ")}\n`,
  ].join("");
}

/** Which window, in words. */
export function windowText({ windowDays }: AvailabilityReport): string {
  return windowDays === undefined ? "in each VM's own window" : `last ${counted(windowDays, "day")}`;
}

/** `99.98 % (3.70 nines), 12 min down, …`. */
export function figureText(summary: Summary): string {
  const { availability, nines, unplannedMs, plannedMs, unobservedMs, outages } = summary;
  const { mtbfMs, mttrMs, downtimePerYearMs } = summary;
  if (availability === undefined) return "nothing observed yet";
  return [
    `${percentText(availability)} % (${ninesText(nines)} nines)`,
    `${durationText(unplannedMs)} down in ${counted(outages, "outage")}`,
    `${durationText(plannedMs)} planned`,
    `${durationText(unobservedMs)} unobserved`,
    ...(mtbfMs === undefined ? [] : [`MTBF ${durationText(mtbfMs)}`]),
    ...(mttrMs === undefined ? [] : [`MTTR ${durationText(mttrMs)}`]),
    ...(downtimePerYearMs === undefined || downtimePerYearMs === 0
      ? []
      : [`${durationText(downtimePerYearMs)} a year at this rate`]),
  ].join(", ");
}

/** MTTR of failovers taken apart: `detect 22.0 s, fence 4.0 s, … (1 failover)`. */
export function phasesText({ mttrPhases }: Summary): string {
  const parts = mttrPhases.map(({ phase, meanMs }) => `${phase} ${(meanMs / 1000).toFixed(1)} s`);
  const failovers = Math.max(0, ...mttrPhases.map((one) => one.failovers));
  return `${parts.join(", ")} (mean of ${counted(failovers, "failover")})`;
}

/** Nines with two decimals; without an outage there is no bound to them. */
export function ninesText(nines: number | undefined): string {
  if (nines === undefined) return "-";
  return Number.isFinite(nines) ? nines.toFixed(2) : "all";
}

function summaryCells(summary: Summary): readonly string[] {
  const { availability, nines, unplannedMs, plannedMs, unobservedMs, outages } = summary;
  return [
    availability === undefined ? "-" : `${percentText(availability)} %`,
    ninesText(nines),
    durationText(unplannedMs),
    durationText(plannedMs),
    durationText(unobservedMs),
    String(outages),
  ];
}

function vmRow(vm: ReportedVM): readonly Cell[] {
  const { objective, verdict, budget } = vm;
  return [
    vm.vm,
    objective === undefined ? "-" : `${percentText(objective)} %`,
    { text: verdict ?? "-", tone: TONES[verdict ?? ""] ?? "plain" },
    ...summaryCells(vm),
    budget === undefined ? "-" : `${budget.leftMs < 0 ? "-" : ""}${durationText(budget.leftMs)}`,
  ];
}

function outageRow(outage: ReportedOutage): readonly Cell[] {
  const tone: Tone = outage.class === "Unplanned" ? "bad" : "dim";
  return [
    outage.since,
    outage.vm,
    outage.cause,
    { text: outage.class, tone },
    outage.node ?? "-",
    `${durationText(outage.durationMs)}${outage.until === undefined ? ", lasts" : ""}`,
    outage.phases.map(({ phase, ms }) => `${phase} ${(ms / 1000).toFixed(1)}`).join(", "),
  ];
}

const CSV_HEADER = `vm,objective,verdict,availability,nines,unplanned_seconds,planned_seconds,unobserved_seconds,outages,planned_outages,mtbf_seconds,mttr_seconds,${OUTAGE_PHASES.map((phase) => `mttr_${phase}_seconds`).join(",")},budget_left_seconds,window_from,window_to`;

/** One line per VM, RFC 4180. */
export function renderCSV({ vms }: AvailabilityReport): string {
  const lines = vms.map((vm) =>
    [
      vm.vm,
      ratio(vm.objective),
      vm.verdict,
      ratio(vm.availability),
      vm.nines === undefined || !Number.isFinite(vm.nines) ? undefined : vm.nines.toFixed(4),
      vm.unplannedMs / 1000,
      vm.plannedMs / 1000,
      vm.unobservedMs / 1000,
      vm.outages,
      vm.plannedOutages,
      vm.mtbfMs === undefined ? undefined : vm.mtbfMs / 1000,
      vm.mttrMs === undefined ? undefined : vm.mttrMs / 1000,
      ...OUTAGE_PHASES.map((phase) => {
        const mean = vm.mttrPhases.find((one) => one.phase === phase);
        return mean === undefined ? undefined : mean.meanMs / 1000;
      }),
      vm.budget === undefined ? undefined : vm.budget.leftMs / 1000,
      vm.window.from,
      vm.window.to,
    ]
      .map((cell) => csvCell(cell))
      .join(","),
  );
  return `${[CSV_HEADER, ...lines].join("\r\n")}\r\n`;
}

/** As exact as five nines and two more digits ask. */
function ratio(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(Math.round(value * 1e7) / 1e7);
}

function csvCell(value: string | number | undefined): string {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
