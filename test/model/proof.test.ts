import { describe, expect, it } from "vitest";
import { type FencingFact, parseFenceProof } from "../../src/model/fencing.ts";
import type { NodeFact } from "../../src/model/node.ts";
import { type RecordedProof, releasesByForce, weakNameOf } from "../../src/model/proof.ts";
import { Cluster, NOW } from "../decide/builder.ts";

const base = { bootID: "boot-n1-1", observedAt: NOW, detail: "seen" };

function remediation(kind: string) {
  return { apiVersion: "example.com/v1", kind, namespace: "medik8s", name: "n1", uid: "u" };
}

function fencingWith(proof: RecordedProof): FencingFact {
  const fencing = new Cluster().node("n1").fencing("n1", { phase: "Fenced", proof }).fencings.get("nf-n1");
  if (fencing === undefined) throw new Error("no fencing");
  return fencing;
}

const node = (change: Partial<NodeFact> = {}): NodeFact => {
  const found = new Cluster().node("n1").nodes.get("n1");
  if (found === undefined) throw new Error("no node");
  return { ...found, ...change };
};

const RELEASING: readonly [string, RecordedProof][] = [
  ["power read back as off", { ...base, type: "PowerOff" }],
  ["a person's word", { ...base, type: "Confirmed", confirmedBy: "ada" }],
  [
    "a remediation that cuts power",
    { ...base, type: "Remediated", remediation: remediation("FenceAgentsRemediation") },
  ],
  [
    "a remediation that deletes the machine",
    { ...base, type: "Remediated", remediation: remediation("MachineDeletionRemediation") },
  ],
  [
    "a weak remediation that is accepted by name",
    {
      ...base,
      type: "Remediated",
      remediation: remediation("StorageBasedRemediation"),
      acceptedAs: "StorageBasedRemediation",
    },
  ],
  [
    "self-fencing that is accepted by name",
    {
      ...base,
      type: "SelfFenced",
      horizon: NOW,
      remediation: remediation("SelfNodeRemediation"),
      acceptedAs: "SelfNodeRemediation",
    },
  ],
  [
    "fenced storage that is accepted by name",
    { ...base, type: "StorageFenced", cidrs: ["10.0.0.1/32"], acceptedAs: "StorageFenced" },
  ],
];

const HOLDING: readonly [string, RecordedProof][] = [
  ["a reboot, after which a kubelet is in charge again", { ...base, type: "Rebooted" }],
  [
    "a weak remediation",
    { ...base, type: "Remediated", remediation: remediation("StorageBasedRemediation") },
  ],
  [
    "a remediation of a kind that nobody knows",
    { ...base, type: "Remediated", remediation: remediation("X") },
  ],
  ["a remediation that is not named", { ...base, type: "Remediated" }],
  ["self-fencing", { ...base, type: "SelfFenced", horizon: NOW }],
  [
    "self-fencing that is accepted under another name",
    {
      ...base,
      type: "SelfFenced",
      horizon: NOW,
      remediation: remediation("SelfNodeRemediation"),
      acceptedAs: "StorageFenced",
    },
  ],
  ["fenced storage", { ...base, type: "StorageFenced", cidrs: ["10.0.0.1/32"] }],
  ["power-off with an acceptance that makes no sense", { ...base, type: "PowerOff", acceptedAs: "PowerOff" }],
];

describe("a recorded proof", () => {
  it.each(RELEASING)("releases VMs by force: %s", (_what, proof) => {
    expect(releasesByForce(proof)).toBe(true);
    expect(parseFenceProof(fencingWith(proof), node())).toMatchObject({
      nodeName: "n1",
      bootID: "boot-n1-1",
    });
  });

  it.each(HOLDING)("releases nothing by force: %s", (_what, proof) => {
    expect(releasesByForce(proof)).toBe(false);
    expect(parseFenceProof(fencingWith(proof), node())).toBeUndefined();
  });

  it.each(RELEASING)(
    "holds only while the node shows that incarnation, whatever proves its end: %s",
    (_what, proof) => {
      expect(parseFenceProof(fencingWith(proof), node({ bootID: "boot-n1-2" }))).toBeUndefined();
      expect(parseFenceProof(fencingWith(proof), node({ uid: "another" }))).toBeUndefined();
      expect(parseFenceProof(fencingWith({ ...proof, bootID: "boot-n1-0" }), node())).toBeUndefined();
      expect(parseFenceProof(fencingWith(proof), undefined)).toBeDefined();
    },
  );

  it("is weak under the name that a topology must accept", () => {
    expect(weakNameOf({ type: "StorageFenced" })).toBe("StorageFenced");
    expect(weakNameOf({ type: "SelfFenced" })).toBe("SelfFenced");
    expect(weakNameOf({ type: "SelfFenced", remediation: remediation("SelfNodeRemediation") })).toBe(
      "SelfNodeRemediation",
    );
    expect(weakNameOf({ type: "Remediated", remediation: remediation("Metal3Remediation") })).toBeUndefined();
  });
});
