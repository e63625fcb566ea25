import { describe, expect, it } from "vitest";
import type { Confirmation } from "../../src/model/confirmation.ts";
import type { FencingStatus } from "../../src/model/fencing.ts";
import { attempt, type Cluster, NOW, type NodeWords, refusalsOf, stepsOf, threeNodes } from "./builder.ts";

const LOST = { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 };
const WORD: Confirmation = { bootID: "boot-n1-1", by: "ada", writtenAt: "2026-11-22T11:59:50Z" };

function confirmed(
  word: Partial<Confirmation> = {},
  node: NodeWords = LOST,
  status: Partial<FencingStatus> = {},
): Cluster {
  return threeNodes()
    .node("n1", node)
    .vm("db", { on: "n1" })
    .fencing("n1", status, { confirmation: { ...WORD, ...word } });
}

describe("a person's word that a node is off", () => {
  it("is taken where it names the incarnation and nothing of the node is heard", () => {
    const plan = confirmed().decide();
    expect(stepsOf(plan, "ConfirmOff")).toMatchObject([
      {
        confirmation: WORD,
        events: [
          { about: { kind: "Node", name: "n1" }, type: "Normal", reason: "NodeFenced" },
          { about: { kind: "NodeFencing", name: "nf-n1" } },
        ],
      },
    ]);
    expect(stepsOf(plan, "Fence")).toEqual([]);
  });

  it.each<[string, () => Cluster]>([
    ["in a storm", () => confirmed().node("n2", LOST).vm("web", { on: "n2" }).node("n3", LOST)],
    ["after every level has failed", () => confirmed({}, LOST, { attempts: [attempt({ number: 3 })] })],
    ["where no topology covers the node any more", () => without(confirmed(), "topologies")],
    ["where the Node object is gone and its pods are left", () => without(confirmed(), "nodes")],
  ])("is taken %s", (_what, cluster) => {
    expect(stepsOf(cluster().decide(), "ConfirmOff")).toHaveLength(1);
  });

  it.each<[string, Partial<Confirmation>, NodeWords, RegExp]>([
    [
      "another boot ID",
      { bootID: "boot-9" },
      LOST,
      /names boot ID boot-9, but this fencing is about boot-n1-1/,
    ],
    ["nobody's name", { by: "" }, LOST, /does not say whose it is.*confirm-off-by/],
    ["a node that is heard", {}, {}, /ada says that n1 is off, but it shows signs of life.*healthy/],
    ["a node that is late", {}, { leaseSilentMs: 15_000 }, /signs of life.*suspect/],
    [
      "a node whose virt-handler is heard",
      {},
      { leaseSilentMs: 60_000, heartbeatSilentMs: 9_000 },
      /signs of life.*isolated/,
    ],
  ])("is refused for %s, on record and with a Warning", (_what, word, node, message) => {
    const plan = confirmed(word, node).decide();
    expect(stepsOf(plan, "ConfirmOff")).toEqual([]);
    const [write, ...more] = stepsOf(plan, "WriteFencing");
    expect(more).toEqual([]);
    expect(write?.status.proof).toBeUndefined();
    expect(write?.status.refusedConfirmation).toMatchObject({
      writtenAt: WORD.writtenAt,
      refusedAt: NOW,
      message: expect.stringMatching(message),
    });
    expect(write?.events).toMatchObject([
      { about: { kind: "Node" }, type: "Warning", reason: "ConfirmationRefused" },
      { about: { kind: "NodeFencing" }, type: "Warning", reason: "ConfirmationRefused" },
    ]);
  });

  it("once refused does not come true later, and the devices go on; written anew it is taken", () => {
    const { bootID, by, writtenAt = "" } = WORD;
    const refusedConfirmation = { bootID, by, writtenAt, refusedAt: NOW, message: "it was heard" };
    const plan = confirmed({}, LOST, { refusedConfirmation }).decide();
    expect(stepsOf(plan, "ConfirmOff")).toEqual([]);
    expect(stepsOf(plan, "WriteFencing")).toEqual([]);
    expect(stepsOf(plan, "Fence")).toHaveLength(1);
    expect(refusalsOf(plan, "node/n1")).toEqual(["ConfirmationRefused"]);
    const anew = confirmed({ writtenAt: "2026-11-22T11:59:58Z" }, LOST, { refusedConfirmation }).decide();
    expect(stepsOf(anew, "ConfirmOff")).toHaveLength(1);
  });

  it("says nothing about a node that has rebooted meanwhile", () => {
    const plan = confirmed({}, { bootID: "boot-n1-2" }).decide();
    expect(stepsOf(plan, "ConfirmOff")).toEqual([]);
    expect(stepsOf(plan, "WriteFencing")).toMatchObject([{ status: { proof: { type: "Rebooted" } } }]);
  });

  it("releases the VMs, and the node is left to that person: it is not switched on", () => {
    const proof = {
      type: "Confirmed",
      bootID: WORD.bootID,
      observedAt: NOW,
      detail: "",
      confirmedBy: "ada",
    } as const;
    const fenced = confirmed({}, { ...LOST, outOfService: true }, { phase: "Fenced", proof });
    expect(stepsOf(fenced.decide(), "Release")).toHaveLength(1);
    const released = threeNodes()
      .topology("bmc", { afterFencing: "PowerOn" })
      .node("n1", { ...LOST, outOfService: true })
      .fencing("n1", { phase: "Released", proof, attempts: [attempt()] });
    expect(stepsOf(released.decide(), "PowerOn")).toEqual([]);
    expect(stepsOf(released.decide(), "WriteFencing")).toEqual([]);
  });
});

function without(cluster: Cluster, what: "topologies" | "nodes"): Cluster {
  if (what === "topologies") cluster.topologies.clear();
  else cluster.nodes.delete("n1");
  return cluster;
}
