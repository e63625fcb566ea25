// The kubelet's pod workers: brings each pod of this node from what is asked to what runs, and reports it.
import type { ContainerRuntime, Sandbox } from "./container-runtime.ts";
import type { NodeDelays } from "./delays.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { Lifeline } from "./lifeline.ts";
import { Mirror } from "./mirror.ts";
import type { ApiDoor } from "./node-link.ts";
import { type Pod, type PodStatus, timestamp } from "./objects.ts";
import { lostStatusOf, sameStatus, statusOf } from "./pod-status.ts";
import type { VolumesInUse } from "./volumes-in-use.ts";

export interface PodSyncOptions {
  readonly nodeName: string;
  readonly hostIP: string;
  readonly door: ApiDoor;
  readonly life: Lifeline;
  readonly delays: NodeDelays;
  readonly runtime: ContainerRuntime;
  readonly volumes: VolumesInUse;
}

/** A kubelet's shortest grace period. */
const MIN_GRACE_SECONDS = 1;
const DEFAULT_GRACE_SECONDS = 30;

/** The pods of one node, for the life of one kubelet process. Work is per pod UID, one step at a time. */
export class PodSync {
  readonly #options: PodSyncOptions;
  readonly #queue: KeyedQueue;
  /** Pods that are bound here, by UID. */
  readonly #wanted = new Map<string, Pod>();
  readonly #starting = new Set<string>();

  constructor(options: PodSyncOptions) {
    this.#options = options;
    this.#queue = new KeyedQueue((uid) => this.#sync(uid));
  }

  run(): void {
    const { door, life, delays, runtime, volumes, nodeName } = this.#options;
    runtime.onExit = (sandbox) => this.#queue.mark(sandbox.uid);
    const pods = new Mirror<Pod>(door, {
      path: "/api/v1/pods",
      query: { fieldSelector: `spec.nodeName=${nodeName}` },
      pause: () => life.sleep(delays.retryMs),
      listener: {
        changed: (pod) => this.#noticePod(pod),
        deleted: (pod) => this.#forgetPod(pod),
        // Whatever runs here and is not listed was deleted while this kubelet could not see it.
        synced: () => {
          for (const uid of [...runtime.all().map((sandbox) => sandbox.uid), ...volumes.podUids]) {
            this.#queue.mark(uid);
          }
        },
      },
    });
    life.atEnd(() => {
      runtime.onExit = undefined;
      pods.stop();
    });
  }

  #noticePod(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    this.#takeNewer(uid, pod);
    this.#queue.mark(uid);
  }

  /** The answer to a write of ours may overtake the watch, and the watch the answer. */
  #takeNewer(uid: string, pod: Pod): void {
    const known = this.#wanted.get(uid)?.metadata.resourceVersion ?? "0";
    if (Number(pod.metadata.resourceVersion) >= Number(known)) this.#wanted.set(uid, pod);
  }

  #forgetPod(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    this.#wanted.delete(uid);
    this.#queue.mark(uid);
  }

  async #sync(uid: string): Promise<void> {
    const pod = this.#wanted.get(uid);
    const sandbox = this.#options.runtime.get(uid);
    if (!pod) this.#endForgotten(uid, sandbox);
    else if (pod.metadata.deletionTimestamp) await this.#endDeleted(pod, sandbox);
    else if (sandbox) await this.#keepRunning(pod, sandbox);
    else await this.#begin(pod);
  }

  /** The API server no longer knows the pod: its containers get the grace period of its spec, nobody is told. */
  #endForgotten(uid: string, sandbox: Sandbox | undefined): void {
    const { runtime, volumes } = this.#options;
    if (sandbox && !sandbox.exit) {
      const { spec, metadata } = sandbox.pod;
      const graceSeconds =
        metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
      runtime.stop(sandbox, Math.max(graceSeconds, MIN_GRACE_SECONDS) * 1000);
      return;
    }
    runtime.remove(uid);
    volumes.release(uid);
  }

  async #endDeleted(pod: Pod, sandbox: Sandbox | undefined): Promise<void> {
    const { runtime, volumes, door } = this.#options;
    const { uid = "", namespace, name, deletionGracePeriodSeconds } = pod.metadata;
    if (sandbox && !sandbox.exit) {
      const graceSeconds = deletionGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
      runtime.stop(sandbox, Math.max(graceSeconds, MIN_GRACE_SECONDS) * 1000);
      return;
    }
    const status = sandbox ? statusOf(pod, sandbox, this.#options.hostIP) : lostStatusOf(pod, timestamp());
    if (!isOver(pod) && !(await this.#report(pod, status))) return;
    volumes.release(uid);
    const outcome = await door.request({
      method: "DELETE",
      path: `/api/v1/namespaces/${namespace}/pods/${name}`,
      body: { gracePeriodSeconds: 0, preconditions: { uid } },
    });
    if (outcome.ok || outcome.kind === "notFound" || outcome.kind === "conflict") return;
    this.#again(uid);
  }

  async #keepRunning(pod: Pod, sandbox: Sandbox): Promise<void> {
    const { hostIP, runtime, volumes, life, delays } = this.#options;
    if (sandbox.exit && pod.spec.restartPolicy !== "Never") {
      await life.sleep(delays.podStartMs);
      runtime.start(pod, sandbox.restartCount + 1);
      this.#queue.mark(sandbox.uid);
      return;
    }
    if (sandbox.exit) volumes.release(sandbox.uid);
    const status = statusOf(pod, sandbox, hostIP);
    if (!sameStatus(pod.status, status)) await this.#report(pod, status);
  }

  async #begin(pod: Pod): Promise<void> {
    const uid = pod.metadata.uid ?? "";
    if (isOver(pod)) return;
    const ranBefore = pod.status?.phase === "Running";
    if (ranBefore && pod.spec.restartPolicy === "Never") {
      // It ran before this machine was rebooted, and may not be started a second time.
      await this.#report(pod, lostStatusOf(pod, timestamp()));
      return;
    }
    if (this.#starting.has(uid)) return;
    this.#starting.add(uid);
    void this.#start(pod, ranBefore ? restartsOf(pod) + 1 : 0);
  }

  /** Beside the queue, so that a pod that waits for its volumes can be deleted meanwhile. */
  async #start(pod: Pod, restartCount: number): Promise<void> {
    const { volumes, life, delays, runtime } = this.#options;
    const uid = pod.metadata.uid ?? "";
    const wanted = () => {
      const now = this.#wanted.get(uid);
      return now !== undefined && now.metadata.deletionTimestamp === undefined;
    };
    if (await volumes.prepare(pod, wanted)) {
      await life.sleep(delays.podStartMs);
      if (wanted()) runtime.start(this.#wanted.get(uid) ?? pod, restartCount);
    }
    this.#starting.delete(uid);
    this.#queue.mark(uid);
  }

  /** Writes a pod's status onto the version seen; a conflict means a newer one is on its way and brings us back here. */
  async #report(pod: Pod, status: PodStatus): Promise<boolean> {
    const { namespace, name, uid = "", resourceVersion } = pod.metadata;
    const outcome = await this.#options.door.request<Pod>({
      method: "PATCH",
      path: `/api/v1/namespaces/${namespace}/pods/${name}/status`,
      contentType: "application/merge-patch+json",
      body: { metadata: { uid, resourceVersion }, status },
    });
    if (outcome.ok) {
      if (this.#wanted.has(uid)) this.#takeNewer(uid, outcome.value);
      return true;
    }
    if (outcome.kind !== "notFound") this.#again(uid);
    return false;
  }

  #again(uid: string): void {
    const { life, delays } = this.#options;
    life.after(delays.retryMs, () => this.#queue.mark(uid));
  }
}

function isOver(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function restartsOf(pod: Pod): number {
  return pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
}
