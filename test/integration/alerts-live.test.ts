// A real Prometheus and Alertmanager scrape the operator while a node dies: the alerts fire, and resolve when the VM is back.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { startReplicaProcess } from "../../lab/holdfast/replica-process.ts";
import { RULES_FILE } from "../prometheus/alert-rules.ts";
import { providePrometheus } from "../prometheus/programs.ts";
import { startPrometheus } from "../prometheus/running.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const provided = await providePrometheus();
if (!provided.ok) console.warn(`SKIPPED, no alert is seen live: ${provided.why}`);

const rig = useOperatorRig({ nodes: 3, topology: { afterFencing: "StayOff" } });
const LONG_MS = 60_000;
const DASHBOARDS = new URL("../../deploy/grafana/", import.meta.url).pathname;
const FLAGS = [
  "--node-suspect-after=3s",
  "--node-lost-after=5s",
  // The lab's nodes have no network of their own: whatever answers at their addresses, it is not they.
  "--probe-method=off",
  "--leader-elect-lease-duration=3s",
  "--leader-elect-renew-deadline=2s",
  "--leader-elect-retry-period=500ms",
];

/** The shipped rules with everything that takes minutes made to take seconds. */
function hastyRules(): string {
  return readFileSync(RULES_FILE, "utf8")
    .replaceAll(/^( +for:) .*$/gm, "$1 1s")
    .replace("holdfast_vm_unplanned_outage_seconds) > 60", "holdfast_vm_unplanned_outage_seconds) > 2")
    .replace("[5m]), 0) / 300", "[10s]), 0) / 10")
    .replace("[30m]), 0) / 1800", "[20s]), 0) / 20");
}

interface Dashboard {
  readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
}

/** The queries of all shipped dashboards, with their variables filled in. */
function dashboardQueries(variables: Readonly<Record<string, string>>): readonly string[] {
  return readdirSync(DASHBOARDS).flatMap((file) => {
    const { panels } = JSON.parse(readFileSync(join(DASHBOARDS, file), "utf8")) as Dashboard;
    return panels.flatMap(({ targets }) =>
      targets.map(({ expr }) =>
        Object.entries(variables).reduce((text, [name, value]) => text.replaceAll(name, value), expr),
      ),
    );
  });
}

test.skipIf(!provided.ok)("a node dies, its VM cannot come up, and then it can", async () => {
  if (!provided.ok) return;
  const [key = ""] = await rig().createRunning({
    name: "web",
    on: "node-1",
    promise: { availability: { objective: "99.99" } },
  });
  const { namespace } = rig();
  const replica = await startReplicaProcess(rig().cluster.controlPlane, { name: "alerting", flags: FLAGS });
  const target = `127.0.0.1:${replica.port}`;
  const prometheus = await startPrometheus(provided.programs, { targets: [target], rules: hastyRules() });
  const until = (what: string, holds: () => Promise<boolean> | boolean) =>
    waitFor(
      what,
      async (saw) => {
        saw([
          prometheus.notified.map(({ status, labels }) => `${status} ${labels["alertname"]}`),
          rig().view.protections.get(key)?.status,
          await prometheus.query('{__name__=~"holdfast_(vm_up|vm_unplanned.*|leader|node_verdicts)"}'),
        ]);
        return (await holds()) || undefined;
      },
      LONG_MS,
    );
  const heard = (status: "firing" | "resolved", alertname: string): boolean =>
    prometheus.notified.some((one) => one.status === status && one.labels["alertname"] === alertname);
  const value = async (expr: string): Promise<string | undefined> =>
    (await prometheus.query(expr))[0]?.value?.[1];
  try {
    await rig().untilCondition(key, "Protected", "True");
    const vm = `{namespace="${namespace}",name="web"}`;
    await until("Prometheus sees the VM up", async () => (await value(`holdfast:vm_up${vm}`)) === "1");
    expect(heard("firing", "HoldfastVMDown")).toBe(false);

    // Nowhere to go: the outage lasts until somebody uncordons a node.
    for (const node of ["node-2", "node-3"]) await rig().cordon(node);
    await rig().node("node-1").power.off();
    for (const alert of ["HoldfastVMDown", "HoldfastErrorBudgetBurnFast"])
      await until(`${alert} fires`, () => heard("firing", alert));
    const down = prometheus.notified.find(({ labels }) => labels["alertname"] === "HoldfastVMDown");
    expect(down).toMatchObject({
      labels: { severity: "critical", namespace, name: "web" },
      annotations: { runbook_url: "https://holdfast.dev/docs/runbook#holdfastvmdown" },
    });
    expect(down?.annotations["summary"]).toMatch(new RegExp(`VM ${namespace}/web has been down for `));
    expect(await value(`holdfast:vm_up${vm}`)).toBe("0");

    await rig().cordon("node-2", false);
    await rig().untilRestarted([key]);
    for (const alert of ["HoldfastVMDown", "HoldfastErrorBudgetBurnFast"])
      await until(`${alert} resolves`, () => heard("resolved", alert));

    // What Prometheus holds afterwards is what the status says.
    const havm = await rig().untilCondition(key, "Available", "True");
    const account = (havm.status as { availability?: { totals: { cause: string; durationMs: number }[] } })
      .availability;
    const lost = account?.totals.find(({ cause }) => cause === "NodeLost");
    const labels = `{namespace="${namespace}",cause="NodeLost",class="Unplanned"}`;
    await until(
      "the outage is counted",
      async () => (await value(`holdfast_outages_total${labels}`)) === "1",
    );
    expect(Number(await value(`holdfast_downtime_seconds_total${labels}`))).toBeCloseTo(
      (lost?.durationMs ?? 0) / 1000,
      3,
    );
    expect(
      Number(await value('sum(holdfast_fencing_attempts_total{outcome=~"PoweredOff|AlreadyOff"})')),
    ).toBe(1);
    expect(Number(await value('holdfast_failover_phase_seconds_count{phase="total"}'))).toBe(1);

    // Every panel of every dashboard has something to show.
    const queries = dashboardQueries({ $namespace: namespace, $name: "web", $__range: "10m" });
    expect(queries.length).toBeGreaterThan(20);
    for (const expr of queries)
      await until(`${expr} is not empty`, async () => (await prometheus.query(expr)).length > 0);
  } finally {
    await prometheus.stop();
    await replica.stop();
  }
});
