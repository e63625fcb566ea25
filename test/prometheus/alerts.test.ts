import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { MetricDefinition } from "../../src/measure/metric-definition.ts";
import { METRICS } from "../../src/measure/metric-table.ts";
import { readRules } from "./alert-rules.ts";

const runbook = readFileSync(new URL("../../docs/runbook.md", import.meta.url), "utf8");
const rules = readRules();
const alerts = rules.filter(({ alert }) => alert !== undefined);
const names = alerts.map(({ alert = "" }) => alert);

describe("the alerts", () => {
  it("are those that the issue of an SRE would ask for, each once", () => {
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(14);
  });

  it.each(alerts)("$alert says how grave it is, what it means and where to read on", (rule) => {
    expect(["critical", "warning", "info"]).toContain(rule.labels?.["severity"]);
    expect(rule.annotations?.["summary"]?.length).toBeGreaterThan(10);
    expect(rule.annotations?.["description"]).toMatch(/\.$/);
    expect(rule.annotations?.["runbook_url"]).toBe(
      `https://holdfast.dev/docs/runbook#${rule.alert?.toLowerCase()}`,
    );
  });

  it("each have a section in docs/runbook.md, and no section is without its alert", () => {
    const sections = [...runbook.matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
    expect(new Set(sections)).toEqual(new Set(names));
    for (const section of runbook.split(/^## /m).slice(1))
      expect(section).toMatch(/\*\*Means\.\*\*[^]*\*\*Do\.\*\*/);
  });

  it("rest on metrics that there are, with labels that those have", () => {
    const known = new Map(
      (Object.values(METRICS) as MetricDefinition[]).map((metric) => [metric.name, metric]),
    );
    const recorded = new Set(rules.flatMap(({ record }) => record ?? []));
    for (const { expr } of rules) {
      for (const [, name = "", matchers] of expr.matchAll(/\b(holdfast[_:][a-z0-9_:]+)(?:\{([^}]*)\})?/g)) {
        if (name.includes(":")) {
          expect(recorded, expr).toContain(name);
          continue;
        }
        expect([...known.keys()], expr).toContain(name);
        for (const [, label = "", value = ""] of (matchers ?? "").matchAll(/([a-z]+)="([^"]*)"/g)) {
          const bound = known.get(name)?.labels[label];
          expect(bound, `${label} of ${name}`).toBeDefined();
          if (typeof bound !== "string") expect(bound).toContain(value);
        }
      }
    }
  });
});
