import { describe, expect, it } from "vitest";
import { Cluster, effectsOf, NOW_MS, stepsOf, threeNodes } from "./builder.ts";

describe("judging a node", () => {
  const verdict = (cluster: Cluster): string => cluster.decide().verdicts.get("n1")?.kind ?? "none";

  it("calls a node healthy while its Lease is renewed", () => {
    expect(verdict(new Cluster().node("n1", { leaseSilentMs: 9_000 }))).toBe("healthy");
  });

  it("asks for a turn at the moment a healthy node would become suspect", () => {
    const plan = new Cluster().node("n1", { leaseSilentMs: 9_000 }).decide();
    expect(plan.lookAgainAtMs).toBe(NOW_MS - 9_000 + 12_000);
  });

  it("calls a late node suspect and looks again when it would be lost", () => {
    const plan = new Cluster().node("n1", { leaseSilentMs: 15_000 }).decide();
    expect(plan.verdicts.get("n1")?.kind).toBe("suspect");
    expect(plan.lookAgainAtMs).toBe(NOW_MS + 7_000);
  });

  it("calls a node lost when the silence of Lease and heartbeat was witnessed", () => {
    expect(verdict(new Cluster().node("n1", { leaseSilentMs: 23_000 }))).toBe("lost");
  });

  it("believes no silence that the source has not told of: it reads the node anew first", () => {
    const cluster = new Cluster().node("n1", { leaseSilentMs: 30_000 });
    cluster.sources.set("leases", { synced: true, asOfMs: NOW_MS - 12_000 });
    const plan = cluster.decide();
    expect(plan.verdicts.get("n1")?.kind).toBe("suspect");
    expect(stepsOf(plan, "RefreshNode")).toEqual([{ kind: "RefreshNode", node: "n1" }]);
  });

  it("counts silence anew after a gap in our contact with the API server", () => {
    const cluster = threeNodes()
      .node("n1", { leaseSilentMs: 130_000 })
      .node("n2", { leaseSilentMs: 130_000 });
    cluster.contactSinceMs = NOW_MS - 5_000;
    expect(cluster.decide().verdicts.get("n1")?.kind).toBe("healthy");
  });

  it("calls a node isolated when virt-handler is heard long after the kubelet fell silent", () => {
    expect(verdict(new Cluster().node("n1", { leaseSilentMs: 60_000, heartbeatSilentMs: 20_000 }))).toBe(
      "isolated",
    );
  });

  it("takes no heartbeat for a sign of life that came soon after the last renewal", () => {
    expect(verdict(new Cluster().node("n1", { leaseSilentMs: 25_000, heartbeatSilentMs: 15_000 }))).toBe(
      "lost",
    );
  });

  it("calls no node lost before its networks were asked: a new leader has witnessed the Lease's silence alone", () => {
    const asked = (failures: number, words: Parameters<Cluster["node"]>[1] = { leaseSilentMs: 60_000 }) => {
      const cluster = threeNodes().node("n1", { heartbeatSilentMs: 200_000, ...words });
      const silentSinceMs = failures === 0 ? undefined : NOW_MS - 1_000;
      const path = { network: "InternalIP", answeredAtMs: undefined, silentSinceMs, failures };
      cluster.probes.set("n1", [path]);
      return cluster;
    };
    expect(verdict(asked(0))).toBe("suspect");
    expect(verdict(asked(1))).toBe("suspect");
    expect(asked(1).decide().lookAgainAtMs).toBeLessThanOrEqual(NOW_MS + 1_000);
    expect(verdict(asked(2))).toBe("lost");
    expect(verdict(asked(0, { noLease: true, ready: "Unknown" }))).toBe("suspect");
    expect(verdict(asked(0, {}))).toBe("healthy");
  });

  it("orders heartbeat and renewal by their host's own stamps where it learned of both at once", () => {
    const cluster = new Cluster().node("n1", { leaseSilentMs: 25_000, heartbeatSilentMs: 25_000 });
    const node = cluster.nodes.get("n1");
    const lease = cluster.leases.get("n1");
    if (node === undefined || lease === undefined) throw new Error("n1 is there");
    const stamped = (beat: string) => {
      cluster.leases.set("n1", {
        ...lease,
        renewal: { ...lease.renewal, value: "2026-11-21T22:00:00.000000Z" },
      });
      cluster.nodes.set("n1", { ...node, heartbeat: { ...node.heartbeat, value: beat } });
      return verdict(cluster);
    };
    expect(stamped("2026-11-21T22:00:27Z")).toBe("isolated");
    expect(stamped("2026-11-21T22:00:09Z")).toBe("lost");
    expect(stamped("2026-11-21T21:00:00Z")).toBe("lost");
  });

  it("calls an isolated node lost once its heartbeat has been silent for longer than virt-handler may pause", () => {
    expect(verdict(new Cluster().node("n1", { leaseSilentMs: 300_000, heartbeatSilentMs: 141_000 }))).toBe(
      "lost",
    );
  });

  it("judges a node without a Lease by Kubernetes' own verdict", () => {
    expect(verdict(new Cluster().node("n1", { noLease: true, ready: "Unknown" }))).toBe("lost");
    expect(verdict(new Cluster().node("n1", { noLease: true, ready: "False" }))).toBe("healthy");
    expect(verdict(new Cluster().node("n1", { noLease: true, ready: undefined }))).toBe("unknown");
  });

  it("does not take Ready=False for a loss while the Lease is renewed", () => {
    expect(verdict(new Cluster().node("n1", { ready: "False" }))).toBe("healthy");
  });

  it("judges nothing while a source is unsynced, and names it", () => {
    const cluster = threeNodes().node("n1", { leaseSilentMs: 90_000 }).vm("a", { on: "n1" });
    cluster.sources.set("launcherPods", { synced: false, asOfMs: 0 });
    const plan = cluster.decide();
    expect(plan.notJudged).toContain("launcherPods");
    expect(plan.steps).toEqual([]);
  });

  it("is not moved by the wall clock: a jump changes no verdict", () => {
    const cluster = threeNodes().vm("a", { on: "n1" });
    const plan = cluster.decide();
    expect(effectsOf(plan)).toEqual([]);
  });
});
