import { describe, expect, it } from "vitest";
import { launcherPod, targetPod } from "../../lab/kubevirt/launcher-pod.ts";
import type { Node, VirtualMachineInstance } from "../../lab/kubevirt/objects.ts";
import { samplePod, sampleVmi } from "./kubevirt-samples.ts";

const SOURCE_NODE: Node = {
  metadata: {
    name: "node-1",
    uid: "node-1",
    resourceVersion: "1",
    creationTimestamp: "",
    labels: {
      "cpu-vendor.node.kubevirt.io/Intel": "true",
      "host-model-cpu.node.kubevirt.io/Skylake": "true",
      "host-model-required-features.node.kubevirt.io/md-clear": "true",
    },
  },
};

function withSpec(spec: Partial<VirtualMachineInstance["spec"]>): VirtualMachineInstance {
  const vmi = sampleVmi("Running");
  return { ...vmi, spec: { ...vmi.spec, ...spec } };
}

function target(vmi: VirtualMachineInstance, addedNodeSelector: Record<string, string> = {}) {
  const options = {
    migrationUid: "m",
    migrationName: "m",
    sourcePod: samplePod("Running"),
    sourceNode: SOURCE_NODE,
  };
  return targetPod(vmi, { ...options, addedNodeSelector });
}

describe("a launcher pod", () => {
  it("gets the VMI's grace period and the launcher's own on top", () => {
    expect(launcherPod(withSpec({})).spec["terminationGracePeriodSeconds"]).toBe(60);
    const patient = withSpec({ terminationGracePeriodSeconds: 180 });
    expect(launcherPod(patient).spec["terminationGracePeriodSeconds"]).toBe(210);
  });

  it("asks for the guest's memory and 288 MiB for itself", () => {
    const vmi = withSpec({ domain: { memory: { guest: "1Gi" } } });
    expect(launcherPod(vmi).spec["containers"]).toMatchObject([
      { resources: { requests: { memory: String((1024 + 288) * 2 ** 20), cpu: "100m" } } },
    ]);
  });

  it("mounts claims, but not hotplugged ones, which belong to an attachment pod", () => {
    const volumes = [
      { name: "root", persistentVolumeClaim: { claimName: "disk" } },
      { name: "extra", persistentVolumeClaim: { claimName: "late", hotpluggable: true } },
    ];
    expect(launcherPod(withSpec({ volumes })).spec["volumes"]).toEqual([
      { name: "root", persistentVolumeClaim: { claimName: "disk" } },
    ]);
  });
});

describe("a migration's target pod", () => {
  it("stays away from the source and goes to fitting processors only", () => {
    const pod = target(withSpec({ domain: { cpu: { model: "host-model" } } }));
    expect(pod.spec.nodeSelector).toMatchObject({
      "cpu-vendor.node.kubevirt.io/Intel": "true",
      "cpu-model-migration.node.kubevirt.io/Skylake": "true",
      "cpu-feature.node.kubevirt.io/md-clear": "true",
    });
    expect(pod.spec.affinity).toMatchObject({
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            labelSelector: { matchLabels: { "kubevirt.io/created-by": "vmi" } },
            topologyKey: "kubernetes.io/hostname",
          },
        ],
      },
    });
  });

  it("lets the VM's own selector win over the added one", () => {
    const vmi = withSpec({ nodeSelector: { zone: "a" } });
    expect(target(vmi, { zone: "b", disk: "ssd" }).spec.nodeSelector).toMatchObject({
      zone: "a",
      disk: "ssd",
    });
  });

  it("cannot be made where the source's processor is not labelled", () => {
    const bare = { ...SOURCE_NODE, metadata: { ...SOURCE_NODE.metadata, labels: {} } };
    const vmi = withSpec({ domain: { cpu: { model: "host-model" } } });
    const options = {
      migrationUid: "m",
      migrationName: "m",
      sourcePod: samplePod("Running"),
      addedNodeSelector: {},
    };
    expect(() => targetPod(vmi, { ...options, sourceNode: bare })).toThrow("unable to locate host cpu model");
  });
});
