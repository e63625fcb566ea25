import { expect, it } from "vitest";
import type { LauncherPodFact } from "../../src/model/virtual-machine.ts";
import { Indexes } from "../../src/observe/indexes.ts";

const pod = (change: Partial<LauncherPodFact>): LauncherPodFact => ({
  key: "ns/p",
  namespace: "ns",
  name: "p",
  uid: "u",
  kind: "launcher",
  nodeName: "n1",
  vmKey: "ns/a",
  vmiUID: "v",
  finished: false,
  deleting: false,
  unschedulable: undefined,
  ...change,
});

it("takes the pod of the lost node for the moment of release, not a finished pod that a past migration left behind", () => {
  const indexes = new Indexes();
  const lost = pod({ key: "ns/lost", nodeName: "n2" });
  const left = pod({ key: "ns/left", nodeName: "n1", finished: true });
  indexes.podChanged("ns/lost", lost, undefined, { monotonicMs: 1, wallMs: 1_000 });
  indexes.podChanged("ns/left", left, undefined, { monotonicMs: 2, wallMs: 2_000 });
  expect(indexes.index.podsGone.get("ns/a")).toEqual({ node: "n2", at: { monotonicMs: 1, wallMs: 1_000 } });
});
