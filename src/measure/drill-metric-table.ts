// The metrics of drills; part of the one table in metric-table.ts.
import { DRILL_PHASES, DRILL_TYPES } from "../model/drill.ts";
import type { MetricDefinition } from "./metric-definition.ts";

export const DRILL_METRICS = {
  drills: {
    type: "gauge",
    name: "holdfast_drills",
    help: "FailoverDrills by how they stand, or how their last series ended.",
    labels: { phase: DRILL_PHASES },
  },
  drillLastSuccess: {
    type: "gauge",
    name: "holdfast_drill_last_success_timestamp_seconds",
    help: "When a drill of that type last passed, as far as its FailoverDrill is still there; 0 where none has.",
    labels: { type: DRILL_TYPES },
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
