import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { closeOutage, newAccount, openOutage } from "../../src/model/account.ts";
import {
  type Account,
  type AvailabilityRule,
  DEFAULT_AVAILABILITY_RULE,
} from "../../src/model/availability.ts";
import type { ProtectionFact } from "../../src/model/protection.ts";
import { AvailabilityMetrics } from "../../src/measure/availability-metrics.ts";
import { createMetrics } from "../../src/measure/metrics.ts";
import { attempt, NOW_MS, NOW_WALL_MS, threeNodes } from "../decide/builder.ts";

const HOUR = 3_600_000;
const SINCE = NOW_WALL_MS - 100 * 24 * HOUR;
const RULE: AvailabilityRule = { ...DEFAULT_AVAILABILITY_RULE, objective: 0.999 };
const NOW = { monotonicMs: NOW_MS, wallMs: NOW_WALL_MS };
const iso = (wallMs: number): string => new Date(wallMs).toISOString();
const model = threeNodes().vm("a", { on: "n1" }).protections.get("ns/a");

function protection(name: string, namespace: string, account: Account, rule = RULE): ProtectionFact {
  if (model === undefined) throw new Error("no model");
  const protectedNow = {
    type: "Protected",
    status: "True" as const,
    reason: "Protected",
    message: "",
    lastTransitionTime: iso(SINCE),
  };
  const status = { conditions: [protectedNow], outages: [], availability: account };
  return {
    ...model,
    key: `${namespace}/${name}`,
    uid: `${namespace}/${name}`,
    name,
    namespace,
    availability: rule,
    status,
  };
}

function downFor(ms: number, account = newAccount(SINCE)): Account {
  const since = iso(NOW_WALL_MS - 10 * HOUR);
  const opened = openOutage(account, { cause: "NodeLost", class: "Unplanned", since, noticedAt: since });
  return closeOutage(opened, { atMs: NOW_WALL_MS - 10 * HOUR + ms }, { rule: RULE, unobserved: [] });
}

function rig() {
  const registry = new Registry();
  const metrics = new AvailabilityMetrics(createMetrics(registry, { version: "0", nodeVersion: "v24" }));
  const scrape = async (protections: readonly ProtectionFact[], leading = true): Promise<string[]> => {
    metrics.scrape({ leading, protections, fencings: [], unobserved: [], now: NOW });
    const text = await registry.metrics();
    return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  };
  return { metrics, scrape };
}

describe("the metrics of a VM", () => {
  it("are its state, its SLO and what is left of the budget", async () => {
    const lines = await rig().scrape([protection("db", "shop", downFor(21.6 * 60_000))]);
    expect(lines).toContain('holdfast_vm_up{namespace="shop",name="db"} 1');
    expect(lines).toContain('holdfast_vm_protected{namespace="shop",name="db"} 1');
    expect(lines).toContain('holdfast_vm_slo_objective_ratio{namespace="shop",name="db"} 0.999');
    expect(lines).toContain('holdfast_vm_error_budget_seconds{namespace="shop",name="db"} 2592');
    expect(lines).toContain('holdfast_vm_error_budget_remaining_ratio{namespace="shop",name="db"} 0.5');
    expect(lines).toContain('holdfast_vm_error_budget_burnt_seconds{namespace="shop",name="db"} 1296');
    expect(lines).toContain('holdfast_outages_total{namespace="shop",cause="NodeLost",class="Unplanned"} 1');
    expect(lines).toContain(
      'holdfast_downtime_seconds_total{namespace="shop",cause="NodeLost",class="Unplanned"} 1296',
    );
    expect(lines).toContain('holdfast_slos{state="Met"} 1');
  });

  it("go on counting an outage that lasts, and say nothing of a VM that nobody can see", async () => {
    const since = iso(NOW_WALL_MS - 60_000);
    const open = (kind: "Unplanned" | "Unobserved") =>
      openOutage(newAccount(SINCE), { cause: "NotReady", class: kind, since, noticedAt: since });
    const lines = await rig().scrape([
      protection("down", "shop", open("Unplanned")),
      protection("dark", "shop", open("Unobserved")),
    ]);
    expect(lines).toContain('holdfast_vm_up{namespace="shop",name="down"} 0');
    expect(lines).toContain('holdfast_vm_error_budget_burnt_seconds{namespace="shop",name="down"} 60');
    expect(lines.filter((line) => line.startsWith('holdfast_vm_up{namespace="shop",name="dark"'))).toEqual(
      [],
    );
    expect(lines).toContain('holdfast_vms{state="unobserved"} 1');
  });

  it("are told by the leader alone", async () => {
    const { scrape } = rig();
    const vms = [protection("db", "shop", downFor(1_000))];
    await scrape(vms);
    const lines = await scrape(vms, false);
    expect(lines.filter((line) => /^holdfast_(vm_|outages|downtime|fleet)/.test(line))).toEqual([]);
  });

  it("keep a deleted VM's outages in the counters, so that no counter falls", async () => {
    const { scrape } = rig();
    await scrape([protection("db", "shop", downFor(1_000)), protection("web", "shop", downFor(2_000))]);
    for (const _ of [1, 2]) {
      const lines = await scrape([protection("web", "shop", downFor(2_000))]);
      expect(lines).toContain(
        'holdfast_outages_total{namespace="shop",cause="NodeLost",class="Unplanned"} 2',
      );
    }
  });
});

describe("the fleet's availability", () => {
  it("is that of all VMs as one system, per window", async () => {
    const lines = await rig().scrape([
      protection("db", "shop", downFor(36 * 60_000)),
      protection("web", "shop", newAccount(SINCE)),
      protection("api", "back", newAccount(SINCE)),
    ]);
    const value = (start: string): number =>
      Number(
        lines
          .find((line) => line.startsWith(start))
          ?.split(" ")
          .at(-1),
      );
    // Today is twelve hours old: 36 of 2160 minutes.
    expect(value('holdfast_fleet_availability_ratio{window="1d"}')).toBeCloseTo(1 - 36 / 2160, 9);
    expect(value('holdfast_availability_ratio{namespace="shop",window="1d"}')).toBeCloseTo(1 - 36 / 1440, 9);
    expect(value('holdfast_availability_ratio{namespace="back",window="30d"}')).toBe(1);
  });
});

describe("MTBF, MTTR and error budget of namespaces and the fleet", () => {
  const lost = (startMs: number, seconds: readonly number[]) => {
    const marks = seconds.map((_, i) =>
      iso(startMs + seconds.slice(0, i + 1).reduce((a, b) => a + b) * 1000),
    );
    const [lostAt = "", provedAt = "", releasedAt = "", scheduledAt = "", runningAt = "", readyAt = ""] =
      marks;
    const times = { lastGoodAt: iso(startMs), lostAt, provedAt, releasedAt, scheduledAt, runningAt, readyAt };
    return { cause: "NodeLost", fromNode: "n1", vmiUID: "x", ...times } as const;
  };
  const withFailovers = (
    one: ProtectionFact,
    outages: ProtectionFact["status"]["outages"],
  ): ProtectionFact => ({
    ...one,
    status: { ...one.status, outages },
  });

  it("are those of the accounts, and MTTR is taken apart over the failovers of 30 days", async () => {
    const yesterday = NOW_WALL_MS - 24 * HOUR;
    const vms = [
      withFailovers(protection("db", "shop", downFor(600_000)), [
        lost(yesterday, [20, 4, 1, 2, 10, 3]),
        lost(NOW_WALL_MS - 60 * 24 * HOUR, [500, 0, 0, 0, 0, 0]),
      ]),
      withFailovers(protection("web", "shop", downFor(1_200_000)), [lost(yesterday, [24, 6, 1, 4, 14, 3])]),
      protection("api", "back", newAccount(SINCE)),
    ];
    const lines = await rig().scrape(vms);
    // 15 minutes are the mean of 10 and 20; today is twelve hours old.
    expect(lines).toContain('holdfast_mttr_seconds{namespace="shop",window="1d"} 900');
    expect(lines).toContain('holdfast_mtbf_seconds{namespace="shop",window="1d"} 42300');
    expect(lines).toContain('holdfast_fleet_mttr_seconds{window="30d"} 900');
    expect(lines).toContain('holdfast_fleet_mtbf_seconds{window="1d"} 63900');
    for (const [phase, seconds] of Object.entries({
      detect: 22,
      fence: 5,
      release: 1,
      schedule: 3,
      boot: 12,
      ready: 3,
    })) {
      expect(lines).toContain(`holdfast_mttr_phase_seconds{namespace="shop",phase="${phase}"} ${seconds}`);
      expect(lines).toContain(`holdfast_fleet_mttr_phase_seconds{phase="${phase}"} ${seconds}`);
    }
    // Of 2 x 43.2 minutes 30 are gone; of 3 x 43.2 as well.
    const value = (start: string): number =>
      Number(
        lines
          .find((line) => line.startsWith(start))
          ?.split(" ")
          .at(-1),
      );
    expect(value('holdfast_error_budget_remaining_ratio{namespace="shop"}')).toBeCloseTo(1 - 30 / 86.4, 9);
    expect(value("holdfast_fleet_error_budget_remaining_ratio")).toBeCloseTo(1 - 30 / 129.6, 9);
    expect(value('holdfast_error_budget_remaining_ratio{namespace="back"}')).toBe(1);
    expect(lines.filter((line) => /^holdfast_mt(tr|bf).*back/.test(line))).toEqual([]);
  });

  it("are absent where nothing is promised and nothing was down, never 0", async () => {
    const lines = await rig().scrape([
      protection("db", "shop", newAccount(SINCE), DEFAULT_AVAILABILITY_RULE),
    ]);
    expect(lines.filter((line) => /mttr|mtbf|budget/.test(line))).toEqual([]);
  });
});

describe("attempts and failovers", () => {
  it("are counted by outcome and timed by phase", async () => {
    const { metrics, scrape } = rig();
    metrics.attemptEnded(
      attempt({ outcome: "PoweredOff", startedAt: iso(NOW_WALL_MS), endedAt: iso(NOW_WALL_MS + 3_000) }),
    );
    metrics.failoverEnded({
      cause: "NodeLost",
      fromNode: "n1",
      vmiUID: "x",
      lastGoodAt: iso(NOW_WALL_MS),
      lostAt: iso(NOW_WALL_MS + 22_000),
      provedAt: iso(NOW_WALL_MS + 25_000),
      readyAt: iso(NOW_WALL_MS + 40_000),
    });
    const lines = await scrape([]);
    expect(lines).toContain('holdfast_fencing_attempts_total{method="Redfish",outcome="PoweredOff"} 1');
    expect(lines).toContain('holdfast_fencing_attempt_duration_seconds_sum{method="Redfish"} 3');
    expect(lines).toContain('holdfast_failover_phase_seconds_sum{phase="detect"} 22');
    expect(lines).toContain('holdfast_failover_phase_seconds_sum{phase="total"} 40');
    // Nothing is known of this one, and it is there with 0, so that an increase misses no first failover.
    expect(lines).toContain('holdfast_failover_phase_seconds_count{phase="boot"} 0');
  });
});

describe("at 10,000 VMs", () => {
  it("series stay bounded, and a scrape is a matter of moments", async () => {
    const { scrape } = rig();
    const blemished = downFor(60_000);
    const clean = newAccount(SINCE);
    const vms = Array.from({ length: 12_000 }, (_, i) =>
      protection(`vm-${i}`, `ns-${i % 50}`, i % 10 === 0 ? blemished : clean),
    );
    const at10k = await scrape(vms.slice(0, 10_000));
    const startedMs = performance.now();
    const lines = await scrape(vms);
    const tookMs = Math.round(performance.now() - startedMs);
    const bytes = lines.join("\n").length;
    console.log(
      `10,000 VMs with SLOs in 50 namespaces: ${at10k.length} series; 12,000: ${lines.length} series, ${Math.round(bytes / 1024)} KiB, scraped in ${tookMs} ms`,
    );
    expect(at10k.filter((line) => line.startsWith("holdfast_vm_")).length).toBe(70_000);
    expect(lines.length - at10k.length).toBe(0);
    expect(at10k.length).toBeLessThan(72_000);
  }, 60_000);
});
