// Pod status as a kubelet reports it, computed from what runs. Pure.
import { labTime } from "../lab-time.ts";
import type { Sandbox } from "./container-runtime.ts";
import type { Condition, ContainerStatus, Pod, PodStatus } from "./objects.ts";
import { KILLED } from "./workload.ts";

/** Conditions the kubelet writes; all others belong to somebody else and are kept. */
const OWN_CONDITIONS = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];

/** Annotation of a pod by which its readiness probe is made to fail, as while a guest freezes its file systems. */
export const PROBE_FAILS_ANNOTATION = "lab.holdfast.dev/probe-fails";

/** Status of a pod whose containers run or have exited. */
export function statusOf(pod: Pod, sandbox: Sandbox, hostIP: string): PodStatus {
  const { exit } = sandbox;
  const running = exit === undefined;
  const phase = running ? "Running" : exit.code === 0 ? "Succeeded" : "Failed";
  const reason = running ? undefined : "PodCompleted";
  return {
    phase,
    hostIP,
    hostIPs: [{ ip: hostIP }],
    podIP: sandbox.podIP,
    podIPs: [{ ip: sandbox.podIP }],
    startTime: pod.status?.startTime ?? sandbox.startedAt,
    conditions: conditionsOf(pod, running, reason),
    containerStatuses: pod.spec.containers.map((container) => ({
      ...identityOf(container, sandbox),
      ready: running && pod.metadata.annotations?.[PROBE_FAILS_ANNOTATION] === undefined,
      started: running,
      restartCount: sandbox.restartCount,
      state: running
        ? { running: { startedAt: sandbox.startedAt } }
        : { terminated: terminatedOf(exit.code, sandbox.startedAt, exit.finishedAt) },
    })),
    ...initStatuses(pod, sandbox),
  };
}

/**
 * Status of a pod that has no containers and will get none: its machine rebooted and its restart policy forbids another
 * start, or it was deleted before it ever ran.
 */
export function lostStatusOf(pod: Pod, finishedAt: string): PodStatus {
  const terminated = { exitCode: KILLED, reason: "ContainerStatusUnknown", finishedAt };
  return {
    ...pod.status,
    phase: "Failed",
    conditions: conditionsOf(pod, false, "PodFailed"),
    containerStatuses: pod.spec.containers.map((container) => ({
      name: container.name,
      image: container.image ?? "",
      imageID: "",
      ready: false,
      started: false,
      restartCount: 0,
      state: { terminated },
    })),
  };
}

function conditionsOf(pod: Pod, running: boolean, reason: string | undefined): Condition[] {
  const known = pod.status?.conditions ?? [];
  const gates = pod.spec.readinessGates ?? [];
  const gatesOpen = gates.every(({ conditionType }) =>
    known.some(({ type, status }) => type === conditionType && status === "True"),
  );
  const probeFails = pod.metadata.annotations?.[PROBE_FAILS_ANNOTATION] !== undefined;
  const notReady = probeFails ? "ContainersNotReady" : "ReadinessGatesNotReady";
  const make = (type: string, holds: boolean, why: string | undefined): Condition => {
    const status = holds ? "True" : "False";
    const before = known.find((condition) => condition.type === type);
    return {
      type,
      status,
      ...(holds || why === undefined ? {} : { reason: why }),
      lastProbeTime: null,
      lastTransitionTime:
        before?.status === status && before.lastTransitionTime
          ? before.lastTransitionTime
          : `${new Date(labTime.wallMs()).toISOString().slice(0, 19)}Z`,
    };
  };
  return [
    ...known.filter(({ type }) => !OWN_CONDITIONS.includes(type)),
    make("PodReadyToStartContainers", running, reason),
    make("Initialized", true, undefined),
    make("Ready", running && gatesOpen && !probeFails, running ? notReady : reason),
    make("ContainersReady", running && !probeFails, running ? "ContainersNotReady" : reason),
  ];
}

function identityOf(container: { name: string; image?: string }, sandbox: Sandbox) {
  return {
    name: container.name,
    image: container.image ?? "",
    imageID: `${container.image ?? ""}@sha256:0`,
    containerID: `lab://${sandbox.uid}/${container.name}/${sandbox.restartCount}`,
  };
}

function initStatuses(pod: Pod, sandbox: Sandbox): { initContainerStatuses?: ContainerStatus[] } {
  if (!pod.spec.initContainers?.length) return {};
  return {
    initContainerStatuses: pod.spec.initContainers.map((container) => ({
      ...identityOf(container, sandbox),
      ready: true,
      started: false,
      restartCount: 0,
      state: { terminated: terminatedOf(0, sandbox.startedAt, sandbox.startedAt) },
    })),
  };
}

function terminatedOf(exitCode: number, startedAt: string, finishedAt: string) {
  return { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt, finishedAt };
}

/** Whether two statuses say the same, so that writing one over the other would change nothing. */
export function sameStatus(a: PodStatus | undefined, b: PodStatus): boolean {
  if (!a || a.phase !== b.phase || a.podIP !== b.podIP) return false;
  const conditions = (status: PodStatus) =>
    (status.conditions ?? [])
      .map(({ type, status: value, reason }) => `${type}=${value}/${reason ?? ""}`)
      .sort()
      .join();
  const containers = (status: PodStatus) =>
    (status.containerStatuses ?? [])
      .map(({ name, restartCount, state }) => `${name}/${restartCount}/${Object.keys(state).join()}`)
      .join();
  return conditions(a) === conditions(b) && containers(a) === containers(b);
}
