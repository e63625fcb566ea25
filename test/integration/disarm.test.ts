// Fencing disarmed for planned work, on the real API server: a lost node is held and says so, until the time comes.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { apply } from "../../lab/holdfast/install.ts";
import type { FencingDisarm } from "../../src/api/fencing-disarm.ts";
import { useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 3 });
const PATH = "/apis/holdfast.dev/v1alpha1/fencingdisarms";

interface Event {
  readonly reason: string;
  readonly involvedObject?: { readonly kind: string; readonly name: string };
}

test("while disarmed a dead node is held, told of once, while VMs leave a cordoned one; then it is fenced by itself", async () => {
  const [key = "", other = ""] = await rig().createRunning(
    { name: "vm", on: "node-1" },
    { name: "other", on: "node-2" },
  );
  await rig().startLeader();
  await disarm("work", 3_600_000);
  await untilActive("work", "True");
  await rig().untilCondition(key, "Protected", "False", "FencingDisarmed");
  await rig().cordon("node-2");
  await rig().untilUp([other], "node-2");
  await rig().cordon("node-2", false);
  await rig().node("node-1").power.off();
  const held = await rig().untilPromise(key, "held", ({ status }) => status?.failover?.phase === "Blocked");
  expect(held.status?.failover?.message).toContain("fencing is disarmed until");
  expect(await untilHeld("work")).toEqual(["node-1"]);

  expect(rig().resets("node-1")).toEqual([]);
  expect(rig().fencings("node-1")).toEqual([]);

  await rig().patch(`${PATH}/work`, { spec: { until: new Date(Date.now() + 2_000).toISOString() } });
  await untilActive("work", "False");
  await rig().untilRestarted([key]);
  await rig().untilReturned("node-1");
  await rig().untilCondition(key, "Protected", "True");
  // Events are written by themselves, after what they tell of.
  for (const told of ["FencingDisarm FencingDisarmed", "FencingDisarm FencingRearmed", "Node FencingHeld"])
    await waitFor(`one event ${told}`, async () => (await eventsLike(told)).length === 1 || undefined);
  await rig().remove(`${PATH}/work`);
});

test("a disarm that is deleted arms fencing at once", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  await disarm("short", 3_600_000);
  await untilActive("short", "True");
  await rig().node("node-1").power.off();
  await untilHeld("short");
  await rig().remove(`${PATH}/short`);
  await rig().untilRestarted([key]);
  await rig().untilReturned("node-1");
});

async function disarm(name: string, forMs: number): Promise<void> {
  await apply(rig().admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FencingDisarm",
    metadata: { name },
    spec: { reason: "switch work", until: new Date(Date.now() + forMs).toISOString() },
  } as never);
}

function untilStatus<T>(
  name: string,
  what: string,
  holds: (disarm: FencingDisarm) => T | undefined,
): Promise<T> {
  return waitFor(
    `FencingDisarm ${name}: ${what}`,
    async (saw) => {
      const read = await rig().admin.request<FencingDisarm>({ method: "GET", path: `${PATH}/${name}` });
      saw(read.ok ? read.value.status : read);
      return read.ok ? holds(read.value) : undefined;
    },
    60_000,
  );
}

function untilActive(name: string, status: "True" | "False"): Promise<true> {
  return untilStatus(name, `Active=${status}`, ({ status: now }) =>
    now?.conditions?.some((condition) => condition.type === "Active" && condition.status === status)
      ? true
      : undefined,
  );
}

function untilHeld(name: string): Promise<readonly string[]> {
  return untilStatus(name, "holds nodes", ({ status }) =>
    (status?.heldNodes ?? []).length > 0 ? status?.heldNodes : undefined,
  );
}

async function eventsLike(told: string): Promise<readonly Event[]> {
  const events = await rig().list<Event>("/api/v1/events");
  return events.filter(({ reason, involvedObject }) => `${involvedObject?.kind ?? ""} ${reason}` === told);
}
