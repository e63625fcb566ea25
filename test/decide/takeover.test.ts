import { describe, expect, it } from "vitest";
import type { FencingStatus } from "../../src/model/fencing.ts";
import {
  attempt,
  type Cluster,
  effectsOf,
  lostWith,
  NOW_MS,
  NOW_WALL_MS,
  refusalsOf,
  stepsOf,
  threeNodes,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

/** RFC 3339 with microseconds, as a kubelet writes it by its own clock. */
const stamp = (agoMs: number): string => new Date(NOW_WALL_MS - agoMs).toISOString().replace("Z", "123Z");

interface Seen {
  /** How long ago this replica first saw both signals. */
  readonly watchedForMs: number;
  readonly leaseStampAgoMs?: number;
  readonly heartbeatStampAgoMs?: number;
}

/** n1 as a replica sees it that has just begun to watch: no signal has changed since. */
const firstSeen = (cluster: Cluster, { watchedForMs, ...stamps }: Seen): Cluster => {
  const changedAtMs = NOW_MS - watchedForMs;
  const node = cluster.nodes.get("n1");
  if (node === undefined) throw new Error("no node n1");
  const seen = (agoMs: number | undefined, other: string) => ({
    value: agoMs === undefined ? other : stamp(agoMs),
    changedAtMs,
    firstSight: true as const,
  });
  cluster.leases.set("n1", { renewal: seen(stamps.leaseStampAgoMs, "renewed") });
  cluster.nodes.set("n1", { ...node, heartbeat: seen(stamps.heartbeatStampAgoMs, "beat") });
  return cluster;
};
const withVM = (): Cluster => threeNodes().vm("a", { on: "n1" });
const verdictOf = (cluster: Cluster): string | undefined => cluster.decide().verdicts.get("n1")?.kind;

describe("a replica with an empty memory judges a node", () => {
  it("by the silence that it has witnessed itself, whatever the stamps say", () => {
    expect(verdictOf(firstSeen(withVM(), { watchedForMs: 5_000, leaseStampAgoMs: 3_600_000 }))).toBe(
      "healthy",
    );
    expect(verdictOf(firstSeen(withVM(), { watchedForMs: 15_000 }))).toBe("suspect");
    expect(verdictOf(firstSeen(withVM(), { watchedForMs: 23_000 }))).toBe("lost");
  });

  it("as isolated where the host's own stamps show that virt-handler has long outlived the kubelet", () => {
    const seen = { watchedForMs: 23_000, leaseStampAgoMs: 7_200_000, heartbeatStampAgoMs: 50_000 };
    expect(verdictOf(firstSeen(withVM(), seen))).toBe("isolated");
  });

  it("as lost where the last heartbeat came before the last renewal, or just after", () => {
    const seen = { watchedForMs: 23_000, leaseStampAgoMs: 60_000 };
    expect(verdictOf(firstSeen(withVM(), { ...seen, heartbeatStampAgoMs: 110_000 }))).toBe("lost");
    expect(verdictOf(firstSeen(withVM(), { ...seen, heartbeatStampAgoMs: 50_000 }))).toBe("lost");
  });

  it("as isolated only for as long as virt-handler may pause", () => {
    const seen = { leaseStampAgoMs: 7_200_000, heartbeatStampAgoMs: 50_000 };
    expect(verdictOf(firstSeen(withVM(), { ...seen, watchedForMs: 141_000 }))).toBe("lost");
  });

  it("without taking the later first sight of one signal for a sign of life", () => {
    const cluster = firstSeen(withVM(), { watchedForMs: 40_000 });
    const node = cluster.nodes.get("n1");
    if (node === undefined) throw new Error("no node n1");
    cluster.nodes.set("n1", { ...node, heartbeat: { ...node.heartbeat, changedAtMs: NOW_MS - 20_000 } });
    expect(verdictOf(cluster)).toBe("lost");
  });

  it("and says when it was last heard by the host's own stamp, not by its own start", () => {
    const plan = firstSeen(withVM(), { watchedForMs: 23_000, leaseStampAgoMs: 90_000 }).decide();
    expect(stepsOf(plan, "OpenFencing")[0]?.lastSeenAt).toBe(new Date(NOW_WALL_MS - 90_000).toISOString());
  });

  it("and believes no stamp that lies in the future", () => {
    const plan = firstSeen(withVM(), { watchedForMs: 23_000, leaseStampAgoMs: -90_000 }).decide();
    expect(stepsOf(plan, "OpenFencing")[0]?.lastSeenAt).toBe(new Date(NOW_WALL_MS - 23_000).toISOString());
  });
});

describe("a replica that takes over a fencing", () => {
  const taken = (status: Partial<FencingStatus>, watchedForMs: number, ledgerSeenAgoMs: number): Cluster =>
    firstSeen(withVM(), { watchedForMs }).fencing("n1", status, { changedAtMs: NOW_MS - ledgerSeenAgoMs });

  it("does not stand it down because it saw the Lease later than the ledger", () => {
    expect(effectsOf(taken({}, 1_000, 9_000).decide())).toEqual([]);
  });

  it("stands it down when it hears the node itself", () => {
    const cluster = taken({}, 1_000, 9_000).node("n1", { leaseSilentMs: 500, leasePeriodMs: 300 });
    expect(stepsOf(cluster.decide(), "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });

  it("goes on with it once the silence is its own to tell", () => {
    expect(stepsOf(taken({}, 23_000, 23_000).decide(), "Fence")).toMatchObject([{ mayPowerOff: true }]);
  });

  it("settles an attempt that the other left open, without shooting while it has heard nothing", () => {
    const started = { attempts: [attempt({ outcome: "Started" })] };
    expect(stepsOf(taken(started, 1_000, 500).decide(), "Fence")).toMatchObject([{ mayPowerOff: false }]);
  });
});

describe("a replica that takes over a proof", () => {
  const proven = (watchedForMs: number, proofSeenAgoMs: number): Cluster => {
    const cluster = threeNodes().node("n1", { outOfService: true }).vm("a", { on: "n1" });
    return firstSeen(cluster, { watchedForMs }).fenced("n1", {}, { provenAtMs: NOW_MS - proofSeenAgoMs });
  };

  it("does not take its first sight of the Lease, or of the heartbeat, for a contradiction", () => {
    const plan = proven(1_000, 20_000).decide();
    expect(refusalsOf(plan, "node/n1")).toEqual([]);
    expect(stepsOf(plan, "Release")).toHaveLength(1);
  });

  it("takes a renewal, or a heartbeat, that it sees come for one", () => {
    const renewed = proven(10_000, 20_000);
    renewed.leases.set("n1", { renewal: { value: "new", changedAtMs: NOW_MS - 100 } });
    expect(refusalsOf(renewed.decide(), "node/n1")).toEqual(["ProofContradicted"]);
    const beaten = proven(10_000, 20_000);
    const node = beaten.nodes.get("n1");
    if (node === undefined) throw new Error("no node n1");
    beaten.nodes.set("n1", { ...node, heartbeat: { value: "new", changedAtMs: NOW_MS - 100 } });
    expect(refusalsOf(beaten.decide(), "node/n1")).toEqual(["ProofContradicted"]);
    expect(effectsOf(beaten.decide())).toEqual([]);
  });

  it("does not take a heartbeat from before the power went for one from after the return", () => {
    const back = threeNodes().node("n1", { bootID: "boot-n1-2", outOfService: true });
    firstSeen(back, { watchedForMs: 1_000 }).fenced("n1", { phase: "Released" });
    const plan = back.decide();
    expect(effectsOf(plan)).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["WaitingForReturn"]);
  });
});

describe("a node that is switched on again after its release", () => {
  const released = (leasePeriodMs: number): Cluster =>
    threeNodes()
      .node("n1", { outOfService: true, leaseSilentMs: 500, leasePeriodMs, heartbeatSilentMs: 400_000 })
      .fenced("n1", { phase: "Released" }, { provenAtMs: NOW_MS - 60_000 });

  it("renews its Lease before it tells its new boot ID, which is no contradiction", () => {
    expect(refusalsOf(released(120_000).decide(), "node/n1")).toEqual([]);
  });

  it("contradicts its proof when it goes on renewing without a new one", () => {
    expect(refusalsOf(released(10_000).decide(), "node/n1")).toEqual(["ProofContradicted"]);
  });
});

describe("a replica that takes over a VM's failover", () => {
  const { fencing: _none, ...failover } = lostWith("a", "n1");
  const status = { failover };

  it("does not end it because the node looks healthy at first sight", () => {
    const cluster = firstSeen(threeNodes().vm("a", { on: "n1", protection: { status } }), {
      watchedForMs: 500,
    });
    cluster.topologies.clear();
    const world = new LiveWorld(cluster);
    world.settle();
    world.pass(25_000, ["n1"]).settle();
    const record = world.cluster.protections.get("ns/a")?.status.failover;
    expect(record).toMatchObject({ fromNode: "n1", lostAt: status.failover.lostAt });
    expect(world.cluster.protections.get("ns/a")?.status.outages).toEqual([]);
  });
});

describe("a ledger that somebody deleted", () => {
  const orphaned = (words: Parameters<Cluster["node"]>[1]): Cluster =>
    threeNodes().node("n1", { outOfService: true, ...words });

  it("leaves our taint behind, which is lifted once the node is heard", () => {
    expect(effectsOf(orphaned({}).decide())).toMatchObject([{ kind: "Untaint", node: "n1" }]);
  });

  it.each<[string, Cluster]>([
    ["the node is lost", orphaned({ leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 })],
    ["it is not Ready", orphaned({ ready: "Unknown" })],
    ["nobody has heard it yet", firstSeen(orphaned({}), { watchedForMs: 1_000 })],
    ["the taint is somebody else's", orphaned({ outOfService: "nodeshutdown" })],
  ])("stays while %s", (_what, cluster) => {
    expect(stepsOf(cluster.decide(), "Untaint")).toEqual([]);
  });

  it("does not make the next ledger's name collide with one that is still there", () => {
    const cluster = withVM().node("n1", { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 });
    const world = new LiveWorld(cluster);
    const names: string[] = [];
    for (let i = 0; i < 3; i++) {
      const [opening] = stepsOf(world.fullTurn(), "OpenFencing");
      names.push(opening?.name ?? "none");
      const open = { bootID: "boot-n1-1", nodeUID: "uid-n1", name: opening?.name ?? "" };
      world.cluster.fencing("n1", { phase: "Aborted" }, open);
      const closed = world.cluster.fencings.get("nf-n1");
      if (closed !== undefined) world.cluster.fencings.set(open.name, closed);
      world.cluster.fencings.delete("nf-n1");
    }
    expect(new Set(names).size).toBe(3);
    world.cluster.fencings.delete(names[1] ?? "");
    expect(stepsOf(world.fullTurn(), "OpenFencing")[0]?.name).toBe(names[1]);
  });
});
