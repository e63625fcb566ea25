// One VM, and its node dies just as it arrives there: told moment by moment, since histories drawn at random rarely hit it.
import { expect, it } from "vitest";
import { objectIn, textOf } from "./api/json.ts";
import { resourceNamed } from "./api/resources.ts";
import { Checks } from "./check/checks.ts";
import { guestComplaints } from "./check/wellness.ts";
import { perform } from "./world/acts.ts";
import { createVM } from "./world/install.ts";
import type { VMPlan } from "./world/world-plan.ts";
import { World } from "./world/world.ts";

const VMIS = resourceNamed("kubevirt.io/v1/virtualmachineinstances");
const PROMISES = resourceNamed("holdfast.dev/v1alpha1/havirtualmachines");
const KEY = "vms/vm-1";
const VM: VMPlan = {
  namespace: "vms",
  name: "vm-1",
  on: "node-1",
  runStrategy: "Always",
  disk: "rwx",
  evictionStrategy: "LiveMigrate",
  promise: { priority: 500 },
};
/** Virtual time: a lost node is one after 20 s, and what follows takes seconds. */
const RECOVERED_BY_MS = 90_000;
const TIMEOUT_MS = 180_000;

/** The world with the VM up on node-1 and its nodes known for a while. */
async function settled(): Promise<{ world: World; checks: Checks }> {
  let checks: Checks | undefined;
  const world: World = new World(
    {
      nodes: ["node-1", "node-2", "node-3"].map((name) => ({ name, room: 8 })),
      vms: [VM],
      replicas: [{ name: "replica-1", skew: { rate: 1, monotonicOffsetMs: 0, wallOffsetMs: 0 } }],
      policy: {},
      topology: { afterFencing: "StayOff", timeout: "10s", retries: 1, backoff: "1s" },
      events: [],
      healAtMs: 0,
    },
    1,
    {
      onShot: (replica, node) => checks?.shot(replica, node),
      onLog: () => undefined,
      onBug: (replica, error) => checks?.bug(replica, error),
      onWrite: (life, request) => checks?.wrote(life, request),
    },
  );
  checks = new Checks(world);
  for (const replica of world.replicas) replica.start();
  await pass(world, 8_000);
  void createVM(world, VM);
  await pass(world, 30_000);
  expect(guestComplaints(world)).toEqual([]);
  await pass(world, 30_000);
  return { world, checks };
}

const pass = (world: World, ms: number): Promise<unknown> =>
  world.time.run(world.time.nowMs + ms, () => false);
const vmiStatus = (world: World) => objectIn(world.server.store.get(VMIS, "vms", "vm-1")?.object, "status");
const promiseStatus = (world: World) =>
  objectIn(world.server.store.get(PROMISES, "vms", "vm-1")?.object, "status");
const migration = (world: World) => objectIn(vmiStatus(world), "migrationState");
const runsOn = (world: World, node: string): boolean =>
  world.oracle.running(KEY).some((guest) => guest.node === node);

/** Begins to migrate, and lets its target hang at the moment in question; returns the target. */
async function dieWhile(world: World, moment: "copying" | "switched" | "taken over"): Promise<string> {
  perform(world, { kind: "migrateVM", vm: KEY });
  for (let i = 0; i < 20_000 && migration(world)["startTimestamp"] === undefined; i++) await pass(world, 1);
  const target = textOf(migration(world)["targetNode"]);
  // What the target's virt-handler would say of the switch does not get through.
  if (moment === "switched") perform(world, { kind: "cutNodeApi", node: target });
  const isNow = (): boolean => {
    if (moment === "copying") return true;
    return moment === "switched" ? runsOn(world, target) : vmiStatus(world)["nodeName"] === target;
  };
  for (let i = 0; i < 20_000 && !isNow(); i++) await pass(world, 1);
  expect(isNow()).toBe(true);
  perform(world, { kind: "hang", node: target });
  return target;
}

it.each(["switched", "taken over"] as const)(
  "a VM whose migration target dies with it is recovered, and its loss is on record: %s",
  { timeout: TIMEOUT_MS },
  async (moment) => {
    const { world, checks } = await settled();
    try {
      const target = await dieWhile(world, moment);
      expect(vmiStatus(world)["nodeName"]).toBe(moment === "switched" ? "node-1" : target);
      await pass(world, RECOVERED_BY_MS);
      checks.look();
      expect(checks.violations).toEqual([]);
      expect(world.oracle.running(KEY)).toMatchObject([{ upAtMs: expect.any(Number) as number }]);
      expect(runsOn(world, target)).toBe(false);
      expect(promiseStatus(world)["failover"]).toBeUndefined();
      expect(promiseStatus(world)["outages"]).toMatchObject([{ cause: "NodeLost", fromNode: target }]);
    } finally {
      world.end();
    }
  },
);

it("a VM whose migration target dies before the switch runs on, and can be migrated again", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { world, checks } = await settled();
  try {
    const target = await dieWhile(world, "copying");
    await pass(world, RECOVERED_BY_MS);
    expect(world.oracle.running(KEY)).toMatchObject([{ node: "node-1", began: "boot" }]);
    expect(promiseStatus(world)["outages"]).toEqual([]);
    perform(world, { kind: "migrateVM", vm: KEY });
    await pass(world, RECOVERED_BY_MS);
    checks.look();
    expect(checks.violations).toEqual([]);
    expect(runsOn(world, "node-1") || runsOn(world, target)).toBe(false);
    expect(world.oracle.running(KEY)).toHaveLength(1);
  } finally {
    world.end();
  }
});

it("a VM whose node dies while it starts there comes up elsewhere", { timeout: TIMEOUT_MS }, async () => {
  const { world, checks } = await settled();
  try {
    perform(world, { kind: "restartVM", vm: KEY });
    const before = world.server.store.get(VMIS, "vms", "vm-1")?.object.metadata.uid;
    let node: string | undefined;
    for (let i = 0; i < 200_000 && node === undefined; i++) {
      await pass(world, 1);
      const vmi = world.server.store.get(VMIS, "vms", "vm-1")?.object;
      if (vmi === undefined || vmi.metadata.uid === before) continue;
      const active = Object.values(objectIn(objectIn(vmi, "status"), "activePods"));
      node = active.map(textOf).find((name) => name !== "");
    }
    if (node === undefined) throw new Error("it never got a pod");
    expect(vmiStatus(world)["nodeName"]).toBeUndefined();
    perform(world, { kind: "hang", node });
    await pass(world, 3 * RECOVERED_BY_MS);
    checks.look();
    expect(checks.violations).toEqual([]);
    expect(world.oracle.running(KEY)).toMatchObject([{ upAtMs: expect.any(Number) as number }]);
    expect(runsOn(world, node)).toBe(false);
  } finally {
    world.end();
  }
});
