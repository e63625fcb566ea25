import { describe, expect, it } from "vitest";
import type { RunStrategy, VMIFact } from "../../src/model/virtual-machine.ts";
import {
  type Cluster,
  effectsOf,
  FAILOVER,
  lostWith,
  outage,
  statusOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";

const DEAD = { leaseSilentMs: 120_000, heartbeatSilentMs: 200_000, outOfService: true };
const FAILED = { phase: "Failed", ready: false } as const;

interface Words extends VMWords {
  readonly proven?: boolean;
}

/** The VM was lost with n1, which is proven off unless said otherwise; its pod is gone. */
const lost = (runStrategy: RunStrategy, vmi: Partial<VMIFact> | "gone", words: Words = {}): Cluster => {
  const { proven = true, protection, ...rest } = words;
  const cluster = threeNodes().node("n1", DEAD);
  if (proven) cluster.fenced("n1", { phase: "Released" });
  else cluster.fencing("n1");
  const { status, ...promise } = protection ?? {};
  return cluster.vm("a", {
    runStrategy,
    on: "n1",
    podGone: true,
    ...(vmi === "gone" ? { on: undefined } : { vmi }),
    ...rest,
    protection: { ...promise, status: { failover: lostWith("a", "n1"), ...status } },
  });
};

const kinds = (cluster: Cluster): string[] =>
  effectsOf(cluster.decide())
    .map((step) => step.kind)
    .filter((kind) => kind !== "Fence");

describe("restarts that KubeVirt leaves to others", () => {
  it.each<[RunStrategy, Partial<VMIFact> | "gone", Words, string[]]>([
    ["Always", FAILED, {}, []],
    ["RerunOnFailure", FAILED, {}, []],
    ["Halted", FAILED, {}, []],
    ["Manual", FAILED, {}, ["StartVM"]],
    ["Manual", "gone", {}, ["StartVM"]],
    ["Manual", FAILED, { protection: { failover: { ...FAILOVER, startManual: false } } }, []],
    ["Manual", FAILED, { protection: { failover: { ...FAILOVER, enabled: false } } }, []],
    ["Manual", { phase: "Running" }, {}, []],
    ["Once", FAILED, {}, []],
    ["Once", FAILED, { protection: { failover: { ...FAILOVER, restartOnce: true } } }, ["DeleteVMI"]],
    ["Once", "gone", { protection: { failover: { ...FAILOVER, restartOnce: true } } }, []],
  ])("%s, VMI %j, %j: %j", (strategy, vmi, words, expected) => {
    expect(kinds(lost(strategy, vmi, words))).toEqual(expected);
  });

  const once = { protection: { failover: { ...FAILOVER, restartOnce: true } } };

  it("names the VMI that it means, so that no newer one is deleted", () => {
    expect(effectsOf(lost("Once", FAILED, once).decide())).toMatchObject([
      { kind: "DeleteVMI", vmKey: "ns/a", vmiUID: "vmi-a-1" },
    ]);
  });

  it("deletes no VMI twice", () => {
    expect(kinds(lost("Once", { ...FAILED, deleting: true }, once))).toEqual([]);
  });

  it("leaves a guest alone that has shut down by itself", () => {
    expect(kinds(lost("Manual", { phase: "Succeeded" }))).toEqual([]);
    expect(kinds(lost("Once", { phase: "Succeeded" }, once))).toEqual([]);
  });

  it("leaves a newer VMI alone, whatever became of it", () => {
    expect(kinds(lost("Manual", { ...FAILED, uid: "vmi-a-2" }))).toEqual([]);
    expect(kinds(lost("Once", { ...FAILED, uid: "vmi-a-2" }, once))).toEqual([]);
  });

  it("starts nothing beyond the restart limit", () => {
    const protection = { status: { outages: [outage(1), outage(2), outage(3)] } };
    expect(kinds(lost("Manual", FAILED, { protection }))).toEqual([]);
  });

  it("starts nothing while the node may still run it, although somebody has removed its pod", () => {
    expect(kinds(lost("Manual", FAILED, { proven: false }))).toEqual([]);
    expect(kinds(lost("Manual", "gone", { proven: false }))).toEqual([]);
    expect(kinds(lost("Once", FAILED, { proven: false, ...once }))).toEqual([]);
  });

  it("starts it when the node is heard again, or when somebody has removed the node", () => {
    const heard = lost("Manual", FAILED, { proven: false }).node("n1");
    expect(kinds(heard)).toContain("StartVM");
    const removed = lost("Manual", FAILED, { proven: false });
    removed.nodes.delete("n1");
    expect(kinds(removed)).toContain("StartVM");
  });

  it("starts it where the node came back by itself under a new boot ID", () => {
    const cluster = lost("Manual", FAILED, { proven: false }).node("n1", { bootID: "boot-n1-2" });
    cluster.fencing("n1", {
      phase: "Returned",
      proof: { type: "Rebooted", bootID: "boot-n1-2", observedAt: "x", detail: "" },
    });
    expect(kinds(cluster)).toEqual(["StartVM"]);
  });

  it("leaves a VM alone that is not in a failover", () => {
    const cluster = threeNodes().vm("a", { runStrategy: "Manual" });
    expect(kinds(cluster)).toEqual([]);
  });

  it("leaves it to the HAVirtualMachine in charge", () => {
    const cluster = lost("Manual", FAILED);
    cluster.protect("a", { name: "older", createdAtWallMs: 0 });
    const plan = cluster.decide();
    expect(effectsOf(plan)).toEqual([]);
    // It takes the record over, and starts the VM in the next turn.
    expect(statusOf(plan, "older").failover).toMatchObject({ fromNode: "n1", vmiUID: "vmi-a-1" });
  });
});
