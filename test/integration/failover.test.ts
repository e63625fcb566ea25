// A node dies; its VMs come back elsewhere, on proof and in order, and what happened stands where people look.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { attemptsMade, conditionOf } from "../support/holdfast-lab.ts";
import { type RigReplica, useOperatorRig } from "../support/operator-rig.ts";

const rig = useOperatorRig({ nodes: 5 });

test("a node loses its power: its VM is back elsewhere, and kubectl tells the whole story", async () => {
  const [key = ""] = await rig().createRunning({ name: "web", on: "node-1" });
  const namespace = rig().namespace;
  await rig().startLeader();
  await rig().untilCondition(key, "Protected", "True");
  const { bootID } = rig().node("node-1");
  await rig().node("node-1").power.off();
  await rig().untilRestarted([key]);
  const fencing = await rig().untilReturned("node-1");
  const havm = await rig().untilCondition(key, "Available", "True");

  // The outage, phase by phase.
  const [outage] = havm.status?.outages ?? [];
  expect(outage).toMatchObject({
    cause: "NodeLost",
    fencing: fencing.metadata.name,
    fromNode: "node-1",
    toNode: rig().nodeOf(key),
    newVMIUID: rig().cluster.view.vmis.get(key)?.metadata.uid,
  });
  const phases = ["lastGoodAt", "lostAt", "provedAt", "releasedAt", "scheduledAt", "runningAt", "readyAt"];
  const times = phases.map((phase) => (outage as Readonly<Record<string, string>> | undefined)?.[phase]);
  expect(times).not.toContain(undefined);
  expect(times.toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual(times);
  expect(havm.status?.failover).toBeUndefined();

  // The ledger.
  expect(fencing.status).toMatchObject({
    phase: "Returned",
    returnedBootID: rig().node("node-1").bootID,
    proof: { type: "PowerOff", bootID },
    releasedVMs: [{ namespace, name: "web" }],
  });
  expect(attemptsMade(fencing).map(({ outcome }) => outcome)).toEqual(["AlreadyOff"]);

  // As a person sees it.
  expect(await rig().kubectl("get", "havm", "-n", namespace, "web")).toMatch(
    new RegExp(`web +web +${rig().nodeOf(key)} +True +True +True +True +500 `),
  );
  expect(await rig().kubectl("get", "nf")).toMatch(/node-1 +Returned +PowerOff +1 +NodeLost/);
  const described = await rig().kubectl("describe", "node", "node-1");
  for (const reason of ["NodeLost", "NodeFenced", "NodeReturned"])
    expect(described).toMatch(new RegExp(`(Normal|Warning) +${reason} .* holdfast `));
});

test("each run strategy comes back as its promise says, and what stays down says why, before and after", async () => {
  const [always = "", rerun = "", manual = "", again = "", once = "", asleep = "", left = ""] =
    await rig().createRunning(
      { name: "always", on: "node-1" },
      { name: "rerun", on: "node-1", runStrategy: "RerunOnFailure" },
      { name: "manual", on: "node-1", runStrategy: "Manual" },
      { name: "again", on: "node-1", runStrategy: "Once", promise: { failover: { restartOnce: true } } },
      { name: "once", on: "node-1", runStrategy: "Once" },
      { name: "asleep", on: "node-1", runStrategy: "Manual", promise: { failover: { startManual: false } } },
      { name: "left", on: "node-1", promise: { failover: { enabled: false } } },
    );
  const halted = await rig().createVM({ name: "halted", runStrategy: "Halted" });
  await rig().startLeader();
  await rig().untilCondition(always, "Protected", "True");
  await rig().untilCondition(once, "Restartable", "False", "RunStrategyForbids");
  await rig().untilCondition(asleep, "Restartable", "False", "RunStrategyForbids");
  await rig().untilCondition(left, "Protected", "False", "FailoverDisabled");
  await rig().untilCondition(halted, "Protected", "False", "NotRunning");
  await rig().node("node-1").power.off();
  await rig().untilRestarted([always, rerun, manual, again]);
  for (const key of [once, asleep, left]) {
    const havm = await rig().untilPromise(key, "blocked", ({ status }) => {
      return status?.failover?.phase === "Blocked";
    });
    expect(havm.status?.failover?.message).toMatch(
      key === left
        ? /spec.failover.enabled is false/
        : /run strategy (Once|Manual) does not start it again; set spec.failover.(restartOnce|startManual)/,
    );
  }
  await rig().untilReturned("node-1");
  // Left alone, it comes back with its node.
  await rig().untilUp([left]);
  expect(rig().cluster.oracle.history(once)).toHaveLength(1);
  expect(rig().cluster.oracle.history(halted)).toHaveLength(0);
});

test("what is important runs first, and what depends on another VM waits until that one is ready", async () => {
  const slow = { "lab.holdfast.dev/guest-boot-ms": "2000" };
  const keys = await rig().createRunning(
    { name: "batch", on: "node-1", promise: { priority: 100 } },
    { name: "shop", on: "node-1", promise: { priority: 900, dependsOn: [{ name: "db" }] } },
    { name: "mail", on: "node-1", promise: { priority: 700 } },
    { name: "db", on: "node-1", promise: { priority: 300 }, annotations: slow },
  );
  // One at a time, so that the order is strict.
  const { life } = await rig().startLeader({ policy: { maxRestartsInFlight: 1, restartSlotMs: 30_000 } });
  await rig().node("node-1").power.off();
  await rig().untilRestarted(keys);
  expect(releasedBy(life)).toEqual(["mail", "db", "batch", "shop"]);
  expect(restarted("shop").startedAtMs).toBeGreaterThan(restarted("db").upAtMs ?? Number.NaN);
  expect(restarted("mail").startedAtMs).toBeLessThan(restarted("batch").startedAtMs);
  await rig().untilReturned("node-1");

  function restarted(name: string) {
    const run = rig().cluster.oracle.history(`${rig().namespace}/${name}`)[1];
    if (run === undefined) throw new Error(`${name} was not restarted`);
    return run;
  }
});

test("a node that hangs with its guests on it is powered off before any of them is started again", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  rig().node("node-1").hang();
  await rig().untilRestarted([key]);
  const [before, after] = rig().cluster.oracle.history(key);
  expect(before).toMatchObject({ node: "node-1", end: "powerLoss" });
  expect(after?.startedAtMs).toBeGreaterThan(before?.stoppedAtMs ?? Number.NaN);
  const fencing = await rig().untilReturned("node-1");
  expect(attemptsMade(fencing).map(({ outcome }) => outcome)).toEqual(["PoweredOff"]);
});

test("six-minute force-detach: a disk that only one node can use is detached from the dead node at once and follows its VM", async () => {
  const [key = ""] = await rig().createRunning({ name: "db", on: "node-1", disk: "rwo" });
  await rig().startLeader();
  await attachedTo("node-1");
  // A node that boots again lets go of its disks by itself.
  const topology = "/apis/holdfast.dev/v1alpha1/fencingtopologies/bmc";
  await rig().patch(topology, { spec: { afterFencing: "StayOff" } });
  await rig().node("node-1").power.off();
  await rig().untilRestarted([key]);
  await attachedTo(rig().nodeOf(key) ?? "");
  expect(rig().node("node-1").state).toBe("off");
  await rig().patch(topology, { spec: { afterFencing: "PowerOn" } });
});

test("a VM goes home by live migration once its node is back and trusted, where its promise says so", async () => {
  const [homesick = "", content = ""] = await rig().createRunning(
    { name: "homesick", on: "node-1", promise: { failback: { policy: "Automatic", delay: "1s" } } },
    { name: "content", on: "node-1" },
  );
  await rig().startLeader();
  for (const key of [homesick, content]) await rig().untilCondition(key, "Protected", "True");
  await rig().node("node-1").power.off();
  await rig().untilRestarted([homesick, content]);
  const away = rig().nodeOf(content);
  const displaced = await rig().untilPromise(homesick, "displaced", ({ status }) => {
    return status?.displacedFrom !== undefined;
  });
  expect(displaced.status?.displacedFrom).toMatchObject({ node: "node-1", cause: "Failover" });
  await rig().untilReturned("node-1");
  await rig().untilPromise(homesick, "home again", ({ status }) => {
    return status?.node === "node-1" && status.displacedFrom === undefined;
  });
  expect(rig().nodeOf(homesick)).toBe("node-1");
  expect(rig().nodeOf(content)).toBe(away);
  const { oracle } = rig().cluster;
  expect(oracle.history(homesick).map(({ began }) => began)).toEqual(["boot", "boot", "migration"]);
});

test("a failover costs the API server at most three writes per VM and ten besides", async () => {
  const names = Array.from({ length: 10 }, (_, i) => `vm-${i}`);
  const keys = await rig().createRunning(...names.map((name) => ({ name, on: "node-1" })));
  const { life } = await rig().startLeader();
  for (const key of keys) await rig().untilCondition(key, "Protected", "True");
  const before = life.writes.length;
  await rig().node("node-1").power.off();
  await rig().untilRestarted(keys);
  await rig().untilReturned("node-1");
  for (const key of keys) await rig().untilCondition(key, "Available", "True");
  const writes = life.writes
    .slice(before)
    .map(({ method, path, status, body }) => `${status} ${method} ${path} ${JSON.stringify(body)}`);
  expect(writes.length, writes.sort().join("\n")).toBeLessThanOrEqual(3 * names.length + 10);
});

test("a VM that was restarted as often as it may be stays down and says until when", async () => {
  const promise = { failover: { maxRestarts: 1 } };
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1", promise });
  await rig().startLeader();
  await rig().node("node-1").power.off();
  await rig().untilRestarted([key]);
  await rig().untilReturned("node-1");
  await rig().untilCondition(key, "Protected", "False", "RestartLimitReached");
  const second = rig().nodeOf(key) ?? "";
  await rig().node(second).power.off();
  const havm = await rig().untilPromise(
    key,
    "blocked",
    ({ status }) => status?.failover?.phase === "Blocked",
  );
  expect(havm.status?.failover?.message).toMatch(/restarted 1 times within 3600 s, which is its limit/);
  expect(conditionOf(havm, "Available")?.status).toBe("False");
  expect(rig().cluster.oracle.running(key)).toEqual([]);
  // A person allows one more.
  await rig().promise("vm", { failover: { maxRestarts: 2 } });
  await rig().untilRestarted([key], 2);
});

/** VMs in the order in which the replica deleted their launcher pods. */
function releasedBy({ writes }: RigReplica["life"]): readonly string[] {
  return writes.flatMap(({ method, path }) => {
    const launcher = /\/pods\/virt-launcher-(.+)-[a-z0-9]{5}$/.exec(path);
    return method === "DELETE" && launcher?.[1] !== undefined ? [launcher[1]] : [];
  });
}

async function attachedTo(node: string): Promise<void> {
  interface Attachment {
    readonly spec: { readonly nodeName: string };
    readonly status?: { readonly attached?: boolean };
  }
  await waitFor(`the disk is attached to ${node} alone`, async (saw) => {
    const attachments = await rig().list<Attachment>("/apis/storage.k8s.io/v1/volumeattachments");
    saw(attachments.map(({ spec, status }) => [spec.nodeName, status?.attached]));
    const [only, ...others] = attachments;
    return others.length === 0 && only?.spec.nodeName === node && only.status?.attached ? true : undefined;
  });
}
