import { describe, expect, it } from "vitest";
import { Oracle } from "../../lab/oracle/oracle.ts";
import type { GuestExecution } from "../../lab/oracle/witness.ts";

const VM = "default/vm";
const tick = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function guest(node: string, pod = node): GuestExecution {
  return { vm: VM, vmiUid: `vmi-${pod}`, node, bootID: `boot-${node}`, podUid: `pod-${pod}` };
}

describe("Oracle", () => {
  it("reports two copies of a VM from the instant the second holds the disk until one lets go", () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.started(guest("b"));
    expect(oracle.overlaps).toMatchObject([{ vm: VM, nodes: ["a", "b"], toMs: undefined }]);
    oracle.stopped(guest("a"), "killed");
    const [overlap] = oracle.overlaps;
    expect(overlap?.toMs).toBeGreaterThanOrEqual(overlap?.fromMs ?? Number.NaN);
    expect(oracle.running(VM).map(({ node }) => node)).toEqual(["b"]);
  });

  it("reports each pair where three copies run", () => {
    const oracle = new Oracle();
    for (const node of ["a", "b", "c"]) oracle.started(guest(node));
    expect(oracle.overlaps.map(({ nodes }) => nodes.join("+"))).toEqual(["a+b", "a+c", "b+c"]);
  });

  it("counts a frozen guest as holding its disk", () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.froze(guest("a"));
    oracle.started(guest("b"));
    expect(oracle.overlaps).toHaveLength(1);
  });

  it("reports two copies on one node as well", () => {
    const oracle = new Oracle();
    oracle.started(guest("a", "old"));
    oracle.started(guest("a", "new"));
    expect(oracle.overlaps).toMatchObject([{ nodes: ["a", "a"] }]);
  });

  it("sees no overlap in a copy that starts after the other has stopped, nor in other VMs", () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.started({ ...guest("b"), vm: "default/other" });
    oracle.stopped(guest("a"), "powerLoss");
    oracle.started(guest("c"));
    expect(oracle.overlaps).toEqual([]);
  });

  it("takes the switch of a live migration for one instant", () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.up(guest("a"));
    oracle.handedOver(guest("a"), guest("b"));
    expect(oracle.overlaps).toEqual([]);
    expect(oracle.outages(VM)).toEqual([]);
    expect(oracle.history(VM).map(({ node, end }) => [node, end])).toEqual([
      ["a", "migrated"],
      ["b", undefined],
    ]);
  });

  it("still sees the third copy that a migration's target meets", () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.started(guest("x"));
    oracle.handedOver(guest("a"), guest("b"));
    expect(oracle.overlaps.map(({ nodes }) => nodes.join("+"))).toEqual(["a+x", "x+b"]);
  });

  it("measures an outage from the stop of one copy to the end of the next one's boot", async () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.up(guest("a"));
    oracle.stopped(guest("a"), "powerLoss");
    expect(oracle.outages(VM)).toMatchObject([{ fromNode: "a", toMs: undefined }]);
    oracle.started(guest("b"));
    await tick(20);
    oracle.up(guest("b"));
    const [outage] = oracle.outages(VM);
    expect(outage).toMatchObject({ fromNode: "a", toNode: "b" });
    expect((outage?.toMs ?? 0) - (outage?.fromMs ?? 0)).toBeGreaterThan(15);
  });

  it("counts a hang as an outage, though the guest keeps its disk", async () => {
    const oracle = new Oracle();
    oracle.started(guest("a"));
    oracle.up(guest("a"));
    await tick(5);
    oracle.froze(guest("a"));
    await tick(20);
    oracle.thawed(guest("a"));
    expect(oracle.outages(VM)).toMatchObject([{ fromNode: "a", toNode: "a" }]);
    expect(oracle.running(VM)).toHaveLength(1);
  });
});
