import { describe, expect, it } from "vitest";
import type { FencingStatus } from "../../src/model/fencing.ts";
import {
  attempt,
  type Cluster,
  effectsOf,
  NOW,
  refusalsOf,
  stepsOf,
  threeNodes,
  type NodeWords,
} from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const BACK = { bootID: "boot-n1-2", leaseSilentMs: 1_000, heartbeatSilentMs: 0 };

const REMEDIATED = attempt({
  method: "Remediation",
  level: "far",
  outcome: "Remediated",
  remediation: { apiVersion: "example.com/v1", kind: "FenceAgentsRemediation", namespace: "medik8s" },
});
const STORAGE = attempt({ number: 2, method: "NetworkFence", level: "ceph", outcome: "StorageFenced" });

const base = { bootID: "boot-n1-1", observedAt: NOW, detail: "" };
const remediation = { apiVersion: "example.com/v1", kind: "FenceAgentsRemediation", name: "n1", uid: "u" };
const REMEDIATED_PROOF = { ...base, type: "Remediated", remediation } as const;
const STORAGE_PROOF = {
  ...base,
  type: "StorageFenced",
  cidrs: ["10.0.0.1/32"],
  acceptedAs: "StorageFenced",
} as const;

function cluster(node: NodeWords, status: Partial<FencingStatus>): Cluster {
  return threeNodes()
    .node("n1", node)
    .fencing("n1", { phase: "Fencing", ...status });
}

const kinds = (made: Cluster): string[] => effectsOf(made.decide()).map((step) => step.kind);

describe("what others did to a node for us", () => {
  it("is undone when the node has returned and before its taint is lifted, one after the other", () => {
    const released = { phase: "Released", proof: STORAGE_PROOF, attempts: [REMEDIATED, STORAGE] } as const;
    const back = { ...BACK, outOfService: true };
    expect(kinds(cluster(back, released))).toEqual(["LiftRemediation"]);
    const lifted = { ...released, remediationsLiftedAt: NOW };
    expect(kinds(cluster(back, lifted))).toEqual(["UnfenceStorage"]);
    const unfenced = { ...lifted, storageUnfencedAt: NOW };
    expect(kinds(cluster(back, unfenced))).toEqual(["Untaint"]);
    expect(kinds(cluster(BACK, unfenced))).toEqual(["WriteFencing"]);
  });

  it.each<[string, NodeWords]>([
    ["while the node is still lost", LOST],
    ["while the node is heard under the boot ID that was fenced", { leaseSilentMs: 1_000 }],
  ])("stays %s", (_what, node) => {
    const status = { phase: "Released", proof: STORAGE_PROOF, attempts: [REMEDIATED, STORAGE] } as const;
    const plan = cluster({ ...node, outOfService: true }, status).decide();
    expect(stepsOf(plan, "UnfenceStorage")).toEqual([]);
    expect(stepsOf(plan, "LiftRemediation")).toEqual([]);
  });

  it.each<[string, NodeWords]>([
    ["virt-handler is heard on it", { ...BACK, heartbeatSilentMs: 200_000 }],
    ["it is Ready", { ...BACK, ready: "False" }],
  ])(
    "is no remediation any more before %s, which its taint may prevent; the storage waits",
    (_what, node) => {
      const status = { phase: "Released", proof: STORAGE_PROOF, attempts: [REMEDIATED, STORAGE] } as const;
      const back = { ...node, outOfService: true };
      expect(kinds(cluster(back, status))).toEqual(["LiftRemediation"]);
      expect(kinds(cluster(back, { ...status, remediationsLiftedAt: NOW }))).toEqual([]);
    },
  );

  it("stays while an old launcher pod of a lost VM is left on the node", () => {
    const status = { phase: "Released", proof: STORAGE_PROOF, attempts: [STORAGE] } as const;
    const failover = {
      fencing: "nf-n1",
      fromNode: "n1",
      vmiUID: "vmi-db-1",
      lastGoodAt: NOW,
      lostAt: NOW,
      phase: "Recovering",
      message: "",
    } as const;
    const made = cluster({ ...BACK, outOfService: true }, status).vm("db", {
      podOn: "n1",
      protection: { status: { failover } },
    });
    const plan = made.decide();
    expect(stepsOf(plan, "UnfenceStorage")).toEqual([]);
    expect(refusalsOf(plan, "node/n1")).toEqual(["WaitingForReturn"]);
  });

  it("is undone when the node has rebooted by itself, and only then the ledger is closed", () => {
    const attempts = [
      attempt({ ...REMEDIATED, outcome: "TimedOut" }),
      attempt({ ...STORAGE, outcome: "TimedOut" }),
    ];
    expect(kinds(cluster(BACK, { attempts }))).toEqual(["LiftRemediation"]);
    const lifted = { attempts, remediationsLiftedAt: NOW };
    expect(kinds(cluster(BACK, lifted))).toEqual(["UnfenceStorage"]);
    const plan = cluster(BACK, { ...lifted, storageUnfencedAt: NOW }).decide();
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([{ status: { phase: "Returned" } }]);
  });

  it("is undone when the node is heard again before anything was proven: its VMs are still the only ones", () => {
    const attempts = [attempt({ ...STORAGE, outcome: "TimedOut" })];
    const heard = { leaseSilentMs: 100, leasePeriodMs: 500 };
    expect(kinds(cluster(heard, { attempts }))).toEqual(["UnfenceStorage"]);
    const plan = cluster(heard, { attempts, storageUnfencedAt: NOW }).decide();
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([{ status: { phase: "Aborted" } }]);
  });

  it("is not given back to a machine that nobody knows: its storage stays fenced, and the ledger says so", () => {
    const attempts = [attempt({ ...STORAGE, outcome: "TimedOut" })];
    const made = threeNodes().fencing("n1", { phase: "Fencing", attempts }, { nodeUID: "another" });
    const [write] = stepsOf(made.decide(), "WriteFencing");
    expect(write?.status).toMatchObject({
      phase: "Aborted",
      message: expect.stringContaining("stays fenced"),
    });
  });
});

describe("a node that others have fenced", () => {
  it("is not switched on by us", () => {
    const status = { phase: "Released", proof: REMEDIATED_PROOF, attempts: [REMEDIATED] } as const;
    const made = cluster({ ...LOST, outOfService: true }, status).topology("bmc", {
      afterFencing: "PowerOn",
    });
    expect(kinds(made)).toEqual([]);
  });

  it("contradicts the word of a remediation when it is heard, but not that of its storage", () => {
    const heard = { leaseSilentMs: 1_000, outOfService: true };
    const told = { provenAtMs: 900_000 };
    const lie = threeNodes()
      .node("n1", heard)
      .vm("db", { on: "n1" })
      .fencing("n1", { phase: "Fenced", proof: REMEDIATED_PROOF, attempts: [REMEDIATED] }, told);
    expect(refusalsOf(lie.decide(), "node/n1")).toEqual(["ProofContradicted"]);
    expect(stepsOf(lie.decide(), "Release")).toEqual([]);
    const storage = threeNodes()
      .node("n1", heard)
      .vm("db", { on: "n1" })
      .fencing("n1", { phase: "Fenced", proof: STORAGE_PROOF, attempts: [STORAGE] }, told);
    expect(stepsOf(storage.decide(), "Release")).toHaveLength(1);
  });
});
