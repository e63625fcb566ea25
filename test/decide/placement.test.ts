import { describe, expect, it } from "vitest";
import { canHost, satisfies } from "../../src/decide/placement.ts";
import type { Taint } from "../../src/model/node.ts";
import type { NodeVerdict } from "../../src/model/node-verdict.ts";
import type {
  NodeSelectorRequirement,
  PlacementConstraints,
  Toleration,
} from "../../src/model/virtual-machine.ts";
import { Cluster, conditionOf, NOW_MS, statusOf, threeNodes } from "./builder.ts";

const labels = { zone: "b", cores: "16", empty: "" };
const nothing: PlacementConstraints = { key: "", nodeSelector: {}, affinityTerms: [], tolerations: [] };
const fits = (constraints: Partial<PlacementConstraints>, taints: readonly Taint[] = []): boolean =>
  satisfies({ labels, taints, unschedulable: false, ready: true }, { ...nothing, ...constraints });
const asks = (operator: NodeSelectorRequirement["operator"], key: string, ...values: string[]) => ({
  affinityTerms: [[{ key, operator, values }]],
});

describe("what a VM asks of a node's labels", () => {
  it.each<[string, Partial<PlacementConstraints>, boolean]>([
    ["nothing", {}, true],
    ["a label it has", { nodeSelector: { zone: "b" } }, true],
    ["a label with another value", { nodeSelector: { zone: "a" } }, false],
    ["a label it has not", { nodeSelector: { gpu: "yes" } }, false],
    ["one of two labels it has not", { nodeSelector: { zone: "b", gpu: "yes" } }, false],
    ["In", asks("In", "zone", "a", "b"), true],
    ["In without the value", asks("In", "zone", "a"), false],
    ["In without the label", asks("In", "gpu", "yes"), false],
    ["NotIn", asks("NotIn", "zone", "a"), true],
    ["NotIn with the value", asks("NotIn", "zone", "b"), false],
    ["NotIn without the label", asks("NotIn", "gpu", "yes"), true],
    ["Exists", asks("Exists", "empty"), true],
    ["Exists without the label", asks("Exists", "gpu"), false],
    ["DoesNotExist", asks("DoesNotExist", "gpu"), true],
    ["DoesNotExist with the label", asks("DoesNotExist", "zone"), false],
    ["Gt", asks("Gt", "cores", "8"), true],
    ["Gt with as much", asks("Gt", "cores", "16"), false],
    ["Gt of what is no number", asks("Gt", "zone", "1"), false],
    ["Gt of an empty label", asks("Gt", "empty", "-1"), false],
    ["Gt without a value", asks("Gt", "cores"), false],
    ["Lt", asks("Lt", "cores", "32"), true],
    ["Lt with as much", asks("Lt", "cores", "16"), false],
    ["Lt without the label", asks("Lt", "gpu", "1"), false],
    ["all of a term", { affinityTerms: [[...one("Exists", "zone"), ...one("Exists", "gpu")]] }, false],
    ["any of the terms", { affinityTerms: [one("Exists", "gpu"), one("Exists", "zone")] }, true],
    ["selector and affinity", { nodeSelector: { zone: "a" }, ...asks("Exists", "zone") }, false],
  ])("%s", (_what, constraints, expected) => {
    expect(fits(constraints)).toBe(expected);
  });

  function one(operator: NodeSelectorRequirement["operator"], key: string): NodeSelectorRequirement[] {
    return [{ key, operator, values: [] }];
  }
});

describe("taints and tolerations", () => {
  const taint = (change: Partial<Taint> = {}): Taint => ({
    key: "k",
    value: "v",
    effect: "NoSchedule",
    ...change,
  });
  const toleration = (change: Partial<Toleration> = {}): Toleration => ({
    key: "k",
    operator: "Equal",
    value: "v",
    effect: "NoSchedule",
    ...change,
  });

  it.each<[string, Taint, Toleration | undefined, boolean]>([
    ["a taint keeps VMs away", taint(), undefined, false],
    ["so does NoExecute", taint({ effect: "NoExecute" }), undefined, false],
    ["PreferNoSchedule does not", taint({ effect: "PreferNoSchedule" }), undefined, true],
    ["unless tolerated by value", taint(), toleration(), true],
    ["another value does not count", taint({ value: "w" }), toleration(), false],
    ["another key does not count", taint({ key: "l" }), toleration(), false],
    ["another effect does not count", taint({ effect: "NoExecute" }), toleration(), false],
    ["no effect means every effect", taint({ effect: "NoExecute" }), toleration({ effect: undefined }), true],
    [
      "Exists takes any value",
      taint({ value: "w" }),
      toleration({ operator: "Exists", value: undefined }),
      true,
    ],
    [
      "Exists without a key takes all",
      taint({ key: "l" }),
      toleration({ operator: "Exists", key: undefined }),
      true,
    ],
    ["no value equals an empty one", taint({ value: undefined }), toleration({ value: "" }), true],
    ["an empty value equals none", taint({ value: "" }), toleration({ value: undefined }), true],
  ])("%s", (_what, one, tolerated, expected) => {
    expect(fits({ tolerations: tolerated === undefined ? [] : [tolerated] }, [one])).toBe(expected);
  });

  it("every taint must be tolerated", () => {
    expect(fits({ tolerations: [toleration()] }, [taint(), taint({ key: "l" })])).toBe(false);
  });
});

describe("whether a node could host anything at all", () => {
  const healthy: NodeVerdict = { kind: "healthy" };
  const silence = { leaseMs: 1, heartbeatMs: 1 };

  it.each<[string, Parameters<Cluster["node"]>[1], NodeVerdict, boolean]>([
    ["a healthy one", {}, healthy, true],
    ["a late one", {}, { kind: "suspect", silence }, true],
    ["a lost one", {}, { kind: "lost", silence }, false],
    ["an isolated one", {}, { kind: "isolated", silence }, false],
    ["one that is coming back", {}, { kind: "returning", missing: "" }, false],
    ["one nobody knows", {}, { kind: "unknown", why: "" }, false],
    ["a cordoned one", { cordoned: true }, healthy, false],
    ["one that is not Ready", { ready: "False" }, healthy, false],
    ["one where virt-handler says no", { labels: { "kubevirt.io/schedulable": "false" } }, healthy, false],
  ])("%s", (_what, words, verdict, expected) => {
    const node = new Cluster().node("n", words).nodes.get("n");
    expect(node !== undefined && canHost(node, verdict)).toBe(expected);
  });

  it("is no where virt-handler has never been", () => {
    const node = new Cluster().node("n").nodes.get("n");
    if (node === undefined) throw new Error("no node");
    expect(canHost({ ...node, placement: { ...node.placement, labels: {} } }, healthy)).toBe(false);
  });
});

describe("the candidates a status names", () => {
  const candidates = (cluster: Cluster) => statusOf(cluster.vm("a", { on: "n1" }).decide(), "a").candidates;

  it("are named while they are few, in order, and never the VM's own node", () => {
    expect(candidates(threeNodes())).toEqual({ count: 2, nodes: ["n2", "n3"] });
    expect(candidates(threeNodes().node("n2", { cordoned: true }))).toEqual({ count: 1, nodes: ["n3"] });
  });

  it("are only counted, to three, where they are many: one node less must not change thousands of statuses", () => {
    const cluster = threeNodes();
    for (let i = 4; i < 20; i++) cluster.node(`n${i}`);
    expect(candidates(cluster)).toEqual({ count: 3, nodes: [] });
  });
});

describe("a node that KubeVirt called unschedulable during an outage of the API server", () => {
  const BACK_MS = NOW_MS - 20_000;
  /** The outage lasted ten minutes; the label fell when it was over, or at another time. */
  const after = ({ labelAgeMs = 12_000, heartbeatSilentMs = 640_000, gap = true } = {}): Cluster => {
    const cluster = threeNodes().vm("a", { on: "n1" });
    for (const name of ["n2", "n3"])
      cluster.node(name, {
        labels: { "kubevirt.io/schedulable": "false" },
        placementAgeMs: labelAgeMs,
        heartbeatSilentMs,
      });
    cluster.contactSinceMs = BACK_MS;
    if (gap) cluster.contactBrokenMs = BACK_MS - 600_000;
    return cluster;
  };

  it("is not said to be unable to host a VM before its next heartbeat is due", () => {
    const plan = after().decide();
    expect(conditionOf(plan, "a", "Protected")).toBe("True/Protected");
    expect(plan.lookAgainAtMs).toBeLessThanOrEqual(BACK_MS + 150_000);
  });

  it.each([
    ["where it was so before the outage", { labelAgeMs: 700_000 }],
    ["where virt-handler has been heard since", { heartbeatSilentMs: 5_000 }],
    ["where there was no outage", { gap: false }],
  ])("is, %s", (_where, words) => {
    expect(conditionOf(after(words).decide(), "a", "Protected")).toBe("False/NotRestartable");
  });

  it("is, once that heartbeat is overdue", () => {
    const cluster = after();
    cluster.contactSinceMs = NOW_MS - 150_000;
    expect(conditionOf(cluster.decide(), "a", "Protected")).toBe("False/NotRestartable");
  });
});
