// Steps against the real API server: that it holds what the rules rely on, above all its compare-and-swap.
import { describe, expect, it } from "vitest";
import { performStep } from "../../src/act/performer.ts";
import { parseFenceProof, type FencingLevel } from "../../src/model/fencing.ts";
import type { Step } from "../../src/model/plan.ts";
import { bmc, NAMESPACE, NODE, seedLaunchers, useActCluster } from "./act-fixture.ts";
import { POLICY, PROTECTION, PROTECTION_STATUS } from "../act/sample-steps.ts";

const EPOCH = 5;
const LEDGER = "nf-dead-1";
const LEDGER_PATH = `/apis/holdfast.dev/v1alpha1/nodefencings/${LEDGER}`;
const HAVM_PATH = `/apis/holdfast.dev/v1alpha1/namespaces/${NAMESPACE}/havirtualmachines/db`;
const LEVEL: FencingLevel = {
  name: "bmc",
  method: "Redfish",
  timeoutMs: 30_000,
  retries: 0,
  backoffMs: 1_000,
  redfish: {
    address: "https://${node.name}.example.com",
    systemId: undefined,
    auth: "Auto",
    credentialsSecret: { name: "bmc", namespace: undefined },
    caSecret: undefined,
    insecureSkipVerify: false,
  },
};
/** As many as the work queue lets run at once. */
const RELEASES_AT_ONCE = 20;

const device = bmc();
const cluster = useActCluster(() => device);

function perform(step: Step, epoch = EPOCH) {
  return performStep(step, cluster.contextOf(epoch));
}

async function openFencing() {
  const node = await cluster.get(`/api/v1/nodes/${NODE}`);
  return perform({
    kind: "OpenFencing",
    name: LEDGER,
    node: NODE,
    nodeUID: node.metadata.uid,
    bootID: "boot-1",
    topology: "all",
    message: "no sign of life",
    detectedAt: "2026-11-22T00:00:25.000Z",
    lastSeenAt: "2026-11-22T00:00:00.000Z",
  });
}

async function proof() {
  const parsed = parseFenceProof(await cluster.fencing(LEDGER), undefined);
  if (parsed === undefined) throw new Error("no proof stands");
  return parsed;
}

async function podCount(): Promise<number> {
  const list = (await cluster.get(`/api/v1/namespaces/${NAMESPACE}/pods`)) as unknown as { items: object[] };
  return list.items.length;
}

describe("a fencing on the real API server", () => {
  it("is opened once", async () => {
    expect(await openFencing()).toEqual({ outcome: "done" });
    const { metadata } = await cluster.get(LEDGER_PATH);
    expect(await openFencing()).toEqual({ outcome: "done" });
    expect((await cluster.get(LEDGER_PATH)).metadata.uid).toBe(metadata.uid);
  });

  it("is not written from an older version of its ledger", async () => {
    const fencing = await cluster.fencing(LEDGER);
    expect(
      await perform({ kind: "WriteFencing", fencing, status: { ...fencing.status, message: "first" } }),
    ).toEqual({
      outcome: "done",
    });
    const late: Step = { kind: "WriteFencing", fencing, status: { ...fencing.status, message: "second" } };
    expect(await perform(late)).toMatchObject({ outcome: "conflict" });
    expect(await cluster.get(LEDGER_PATH)).toMatchObject({ status: { message: "first", epoch: EPOCH } });
  });

  it("is not written by a leader that was replaced, even one that has not heard of it", async () => {
    const fencing = await cluster.fencing(LEDGER);
    const write: Step = { kind: "WriteFencing", fencing, status: { ...fencing.status, message: "stale" } };
    expect(await perform(write, EPOCH - 1)).toMatchObject({ outcome: "stale" });
    const unaware: Step = { ...write, fencing: { ...fencing, status: { ...fencing.status, epoch: 0 } } };
    expect(await perform(unaware, EPOCH - 1)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining("must not decrease"),
    });
    expect(await cluster.get(LEDGER_PATH)).toMatchObject({ status: { message: "first" } });
  });

  it("ends in a proof that cannot be taken back", async () => {
    const fencing = await cluster.fencing(LEDGER);
    expect(await perform({ kind: "Fence", fencing, level: LEVEL, mayPowerOff: true })).toEqual({
      outcome: "done",
    });
    expect(device.requests).toEqual(["Off"]);
    const ledger = await cluster.fencing(LEDGER);
    expect(ledger.status).toMatchObject({
      phase: "Fenced",
      epoch: EPOCH,
      attempts: [{ number: 1, outcome: "PoweredOff", powerState: "Off" }],
      proof: { type: "PowerOff", bootID: "boot-1", attempt: 1 },
    });
    const { proof: _proof, ...unproven } = ledger.status;
    expect(await perform({ kind: "WriteFencing", fencing: ledger, status: unproven })).toMatchObject({
      outcome: "refused",
    });
  });

  it("taints the node beside what others set, once, and against what they write in between", async () => {
    const theirs = { key: "node.kubernetes.io/unreachable", effect: "NoExecute" };
    await cluster.request({
      method: "PATCH",
      path: `/api/v1/nodes/${NODE}`,
      contentType: "application/merge-patch+json",
      body: { spec: { taints: [theirs] } },
    });
    const step: Step = { kind: "Taint", node: NODE, proof: await proof() };
    expect(await perform(step)).toEqual({ outcome: "done" });
    expect(await perform(step)).toMatchObject({ outcome: "unchanged" });
    const ours = { key: "node.kubernetes.io/out-of-service", value: "holdfast", effect: "NoSchedule" };
    expect((await cluster.get(`/api/v1/nodes/${NODE}`)).spec?.["taints"]).toMatchObject([theirs, ours]);
  });

  it("releases a hundred VMs, and none that is not meant", async () => {
    const pods = await seedLaunchers(cluster, 100);
    const stands = await proof();
    const context = cluster.contextOf(EPOCH);
    const stranger = { ...pods[0], uid: "other-uid" } as (typeof pods)[number];
    const release = (pod: (typeof pods)[number]): Step => {
      return { kind: "Release", vmKey: pod.name, pods: [pod], proof: stands, priority: 0 };
    };
    await performStep(release(stranger), context);
    expect(await podCount()).toBe(pods.length);
    const waiting = [...pods];
    const outcomes: string[] = [];
    await Promise.all(
      Array.from({ length: RELEASES_AT_ONCE }, async () => {
        for (let pod = waiting.shift(); pod !== undefined; pod = waiting.shift()) {
          outcomes.push((await performStep(release(pod), context)).outcome);
        }
      }),
    );
    expect(outcomes).toEqual(pods.map(() => "done"));
    expect(await podCount()).toBe(0);
  });

  it("releases nothing from a node that has come back, nor taints it", async () => {
    const stands = await proof();
    const [pod] = await seedLaunchers(cluster, 1);
    await cluster.request({
      method: "PATCH",
      path: `/api/v1/nodes/${NODE}/status`,
      contentType: "application/merge-patch+json",
      body: { status: { nodeInfo: { bootID: "boot-2" } } },
    });
    const release: Step = {
      kind: "Release",
      vmKey: "prod/db",
      pods: pod ? [pod] : [],
      proof: stands,
      priority: 0,
    };
    expect(await perform(release)).toMatchObject({ outcome: "refused" });
    expect(await perform({ kind: "Taint", node: NODE, proof: stands })).toMatchObject({ outcome: "refused" });
    await cluster.get(`/api/v1/namespaces/${NAMESPACE}/pods/${pod?.name}`);
  });

  it("lifts its taint and leaves the others'", async () => {
    expect(await perform({ kind: "Untaint", node: NODE })).toEqual({ outcome: "done" });
    expect(await perform({ kind: "Untaint", node: NODE })).toMatchObject({ outcome: "unchanged" });
    expect((await cluster.get(`/api/v1/nodes/${NODE}`)).spec?.["taints"]).toHaveLength(1);
  });
});

describe("our own objects on the real API server", () => {
  const apply: Step = {
    kind: "ApplyProtection",
    policy: POLICY,
    namespace: NAMESPACE,
    name: "db",
    vmName: "db",
    vmUID: "2f1c0f0e-0000-4000-8000-000000000001",
  };

  it("are made from a policy's template and follow it, dropped fields included", async () => {
    expect(await perform(apply)).toEqual({ outcome: "done" });
    expect(await perform(apply)).toMatchObject({ outcome: "unchanged" });
    expect((await cluster.get(HAVM_PATH)).spec).toMatchObject({
      priority: 900,
      failover: { maxRestarts: 5 },
    });
    const template = { priority: 100 };
    expect(await perform({ ...apply, policy: { ...POLICY, generation: 5, template } })).toEqual({
      outcome: "done",
    });
    expect((await cluster.get(HAVM_PATH)).spec).toMatchObject({
      priority: 100,
      failover: { maxRestarts: 3 },
    });
  });

  it("get their status at the version it was computed from, and no other", async () => {
    const { metadata } = await cluster.get(HAVM_PATH);
    const status = { ...PROTECTION_STATUS, node: NODE, vmiUID: "2f1c0f0e-0000-4000-8000-000000000002" };
    const step: Step = { kind: "WriteProtection", protection: { ...PROTECTION, ...metadata }, status };
    expect(await perform(step)).toEqual({ outcome: "done" });
    expect(await perform(step)).toMatchObject({ outcome: "conflict" });
    expect((await cluster.get(HAVM_PATH)).status).toMatchObject({ node: NODE });
  });

  it("lose from their status what the next one leaves out", async () => {
    const { metadata } = await cluster.get(HAVM_PATH);
    const step: Step = {
      kind: "WriteProtection",
      protection: { ...PROTECTION, ...metadata },
      status: PROTECTION_STATUS,
    };
    expect(await perform(step)).toEqual({ outcome: "done" });
    expect((await cluster.get(HAVM_PATH)).status).not.toHaveProperty("node");
  });

  it("are deleted by UID only", async () => {
    const { metadata } = await cluster.get(HAVM_PATH);
    const step: Step = { kind: "DeleteProtection", namespace: NAMESPACE, name: "db", uid: metadata.uid };
    expect(await perform({ ...step, uid: "other-uid" })).toMatchObject({ outcome: "unchanged" });
    expect(await perform(step)).toEqual({ outcome: "done" });
    expect(await perform(step)).toMatchObject({ outcome: "unchanged" });
  });
});

describe("Events on the real API server", () => {
  it("are taken, and counted when they repeat", async () => {
    const context = cluster.contextOf(EPOCH);
    const { metadata } = await cluster.get(`/api/v1/nodes/${NODE}`);
    const about = { apiVersion: "v1", kind: "Node", namespace: undefined, name: NODE, uid: metadata.uid };
    // A new one for each try, else a second would count on from the first.
    const message = `no sign of life (${performance.now()})`;
    const note = { about, type: "Warning", reason: "NodeLost", message } as const;
    context.events.record([note, note, { ...note, reason: "NodeFenced" }]);
    await context.events.settled();
    const { items } = (await cluster.get("/api/v1/namespaces/default/events")) as unknown as {
      items: { reason: string; message: string }[];
    };
    // The API server lists them by name, which holds the time and chance; and it has Events of its own to tell.
    const ours = items.filter(({ message }) => message === note.message);
    expect(ours.sort((one, other) => (one.reason > other.reason ? -1 : 1))).toMatchObject([
      { reason: "NodeLost", count: 2, involvedObject: { name: NODE } },
      { reason: "NodeFenced", count: 1 },
    ]);
  });
});
