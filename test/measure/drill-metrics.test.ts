import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { tellDrills } from "../../src/measure/drill-metrics.ts";
import { createMetrics } from "../../src/measure/metrics.ts";
import { threeNodes } from "../decide/builder.ts";

const registry = new Registry();
const metrics = createMetrics(registry, { version: "0", nodeVersion: "v24" });

describe("the metrics of drills", () => {
  it("say how many stand how, and when one of each type last passed", async () => {
    const { drills } = threeNodes()
      .drill("a", { status: { phase: "Passed", lastPassedAt: "2026-11-01T00:00:00.000Z" } })
      .drill("b", { status: { phase: "Failed", lastPassedAt: "2026-11-02T00:00:00.000Z" } })
      .drill("c", { type: "NodeLoss", status: { phase: "Running" } });
    tellDrills(metrics, drills.values());
    const told = await registry.metrics();
    expect(told).toContain('holdfast_drills{phase="Passed"} 1\n');
    expect(told).toContain('holdfast_drills{phase="Running"} 1\n');
    const passed = Date.UTC(2026, 10, 2) / 1000;
    expect(told).toContain(`holdfast_drill_last_success_timestamp_seconds{type="LiveMigration"} ${passed}\n`);
    expect(told).toContain('holdfast_drill_last_success_timestamp_seconds{type="NodeLoss"} 0\n');
  });

  it("are 0 of a replica that does not lead, whatever it told before", async () => {
    tellDrills(metrics, []);
    const told = await registry.metrics();
    expect(told).not.toMatch(/^holdfast_drill\S* [1-9]/m);
  });
});
