// Traps that others have fallen into, by the names they go by in the field, where a decision alone can show them. The rest
// are in integration: dead BMCs in bad-days-bmc, partitions and the API server in bad-days and partition, restarts of the
// operator in crash and failover-crash.
import { describe, expect, it } from "vitest";
import { FAILOVER, statusOf, stepsOf, threeNodes } from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const DEAD = { leaseSilentMs: 400_000, heartbeatSilentMs: 400_000, outOfService: true };
const on = { on: "n1" };

describe("stale VMI counted as recovered", () => {
  it("never: the old instance, still Running and Ready on the dead node, is no recovery", () => {
    const plan = threeNodes()
      .node("n1", DEAD)
      .vm("a", { ...on, vmi: { phase: "Running", ready: true } })
      .fenced("n1", { phase: "Released" })
      .decide();
    const status = statusOf(plan, "a");
    expect(status.outages).toEqual([]);
    expect(status.failover).toBeDefined();
    expect(status.conditions.find(({ type }) => type === "Available")).toMatchObject({
      status: "False",
      reason: "NodeLost",
    });
  });
});

describe("Ready=False vs Unknown", () => {
  it.each([["False"], ["Unknown"]] as const)(
    "a node whose Lease is silent is fenced all the same while its Ready says %s",
    (ready) => {
      const plan = threeNodes()
        .node("n1", { ...LOST, ready })
        .vm("a", on)
        .decide();
      expect(stepsOf(plan, "OpenFencing")).toMatchObject([{ node: "n1" }]);
    },
  );

  it.each([["False"], ["Unknown"]] as const)(
    "a node whose Lease is renewed is not fenced, whatever its Ready says: %s",
    (ready) => {
      const plan = threeNodes().node("n1", { ready }).vm("a", on).decide();
      expect(stepsOf(plan, "OpenFencing")).toEqual([]);
    },
  );
});

describe("node returning during fencing", () => {
  it("is not fenced under its new boot ID, and nothing of it is released", () => {
    const plan = threeNodes()
      .node("n1", { bootID: "boot-n1-2", leaseSilentMs: 500, heartbeatSilentMs: 500 })
      .vm("a", on)
      .fencing("n1")
      .decide();
    expect(stepsOf(plan, "Fence")).toEqual([]);
    expect(stepsOf(plan, "Release")).toEqual([]);
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([
      { status: { phase: "Returned", proof: { type: "Rebooted" } } },
    ]);
  });
});

describe("rule conflicts", () => {
  it("two topologies that select one node do not fence it twice: the one of higher precedence does", () => {
    const plan = threeNodes().topology("other", { precedence: 5 }).node("n1", LOST).vm("a", on).decide();
    expect(stepsOf(plan, "OpenFencing")).toMatchObject([{ node: "n1", topology: "other" }]);
  });

  it("a VM whose own promise forbids failover is left, though its neighbour's asks for it", () => {
    const plan = threeNodes()
      .node("n1", DEAD)
      .vm("a", { ...on, protection: { failover: { ...FAILOVER, enabled: false } } })
      .vm("b", on)
      .fenced("n1")
      .decide();
    expect(stepsOf(plan, "Release").map(({ vmKey }) => vmKey)).toEqual(["ns/b"]);
  });
});
