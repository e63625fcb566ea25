// The samples in deploy/samples, applied by kubectl as their own words say, on the real API server with the operator at
// work: each comes to the conditions that it promises, and what it asks for happens. Only the addresses of the BMCs are
// the lab's.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BMC_ADDRESS_ANNOTATION } from "../../lab/holdfast/bmcs.ts";
import { apply, applyManifests } from "../../lab/holdfast/install.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { openCrd } from "../support/open-crd.ts";
import { attemptsMade } from "../support/holdfast-lab.ts";
import { useOperatorRig } from "../support/operator-rig.ts";
import { StandInCsiAddons } from "../support/stand-in-csi-addons.ts";
import { StandInRemediator } from "../support/stand-in-remediator.ts";

const SAMPLES = join(import.meta.dirname, "../../deploy/samples");
const HOLDFAST = "/apis/holdfast.dev/v1alpha1";
const FAST_DISK = { labels: { "example.com/disk": "nvme" } };
const OTHERS_NODE = "node-4";
/** Where the sample says that the remediation operators are. */
const REMEDIATORS = "openshift-workload-availability";

const rig = useOperatorRig({
  nodes: [FAST_DISK, FAST_DISK, {}, { labels: { "example.com/fenced-by": "others" } }],
});
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-samples-"));
  const caFile = join(folder, "ca.crt");
  writeFileSync(caFile, rig().cluster.controlPlane.caPem);
  await rig().kubectl(
    "-n",
    "holdfast-system",
    "create",
    "secret",
    "generic",
    "bmc-ca",
    `--from-file=ca.crt=${caFile}`,
  );
  // The lab's own topology stands aside.
  await rig().remove(`${HOLDFAST}/fencingtopologies/bmc`);
  await applySample("fencing-topology.yaml", (text) =>
    text.replace(/address: \S+/g, `address: https://\${node.annotations['${BMC_ADDRESS_ANNOTATION}']}`),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Applies one sample, changed where the lab is not the example's cluster. */
async function applySample(name: string, change = (text: string) => text): Promise<void> {
  const file = join(folder, name);
  writeFileSync(file, change(readFileSync(join(SAMPLES, name), "utf8")));
  await rig().kubectl("apply", "--validate=strict", `--namespace=${rig().namespace}`, `--filename=${file}`);
}

interface Summary {
  readonly status?: {
    readonly coveredNodes?: number;
    readonly readyNodes?: number;
    readonly selected?: number;
    readonly protectedVMs?: number;
    readonly phase?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
    }[];
  };
}

/** Waits until the object says of that condition what is expected, and answers its status. */
async function untilSaid(path: string, type: string, said: string): Promise<NonNullable<Summary["status"]>> {
  return waitFor(`${path}: ${type} ${said}`, async (saw) => {
    const read = await rig().admin.request<Summary>({ method: "GET", path: `${HOLDFAST}/${path}` });
    const status = read.ok ? read.value.status : undefined;
    saw(read.ok ? status : read);
    const found = status?.conditions?.find((condition) => condition.type === type);
    return status !== undefined && found !== undefined && `${found.status}/${found.reason}` === said
      ? status
      : undefined;
  });
}

test("the topology covers every worker, and each of its levels could fence each of them", async () => {
  await rig().startLeader();
  const status = await untilSaid("fencingtopologies/workers", "Ready", "True/FencingReady");
  expect(status).toMatchObject({ coveredNodes: 4, readyNodes: 4 });
  await untilSaid("fencingtopologies/workers", "Accepted", "True/Covered");
});

test("the shop's two VMs are protected, stay on fast disks, and come back in their order after their node is lost", async () => {
  const disk = { nodeSelector: { "example.com/disk": "nvme" } };
  await rig().createRunning(
    { name: "shop-db", on: "node-1", promise: "none", ...disk },
    { name: "shop-web", on: "node-1", promise: "none" },
  );
  await applySample("ha-virtual-machine.yaml");
  await rig().startLeader();
  const keys = ["shop-db", "shop-web"].map((name) => `${rig().namespace}/${name}`);
  for (const key of keys) {
    for (const type of ["Accepted", "Protected", "Available", "Restartable", "Migratable"])
      await rig().untilCondition(key, type, "True");
  }
  rig().node("node-1").hang();
  await rig().untilRestarted(keys);
  const { oracle } = rig().cluster;
  const [db, web] = keys.map((key) => oracle.history(key).at(-1));
  expect(db?.node).toBe("node-2");
  expect(web?.startedAtMs, "the web server is of no use without the database").toBeGreaterThan(
    db?.upAtMs ?? Number.POSITIVE_INFINITY,
  );
  const returned = await rig().untilReturned("node-1");
  expect(returned.status?.proof?.type).toBe("PowerOff");
  expect(
    rig()
      .resets("node-1")
      .map(({ resetType }) => resetType),
    "PowerOn after fencing",
  ).toEqual(["ForceOff", "On"]);
});

test("the policy protects each VM that is labelled, in every namespace but those of the test stage", async () => {
  await applySample("ha-virtual-machine-policy.yaml");
  await rig().startLeader();
  const labels = { "holdfast.dev/protect": "true" };
  await rig().createRunning({ name: "a", promise: "none", labels }, { name: "b", promise: "none" });
  const havm = await rig().untilCondition(`${rig().namespace}/a`, "Protected", "True");
  expect(havm.spec).toMatchObject({ priority: 400, evacuation: { strategy: "LiveMigrateOrRestart" } });
  expect(rig().view.protections.get(`${rig().namespace}/b`)).toBeUndefined();
  const path = "havirtualmachinepolicies/labelled";
  expect(await untilSaid(path, "Accepted", "True/Selected")).toMatchObject({ selected: 1 });
  await rig().kubectl("label", "namespace", rig().namespace, "example.com/stage=test");
  await waitFor(
    "the promise is withdrawn",
    () => rig().view.protections.get(`${rig().namespace}/a`) === undefined || undefined,
  );
});

test("the disarm ended long ago, so that it does nothing; with an end to come it disarms its nodes", async () => {
  await rig().startLeader();
  await applySample("fencing-disarm.yaml");
  const path = "fencingdisarms/switch-work-rack-a";
  await untilSaid(path, "Active", "False/Expired");
  await rig().kubectl("delete", "fdisarm", "switch-work-rack-a");
  await rig().patch("/api/v1/nodes/node-3", {
    metadata: { labels: { "topology.kubernetes.io/zone": "rack-a" } },
  });
  const until = new Date(Date.now() + 3_600_000).toISOString();
  await applySample("fencing-disarm.yaml", (text) => text.replace(/until: .*/, `until: "${until}"`));
  expect(await untilSaid(path, "Active", "True/Active")).toMatchObject({ selectedNodes: 1 });
  await rig().kubectl("delete", "fdisarm", "switch-work-rack-a");
});

test("the fencing by hand does nothing as it is; with a node's own identifiers that node is switched off, and its VM comes back", async () => {
  const [key = ""] = await rig().createRunning({ name: "vm", on: "node-3" });
  await rig().startLeader();
  await applySample("node-fencing.yaml");
  const path = `${HOLDFAST}/nodefencings/worker-3-by-hand`;
  await waitFor("it is closed", async (saw) => {
    const read = await rig().admin.request<Summary>({ method: "GET", path });
    saw(read);
    return (read.ok && read.value.status?.phase === "Aborted") || undefined;
  });
  for (const { name } of rig().cluster.fleet.nodes) expect(rig().resets(name)).toEqual([]);
  await rig().remove(path);

  const identity = "{.metadata.uid} {.status.nodeInfo.bootID}";
  const [uid = "", bootID = ""] = (
    await rig().kubectl("get", "node", "node-3", "--output", `jsonpath=${identity}`)
  ).split(" ");
  await applySample("node-fencing.yaml", (text) =>
    text
      .replace(/nodeName: .*/, "nodeName: node-3")
      .replace(/nodeUID: .*/, `nodeUID: ${uid}`)
      .replace(/bootID: .*/, `bootID: ${bootID}`),
  );
  await rig().untilRestarted([key]);
  const returned = await rig().untilReturned("node-3");
  expect(returned.metadata.name).toBe("worker-3-by-hand");
  expect(returned.status?.proof).toMatchObject({ type: "PowerOff", bootID });
});

test("the topology that leaves it to others is ready on each level, and its first one fences a lost node", async () => {
  const remediator = new StandInRemediator(rig().admin, REMEDIATORS);
  const storage = new StandInCsiAddons(rig().admin);
  remediator.fence = (node) => rig().node(node).power.off();
  try {
    await applyManifests(rig().admin, "deploy/remediation.yaml");
    await remediator.start("power-off");
    await startSelfNodeRemediation();
    await storage.start();
    await storage.makeClass("ceph");
    await storage.tellClient(OTHERS_NODE, "ceph", "10.99.0.4/32");
    await applySample("fencing-topology-external.yaml");
    const [key = ""] = await rig().createRunning({ name: "vm", on: OTHERS_NODE });
    await rig().startLeader();
    const status = await untilSaid("fencingtopologies/workers-external", "Ready", "True/FencingReady");
    expect(status).toMatchObject({ coveredNodes: 1, readyNodes: 1 });
    rig().node(OTHERS_NODE).cutApi();
    await rig().untilRestarted([key]);
    const fencing = rig().fencings(OTHERS_NODE).at(-1);
    expect(attemptsMade(fencing)).toMatchObject([{ level: "fence-agents", outcome: "Remediated" }]);
    expect(fencing?.status?.proof?.type).toBe("Remediated");
    expect(rig().resets(OTHERS_NODE)).toEqual([]);
    await rig().node(OTHERS_NODE).power.on();
    rig().node(OTHERS_NODE).healApi();
    await rig().untilReturned(OTHERS_NODE);
  } finally {
    await remediator.stop();
    await storage.stop();
  }
});

/** Its kinds, its template and the rights that it ships; no controller. */
async function startSelfNodeRemediation(): Promise<void> {
  const group = "self-node-remediation.medik8s.io";
  const kinds = ["SelfNodeRemediation", "SelfNodeRemediationTemplate"];
  const plurals = kinds.map((kind) => `${kind.toLowerCase()}s`);
  for (const [i, kind] of kinds.entries())
    await apply(rig().admin, openCrd({ group, kind, plural: plurals[i] ?? "", scope: "Namespaced" }));
  const role = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: {
      name: "ext-self-node-remediation",
      labels: { "rbac.ext-remediation/aggregate-to-ext-remediation": "true" },
    },
    rules: [
      {
        apiGroups: [group],
        resources: plurals,
        verbs: ["get", "list", "watch", "create", "patch", "delete"],
      },
    ],
  };
  await apply(rig().admin, role);
  const templates = `/apis/${group}/v1alpha1/namespaces/${REMEDIATORS}/${plurals[1]}`;
  await waitFor("self-node-remediation's template is made", async (saw) => {
    const made = await rig().admin.request({
      method: "POST",
      path: templates,
      body: {
        apiVersion: `${group}/v1alpha1`,
        kind: kinds[1],
        metadata: { name: "self-node-remediation-automatic-strategy-template" },
        spec: { template: { spec: { remediationStrategy: "Automatic" } } },
      },
    });
    saw(made);
    return made.ok || undefined;
  });
}
