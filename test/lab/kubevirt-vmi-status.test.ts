import { describe, expect, it } from "vitest";
import type { Pod, VirtualMachineInstance } from "../../lab/kubevirt/objects.ts";
import { nextVmi } from "../../lab/kubevirt/vmi-status.ts";
import { samplePod, sampleVmi } from "./kubevirt-samples.ts";

function next(vmi: VirtualMachineInstance, pod: Pod | undefined, owned: readonly Pod[] = pod ? [pod] : []) {
  return nextVmi(vmi, { pod, owned, hasVm: true, volumeStatus: [], syncFailure: undefined });
}

const FINALIZERS = [
  "kubevirt.io/virtualMachineControllerFinalize",
  "kubevirt.io/foregroundDeleteVirtualMachine",
];

describe("a VMI's phase", () => {
  it("is handed over to virt-handler when the pod runs, with the node in label and status", () => {
    const vmi = next(sampleVmi("Scheduling"), samplePod("Running", { node: "node-1" }));
    expect(vmi).toMatchObject({
      metadata: { labels: { "kubevirt.io/nodeName": "node-1" } },
      status: { phase: "Scheduled", nodeName: "node-1", activePods: { "virt-launcher-a-1": "node-1" } },
    });
  });

  it("is Failed as soon as the pod object of a Running VMI is gone, and not before", () => {
    const running = sampleVmi("Running", { nodeName: "node-1" });
    expect(next(running, undefined).status).toMatchObject({ phase: "Failed" });
    expect(next(running, undefined).status).not.toHaveProperty("reason");
    const ended = samplePod("Failed", { node: "node-1" });
    expect(next(running, ended).status.phase).toBe("Running");
    const leaving = samplePod("Running", {
      node: "node-1",
      metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" },
    });
    expect(next(running, leaving).status).toMatchObject({
      phase: "Running",
      conditions: [{ type: "Ready", status: "False", reason: "PodTerminating" }],
    });
  });

  it("keeps its finalizer while any pod it controls remains, a migration's dead target included", () => {
    const vmi = sampleVmi("Failed", {}, { finalizers: FINALIZERS });
    const target = samplePod("Running", { node: "node-2", name: "target" });
    expect(next(vmi, undefined, [target]).metadata.finalizers).toEqual(FINALIZERS);
    expect(next(vmi, undefined, []).metadata.finalizers).toEqual([FINALIZERS[0]]);
  });

  it("follows the pod's Ready condition while the guest runs", () => {
    const pod = samplePod("Running", { node: "node-1" });
    pod.status = { ...pod.status, conditions: [{ type: "Ready", status: "False", reason: "NodeNotReady" }] };
    const vmi = next(sampleVmi("Running", { nodeName: "node-1" }), pod);
    expect(vmi.status.conditions).toEqual([{ type: "Ready", status: "False", reason: "NodeNotReady" }]);
  });

  it("shows an eviction's mark as a condition and takes the condition off with it", () => {
    const pod = samplePod("Running", { node: "node-1" });
    const marked = next(sampleVmi("Running", { nodeName: "node-1", evacuationNodeName: "node-1" }), pod);
    expect(marked.status.conditions?.map(({ type }) => type)).toContain("EvictionRequested");
    const freed = structuredClone(marked);
    delete freed.status.evacuationNodeName;
    expect(next(freed, pod).status.conditions?.map(({ type }) => type)).not.toContain("EvictionRequested");
  });
});
