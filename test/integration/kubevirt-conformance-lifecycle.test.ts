import { expect, it } from "vitest";
import { sleep } from "../../lab/lab-time.ts";
import { describeBoth, KUBEVIRT, NAMESPACE } from "./kubevirt-rig.ts";

/** How long something that must not happen is waited for. */
const QUIET_MS = 3_000;

describeBoth("VMs and their VMIs", {}, (rig) => {
  it("starts a VM as a VMI with both finalizers, in a pod that only fits nodes with virt-handler", async () => {
    const vmi = await rig.run({ labels: { team: "a" } });
    expect(vmi.metadata.finalizers).toEqual([
      "kubevirt.io/virtualMachineControllerFinalize",
      "kubevirt.io/foregroundDeleteVirtualMachine",
    ]);
    expect(vmi.metadata.labels).toMatchObject({ team: "a", "kubevirt.io/nodeName": vmi.status?.nodeName });
    const [pod] = rig.launchersOf(vmi);
    expect(pod?.metadata.labels).toMatchObject({
      team: "a",
      "kubevirt.io": "virt-launcher",
      "kubevirt.io/created-by": vmi.metadata.uid,
      "vm.kubevirt.io/name": vmi.metadata.name,
    });
    expect(pod?.metadata.ownerReferences).toMatchObject([
      { kind: "VirtualMachineInstance", controller: true },
    ]);
    expect(pod?.spec).toMatchObject({
      terminationGracePeriodSeconds: 60,
      restartPolicy: "Never",
      nodeSelector: {
        "kubevirt.io/schedulable": "true",
        "kubernetes.io/arch": "amd64",
        "machine-type.node.kubevirt.io/q35": "true",
      },
      readinessGates: [{ conditionType: "kubevirt.io/virtual-machine-unpaused" }],
    });
    await rig.until("the VM says so", () => {
      const status = rig.vm(vmi.metadata.name)?.status;
      return status?.printableStatus === "Running" && status.ready === true ? true : undefined;
    });
    expect(rig.vmi(vmi.metadata.name)?.status).toMatchObject({
      phaseTransitionTimestamps: ["Pending", "Scheduling", "Scheduled", "Running"].map((phase) => ({
        phase,
      })),
      migrationTransport: "Unix",
      activePods: { [pod?.metadata.uid ?? ""]: vmi.status?.nodeName },
    });
  });

  it("brings back Always and RerunOnFailure after a pod is lost with its node, but neither Manual nor Once", async () => {
    const node = "node-1";
    const [always, rerun, manual, once] = [
      await rig.run({ node, runStrategy: "Always" }),
      await rig.run({ node, runStrategy: "RerunOnFailure" }),
      await rig.run({ node, runStrategy: "Manual" }),
      await rig.run({ node, runStrategy: "Once" }),
    ];
    await rig.powerOff(node);
    await rig.release(node);
    for (const vmi of [always, rerun]) expect((await rig.restarted(vmi)).status?.nodeName).not.toBe(node);
    for (const vmi of [manual, once]) {
      const { name } = vmi.metadata;
      await rig.until(`${name} is Failed and shown as Stopped`, () =>
        rig.vmi(name)?.status?.phase === "Failed" && rig.vm(name)?.status?.printableStatus === "Stopped"
          ? true
          : undefined,
      );
    }
    await sleep(QUIET_MS);
    for (const vmi of [manual, once]) {
      expect(rig.vmi(vmi.metadata.name)).toMatchObject({
        metadata: { uid: vmi.metadata.uid },
        status: { phase: "Failed" },
      });
      expect(rig.vmi(vmi.metadata.name)?.status).not.toHaveProperty("reason");
    }
    await rig.startVM(manual.metadata.name);
    await rig.restarted(manual);
    const path = `${KUBEVIRT}/virtualmachineinstances/${once.metadata.name}`;
    await rig.admin.request({ method: "DELETE", path, body: { preconditions: { uid: once.metadata.uid } } });
    await rig.restarted(once);
  });

  it("restarts Always after a guest's own end, and leaves RerunOnFailure stopped", async () => {
    const always = await rig.run({ runStrategy: "Always" });
    const rerun = await rig.run({ runStrategy: "RerunOnFailure" });
    for (const vmi of [always, rerun]) {
      const [pod] = rig.launchersOf(vmi);
      if (pod) await rig.deletePod(pod);
    }
    await rig.restarted(always);
    await rig.until("the VMI of the other is gone and stays away", () =>
      rig.vmi(rerun.metadata.name) === undefined ? true : undefined,
    );
    await sleep(QUIET_MS);
    expect(rig.vmi(rerun.metadata.name)).toBeUndefined();
    expect(rig.vm(rerun.metadata.name)?.status?.printableStatus).toBe("Stopped");
  });

  it("does not restart RerunOnFailure when somebody deletes its VMI", async () => {
    const vmi = await rig.run({ runStrategy: "RerunOnFailure" });
    const path = `${KUBEVIRT}/virtualmachineinstances/${vmi.metadata.name}`;
    await rig.admin.request({ method: "DELETE", path });
    await rig.until("the VMI is gone", () => (rig.vmi(vmi.metadata.name) ? undefined : true));
    await sleep(QUIET_MS);
    expect(rig.vmi(vmi.metadata.name)).toBeUndefined();
  });

  it("keeps a VMI Running while its dead node's pod is Terminating, and fails it when the pod object goes", async () => {
    const vmi = await rig.run({ node: "node-1" });
    const { name, uid } = vmi.metadata;
    await rig.powerOff("node-1");
    const [pod] = rig.launchersOf(vmi);
    if (!pod) throw new Error("no launcher pod");
    await rig.deletePod(pod);
    await rig.until("Ready is False because the pod is Terminating", () =>
      rig
        .vmi(name)
        ?.status?.conditions?.some(
          ({ type, status, reason }) => type === "Ready" && status === "False" && reason === "PodTerminating",
        )
        ? true
        : undefined,
    );
    await sleep(QUIET_MS);
    expect(rig.vmi(name)).toMatchObject({ metadata: { uid }, status: { phase: "Running" } });
    expect(rig.vm(name)?.status?.printableStatus).toBe("Running");
    await rig.release("node-1");
    await rig.restarted(vmi);
  });

  it("keeps a deleted VMI until the last pod it controls is gone", async () => {
    const vmi = await rig.run({ node: "node-1" });
    const { name } = vmi.metadata;
    await rig.powerOff("node-1");
    await rig.admin.request({ method: "DELETE", path: `${KUBEVIRT}/virtualmachines/${name}` });
    await rig.until("the VMI is being deleted", () => rig.vmi(name)?.metadata.deletionTimestamp);
    await sleep(QUIET_MS);
    expect(rig.vmi(name)?.metadata.finalizers).toContain("kubevirt.io/foregroundDeleteVirtualMachine");
    expect(rig.vm(name)?.status?.printableStatus).toBe("Terminating");
    await rig.release("node-1");
    await rig.until("VMI and VM are gone", () => ((rig.vmi(name) ?? rig.vm(name)) ? undefined : true));
  });

  it("binds the replacement to the dead node where the taint is missing, and then starts only after a back-off", async () => {
    const vmi = await rig.run({ node: "node-1" });
    const { name } = vmi.metadata;
    for (const other of ["node-2", "node-3"]) await rig.cordon(other, true);
    await rig.powerOff("node-1");
    for (const pod of rig.launchersOf(vmi)) await rig.forceDelete(pod);
    const stuck = await rig.until("the replacement is bound to the dead node", () => {
      const next = rig.vmi(name);
      const [pod] = next && next.metadata.uid !== vmi.metadata.uid ? rig.launchersOf(next) : [];
      return next && pod?.spec.nodeName === "node-1" ? next : undefined;
    });
    for (const other of ["node-2", "node-3"]) await rig.cordon(other, false);
    const releasedMs = performance.now();
    await rig.release("node-1");
    await rig.until("the failed start is counted", () => {
      const status = rig.vm(name)?.status;
      return status?.printableStatus === "CrashLoopBackOff" ? status : undefined;
    });
    expect(rig.vm(name)?.status).toMatchObject({
      startFailure: { consecutiveFailCount: 1, lastFailedVMIUID: stuck.metadata.uid },
    });
    await rig.restarted(stuck, 40_000);
    const tookMs = performance.now() - releasedMs;
    expect(tookMs).toBeGreaterThan(8_500);
    await rig.until("the count is cleared", () =>
      rig.vm(name)?.status && !("startFailure" in (rig.vm(name)?.status ?? {})) ? true : undefined,
    );
  }, 90_000);

  it("refuses to delete a pod that is not the one meant", async () => {
    const vmi = await rig.run();
    const [pod] = rig.launchersOf(vmi);
    const outcome = await rig.admin.request({
      method: "DELETE",
      path: `/api/v1/namespaces/${NAMESPACE}/pods/${pod?.metadata.name}`,
      body: { gracePeriodSeconds: 0, preconditions: { uid: "00000000-0000-0000-0000-000000000000" } },
    });
    expect(outcome).toMatchObject({ ok: false, kind: "conflict" });
  });

  it("takes a node with a silent virt-handler out of scheduling, and fails only VMIs whose pods are not alive", async () => {
    const alive = await rig.run({ node: "node-1" });
    const dead = await rig.run({ node: "node-1", runStrategy: "Manual" });
    await rig.powerOff("node-1");
    const [pod] = rig.launchersOf(dead);
    const failed = await rig.admin.request({
      method: "PATCH",
      path: `/api/v1/namespaces/${NAMESPACE}/pods/${pod?.metadata.name}/status`,
      contentType: "application/merge-patch+json",
      body: { status: { phase: "Failed" } },
    });
    expect(failed.ok).toBe(true);
    const sixMinutesAgo = `${new Date(Date.now() - 360_000).toISOString().slice(0, 19)}Z`;
    await rig.patchNode("node-1", { metadata: { annotations: { "kubevirt.io/heartbeat": sixMinutesAgo } } });
    await rig.until("the VMI without a living pod is Failed", () =>
      rig.vmi(dead.metadata.name)?.status?.phase === "Failed" ? true : undefined,
    );
    expect(rig.vmi(dead.metadata.name)?.status).toMatchObject({ reason: "NodeUnresponsive" });
    expect(rig.cluster.view.nodes.get("node-1")?.metadata.labels?.["kubevirt.io/schedulable"]).toBe("false");
    expect(rig.vmi(alive.metadata.name)?.status?.phase).toBe("Running");
  });

  it("goes on where it was after the API server was away for a moment", async () => {
    const vmi = await rig.run();
    const { controlPlane } = rig.cluster;
    await controlPlane.stopApiServer();
    await sleep(2_000);
    await controlPlane.startApiServer();
    const [pod] = rig.launchersOf(vmi);
    if (!pod) throw new Error("no launcher pod");
    await rig.until("the pod is deleted", async () => ((await rig.deletePod(pod)).ok ? true : undefined));
    // The real controllers may have to wait for their own Lease to run out first.
    await rig.restarted(vmi, 120_000);
    expect(rig.cluster.oracle.overlaps).toEqual([]);
  }, 240_000);
});
