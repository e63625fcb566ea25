import { Registry } from "prom-client";
import { beforeEach, describe, expect, it } from "vitest";
import type { ApiFailureKind } from "../../src/kube/transport.ts";
import { countedRequest } from "../../src/measure/api-resource.ts";
import type { MetricDefinition } from "../../src/measure/metric-definition.ts";
import { METRICS } from "../../src/measure/metric-table.ts";
import {
  createApiRequestCounter,
  createMetrics,
  type Metrics,
  setCounts,
} from "../../src/measure/metrics.ts";

let registry: Registry;
let metrics: Metrics;

beforeEach(() => {
  registry = new Registry();
  metrics = createMetrics(registry, { version: "0.1.0", nodeVersion: "v24.21.0" });
});

async function seriesOf(name: string): Promise<string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line.startsWith(name));
}

describe("the table", () => {
  const all = Object.values(METRICS) as MetricDefinition[];

  it.each(all)("$name is named by the rules: prefix, unit last, _total for counters", (definition) => {
    const { name, type, help } = definition;
    expect(name).toMatch(/^holdfast_[a-z]+(?:_[a-z]+)*$/);
    expect(name.endsWith("_total")).toBe(type === "counter");
    if (type === "histogram") expect(name).toMatch(/_(seconds|bytes)$/);
    expect(help).toMatch(/^[A-Z1].*\.$/);
    for (const bound of Object.values(definition.labels)) expect(bound.length).toBeGreaterThan(0);
  });

  it("has no name twice", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it("is what the registry holds, beside the process's own metrics", async () => {
    const held = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    const own = held.filter((name) => name.startsWith("holdfast_"));
    expect(new Set(own)).toEqual(new Set(all.map(({ name }) => name)));
    expect(held).toContain("process_resident_memory_bytes");
    expect(held).toContain("nodejs_eventloop_lag_seconds");
  });
});

describe("series", () => {
  it("with known labels exist from the start with 0", async () => {
    expect(await seriesOf("holdfast_node_verdicts{")).toContain('holdfast_node_verdicts{verdict="lost"} 0');
    expect(await seriesOf("holdfast_migrations_total{")).toHaveLength(3);
  });

  it("that are no longer counted go back to 0", async () => {
    setCounts(metrics.nodeVerdicts, METRICS.nodeVerdicts, new Map([["lost", 2]]));
    setCounts(metrics.nodeVerdicts, METRICS.nodeVerdicts, new Map([["healthy", 3]]));
    const series = await seriesOf("holdfast_node_verdicts{");
    expect(series).toContain('holdfast_node_verdicts{verdict="healthy"} 3');
    expect(series).toContain('holdfast_node_verdicts{verdict="lost"} 0');
  });

  it("say which build this is", async () => {
    expect(await seriesOf("holdfast_build_info{")).toEqual([
      'holdfast_build_info{version="0.1.0",node_version="v24.21.0"} 1',
    ]);
  });
});

describe("API requests", () => {
  it.each([
    ["GET", "/api/v1/nodes", "list", "nodes"],
    ["GET", "/api/v1/nodes/worker-1", "get", "nodes"],
    ["PATCH", "/api/v1/nodes/worker-1/status", "patch", "nodes/status"],
    ["DELETE", "/api/v1/namespaces/shop/pods/virt-launcher-db", "delete", "pods"],
    ["POST", "/api/v1/namespaces/shop/pods/virt-launcher-db/eviction", "create", "pods/eviction"],
    ["GET", "/api/v1/namespaces/shop", "get", "namespaces"],
    ["PUT", "/api/v1/namespaces/shop/status", "update", "namespaces/status"],
    ["GET", "/api/v1/namespaces", "list", "namespaces"],
    ["PATCH", "/apis/coordination.k8s.io/v1/namespaces/h/leases/l", "patch", "leases.coordination.k8s.io"],
    ["GET", "/apis/kubevirt.io/v1/virtualmachines", "list", "virtualmachines.kubevirt.io"],
    [
      "PUT",
      "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines/db/start",
      "update",
      "virtualmachines.subresources.kubevirt.io/start",
    ],
    ["DELETE", "/apis/holdfast.dev/v1alpha1/nodefencings", "deletecollection", "nodefencings.holdfast.dev"],
    ["GET", "/version", "list", "other"],
    ["GET", "/apis", "list", "other"],
  ])("%s %s is counted as %s of %s", (method, path, verb, resource) => {
    expect(countedRequest(method, path)).toEqual({ verb, resource });
  });

  it("have every kind of failure as an outcome", () => {
    const kinds: Record<"ok" | ApiFailureKind, true> = {
      ok: true,
      conflict: true,
      alreadyExists: true,
      notFound: true,
      gone: true,
      invalid: true,
      denied: true,
      throttled: true,
      timeout: true,
      unreachable: true,
      aborted: true,
      serverError: true,
      tooLarge: true,
      unexpected: true,
    };
    expect(new Set(METRICS.apiRequests.labels.outcome)).toEqual(new Set(Object.keys(kinds)));
  });

  it("are counted by verb, resource and outcome, and timed", async () => {
    const count = createApiRequestCounter(metrics);
    count({ method: "GET", path: "/api/v1/nodes/a", outcome: "ok", durationMs: 12 });
    count({ method: "GET", path: "/api/v1/nodes/b", outcome: "ok", durationMs: 12 });
    count({ method: "GET", path: "/api/v1/nodes/c", outcome: "notFound", durationMs: 12 });
    expect(await seriesOf("holdfast_api_requests_total{")).toEqual([
      'holdfast_api_requests_total{verb="get",resource="nodes",outcome="ok"} 2',
      'holdfast_api_requests_total{verb="get",resource="nodes",outcome="notFound"} 1',
    ]);
    expect(await seriesOf('holdfast_api_request_duration_seconds_bucket{le="0.01",verb="get"}')).toEqual([
      'holdfast_api_request_duration_seconds_bucket{le="0.01",verb="get"} 0',
    ]);
  });

  it("never make more series than the bound, whatever the paths", async () => {
    const count = createApiRequestCounter(metrics);
    for (let n = 0; n < 1_000; n += 1)
      count({ method: "GET", path: `/api/v1/strange${n}`, outcome: "ok", durationMs: 1 });
    const series = await seriesOf("holdfast_api_requests_total{");
    expect(series).toHaveLength(101);
    expect(series.at(-1)).toContain('resource="other"');
  });
});
