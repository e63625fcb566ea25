// The operator under its own ServiceAccount: every story of this tour works with the rights of deploy/rbac.yaml (the rig
// fails any test that meets a refusal, here and in every other file), and no right is there that nobody uses.
import { expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { apply, HOLDFAST_IDENTITY } from "../../lab/holdfast/install.ts";
import { LONG_MS } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";
import { grantedRights, nameOf, needed } from "../support/rights.ts";

const rig = useOperatorRig({ nodes: 5 });

/** Cordons that a busy machine may need until a refusal has been told twice. */
const MAX_ROUNDS = 8;

/** Rights that this tour need not use, and why each is there all the same. */
const NOT_ON_THIS_TOUR: Readonly<Record<string, string>> = {
  "get holdfast.dev/nodefencings":
    "a ledger is read anew when a write to it has ended in doubt; crash.test.ts does that",
  ...Object.fromEntries(
    [
      ...["get", "list", "create", "patch", "delete"].map(
        (verb) => `${verb} csiaddons.openshift.io/networkfences`,
      ),
      "list csiaddons.openshift.io/csiaddonsnodes",
      "get csiaddons.openshift.io/networkfenceclasses",
    ].map((right) => [right, "only with a level of method NetworkFence; network-fence.test.ts does that"]),
  ),
};

test("a request beyond the rights is refused, and the audit log says so", async () => {
  rig().refusalsExpected = 1;
  const begunAtMs = Date.now();
  const holdfast = rig().cluster.controlPlane.transportFor(HOLDFAST_IDENTITY);
  const secrets = await holdfast.request({ method: "GET", path: "/api/v1/namespaces/kube-system/secrets" });
  expect(secrets).toMatchObject({ ok: false, kind: "denied" });
  expect(rig().audit.refusals(begunAtMs)).toEqual(["list secrets of the core: kube-system/"]);
});

test("no right is refused and none is left over", async () => {
  const { namespace } = rig();
  const begunAtMs = Date.now();
  await rig().startLeader();
  await failover();
  await evacuation();
  await policies();
  await disarms();
  await drills();
  await rig().stopReplicas();

  const requests = rig().audit.requests(begunAtMs);
  expect(requests.length, "the audit log is followed").toBeGreaterThan(50);
  expect(rig().audit.refusals(begunAtMs)).toEqual([]);
  const rights = grantedRights();
  const unused = rights.filter((right) => !requests.some((request) => needed(request, right))).map(nameOf);
  expect(
    unused.filter((right) => !(right in NOT_ON_THIS_TOUR)),
    "rights that nobody used: withdraw them in deploy/rbac.yaml, use them on this tour, or give a reason here",
  ).toEqual([]);
  const names = rights.map(nameOf);
  expect(
    Object.keys(NOT_ON_THIS_TOUR).filter((right) => !names.includes(right)),
    "exceptions for rights that deploy/rbac.yaml does not give",
  ).toEqual([]);

  /** Fencing with credentials, taint, release, a start call, the deletion of an ended VMI, the return of the node. */
  async function failover(): Promise<void> {
    const keys = await rig().createRunning(
      { name: "always", on: "node-1" },
      { name: "manual", on: "node-1", runStrategy: "Manual" },
      { name: "once", on: "node-1", runStrategy: "Once", promise: { failover: { restartOnce: true } } },
    );
    await rig().untilCondition(keys[0] ?? "", "Protected", "True");
    await rig().node("node-1").power.off();
    await rig().untilRestarted(keys);
    await rig().untilReturned("node-1");
  }

  /** A migration that is called off, a restart of what cannot be migrated, and a refusal that is told twice. */
  async function evacuation(): Promise<void> {
    const [slow = "", pinned = "", stuck = ""] = await rig().createRunning(
      { name: "slow", on: "node-2", annotations: { "lab.holdfast.dev/pre-copy-ms": "20000" } },
      {
        name: "pinned",
        on: "node-3",
        disk: "rwo",
        promise: { evacuation: { strategy: "LiveMigrateOrRestart" } },
      },
      { name: "stuck", on: "node-4", disk: "rwo" },
    );
    for (const key of [slow, pinned, stuck]) await rig().untilCondition(key, "Accepted", "True");
    await rig().cordon("node-2");
    await waitFor("a migration copies memory", () => {
      const phases = [...rig().cluster.view.migrations.values()].map(({ status }) => status?.phase);
      return phases.includes("Running") || undefined;
    });
    await rig().cordon("node-2", false);
    await rig().untilPromise(slow, "no evacuation left", ({ status }) => status?.evacuation === undefined);
    await rig().cordon("node-3");
    await rig().untilUp([pinned], "node-3");
    await rig().cordon("node-3", false);
    // The first refusal makes an Event, a later one counts it.
    const counted = () =>
      rig()
        .audit.requests(begunAtMs)
        .some(({ verb, resource }) => verb === "patch" && resource === "events");
    for (let round = 0; round < MAX_ROUNDS && !counted(); round++) {
      await rig().cordon("node-4");
      await rig().untilPromise(stuck, "refused", ({ status }) => status?.evacuation?.phase === "Refused");
      await rig().cordon("node-4", false);
      await rig().untilPromise(stuck, "left alone", ({ status }) => status?.evacuation === undefined);
    }
  }

  /** A FencingDisarm says that it is in force. */
  async function disarms(): Promise<void> {
    const path = `/apis/holdfast.dev/v1alpha1/fencingdisarms/${namespace}`;
    await apply(rig().admin, {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FencingDisarm",
      metadata: { name: namespace },
      spec: { reason: "tour", until: "2999-01-01T00:00:00Z", nodeSelector: { matchLabels: { no: "node" } } },
    } as never);
    await waitFor("the disarm is in force", async (saw) => {
      const read = await rig().admin.request<{ readonly status?: object }>({ method: "GET", path });
      saw(read);
      return (read.ok && read.value.status !== undefined) || undefined;
    });
    await rig().remove(path);
  }

  /** A FailoverDrill that is suspended says so. */
  async function drills(): Promise<void> {
    const path = `/apis/holdfast.dev/v1alpha1/failoverdrills/${namespace}`;
    await apply(rig().admin, {
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "FailoverDrill",
      metadata: { name: namespace },
      spec: { type: "NodeEvacuation", nodeName: "node-1", suspend: true },
    } as never);
    await waitFor("the drill says that it is suspended", async (saw) => {
      const read = await rig().admin.request<{ readonly status?: object }>({ method: "GET", path });
      saw(read);
      return (read.ok && read.value.status !== undefined) || undefined;
    });
    await rig().remove(path);
  }

  /** An HAVirtualMachine is made, changed and withdrawn for a policy. */
  async function policies(): Promise<void> {
    const path = `/apis/holdfast.dev/v1alpha1/havirtualmachinepolicies/${namespace}`;
    const policy = (priority: number) => ({
      apiVersion: "holdfast.dev/v1alpha1",
      kind: "HAVirtualMachinePolicy",
      metadata: { name: namespace },
      spec: { selector: { matchLabels: { care: namespace } }, template: { priority } },
    });
    await apply(rig().admin, policy(700));
    await rig().createVM({ name: "chosen", labels: { care: namespace }, promise: "none" });
    await rig().untilCondition(`${namespace}/chosen`, "Accepted", "True");
    await apply(rig().admin, policy(800));
    await rig().untilPromise(`${namespace}/chosen`, "follows", ({ spec }) => spec.priority === 800);
    await rig().remove(path);
    await waitFor(
      "the promise is withdrawn",
      () => rig().view.protections.get(`${namespace}/chosen`) === undefined || undefined,
      LONG_MS,
    );
  }
});
