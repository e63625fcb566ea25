// A person has a living node fenced, on the real API server: it is powered off, proven off, and its VMs come back elsewhere.
import { expect, test } from "vitest";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4 });

test("a request that names another boot ID is refused, and nothing is done", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
  await rig().startLeader();
  await rig().requestFencing("node-2", { bootID: "somebody-elses" });
  const refused = await rig().untilFencing("node-2", "refused", ({ status }) => status?.phase === "Aborted");
  expect(refused.status?.message).toContain("somebody-elses");
  expect(rig().resets("node-2")).toEqual([]);
  expect(rig().cluster.oracle.history(key)).toHaveLength(1);
});

test("a living node is powered off once, proven off, its VMs restarted, and it returns", async () => {
  const keys = await rig().createRunning({ name: "a", on: "node-1" }, { name: "b", on: "node-1" });
  await rig().startLeader();
  await rig().requestFencing("node-1");
  await rig().untilRestarted(keys);
  const fencing = await rig().untilReturned("node-1");
  expect(fencing.status?.proof).toMatchObject({ type: "PowerOff", bootID: fencing.spec.bootID });
  const forced = rig()
    .resets("node-1")
    .filter(({ resetType }) => resetType === "ForceOff");
  expect(forced).toHaveLength(1);
  for (const key of keys)
    expect(rig().cluster.oracle.history(key)[0]).toMatchObject({ node: "node-1", end: "powerLoss" });
});
