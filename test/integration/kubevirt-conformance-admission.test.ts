import { expect, it } from "vitest";
import { sleep } from "../../lab/lab-time.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { describeBoth, KUBEVIRT, NAMESPACE, type Rig } from "./kubevirt-rig.ts";

/** How long an evacuation, or its absence, is given to show. */
const QUIET_MS = 3_000;

async function grant(rig: Rig, user: string, rules: readonly object[]): Promise<ApiTransport> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const name = user.replaceAll(":", "-");
  await rig.admin.request({
    method: "POST",
    path: `${rbac}/clusterroles`,
    body: { metadata: { name }, rules },
  });
  await rig.admin.request({
    method: "POST",
    path: `${rbac}/clusterrolebindings`,
    body: {
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "User", name: user, apiGroup: "rbac.authorization.k8s.io" }],
    },
  });
  return rig.cluster.controlPlane.transportFor({ user });
}

describeBoth("admission and verbs", {}, (rig) => {
  it("silently ignores what others write into a VMI's status, and refuses what they write into its spec", async () => {
    const vmi = await rig.run();
    const { name } = vmi.metadata;
    const answer = await rig.patchVmi(name, { status: { phase: "Failed", evacuationNodeName: "node-9" } });
    expect(answer).toMatchObject({ ok: true, status: 200, value: { status: { phase: "Running" } } });
    expect(answer.ok && answer.value.status).not.toHaveProperty("evacuationNodeName");
    const spec = await rig.patchVmi(name, { spec: { terminationGracePeriodSeconds: 5 } });
    expect(spec).toMatchObject({ ok: false, status: 422 });
    const label = await rig.patchVmi(name, { metadata: { labels: { "kubevirt.io/nodeName": "node-9" } } });
    expect(label).toMatchObject({ ok: false, status: 422 });
    const own = await rig.patchVmi(name, {
      metadata: { labels: { mine: "yes" }, annotations: { mine: "yes" } },
    });
    expect(own).toMatchObject({ ok: true, value: { metadata: { labels: { mine: "yes" } } } });
  });

  it("refuses a migration's priority, a missing VMI, and a VMI that cannot move", async () => {
    const shared = await rig.run();
    const fixed = await rig.run({ disk: "rwo" });
    const priority = await rig.postMigration({ vmiName: shared.metadata.name, priority: "system-critical" });
    expect(priority).toMatchObject({
      ok: false,
      status: 422,
      message: expect.stringContaining("only virt-controller is allowed to set priority field"),
    });
    const nobody = await rig.postMigration({ vmiName: "nobody" });
    expect(nobody).toMatchObject({
      ok: false,
      status: 400,
      message: expect.stringContaining("does not exist"),
    });
    const stuck = await rig.postMigration({ vmiName: fixed.metadata.name });
    expect(stuck).toMatchObject({
      ok: false,
      status: 400,
      message: expect.stringContaining("Cannot migrate VMI, Reason: DisksNotLiveMigratable"),
    });
  });

  it("does not let a migration change its mind", async () => {
    const vmi = await rig.run();
    const name = await rig.migrate(vmi);
    const path = `${KUBEVIRT}/virtualmachineinstancemigrations/${name}`;
    const change = (body: object) =>
      rig.admin.request({ method: "PATCH", path, contentType: "application/merge-patch+json", body });
    expect(await change({ spec: { vmiName: "other" } })).toMatchObject({ ok: false, status: 422 });
    expect(await change({ metadata: { labels: { "kubevirt.io/vmi-name": "other" } } })).toMatchObject({
      ok: false,
      status: 422,
    });
    await rig.phase(name, ["Succeeded"]);
  });

  const evictions = [
    { strategy: "External", disk: "none", answer: "marked", moved: false },
    { strategy: "External", disk: "rwo", answer: "marked", moved: false },
    { strategy: "LiveMigrate", disk: "none", answer: "marked", moved: true },
    { strategy: "LiveMigrateIfPossible", disk: "none", answer: "marked", moved: true },
    { strategy: "LiveMigrate", disk: "rwo", answer: "refused", moved: false },
    { strategy: "LiveMigrateIfPossible", disk: "rwo", answer: "admitted", moved: false },
    { strategy: undefined, disk: "none", answer: "admitted", moved: false },
  ] as const;

  it.each(evictions)(
    "answers an eviction of a VM with strategy $strategy and disk $disk: $answer",
    async ({ strategy, disk, answer, moved }) => {
      const vmi = await rig.run({ disk, ...(strategy ? { evictionStrategy: strategy } : {}) });
      const { name } = vmi.metadata;
      const [pod] = rig.launchersOf(vmi);
      if (!pod) throw new Error("no launcher pod");
      const triggered = `Eviction triggered evacuation of VMI "${NAMESPACE}/${name}"`;
      const dryRun = await rig.evict(pod, { dryRun: true });
      await sleep(500);
      expect(rig.vmi(name)?.status).not.toHaveProperty("evacuationNodeName");
      const first = await rig.evict(pod);
      if (answer === "admitted") {
        expect([dryRun, first]).toMatchObject([{ status: 201 }, { status: 201 }]);
        await rig.restarted(vmi);
        return;
      }
      const second = await rig.evict(pod);
      expect([dryRun.status, first.status, second.status]).toEqual([429, 429, 429]);
      const expected =
        answer === "marked"
          ? [triggered, triggered, `Evacuation in progress: ${triggered}`]
          : Array(3).fill(`VMI ${name} is configured with an eviction strategy but is not live-migratable`);
      const messages = [dryRun, first, second].map((outcome) => (outcome.ok ? "" : outcome.message));
      for (const [index, text] of expected.entries()) expect(messages[index]).toContain(text);
      if (moved) {
        await rig.until("it runs on another node, unmarked", () => {
          const now = rig.vmi(name);
          const elsewhere = now?.status?.nodeName !== vmi.status?.nodeName;
          return elsewhere && !now?.status?.evacuationNodeName ? true : undefined;
        });
        const [migration] = [...rig.cluster.view.migrations.values()];
        expect(migration?.metadata.name).toMatch(/^kubevirt-evacuation-/);
        expect(migration?.spec).toMatchObject({ priority: "system-critical" });
        return;
      }
      await sleep(QUIET_MS);
      const marked = answer === "marked";
      expect(rig.vmi(name)?.status?.evacuationNodeName).toBe(marked ? vmi.status?.nodeName : undefined);
      const shown = rig.vmi(name)?.status?.conditions?.some(({ type }) => type === "EvictionRequested");
      expect(shown ?? false).toBe(marked);
      expect([...rig.cluster.view.migrations.values()]).toEqual([]);
      expect(rig.vmi(name)?.metadata.uid).toBe(vmi.metadata.uid);
    },
  );

  it("does nothing about a plain cordon, and evacuates a node with the drain taint", async () => {
    const vmi = await rig.run({ node: "node-1", evictionStrategy: "LiveMigrate" });
    const { name } = vmi.metadata;
    await rig.cordon("node-1", true);
    await sleep(QUIET_MS);
    expect([...rig.cluster.view.migrations.values()]).toEqual([]);
    await rig.taint("node-1", [{ key: "kubevirt.io/drain", effect: "NoSchedule" }]);
    await rig.until("it has moved", () => (rig.vmi(name)?.status?.nodeName === "node-1" ? undefined : true));
    expect(rig.vmi(name)?.metadata.uid).toBe(vmi.metadata.uid);
  });

  it("takes an eviction mark off again, but not while the node is being drained", async () => {
    const vmi = await rig.run({ node: "node-1", evictionStrategy: "External" });
    const { name } = vmi.metadata;
    const [pod] = rig.launchersOf(vmi);
    if (pod) await rig.evict(pod);
    const cancel = () =>
      rig.admin.request({
        method: "PUT",
        path: `/apis/subresources.kubevirt.io/v1/namespaces/${NAMESPACE}/virtualmachines/${name}/evacuate/cancel`,
        body: { evacuationNodeName: "node-1" },
      });
    await rig.taint("node-1", [{ key: "kubevirt.io/drain", effect: "NoSchedule" }]);
    expect(await cancel()).toMatchObject({ ok: false, status: 400 });
    await rig.taint("node-1", []);
    expect(await cancel()).toMatchObject({ ok: true, status: 200 });
    await rig.until("the mark is gone", () => (rig.vmi(name)?.status?.evacuationNodeName ? undefined : true));
  });

  it("answers start, stop and restart by run strategy", async () => {
    const always = (await rig.run({ runStrategy: "Always" })).metadata.name;
    const once = (await rig.run({ runStrategy: "Once" })).metadata.name;
    const manual = await rig.run({ runStrategy: "Manual" });
    const status = async (name: string, verb: string) =>
      (await rig.verb("virtualmachines", name, verb)).status;
    expect(await status(always, "start")).toBe(409);
    expect(await status(once, "restart")).toBe(409);
    expect(await status("nobody", "start")).toBe(404);
    expect(await status(manual.metadata.name, "restart")).toBe(202);
    const again = await rig.restarted(manual);
    expect(await status(manual.metadata.name, "stop")).toBe(202);
    await rig.until("it is stopped", () => (rig.vmi(manual.metadata.name) ? undefined : true));
    expect(await status(manual.metadata.name, "stop")).toBe(409);
    expect(await status(manual.metadata.name, "start")).toBe(202);
    await rig.restarted(again);
    expect(await status(always, "stop")).toBe(202);
    await rig.until("stop has halted it", () =>
      rig.vm(always)?.spec.runStrategy === "Halted" && !rig.vmi(always) ? true : undefined,
    );
    expect(await status(always, "start")).toBe(202);
    await rig.cluster.waitForRunning(`${NAMESPACE}/${always}`);
    expect(rig.vm(always)?.spec.runStrategy).toBe("Always");
  });

  it("turns away a client that takes nothing but plain JSON", async () => {
    const { name } = (await rig.run({ runStrategy: "Always" })).metadata;
    // 409, since an Always VM cannot be started: the call came through.
    expect(await rig.verbAccepting(name, "start", "application/json, */*")).toBe(409);
    expect(await rig.verbAccepting(name, "start", "*/*")).toBe(409);
    expect(await rig.verbAccepting(name, "start", undefined)).toBe(409);
    expect(await rig.verbAccepting(name, "start", "application/json")).toBe(406);
  });

  it("migrates by verb, and asks for rights of its own for each verb", async () => {
    const vmi = await rig.run();
    const { name } = vmi.metadata;
    const nobody = rig.cluster.controlPlane.transportFor({ user: rig.name("nobody") });
    expect(await rig.verb("virtualmachines", name, "restart", nobody)).toMatchObject({
      ok: false,
      status: 403,
    });
    const mover = await grant(rig, rig.name("mover"), [
      {
        apiGroups: ["subresources.kubevirt.io"],
        resources: ["virtualmachines/migrate"],
        verbs: ["update"],
      },
    ]);
    expect(await rig.verb("virtualmachines", name, "restart", mover)).toMatchObject({
      ok: false,
      status: 403,
    });
    expect(await rig.verb("virtualmachines", name, "migrate", mover)).toMatchObject({
      ok: true,
      status: 202,
    });
    const migration = await rig.until(
      "a migration appears",
      () => [...rig.cluster.view.migrations.values()][0],
    );
    expect(migration.metadata.name).toMatch(/^kubevirt-migrate-vm-/);
    await rig.phase(migration.metadata.name, ["Succeeded"]);
  });
});
