import { describe, expect, it } from "vitest";
import { Cluster, NOW_MS, POLICY, refusalsOf, stepsOf } from "./builder.ts";

/** Our contact came back this long ago. */
const BACK_MS = NOW_MS - 3_000;
const GAP_MS = 90_000;

/** When a node made its last renewals, counted from the moment our contact came back. */
type Renewals = readonly number[];
/** It was renewed on and on while we heard nothing. */
const MEANWHILE: Renewals = [-14_000, -4_000];
/** The same, and once more since. */
const ON_AND_ON: Renewals = [-9_000, 1_000];
/** Last heard just before we heard nothing any more. */
const SILENT: Renewals = [-GAP_MS - 11_000, -GAP_MS - 1_000];
/** Nothing was renewed until the API server was back; one request was under way and carries its time. */
const SINCE: Renewals = [-GAP_MS - 1_000, 500];
const WAITING: Renewals = [-GAP_MS - 1_000, -500];

/** Five nodes as they are after a gap in our contact. */
const after = (nodes: readonly Renewals[], gapMs = GAP_MS): Cluster => {
  const cluster = new Cluster().topology();
  nodes.forEach(([before, last], i) => {
    if (before === undefined || last === undefined) throw new Error("two renewals are needed");
    const silentMs = last < 0 && last > -GAP_MS ? NOW_MS - BACK_MS : NOW_MS - BACK_MS - last;
    cluster.node(`n${i}`, { leaseSilentMs: silentMs, heartbeatSilentMs: 300_000 });
    const lease = cluster.leases.get(`n${i}`);
    if (lease === undefined) throw new Error("the node has no Lease");
    cluster.leases.set(`n${i}`, { ...lease, writtenAtMs: BACK_MS + last, writtenBeforeMs: BACK_MS + before });
  });
  cluster.contactSinceMs = BACK_MS;
  cluster.contactBrokenMs = BACK_MS - gapMs;
  return cluster;
};
const five = (renewals: Renewals): Renewals[] => Array.from({ length: 5 }, () => renewals);
const told = (cluster: Cluster): string[] => refusalsOf(cluster.decide(), "cluster");
const message = (cluster: Cluster): string =>
  cluster.decide().refusals.find(({ about }) => about === "cluster")?.message ?? "";

describe("after a gap in our contact with the API server", () => {
  it("nothing is said any more once most nodes have been heard twice: what they did meanwhile is forgotten", () => {
    const twice: Renewals = [500, 2_500];
    expect(told(after([twice, twice, twice, SINCE, SINCE]))).toEqual([]);
    expect(told(after([twice, twice, SINCE, SINCE, SINCE]))).toEqual(["APIServerAway"]);
  });

  it.each<[string, readonly Renewals[], string, string]>([
    [
      "it was we who were away, where all nodes renewed their Leases meanwhile",
      five(MEANWHILE),
      "ContactLost",
      "5 of 5 nodes renewed their Leases during the 90 s in which we heard nothing: our own contact was lost",
    ],
    ["the same, where they have renewed again since", five(ON_AND_ON), "ContactLost", "5 of 5 nodes"],
    [
      "the same, where a rack is lost besides",
      [MEANWHILE, ON_AND_ON, MEANWHILE, SILENT, SILENT],
      "ContactLost",
      "3 of 5 nodes",
    ],
    [
      "the API server was away for everybody, where not one node renewed",
      five(SILENT),
      "APIServerAway",
      "0 of 5 nodes renewed their Leases during the 90 s in which we heard nothing: the API server was away for everybody",
    ],
    ["the same, once they have renewed after its return", five(SINCE), "APIServerAway", "0 of 5 nodes"],
    [
      "the same, where a request had waited for its return",
      [SINCE, WAITING, WAITING, SILENT, SINCE],
      "APIServerAway",
      "0 of 5 nodes",
    ],
    [
      "nobody can tell, where only some nodes were heard",
      [MEANWHILE, MEANWHILE, SILENT, SILENT, SILENT],
      "SilenceCountedAnew",
      "2 of 5 nodes renewed their Leases during the 90 s in which we heard nothing: who was away cannot be told",
    ],
  ])("%s", (_what, nodes, reason, words) => {
    expect(told(after(nodes))).toEqual([reason]);
    expect(message(after(nodes))).toContain(words);
  });

  it("nothing is told of who was away before the Leases have been heard anew, and soon asked again", () => {
    const cluster = after(five(SILENT));
    cluster.sources.set("leases", { synced: true, asOfMs: BACK_MS - GAP_MS });
    expect(told(cluster)).toEqual(["SilenceCountedAnew"]);
    expect(message(cluster)).not.toContain("renewed their Leases");
    expect(cluster.decide().lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 2_000);
  });

  it("nothing is told of who was away by a replica that has only begun to watch", () => {
    const cluster = after(five(SILENT));
    cluster.contactBrokenMs = undefined;
    expect(told(cluster)).toEqual(["SilenceCountedAnew"]);
  });

  it("nothing is made of a gap in which no node had anything to renew", () => {
    const nodes = five([-20_000, -9_500]);
    const cluster = after(nodes, 9_000).node("n9", { leaseSilentMs: 60_000 });
    expect(told(cluster)).toEqual(["SilenceCountedAnew"]);
  });

  it("nothing is told of a short gap in which nobody seems silent, nor long after a long one", () => {
    expect(told(after(five(ON_AND_ON), 8_000))).toEqual([]);
    const long = after(five(SILENT));
    long.contactSinceMs = NOW_MS - POLICY.nodeLostAfterMs;
    expect(told(long)).toEqual([]);
  });

  it.each([
    ["we", five(MEANWHILE)],
    ["the API server", five(SILENT)],
    ["a rack and we", [MEANWHILE, MEANWHILE, MEANWHILE, SILENT, SILENT]],
  ])("nobody is called lost or fenced, whoever was away: %s", (_who, nodes) => {
    const cluster = after(nodes).vm("a", { on: "n4" });
    const plan = cluster.decide();
    expect([...plan.verdicts.values()].map(({ kind }) => kind)).toEqual(Array(5).fill("healthy"));
    expect(stepsOf(plan, "OpenFencing")).toEqual([]);
  });
});
