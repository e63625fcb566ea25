// The report as one HTML file that needs nothing else: styles and charts are in it, and it prints well.
import { OUTAGE_PHASES } from "../../model/outage-phases.ts";
import { percentText } from "../../model/sla.ts";
import { counted, durationText } from "../terminal.ts";
import type { AvailabilityReport, ReportedVM, Summary } from "./availability-report.ts";
import { availabilityChart, dailyChart, escapeHTML, phaseChart } from "./report-charts.ts";
import { figureText, ninesText, phasesText, windowText } from "./report-text.ts";

/** VMs and outages shown; the rest is in -o csv and -o json. */
const MAX_ROWS = 200;
const MAX_CHARTED = 15;

const STYLE = `
:root { color-scheme: light; --ink: #1d2733; --dim: #5b6878; --line: #d9dfe6; --bad: #c0392b; --warn: #d68910; --good: #1e8449; --none: #9aa5b1; }
* { box-sizing: border-box; }
body { font: 14px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink); margin: 2rem auto; max-width: 68rem; padding: 0 1.5rem; background: #fff; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; } h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
.sub { color: var(--dim); margin: .2rem 0 1.4rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem; min-width: 9rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.2; } .tile span { color: var(--dim); font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th { text-align: left; color: var(--dim); font-weight: 600; border-bottom: 2px solid var(--line); padding: .3rem .5rem; }
td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; vertical-align: top; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.Violated, .Unplanned { color: var(--bad); font-weight: 600; } .AtRisk, .Planned { color: var(--warn); font-weight: 600; } .Met { color: var(--good); } .Unobserved { color: var(--dim); }
svg { width: 100%; height: auto; display: block; } svg text { font: 11px system-ui, "DejaVu Sans", sans-serif; fill: var(--dim); } svg text.v { fill: var(--ink); }
figure { margin: 0; } figcaption { color: var(--dim); font-size: .85rem; margin-top: .3rem; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 .9em; vertical-align: -1px; }
footer { color: var(--dim); font-size: .8rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .6rem; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 11px; } h2, h3 { break-after: avoid; } tr, figure, .tile { break-inside: avoid; } thead { display: table-header-group; } @page { size: A4; margin: 14mm; } * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
`;

/** The whole document. */
export function renderHTML(report: AvailabilityReport): string {
  const { fleet, namespaces, vms, outages } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Availability report, ${escapeHTML(report.at.slice(0, 10))}</title><style>${STYLE}</style></head><body>
<h1>Availability report</h1>
<p class="sub">${escapeHTML(report.server)} · ${escapeHTML(windowText(report))} · as of ${escapeHTML(report.at)}</p>
${tiles(report)}
<h2>Downtime per day</h2>
${figure(dailyChart(vms), `Minutes in which VMs were not up, all VMs together. <span class="key"><i style="background:var(--bad)"></i>unplanned<i style="background:var(--warn)"></i>planned<i style="background:var(--none)"></i>unobserved</span>`)}
<h2>Worst VMs</h2>
${figure(availabilityChart(vms.slice(0, MAX_CHARTED)), "Nines: 3 stands for 99.9 %. The mark is the objective.")}
${
  namespaces.length < 2
    ? ""
    : `<h2>Namespaces</h2>${table(
        ["Namespace", "VMs", "Availability", "MTTR by phase"],
        namespaces.map((one) => [
          one.namespace,
          String(one.vms),
          figureText(one),
          one.mttrPhases.length === 0 ? "-" : phasesText(one),
        ]),
      )}`
}
<h2>VMs</h2>
${vmTable(vms)}
${outages.length === 0 ? "" : outageSection(report)}
${report.uncounted.length === 0 ? "" : `<p>Not counted yet: ${escapeHTML(report.uncounted.join(", "))}</p>`}
<footer>Made by kubectl holdfast report from the accounts in status.availability of ${counted(fleet.vms, "HAVirtualMachine")}. Unobserved time is neither up nor down: nobody could tell.</footer>
</body></html>
`;
}

function tiles({ fleet }: AvailabilityReport): string {
  const { availability, nines, unplannedMs, plannedMs, outages, verdicts, vms } = fleet;
  const { mtbfMs, mttrMs, downtimePerYearMs } = fleet;
  const tile = (value: string, what: string, kind = ""): string =>
    `<div class="tile"><b class="${kind}">${escapeHTML(value)}</b><span>${escapeHTML(what)}</span></div>`;
  return `<div class="tiles">${[
    tile(
      availability === undefined ? "-" : `${percentText(availability)} %`,
      `availability of ${counted(vms, "VM")}`,
    ),
    tile(ninesText(nines), "nines"),
    tile(durationText(unplannedMs), `down in ${counted(outages, "unplanned outage")}`),
    tile(durationText(plannedMs), "planned downtime"),
    tile(downtimePerYearMs === undefined ? "-" : durationText(downtimePerYearMs), "a year at this rate"),
    tile(mtbfMs === undefined ? "-" : durationText(mtbfMs), "mean time between failures"),
    tile(mttrMs === undefined ? "-" : durationText(mttrMs), "mean time to repair"),
    tile(String(verdicts.Violated), "promises violated", verdicts.Violated > 0 ? "Violated" : "Met"),
    tile(String(verdicts.AtRisk), "promises at risk", verdicts.AtRisk > 0 ? "AtRisk" : "Met"),
  ].join("")}</div>`;
}

function figure(chart: string, caption: string): string {
  return `<figure>${chart}<figcaption>${caption}</figcaption></figure>`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = header.map((cell) => `<th>${escapeHTML(cell)}</th>`).join("");
  const body = rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escapeHTML(cell)}</td>`).join("")}</tr>`)
    .join("\n");
  return `<table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table>`;
}

function vmTable(vms: readonly ReportedVM[]): string {
  const rows = vms.slice(0, MAX_ROWS).map((vm) => {
    const { availability, objective, verdict, budget } = vm;
    const numbers = [
      objective === undefined ? "-" : `${percentText(objective)} %`,
      availability === undefined ? "-" : `${percentText(availability)} %`,
      ninesText(vm.nines),
      durationText(vm.unplannedMs),
      durationText(vm.plannedMs),
      durationText(vm.unobservedMs),
      String(vm.outages),
      budget === undefined ? "-" : `${budget.leftMs < 0 ? "-" : ""}${durationText(budget.leftMs)}`,
    ];
    return `<tr><td>${escapeHTML(vm.vm)}</td><td class="${verdict ?? ""}">${verdict ?? "-"}</td>${numbers.map((cell) => `<td class="n">${cell}</td>`).join("")}</tr>`;
  });
  const heads = ["SLO", "Availability", "Nines", "Down", "Planned", "Unobserved", "Outages", "Budget left"];
  return `<table><thead><tr><th>VM</th><th>Verdict</th>${heads.map((head) => `<th class="n">${head}</th>`).join("")}</tr></thead><tbody>
${rows.join("\n")}
</tbody></table>${more(vms.length)}`;
}

function outageSection({ outages, fleet, vms }: AvailabilityReport): string {
  const phased = outages.filter(({ phases }) => phases.length > 0).slice(0, MAX_CHARTED);
  const chart =
    phased.length === 0
      ? ""
      : `<h2>Failovers, phase by phase</h2>${figure(phaseChart(phased), "From the last sign of life to Ready.")}${phaseTable(fleet, vms)}`;
  const rows = outages
    .slice(0, MAX_ROWS)
    .map(
      (one) =>
        `<tr><td>${escapeHTML(one.since)}</td><td>${escapeHTML(one.vm)}</td><td>${one.cause}</td><td class="${one.class}">${one.class}</td><td>${escapeHTML(one.node ?? "-")}</td><td class="n">${durationText(one.durationMs)}${one.until === undefined ? ", lasts" : ""}</td></tr>`,
    );
  return `${chart}<h2>Outages</h2>
<table><thead><tr><th>Since</th><th>VM</th><th>Cause</th><th>Class</th><th>Node</th><th class="n">Lasted</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table>${more(outages.length)}`;
}

/** MTTR taken apart: how long each phase took on average, of all VMs and of each that failed over. */
function phaseTable(fleet: Summary, vms: readonly ReportedVM[]): string {
  const rows = [{ vm: "all", ...fleet }, ...vms]
    .filter(({ mttrPhases }) => mttrPhases.length > 0)
    .slice(0, MAX_CHARTED)
    .map(({ vm, mttrPhases }) => [
      vm,
      String(Math.max(...mttrPhases.map(({ failovers }) => failovers))),
      ...OUTAGE_PHASES.map((phase) => {
        const mean = mttrPhases.find((one) => one.phase === phase);
        return mean === undefined ? "-" : `${(mean.meanMs / 1000).toFixed(1)} s`;
      }),
    ]);
  return rows.length === 0
    ? ""
    : `<h3>Mean time to repair by phase</h3>${table(["VM", "Failovers", ...OUTAGE_PHASES], rows)}`;
}

function more(total: number): string {
  return total > MAX_ROWS ? `<p class="sub">… and ${total - MAX_ROWS} more: see -o csv or -o json.</p>` : "";
}
