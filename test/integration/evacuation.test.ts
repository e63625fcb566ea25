// A cordoned node is emptied by live migration: in order, within KubeVirt's slots, and without standing in anybody's way.
import { expect, test } from "vitest";
import type { Migration } from "../../lab/cluster/cluster-view.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { isFinishedMigration, type OperatorRig, useOperatorRig } from "../support/operator-rig.ts";
import type { RigReplica } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 4 });

/** KubeVirt's default for one node. */
const OUTBOUND_SLOTS = 2;

test("a cordon moves every VM, the important ones first, within KubeVirt's slots, and restarts none", async () => {
  const priorities = [100, 900, 500, 300, 700];
  const keys = await rig().createRunning(
    ...priorities.map((priority) => ({ name: `vm-${priority}`, on: "node-1", promise: { priority } })),
  );
  const uids = keys.map((key) => rig().cluster.view.vmis.get(key)?.metadata.uid);
  const { life } = await rig().startLeader();
  const concurrent = watchMigrations(rig(), "node-1");
  await rig().cordon("node-1");
  await rig().untilUp(keys, "node-1");
  concurrent.stop();
  expect(keys.map((key) => rig().cluster.view.vmis.get(key)?.metadata.uid)).toEqual(uids);
  expect(keys.flatMap((key) => rig().cluster.oracle.outages(key))).toEqual([]);
  expect(migrationsAskedFor(life)).toEqual(["vm-900", "vm-700", "vm-500", "vm-300", "vm-100"]);
  expect(concurrent.most).toBe(OUTBOUND_SLOTS);
  // All is said and done: no evacuation is left in a status, and each names the node it is on.
  for (const key of keys) {
    await rig().untilPromise(key, "settled elsewhere", ({ status }) => {
      return status?.evacuation === undefined && status?.node === rig().nodeOf(key);
    });
  }
});

test("a VM that cannot be migrated is left running and its status says why, unless its promise allows a restart", async () => {
  const [stuck = "", movable = "", restartable = ""] = await rig().createRunning(
    { name: "stuck", on: "node-1", disk: "rwo" },
    { name: "movable", on: "node-1", disk: "rwx" },
    {
      name: "restartable",
      on: "node-1",
      disk: "rwo",
      promise: { evacuation: { strategy: "LiveMigrateOrRestart" } },
    },
  );
  const uid = (key: string) => rig().cluster.view.vmis.get(key)?.metadata.uid;
  const before = { movable: uid(movable), restartable: uid(restartable) };
  await rig().startLeader();
  // Said long before it matters.
  await rig().untilCondition(stuck, "Migratable", "False", "NotMigratable");
  await rig().untilCondition(movable, "Migratable", "True");
  await rig().cordon("node-1");
  await rig().untilUp([movable, restartable], "node-1");
  expect(uid(movable)).toBe(before.movable);
  expect(uid(restartable)).not.toBe(before.restartable);
  const refused = await rig().untilPromise(stuck, "refused", ({ status }) => {
    return status?.evacuation?.phase === "Refused";
  });
  expect(refused.status?.evacuation?.message).toMatch(/cannot live-migrate it: DisksNotLiveMigratable/);
  expect(rig().nodeOf(stuck)).toBe("node-1");
  expect(rig().cluster.oracle.history(stuck)).toHaveLength(1);
});

test("an uncordon in mid-evacuation calls off what has not switched yet", async () => {
  const names = ["a", "b", "c", "d"];
  const keys = await rig().createRunning(
    ...names.map((name) => ({
      name,
      on: "node-1",
      annotations: { "lab.holdfast.dev/pre-copy-ms": "20000" },
    })),
  );
  const { life } = await rig().startLeader();
  await rig().cordon("node-1");
  await waitFor("two migrations copy memory", () => {
    const running = [...rig().cluster.view.migrations.values()].filter(
      ({ status }) => status?.phase === "Running",
    );
    return running.length === OUTBOUND_SLOTS || undefined;
  });
  await rig().cordon("node-1", false);
  await waitFor("no migration is under way", () => {
    const open = [...rig().cluster.view.migrations.values()].filter((one) => !isFinishedMigration(one));
    return open.length === 0 || undefined;
  });
  await rig().untilPromise(keys[0] ?? "", "no evacuation left", ({ status }) => !status?.evacuation);
  expect(keys.map((key) => rig().nodeOf(key))).toEqual(names.map(() => "node-1"));
  expect(keys.flatMap((key) => rig().cluster.oracle.outages(key))).toEqual([]);
  expect(migrationsAskedFor(life)).toHaveLength(OUTBOUND_SLOTS);
});

test("a VM goes home after the uncordon where its promise says so, and stays away where it does not", async () => {
  const [homesick = "", content = ""] = await rig().createRunning(
    { name: "homesick", on: "node-1", promise: { failback: { policy: "Automatic", delay: "1s" } } },
    { name: "content", on: "node-1" },
  );
  await rig().startLeader();
  await rig().cordon("node-1");
  await rig().untilUp([homesick, content], "node-1");
  const away = await rig().untilPromise(homesick, "displaced", ({ status }) => {
    return status?.displacedFrom !== undefined;
  });
  expect(away.status?.displacedFrom).toMatchObject({ node: "node-1", cause: "Evacuation" });
  await rig().cordon("node-1", false);
  await rig().untilPromise(homesick, "home again", ({ status }) => {
    return status?.node === "node-1" && status.displacedFrom === undefined;
  });
  expect(rig().nodeOf(homesick)).toBe("node-1");
  expect(rig().nodeOf(content)).not.toBe("node-1");
  expect(rig().cluster.oracle.outages(homesick)).toEqual([]);
});

test("a migration that somebody else started is left to do its work", async () => {
  const slow = { "lab.holdfast.dev/pre-copy-ms": "3000" };
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1", annotations: slow });
  const { life } = await rig().startLeader();
  await rig().cluster.migrate(key, { name: "by-hand" });
  await rig().cordon("node-1");
  await rig().untilPromise(key, "waiting", ({ status }) => status?.evacuation?.phase === "Waiting");
  await rig().untilUp([key], "node-1");
  await rig().untilPromise(key, "settled", ({ status }) => status?.evacuation === undefined);
  expect(migrationsAskedFor(life)).toEqual([]);
});

test("a drain by KubeVirt's own evacuation moves each VM once, with or without the cordon before it", async () => {
  const [key = ""] = await rig().createRunning({
    name: "vm",
    on: "node-1",
    evictionStrategy: "LiveMigrate",
  });
  await rig().startLeader();
  const [pod] = rig().cluster.view.launcherPods(key);
  // What kubectl drain does: evict first, so that KubeVirt is at it when the cordon is seen.
  const evicted = await rig().admin.request({
    method: "POST",
    path: `/api/v1/namespaces/${rig().namespace}/pods/${pod?.metadata.name}/eviction`,
    body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod?.metadata.name } },
  });
  expect(evicted).toMatchObject({ ok: false, kind: "throttled" });
  await rig().cordon("node-1");
  await rig().untilUp([key], "node-1");
  await rig().untilPromise(key, "settled", ({ status }) => {
    return status?.evacuation === undefined && status?.node !== "node-1";
  });
  const moves = rig()
    .cluster.oracle.history(key)
    .filter(({ began }) => began === "migration");
  expect(moves).toHaveLength(1);
});

/** VMs for which the replica asked for a migration, in that order. */
function migrationsAskedFor(life: RigReplica["life"]): readonly string[] {
  return life.writes
    .filter(({ method, path }) => method === "POST" && path.endsWith("/virtualmachineinstancemigrations"))
    .map(({ body }) => (body as { readonly spec: { readonly vmiName: string } }).spec.vmiName);
}

/**
 * Counts migrations away from a node that are under way at once, from now on until `stop`. One whose guest has switched
 * is not away from there any more, which is how KubeVirt counts, too.
 */
function watchMigrations({ cluster: { view, oracle } }: OperatorRig, node: string) {
  const isThere = ({ metadata, spec }: Migration) =>
    oracle.running(`${metadata.namespace}/${spec.vmiName}`)[0]?.node === node;
  const watch = {
    most: 0,
    stop: view.listen((kind) => {
      if (kind !== "Migration") return;
      const open = [...view.migrations.values()].filter((one) => !isFinishedMigration(one) && isThere(one));
      watch.most = Math.max(watch.most, open.length);
    }),
  };
  return watch;
}
