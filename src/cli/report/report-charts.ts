// The report's charts as inline SVG. Knows the report's values; knows no page.
import { ninesOf, percentText } from "../../model/sla.ts";
import type { ReportedDay, ReportedOutage, ReportedVM } from "./availability-report.ts";

const WIDTH = 960;
const LABEL_WIDTH = 220;
const ROW_HEIGHT = 22;
/** The axis of nines ends here: 99.9999 %. */
const MAX_NINES = 6;
const DAY_CHART_HEIGHT = 170;

const PHASE_COLOURS: Readonly<Record<string, string>> = {
  detect: "#566573",
  fence: "#c0392b",
  release: "#d68910",
  schedule: "#7d3c98",
  boot: "#2471a3",
  ready: "#1e8449",
};

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text that is safe between tags and in quoted attributes: names come from whoever may make a VM. */
export function escapeHTML(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? "");
}

function svg(height: number, label: string, body: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHTML(label)}">${body}</svg>`;
}

function rect(
  x: number,
  y: number,
  size: { readonly w: number; readonly h: number; readonly fill: string; readonly title: string },
): string {
  const { w, h, fill, title } = size;
  return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(0, w).toFixed(1)}" height="${h.toFixed(1)}" fill="${fill}"><title>${escapeHTML(title)}</title></rect>`;
}

/** Nines of each VM as a bar, with its objective as a mark. */
export function availabilityChart(vms: readonly ReportedVM[]): string {
  const plot = WIDTH - LABEL_WIDTH - 110;
  const xOf = (nines: number): number =>
    LABEL_WIDTH + (Math.min(MAX_NINES, Math.max(0, nines)) / MAX_NINES) * plot;
  const height = vms.length * ROW_HEIGHT + 24;
  const grid = Array.from({ length: MAX_NINES + 1 }, (_, nines) => {
    const x = xOf(nines).toFixed(1);
    return `<line x1="${x}" y1="0" x2="${x}" y2="${height - 18}" stroke="#d9dfe6"/><text x="${x}" y="${height - 4}" text-anchor="middle">${nines}</text>`;
  });
  const colours = { Violated: "#c0392b", AtRisk: "#d68910", Met: "#1e8449" };
  const rows = vms.map((vm, i) => {
    const y = i * ROW_HEIGHT + 3;
    const availability = vm.availability === undefined ? "-" : `${percentText(vm.availability)} %`;
    const bar = rect(LABEL_WIDTH, y, {
      w: xOf(vm.nines ?? 0) - LABEL_WIDTH,
      h: ROW_HEIGHT - 7,
      fill: vm.verdict === undefined ? "#5d6d7e" : colours[vm.verdict],
      title: `${vm.vm}: ${availability}`,
    });
    const mark =
      vm.objective === undefined
        ? ""
        : `<line x1="${xOf(ninesOf(vm.objective)).toFixed(1)}" y1="${y - 2}" x2="${xOf(ninesOf(vm.objective)).toFixed(1)}" y2="${y + ROW_HEIGHT - 5}" stroke="#1d2733" stroke-width="2"/>`;
    return `<text class="v" x="${LABEL_WIDTH - 8}" y="${y + 12}" text-anchor="end">${escapeHTML(shortened(vm.vm))}</text>${bar}${mark}<text x="${WIDTH - 4}" y="${y + 12}" text-anchor="end">${availability}</text>`;
  });
  return svg(height, "Nines per VM, the worst first", [...grid, ...rows].join(""));
}

/** Minutes not up on each day, all VMs together, stacked by class. */
export function dailyChart(vms: readonly ReportedVM[]): string {
  const days = daysTogether(vms);
  const most = Math.max(1, ...days.map((day) => day.unplannedMs + day.plannedMs + day.unobservedMs));
  const plot = DAY_CHART_HEIGHT - 30;
  const step = (WIDTH - 60) / Math.max(1, days.length);
  const bars = days.map((day, i) => {
    let y = plot + 8;
    const stack = [
      ["unplanned", day.unplannedMs, "#c0392b"],
      ["planned", day.plannedMs, "#d68910"],
      ["unobserved", day.unobservedMs, "#9aa5b1"],
    ] as const;
    const x = 54 + i * step;
    const parts = stack.map(([what, ms, fill]) => {
      const h = (ms / most) * plot;
      y -= h;
      return ms === 0
        ? ""
        : rect(x, y, {
            w: Math.min(28, step * 0.8),
            h,
            fill,
            title: `${day.day}: ${(ms / 60_000).toFixed(1)} min ${what}`,
          });
    });
    const every = Math.ceil(days.length / 12);
    const label =
      i % every === 0
        ? `<text x="${x.toFixed(1)}" y="${DAY_CHART_HEIGHT - 6}">${day.day.slice(5)}</text>`
        : "";
    return parts.join("") + label;
  });
  const axis = `<line x1="50" y1="${plot + 8}" x2="${WIDTH}" y2="${plot + 8}" stroke="#d9dfe6"/><text x="46" y="16" text-anchor="end">${(most / 60_000).toFixed(0)} min</text><text x="46" y="${plot + 8}" text-anchor="end">0</text>`;
  return svg(DAY_CHART_HEIGHT, "Minutes not up per day", axis + bars.join(""));
}

/** Every day of the longest window, also those on which all was well. */
function daysTogether(vms: readonly ReportedVM[]): readonly ReportedDay[] {
  const DAY_MS = 86_400_000;
  const from = Math.min(...vms.map(({ window }) => Date.parse(window.from)));
  const to = Math.max(...vms.map(({ window }) => Date.parse(window.to)));
  const days = new Map<string, { unplannedMs: number; plannedMs: number; unobservedMs: number }>();
  for (let ms = from; ms < to; ms += DAY_MS)
    days.set(new Date(ms).toISOString().slice(0, 10), { unplannedMs: 0, plannedMs: 0, unobservedMs: 0 });
  for (const vm of vms) {
    for (const day of vm.days) {
      const sum = days.get(day.day) ?? { unplannedMs: 0, plannedMs: 0, unobservedMs: 0 };
      sum.unplannedMs += day.unplannedMs;
      sum.plannedMs += day.plannedMs;
      sum.unobservedMs += day.unobservedMs;
      days.set(day.day, sum);
    }
  }
  return [...days].map(([day, times]) => ({ day, ...times })).sort((a, b) => (a.day < b.day ? -1 : 1));
}

/** Each failover as a bar of its phases. */
export function phaseChart(outages: readonly ReportedOutage[]): string {
  const total = ({ phases }: ReportedOutage): number => phases.reduce((sum, { ms }) => sum + ms, 0);
  const most = Math.max(1, ...outages.map(total));
  const plot = WIDTH - LABEL_WIDTH - 80;
  const rows = outages.map((outage, i) => {
    const y = i * ROW_HEIGHT + 3;
    let x = LABEL_WIDTH;
    const parts = outage.phases.map(({ phase, ms }) => {
      const w = (ms / most) * plot;
      const part = rect(x, y, {
        w,
        h: ROW_HEIGHT - 7,
        fill: PHASE_COLOURS[phase] ?? "#9aa5b1",
        title: `${phase}: ${(ms / 1000).toFixed(1)} s`,
      });
      x += w;
      return part;
    });
    return `<text class="v" x="${LABEL_WIDTH - 8}" y="${y + 12}" text-anchor="end">${escapeHTML(shortened(outage.vm))}</text>${parts.join("")}<text x="${(x + 6).toFixed(1)}" y="${y + 12}">${(total(outage) / 1000).toFixed(1)} s</text>`;
  });
  const legendY = outages.length * ROW_HEIGHT + 12;
  const legend = Object.entries(PHASE_COLOURS).map(
    ([phase, fill], i) =>
      `<rect x="${LABEL_WIDTH + i * 90}" y="${legendY - 9}" width="10" height="10" fill="${fill}"/><text x="${LABEL_WIDTH + 14 + i * 90}" y="${legendY}">${phase}</text>`,
  );
  return svg(legendY + 8, "Phases of each failover", rows.join("") + legend.join(""));
}

function shortened(name: string): string {
  return name.length <= 32 ? name : `${name.slice(0, 31)}…`;
}
