import { describe, expect, it } from "vitest";
import { type AvailabilityRule, DEFAULT_AVAILABILITY_RULE } from "../../src/model/availability.ts";
import { sloVerdict } from "../../src/model/sla.ts";
import { at, DAY, Day, HOME, SECOND } from "./availability-day.ts";
import { stepsOf } from "./builder.ts";

const DAY_MS = 86_400_000;

describe("a day of outages, in virtual time", () => {
  it("gives the figures worked out by hand", () => {
    const day = new Day();
    // 20 s unplanned: a readiness probe fails.
    day.until("03:00:00").ready(false).until("03:00:20").ready(true);
    // 90 s planned: restarted off a cordoned node.
    day.until("05:00:00").cordon(true);
    day.world.vmi("ns/a", { deleting: true, ready: false, readyChangedAtWallMs: at("05:00:00") }).settle();
    day.until("05:01:00").gone().until("05:01:30").comesUp("n2", at("05:01:10"), at("05:01:30"));
    day.cordon(false);
    // 31 min planned: a person stops it, and starts it half an hour later.
    day.until("08:00:00").world.vm("ns/a", { runStrategy: "Halted" }).settle();
    day.world.vmi("ns/a", { deleting: true, ready: false, readyChangedAtWallMs: at("08:00:00") }).settle();
    day.until("08:00:10").gone().until("08:30:00").world.vm("ns/a", { runStrategy: "Always" }).settle();
    day.until("08:31:00").comesUp("n2", at("08:30:10"), at("08:31:00"));
    // 65 s unplanned: its node dies; the kubelet was last heard at ten sharp.
    day.until("10:00:00").loseNode().until("10:00:40", ["n2"]).gone();
    day.until("10:01:05", ["n2"]).comesUp("n3", at("10:00:45"), at("10:01:05"));
    // 10 min planned: paused by a person.
    day.until("13:00:00").world.vmi("ns/a", { paused: "PausedByUser" }).settle();
    day.until("13:10:00").world.vmi("ns/a", { paused: undefined }).settle();
    // 60 s planned, for it lies in a declared window: the guest crashes.
    day.until("15:05:00").world.vmi("ns/a", { phase: "Failed", ready: false }).settle();
    day.until("15:06:00").comesUp("n3", at("15:05:30"), at("15:06:00"));
    // 20 min unobserved.
    day.until("17:00:00").blindUntil("17:20:00");
    // 10 min unobserved, but for the 40 s in which a new instance came up.
    day.until("20:00:00").blindUntil("20:10:00", () => {
      const before = day.cluster.vmis.get("ns/a");
      if (before === undefined) throw new Error("no VMI");
      const readyAtWallMs = at("20:05:40");
      day.cluster.vmis.set("ns/a", {
        ...before,
        uid: "vmi-a-blind",
        createdAtWallMs: at("20:05:00"),
        readyAtWallMs,
        readyChangedAtWallMs: readyAtWallMs,
      });
    });
    day.until("23:59:59").until("24:00:00");

    const unplanned = (20 + 65 + 40) * SECOND;
    const planned = (90 + 31 * 60 + 600 + 60) * SECOND;
    const unobserved = (1_200 + 560) * SECOND;
    expect(day.status.availability?.totals.toSorted((a, b) => (a.cause < b.cause ? -1 : 1))).toEqual([
      { cause: "Evacuation", class: "Planned", outages: 1, durationMs: 90_000 },
      { cause: "GuestFailed", class: "Planned", outages: 1, durationMs: 60_000 },
      { cause: "NodeLost", class: "Unplanned", outages: 1, durationMs: 65_000 },
      { cause: "NotReady", class: "Unplanned", outages: 1, durationMs: 20_000 },
      { cause: "Other", class: "Unplanned", outages: 1, durationMs: 40_000 },
      { cause: "PausedByUser", class: "Planned", outages: 1, durationMs: 600_000 },
      { cause: "Stopped", class: "Planned", outages: 1, durationMs: 1_860_000 },
    ]);
    const { figures } = day;
    expect(figures).toMatchObject({
      serviceMs: DAY_MS,
      unplannedMs: unplanned,
      plannedMs: planned,
      unobservedMs: unobserved,
      upMs: DAY_MS - unplanned - planned - unobserved,
      outages: 3,
      plannedOutages: 4,
    });
    expect(figures.mttrMs).toBeCloseTo(unplanned / 3, 6);
    // 81 905 s up of 82 030 s that count.
    expect(figures.availability).toBeCloseTo(81_905 / 82_030, 12);
    expect(figures.budget).toEqual({ totalMs: 2_592_000, leftMs: 2_592_000 - 125_000 });
    expect(day.status.outages).toHaveLength(1);
    // Heard last at ten sharp, noticed and proven off 23 s later; the guest started at 10:00:45 and was ready 20 s after.
    expect(day.status.availability?.figures?.mttrPhases).toEqual([
      { phase: "detect", meanMs: 23_000, failovers: 1 },
      { phase: "fence", meanMs: 0, failovers: 1 },
      { phase: "boot", meanMs: 0, failovers: 1 },
      { phase: "ready", meanMs: 20_000, failovers: 1 },
    ]);
    expect(day.status.availability?.recent.map(({ cause }) => cause)).toEqual([
      "Other",
      "GuestFailed",
      "PausedByUser",
      "NodeLost",
      "Stopped",
      "Evacuation",
      "NotReady",
    ]);
    expect(day.status.conditions.filter(({ type }) => type.startsWith("SLO"))).toMatchObject([
      { type: "SLOAtRisk", status: "False" },
      { type: "SLOViolated", status: "False" },
    ]);
  });
});

describe("a day with service hours, a holiday after it, and clocks that go back", () => {
  // Sunday, 25 October 2026 in Bucharest has 25 hours: 04:00 becomes 03:00 at 01:00 UTC. Service from 02:00 to 10:00 is nine.
  const office: AvailabilityRule = {
    ...DEFAULT_AVAILABILITY_RULE,
    objective: 0.8,
    window: { type: "Rolling", days: 2 },
    timeZone: "Europe/Bucharest",
    serviceHours: [{ days: [0, 1], fromMinute: 2 * 60, toMinute: 10 * 60 }],
    holidays: new Set([Date.UTC(2026, 9, 26) / DAY_MS]),
    maintenance: { once: [], weekly: [{ days: [0], fromMinute: 9 * 60, toMinute: 9 * 60 + 30 }] },
  };
  const MINUTE = 60 * SECOND;

  it("gives the figures worked out by hand", () => {
    const day = new Day(office, at("2026-10-24T21:00:00"));
    // Ten minutes before the service begins, and ten in it.
    day.until("2026-10-24T22:50:00").ready(false).until("2026-10-24T23:10:00").ready(true);
    // An hour, though local clocks show 03:30 at both its ends.
    day.until("2026-10-25T00:30:00").ready(false).until("2026-10-25T01:30:00").ready(true);
    // 20 minutes planned: paused by a person.
    day.until("2026-10-25T03:00:00").world.vmi("ns/a", { paused: "PausedByUser" }).settle();
    day.until("2026-10-25T03:20:00").world.vmi("ns/a", { paused: undefined }).settle();
    // 30 minutes unobserved.
    day.until("2026-10-25T05:00:00").blindUntil("2026-10-25T05:30:00");
    // Ten minutes in the declared window, and ten after it.
    day.until("2026-10-25T07:20:00").world.vmi("ns/a", { phase: "Failed", ready: false }).settle();
    day.until("2026-10-25T07:40:00");
    day.comesUp("n3", at("2026-10-25T07:39:00"), at("2026-10-25T07:40:00"));
    // An hour after the service, and half an hour in what would be service were it no holiday.
    day.until("2026-10-25T12:00:00").ready(false).until("2026-10-25T13:00:00").ready(true);
    day.until("2026-10-26T07:00:00").ready(false).until("2026-10-26T07:30:00").ready(true);
    day.until("2026-10-26T21:00:00");

    expect(day.status.availability?.days).toEqual([
      {
        day: "2026-10-25",
        unplannedMs: 150 * MINUTE,
        plannedMs: 30 * MINUTE,
        unobservedMs: 30 * MINUTE,
        outages: 3,
        plannedOutages: 2,
        service: {
          unplannedMs: 80 * MINUTE,
          plannedMs: 30 * MINUTE,
          unobservedMs: 30 * MINUTE,
          outages: 2,
          plannedOutages: 2,
        },
      },
      {
        day: "2026-10-26",
        unplannedMs: 30 * MINUTE,
        plannedMs: 0,
        unobservedMs: 0,
        outages: 1,
        plannedOutages: 0,
        service: { unplannedMs: 0, plannedMs: 0, unobservedMs: 0, outages: 0, plannedOutages: 0 },
      },
    ]);
    const { figures } = day;
    expect(figures).toMatchObject({
      serviceMs: 540 * MINUTE,
      upMs: 400 * MINUTE,
      unplannedMs: 80 * MINUTE,
      plannedMs: 30 * MINUTE,
      unobservedMs: 30 * MINUTE,
      outages: 2,
      plannedOutages: 2,
      mtbfMs: 200 * MINUTE,
      mttrMs: 40 * MINUTE,
    });
    expect(figures.availability).toBeCloseTo(200 / 240, 12);
    // A fifth of nine hours; a quarter of it would be at risk.
    expect(figures.budget).toEqual({ totalMs: 108 * MINUTE, leftMs: 28 * MINUTE });
    expect(sloVerdict(figures)).toBe("Met");
  });
});

describe("the account", () => {
  it("is quiet: a day without an outage writes nothing, and one outage is two writes", () => {
    const day = new Day();
    day.world.statusWrites.clear();
    for (let hour = 1; hour < 24; hour += 1) day.until(`${String(hour).padStart(2, "0")}:00:00`);
    expect(day.world.statusWrites.get("a")).toBeUndefined();
    day.until("23:10:00").ready(false).until("23:10:05").ready(true).until("23:59:00");
    expect(day.world.statusWrites.get("a")).toBe(2);
  });

  it("is brought up to date once a day while an outage stands on it", () => {
    const day = new Day();
    day.until("03:00:00").ready(false).until("03:00:20").ready(true);
    day.world.statusWrites.clear();
    for (let hour = 4; hour < 24 * 3; hour += 1)
      day.world.pass(DAY + hour * 3_600_000 - day.world.wallMs).settle();
    expect(day.world.statusWrites.get("a")).toBe(2);
  });

  it("calls time unobserved in which the kubelet is silent and virt-handler is heard", () => {
    const day = new Day();
    day.until("10:00:00").world.pass(20 * SECOND, [HOME]);
    const node = day.cluster.nodes.get(HOME);
    if (node === undefined) throw new Error("no node");
    day.cluster.nodes.set(HOME, { ...node, heartbeat: { value: "later", changedAtMs: day.world.nowMs } });
    day.world.pass(10 * SECOND, [HOME]).settle();
    expect(day.status.availability?.open).toMatchObject({
      cause: "NodeIsolated",
      class: "Unobserved",
      since: "2026-11-22T10:00:00.000Z",
    });
    day.until("10:04:00");
    expect(day.status.availability?.open).toBeUndefined();
    expect(day.status.availability?.days).toMatchObject([
      { unobservedMs: 240_000, unplannedMs: 0, outages: 0 },
    ]);
  });

  it("takes back the loss of a node whose guests ran on: nobody could tell meanwhile", () => {
    const day = new Day();
    day
      .until("10:00:00")
      .world.pass(13 * SECOND, [HOME])
      .settle();
    day.world.pass(10 * SECOND, [HOME]).settle();
    expect(day.status.availability?.open).toMatchObject({ cause: "NodeLost", class: "Unplanned" });
    const [name = ""] = day.cluster.fencings.keys();
    const fencing = day.cluster.fencings.get(name);
    if (fencing === undefined) throw new Error("no fencing");
    day.world.fencing(name, { status: { ...fencing.status, phase: "Aborted" } });
    day.until("10:00:30").until("10:00:40");
    expect(day.status.availability?.open).toBeUndefined();
    expect(day.figures).toMatchObject({ unplannedMs: 0, outages: 0 });
    expect(day.figures.unobservedMs).toBeGreaterThan(0);
  });

  it("ends a failure and begins a planned outage when a person gives the VM up", () => {
    const day = new Day();
    day.until("10:00:00").ready(false).until("11:00:00").world.vm("ns/a", { runStrategy: "Halted" }).settle();
    day.gone().until("12:00:00");
    expect(day.figures).toMatchObject({ unplannedMs: 3_600_000, plannedMs: 3_600_000 });
  });

  it("passes on with the charge of a VM to another HAVirtualMachine", () => {
    const day = new Day();
    day.until("03:00:00").ready(false).until("03:00:20").ready(true);
    day.world.protection("ns/a", { madeByPolicy: "all" });
    day.cluster.protect("a", { name: "own", key: "ns/own", createdAtWallMs: DAY });
    day.world.adopt("protections", "ns/own").settle();
    expect(day.cluster.protections.get("ns/own")?.status.availability?.totals).toMatchObject([
      { cause: "NotReady", durationMs: 20_000 },
    ]);
  });

  it("asks for a turn when an outage that lasts will have spent the budget, and says so then", () => {
    const day = new Day();
    day.until("10:00:00").ready(false);
    // Three quarters of 43.2 minutes are 32 minutes and 24 seconds.
    day.until("10:32:00");
    expect((day.world.turn().lookAgainAtMs ?? Number.POSITIVE_INFINITY) - day.world.nowMs).toBeLessThan(
      24_002,
    );
    const slo = () => day.status.conditions.find(({ type }) => type === "SLOAtRisk")?.status;
    expect(slo()).toBe("False");
    day.world.pass(25_000).settle();
    expect(slo()).toBe("True");
    expect(stepsOf(day.world.turn(), "WriteProtection")).toEqual([]);
    day.until("10:44:00");
    expect(day.status.conditions.find(({ type }) => type === "SLOViolated")).toMatchObject({
      status: "True",
      reason: "BudgetSpent",
      message: "44m of the 43m that the objective allows in the window are spent",
    });
  });
});
