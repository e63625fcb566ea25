// Makes the table's metrics in one injected registry. Knows types and labels; knows nothing of what is counted.
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  type HistogramConfiguration,
  type Registry,
} from "prom-client";
import { countedRequest, OTHER_RESOURCE } from "./api-resource.ts";
import type { MetricDefinition } from "./metric-definition.ts";
import { METRICS, type MetricTable } from "./metric-table.ts";

type MetricOf<D extends MetricDefinition> = D["type"] extends "gauge"
  ? Gauge<Extract<keyof D["labels"], string>>
  : D["type"] extends "counter"
    ? Counter<Extract<keyof D["labels"], string>>
    : Histogram<Extract<keyof D["labels"], string>>;

/** Every metric under its name in the table. */
export type Metrics = { readonly [N in keyof MetricTable]: MetricOf<MetricTable[N]> };

export interface BuildInfo {
  readonly version: string;
  readonly nodeVersion: string;
}

/** At most this many resources are told apart in `holdfast_api_requests_total`; further ones are counted as `other`. */
const MAX_RESOURCES = 100;

/**
 * Makes all metrics in that registry, prom-client's process metrics included. Series whose labels are all known in
 * advance exist from the start with 0, so that a rate over them misses no first event.
 */
export function createMetrics(registry: Registry, build: BuildInfo): Metrics {
  const made = Object.fromEntries(
    Object.entries(METRICS).map(([name, definition]) => [name, make(definition, registry)]),
  );
  const metrics = made as unknown as Metrics;
  const { version, nodeVersion } = build;
  metrics.buildInfo.set({ version, node_version: nodeVersion }, 1);
  collectDefaultMetrics({ register: registry });
  return metrics;
}

/**
 * Counts a finished request; fits the transport's `onRequest`. The resource comes from the path without names of objects.
 */
export function createApiRequestCounter(
  metrics: Metrics,
): (done: {
  readonly method: string;
  readonly path: string;
  readonly outcome: string;
  readonly durationMs: number;
}) => void {
  const known = new Set<string>();
  return ({ method, path, outcome, durationMs }) => {
    const { verb, resource: named } = countedRequest(method, path);
    const resource = known.has(named) || known.size < MAX_RESOURCES ? named : OTHER_RESOURCE;
    known.add(resource);
    metrics.apiRequests.inc({ verb, resource, outcome });
    metrics.apiRequestDuration.observe({ verb }, durationMs / 1000);
  };
}

/** Sets a gauge over all values of its one label; those that were not counted become 0, not stale. */
export function setCounts<L extends string, V extends string>(
  gauge: Gauge<L>,
  definition: { readonly labels: Readonly<Record<L, readonly V[]>> },
  counts: ReadonlyMap<V, number>,
): void {
  for (const [label, values] of Object.entries(definition.labels) as [L, readonly V[]][]) {
    for (const value of values) {
      const labels: Partial<Record<L, string>> = {};
      labels[label] = value;
      gauge.set(labels, counts.get(value) ?? 0);
    }
  }
}

function make(definition: MetricDefinition, registry: Registry): Gauge | Counter | Histogram {
  const { name, help, labels, buckets } = definition;
  const options = { name, help, labelNames: Object.keys(labels), registers: [registry] };
  if (definition.type === "histogram")
    return histogramOf(definition, { ...options, ...(buckets ? { buckets: [...buckets] } : {}) });
  if (definition.type === "counter") {
    const counter = new Counter(options);
    for (const known of knownSeries(definition)) counter.inc(known, 0);
    return counter;
  }
  const gauge = new Gauge(options);
  for (const known of knownSeries(definition)) gauge.set(known, 0);
  return gauge;
}

function histogramOf(definition: MetricDefinition, options: HistogramConfiguration<string>): Histogram {
  const histogram = new Histogram(options);
  for (const known of knownSeries(definition)) histogram.zero(known);
  return histogram;
}

/** The series that are known in advance: those of one label whose values the table lists. */
function knownSeries({ labels }: MetricDefinition): Record<string, string>[] {
  const [first, ...more] = Object.entries(labels);
  if (!first || more.length > 0) return [];
  const [label, values] = first;
  return typeof values === "string" ? [] : values.map((value) => ({ [label]: value }));
}
