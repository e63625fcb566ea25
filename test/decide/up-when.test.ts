// What counts as up where the promise asks for the guest agent, worked out by hand.
import { describe, expect, it } from "vitest";
import type { AvailabilityRule } from "../../src/model/availability.ts";
import { at, DAY, Day, RULE, SECOND } from "./availability-day.ts";

const AGENT: AvailabilityRule = { ...RULE, upWhen: "GuestAgentConnected" };
const connectedSince = (wallMs: number) => ({ agentConnected: true, agentChangedAtWallMs: wallMs });
const silentSince = (wallMs: number) => ({ agentConnected: false, agentChangedAtWallMs: wallMs });

const withAgent = (rule = AGENT): Day => new Day(rule, DAY, connectedSince(DAY - 4_000));

describe("a VM that is up when its guest agent is connected", () => {
  it("is down from when the agent fell silent until it is heard again, though it is Ready all the time", () => {
    const day = withAgent().until("10:00:00");
    day.world.vmi("ns/a", silentSince(at("10:00:00"))).settle();
    expect(day.status.availability?.open).toMatchObject({
      cause: "NotReady",
      class: "Unplanned",
      since: "2026-11-22T10:00:00.000Z",
    });
    day
      .until("10:02:00")
      .world.vmi("ns/a", connectedSince(at("10:02:00")))
      .settle();
    expect(day.status.availability?.open).toBeUndefined();
    expect(day.figures).toMatchObject({ unplannedMs: 120 * SECOND, outages: 1 });
  });

  it("counts from when it was noticed where nobody knows since when the agent is gone, never from the boot", () => {
    const day = withAgent().until("10:00:00");
    day.world.vmi("ns/a", { agentConnected: false, agentChangedAtWallMs: undefined }).settle();
    day
      .until("10:00:30")
      .world.vmi("ns/a", connectedSince(at("10:00:30")))
      .settle();
    expect(day.figures).toMatchObject({ unplannedMs: 30 * SECOND, outages: 1 });
  });

  it("needs both: Ready lost meanwhile, the outage goes on until the last of the two is back", () => {
    const day = withAgent().until("10:00:00");
    day.world.vmi("ns/a", silentSince(at("10:00:00"))).settle();
    day.until("10:00:10").ready(false).until("10:00:20");
    day.world.vmi("ns/a", connectedSince(at("10:00:20"))).settle();
    expect(day.status.availability?.open).toBeDefined();
    day.until("10:00:50").ready(true);
    expect(day.figures).toMatchObject({ unplannedMs: 50 * SECOND, outages: 1 });
  });

  it.each([
    ["until its agent is heard on the other node", AGENT, 90],
    ["until it is Ready there, where the promise asks for no more", RULE, 65],
  ])("is down by the loss of its node %s", (_, rule, seconds) => {
    const day = withAgent(rule);
    day.until("10:00:00").loseNode().until("10:00:40", ["n1"]).gone().until("10:01:05", ["n1"]);
    day.comesUp("n3", at("10:00:45"), at("10:01:05"), {
      agentConnected: false,
      agentChangedAtWallMs: undefined,
    });
    day
      .until("10:01:30", ["n1"])
      .world.vmi("ns/a", connectedSince(at("10:01:30")))
      .settle();
    expect(day.status.availability?.open).toBeUndefined();
    expect(day.status.availability?.totals).toEqual([
      { cause: "NodeLost", class: "Unplanned", outages: 1, durationMs: seconds * SECOND },
    ]);
  });

  it("was down at least until the agent of an instance that nobody saw come up was there", () => {
    const day = withAgent().until("20:00:00");
    day.blindUntil("20:10:00", () => {
      const before = day.cluster.vmis.get("ns/a");
      if (before === undefined) throw new Error("no VMI");
      day.cluster.vmis.set("ns/a", {
        ...before,
        uid: "vmi-a-blind",
        createdAtWallMs: at("20:05:00"),
        readyAtWallMs: at("20:05:40"),
        readyChangedAtWallMs: at("20:05:40"),
        ...connectedSince(at("20:06:00")),
      });
    });
    expect(day.figures).toMatchObject({ unplannedMs: 60 * SECOND, unobservedMs: 540 * SECOND });
  });
});
