// A node that keeps falling, on the real API server: it is quarantined at its second return, and free again when somebody
// lifts that. The cordon and the taint that others have set on it stay as they are all along.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4, policy: { quarantineAfterReturns: 2 } });
const NODE = "node-1";
const THEIRS = { key: "example.com/firmware", value: "old", effect: "PreferNoSchedule" };
const OF_THE_CORDON = "node.kubernetes.io/unschedulable";
const QUARANTINE = "holdfast.dev/quarantine";

const spec = () => rig().cluster.view.nodes.get(NODE)?.spec;
const taints = () => spec()?.taints ?? [];

test("a node that returns twice is quarantined; what others have set on it stays; a person lifts it", async () => {
  const { operator } = await rig().startLeader();
  await rig().patch(`/api/v1/nodes/${NODE}`, { spec: { taints: [THEIRS], unschedulable: true } });
  await fencedAndBack();
  await untilTainted([THEIRS.key, OF_THE_CORDON]);
  expect(spec()?.unschedulable).toBe(true);

  await fencedAndBack();
  await untilTainted([THEIRS.key, OF_THE_CORDON, QUARANTINE]);
  expect(spec()?.unschedulable).toBe(true);
  const until = taints().find(({ key }) => key === QUARANTINE)?.value;
  expect(Number(until) * 1000).toBeGreaterThan(Date.now() + 3_600_000);
  const refused = () => operator.lastPlan?.refusals.map(({ reason }) => reason) ?? [];
  await waitFor("it is told", () => refused().includes("Quarantined") || undefined);

  await rig().patch(`/api/v1/nodes/${NODE}`, { spec: { taints: [THEIRS], unschedulable: null } });
  await waitFor("it is no longer told", () => !refused().includes("Quarantined") || undefined);
  // Long enough for many turns: what a person has lifted does not come back by itself.
  await sleep(2_000);
  expect(taints().map(({ key }) => key)).not.toContain(QUARANTINE);
  await rig().patch(`/api/v1/nodes/${NODE}`, { spec: { taints: null } });
});

async function fencedAndBack(): Promise<void> {
  const name = await rig().requestFencing(NODE);
  await waitFor(
    `${name}: Returned`,
    (saw) => {
      const { status } = rig().view.fencings.get(name) ?? {};
      saw(status);
      return status?.phase === "Returned" || undefined;
    },
    60_000,
  );
}

async function untilTainted(keys: readonly string[]): Promise<void> {
  await waitFor(`${NODE} has exactly the taints ${keys.join(", ")}`, (saw) => {
    const now = taints().map(({ key }) => key);
    saw(now);
    return now.toSorted().join() === [...keys].sort().join() || undefined;
  });
}
