// Fencing through another operator, on the real API server and with the operator's own rights: made by the contract,
// followed to its signal, undone when the node is back; waited for where somebody else has made it; left for the next
// level where its controller is dead.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { applyManifests } from "../../lab/holdfast/install.ts";
import { attemptsMade } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";
import {
  REMEDIATION_API_VERSION,
  REMEDIATOR_NAMESPACE,
  StandInRemediator,
} from "../support/stand-in-remediator.ts";

const TEMPLATE = "power-off";
const TOPOLOGY = "/apis/holdfast.dev/v1alpha1/fencingtopologies/bmc";
const rig = useOperatorRig({ nodes: 4 });
let remediator: StandInRemediator;
let started: StandInRemediator | undefined;

beforeAll(async () => {
  started = new StandInRemediator(rig().admin);
  remediator = started;
  remediator.fence = (node) => rig().node(node).power.off();
  await applyManifests(rig().admin, "deploy/remediation.yaml");
  await remediator.start(TEMPLATE);
  const topology = await rig().admin.request<{ readonly spec: { readonly levels: readonly object[] } }>({
    method: "GET",
    path: TOPOLOGY,
  });
  const level = {
    name: "far",
    method: "Remediation",
    timeout: "12s",
    retries: 0,
    remediation: {
      templateRef: {
        apiVersion: REMEDIATION_API_VERSION,
        kind: "FenceAgentsRemediationTemplate",
        name: TEMPLATE,
        namespace: REMEDIATOR_NAMESPACE,
      },
    },
  };
  await rig().patch(TOPOLOGY, {
    spec: { levels: [level, ...(topology.ok ? topology.value.spec.levels : [])] },
  });
});
afterEach(() => {
  remediator.running = true;
});
afterAll(() => started?.stop());

const lease = (node: string) =>
  rig().admin.request<{ readonly spec: { readonly holderIdentity: string } }>({
    method: "GET",
    path: `/apis/coordination.k8s.io/v1/namespaces/medik8s-leases/leases/node-${node}`,
  });

async function untilNoneIsLeft(): Promise<void> {
  await waitFor("no remediation is left", async (saw) => {
    const left = await remediator.remediations();
    saw(left.map(({ metadata }) => metadata));
    return left.length === 0 || undefined;
  });
}

test("a lost node is fenced by another operator, its VM restarts, and all of it is undone when the node is back", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-1" });
  await rig().startLeader();
  // Its guest runs on: only the remediator's act makes it safe.
  rig().node("node-1").cutApi();
  await rig().untilRestarted([key]);
  const [made, ...more] = await remediator.remediations();
  expect(more).toEqual([]);
  expect(made?.metadata.name).toMatch(/^node-1-[a-z0-9]{5}$/);
  expect(made?.metadata.annotations).toMatchObject({
    "remediation.medik8s.io/node-name": "node-1",
    "remediation.medik8s.io/template-name": TEMPLATE,
  });
  expect(made?.metadata.ownerReferences).toMatchObject([{ kind: "NodeFencing" }]);
  expect(made?.spec).toEqual({ agent: "fence_stand_in", sharedparameters: { "--action": "off" } });
  const fencing = rig().fencings("node-1").at(-1);
  expect(fencing?.status?.proof).toMatchObject({
    type: "Remediated",
    bootID: fencing?.spec.bootID,
    remediation: { kind: "FenceAgentsRemediation", uid: made?.metadata.uid },
  });
  expect(await lease("node-1")).toMatchObject({ ok: true, value: { spec: { holderIdentity: "holdfast" } } });
  expect(rig().resets("node-1")).toEqual([]);

  await rig().node("node-1").power.on();
  rig().node("node-1").healApi();
  const returned = await rig().untilReturned("node-1");
  expect(returned.status?.remediationsLiftedAt).toBeDefined();
  await untilNoneIsLeft();
  expect(await lease("node-1")).toMatchObject({ ok: false, kind: "notFound" });
});

test("a remediation that NodeHealthCheck has made is waited for, and no second one is made", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-2" });
  await rig().startLeader();
  remediator.running = false;
  rig().node("node-2").cutApi();
  await remediator.makeAsHealthCheck("node-2", TEMPLATE);
  await rig().untilFencing("node-2", "under way", ({ status }) => (status?.attempts?.length ?? 0) > 0);
  // Its word has to be clearly younger than the node's last sign of life.
  setTimeout(() => (remediator.running = true), 6_000);
  await rig().untilRestarted([key]);
  const all = await remediator.remediations();
  expect(all).toHaveLength(1);
  const proof = rig().fencings("node-2").at(-1)?.status?.proof;
  expect(proof?.remediation?.uid).toBe(all[0]?.metadata.uid);
  expect(remediator.fenced.filter((uid) => uid === all[0]?.metadata.uid)).toHaveLength(1);
  await rig().node("node-2").power.on();
  rig().node("node-2").healApi();
  // Whoever made it takes it away, once the node is Ready; it is not ours to do.
  await waitFor("node-2 is Ready under its new boot ID", () => {
    const { status } = rig().cluster.view.nodes.get("node-2") ?? {};
    const ready = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
    return (ready === true && status?.nodeInfo?.["bootID"] === rig().node("node-2").bootID) || undefined;
  });
  expect(await remediator.remediations()).toHaveLength(1);
  await rig().remove(
    `/apis/${REMEDIATION_API_VERSION}/namespaces/${REMEDIATOR_NAMESPACE}/fenceagentsremediations/${all[0]?.metadata.name}`,
  );
  await rig().untilReturned("node-2");
  await untilNoneIsLeft();
});

test("where its controller is dead the remediation is told to stop, and the next level proves the node off", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-3" });
  await rig().startLeader();
  remediator.running = false;
  rig().node("node-3").cutApi();
  await rig().untilRestarted([key]);
  const fencing = rig().fencings("node-3").at(-1);
  expect(attemptsMade(fencing).map(({ level, outcome }) => [level, outcome])).toEqual([
    ["far", "TimedOut"],
    ["bmc", "PoweredOff"],
  ]);
  const [stopped] = await remediator.remediations();
  expect(stopped?.metadata.annotations).toHaveProperty(["remediation.medik8s.io/nhc-timed-out"]);
  remediator.running = true;
  rig().node("node-3").healApi();
  await rig().untilReturned("node-3");
  await untilNoneIsLeft();
  expect(remediator.fenced).not.toContain(stopped?.metadata.uid);
});
