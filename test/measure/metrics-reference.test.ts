// docs/metrics.md is what the table renders to; `vitest run --project unit test/measure/metrics-reference.test.ts -u` writes it anew.
import { describe, expect, it } from "vitest";
import type { MetricDefinition } from "../../src/measure/metric-definition.ts";
import { METRICS } from "../../src/measure/metric-table.ts";

const HEAD = `# Metrics

Served at \`/metrics\` by every replica, in Prometheus' text format. This page is generated from \`src/measure/metric-table.ts\`; a test fails where the two differ.

- Every replica tells of itself (leadership, queues, requests, sources). Only the leader tells of VMs, nodes and fencings; of a stand-by these series are absent or 0. Aggregate with \`max without (instance, pod)\`, as the rules in \`deploy/prometheus/\` do.
- Counters about outages come from the accounts in the HAVirtualMachines' statuses, so that they survive restarts and changes of leader. Histograms are kept by each process.
- Scrape with \`honor_labels: true\` (\`honorLabels: true\` in a ServiceMonitor's endpoint), for the label \`namespace\` is the VM's and not the pod's.
- Histograms are classic ones. Native ones travel only in Prometheus' protobuf exposition, which the client library does not have (prom-client 15.1.3; prometheus/client_js issue 576 and pull request 856 are open), and an exposition of our own would be a second one of every metric, to be kept in step with the first, for a handful of histograms whose buckets fit what they measure. A Prometheus that knows \`convert_classic_histograms_to_nhcb\` stores them as native histograms, with these buckets.
- Series are bounded: at most 10000 VMs have series of their own, seven each where an SLO is promised and three where not; at most 500 namespaces are told apart. 10000 VMs with SLOs in 50 namespaces make about 70700 series (measured by \`test/measure/availability-metrics.test.ts\`).
- Time in which no replica watched is in no ratio: it is neither up nor down.
`;

function labelsOf({ labels }: MetricDefinition): string {
  const rows = Object.entries(labels).map(
    ([name, bound]) => `\`${name}\`: ${typeof bound === "string" ? bound : bound.join(", ")}`,
  );
  return rows.length === 0 ? "" : rows.join("<br>");
}

function rowOf(metric: MetricDefinition): string {
  return `| \`${metric.name}\` | ${metric.type} | ${metric.help} | ${labelsOf(metric)} |`;
}

describe("docs/metrics.md", () => {
  it("says of every metric what the table says, and of no other", async () => {
    const rows = (Object.values(METRICS) as MetricDefinition[]).map(rowOf);
    const table = ["| metric | type | meaning | labels |", "|---|---|---|---|", ...rows].join("\n");
    await expect(`${HEAD}\n${table}\n`).toMatchFileSnapshot("../../docs/metrics.md");
  });
});
