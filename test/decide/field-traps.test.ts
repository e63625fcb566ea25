// Traps that others have fallen into, by the names they go by in the field, where a decision alone can show them. The rest
// need a device, a storage or an API server; the table at the end says where each is shown, and is held to it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { effectsOf, FAILOVER, lostWith, statusOf, stepsOf, threeNodes } from "./builder.ts";

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

describe("guest probe during fsfreeze", () => {
  const PAUSES = ["PausedByUser", "PausedByMigrationMonitor", "PausedIOError", undefined] as const;
  const STRATEGIES = ["Always", "RerunOnFailure", "Manual", "Once", "Halted"] as const;

  it.each(STRATEGIES)(
    "a guest that answers no probe is neither restarted nor moved, nor its node fenced: %s",
    (runStrategy) => {
      for (const paused of PAUSES) {
        const plan = threeNodes()
          .vm("a", { ...on, runStrategy, vmi: { ready: false, paused } })
          .vm("b", { ...on, runStrategy, vmi: { ready: false, paused } })
          .decide();
        expect(effectsOf(plan), paused ?? "not paused").toEqual([]);
      }
    },
  );

  it("is told all the same: the VM is not available, for want of readiness and nothing else", () => {
    const plan = threeNodes()
      .vm("a", { ...on, vmi: { ready: false } })
      .decide();
    const { conditions, failover } = statusOf(plan, "a");
    expect(conditions.find(({ type }) => type === "Available")).toMatchObject({
      status: "False",
      reason: "NotReady",
    });
    expect(failover).toBeUndefined();
  });

  it("a VM that has come back elsewhere and is not ready yet is not started once more", () => {
    const plan = threeNodes()
      .node("n1", DEAD)
      .fenced("n1", { phase: "Released" })
      .vm("a", {
        on: "n2",
        vmi: { uid: "vmi-a-2", ready: false },
        protection: { status: { failover: lostWith("a", "n1") } },
      })
      .decide();
    expect(effectsOf(plan).filter((step) => "vmKey" in step || "vmiUID" in step)).toEqual([]);
  });
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

describe("every other trap", () => {
  it.each([
    ["already-off host (409)", "test/act/fence-redfish-faults.test.ts"],
    ["BMC dead with host", "test/integration/bad-days-bmc.test.ts"],
    ["wrong-IP NetworkFence", "test/integration/network-fence.test.ts"],
    ["control-plane outage seen as all nodes dead", "test/integration/bad-days.test.ts"],
    ["operator restart in mid-fence", "test/integration/crash.test.ts"],
    ["six-minute force-detach", "test/integration/failover.test.ts"],
  ])("%s is a test of that name in %s", (trap, file) => {
    const text = readFileSync(join(import.meta.dirname, "../..", file), "utf8");
    expect(text.replace(/\s+/g, "")).toContain(`t("${trap}: `.replace(/\s+/g, ""));
  });
});
