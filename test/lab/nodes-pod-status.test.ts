import { describe, expect, it } from "vitest";
import { Rack } from "./nodes-rack.ts";
import type { Sandbox } from "../../lab/nodes/container-runtime.ts";
import type { Condition, Pod } from "../../lab/nodes/objects.ts";
import { lostStatusOf, sameStatus, statusOf } from "../../lab/nodes/pod-status.ts";

const GATE = "kubevirt.io/virtual-machine-unpaused";
const HOST = "198.18.0.1";

function gatedPod(conditions: Condition[]): Pod {
  return {
    metadata: { name: "p", namespace: "default", uid: "p" },
    spec: {
      restartPolicy: "Never",
      containers: [{ name: "compute", image: "virt-launcher" }],
      initContainers: [{ name: "prepare" }],
      readinessGates: [{ conditionType: GATE }],
    },
    status: { phase: "Pending", conditions },
  };
}

function started(pod: Pod): Sandbox {
  return new Rack().powerOn("a").runtime.start(pod);
}

function condition(status: { conditions?: Condition[] }, type: string): string | undefined {
  return status.conditions?.find((found) => found.type === type)?.status;
}

describe("pod status", () => {
  it("is Running but not Ready while a readiness gate is closed", () => {
    const pod = gatedPod([]);
    const status = statusOf(pod, started(pod), HOST);
    expect(status).toMatchObject({ phase: "Running", hostIP: HOST });
    expect(condition(status, "ContainersReady")).toBe("True");
    expect(condition(status, "Ready")).toBe("False");
    expect(status.initContainerStatuses?.[0]?.state.terminated?.exitCode).toBe(0);
  });

  it("is Ready once the gate is open, and keeps the gate's condition", () => {
    const pod = gatedPod([{ type: GATE, status: "True" }]);
    const status = statusOf(pod, started(pod), HOST);
    expect(condition(status, "Ready")).toBe("True");
    expect(condition(status, GATE)).toBe("True");
  });

  it("puts Ready right where somebody else declared the pod not ready", () => {
    const pod = gatedPod([{ type: GATE, status: "True" }]);
    const sandbox = started(pod);
    const status = statusOf(pod, sandbox, HOST);
    const spoiled = {
      ...status,
      conditions: status.conditions?.map((found) =>
        found.type === "Ready" ? { ...found, status: "False" as const } : found,
      ),
    };
    expect(sameStatus(status, statusOf({ ...pod, status }, sandbox, HOST))).toBe(true);
    expect(sameStatus(spoiled as Pod["status"], statusOf({ ...pod, status }, sandbox, HOST))).toBe(false);
  });

  it.each([
    [0, "Succeeded"],
    [137, "Failed"],
  ])("after exit code %i is %s", (code, phase) => {
    const pod = gatedPod([]);
    const sandbox = started(pod);
    sandbox.exit = { code, finishedAt: "2026-01-01T00:00:00Z" };
    const status = statusOf(pod, sandbox, HOST);
    expect(status.phase).toBe(phase);
    expect(status.containerStatuses?.[0]?.state.terminated?.exitCode).toBe(code);
    expect(condition(status, "Ready")).toBe("False");
  });

  it("of a pod whose machine was rebooted is Failed, and keeps its address", () => {
    const pod = gatedPod([]);
    pod.status = { phase: "Running", podIP: "10.1.0.9", conditions: [] };
    expect(lostStatusOf(pod, "2026-01-01T00:00:00Z")).toMatchObject({ phase: "Failed", podIP: "10.1.0.9" });
  });
});
