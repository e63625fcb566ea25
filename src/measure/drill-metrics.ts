// Renders drills as metrics: how many stand how, and when one of each type last passed. Knows nothing of runs.
import type { DrillFact, DrillPhase, DrillType } from "../model/drill.ts";
import { wallMsOf } from "../model/wall-time.ts";
import { DRILL_METRICS } from "./drill-metric-table.ts";
import { type Metrics, setCounts } from "./metrics.ts";

/** Sets the metrics of drills. Only the leader tells of them. */
export function tellDrills(
  metrics: Pick<Metrics, keyof typeof DRILL_METRICS>,
  drills: Iterable<DrillFact>,
): void {
  const phases = new Map<DrillPhase, number>();
  const passed = new Map<DrillType, number>();
  for (const { type, status } of drills) {
    phases.set(status.phase, (phases.get(status.phase) ?? 0) + 1);
    if (status.lastPassedAt === undefined) continue;
    passed.set(type, Math.max(passed.get(type) ?? 0, wallMsOf(status.lastPassedAt) / 1000));
  }
  setCounts(metrics.drills, DRILL_METRICS.drills, phases);
  setCounts(metrics.drillLastSuccess, DRILL_METRICS.drillLastSuccess, passed);
}
