// The kubelet's volume manager as far as the attach/detach controller can see it: `volumesInUse`, and waiting for attachment.
import type { Lifeline } from "./lifeline.ts";
import type { ApiDoor } from "./node-link.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod } from "./objects.ts";

/** Several pods that start or end together are reported in one write. */
const GATHER_MS = 30;

export interface VolumesInUseOptions {
  readonly door: ApiDoor;
  readonly life: Lifeline;
  readonly retryMs: number;
  /** Which volumes are mounted for which pod: on the machine's disk, so that it outlives a kubelet. */
  readonly mounts: Map<string, readonly string[]>;
  readonly node: () => Node | undefined;
  readonly report: (volumes: readonly string[]) => Promise<boolean>;
}

/** Which attachable volumes the pods of one node use. */
export class VolumesInUse {
  readonly #options: VolumesInUseOptions;
  /** Unknown at first: a kubelet before this one has reported what was mounted then. */
  #reported: string | undefined;
  #reporting = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: VolumesInUseOptions) {
    this.#options = options;
  }

  /** Pods that have volumes mounted here, or mean to. */
  get podUids(): readonly string[] {
    return [...this.#options.mounts.keys()];
  }

  /** In the attach/detach controller's spelling, sorted. */
  get volumes(): readonly string[] {
    return [...new Set([...this.#options.mounts.values()].flat())].sort();
  }

  /**
   * Settles once every attachable volume of the pod is attached to this node; false where `wanted` turned false
   * meanwhile (the pod was deleted). The volumes count as in use from the call until `release`.
   */
  async prepare(pod: Pod, wanted: () => boolean): Promise<boolean> {
    const volumes = await this.#volumesOf(pod, wanted);
    if (!volumes) return false;
    if (volumes.length === 0) return true;
    this.#options.mounts.set(pod.metadata.uid ?? "", volumes);
    this.#changed();
    while (wanted() && !this.#attached(volumes)) await this.#nextLook();
    return wanted();
  }

  release(podUid: string): void {
    if (this.#options.mounts.delete(podUid)) this.#changed();
  }

  /** The Node changed: perhaps a volume was attached. */
  noticeNode(): void {
    for (const look of this.#waiting) look();
  }

  #attached(volumes: readonly string[]): boolean {
    const attached = this.#options.node()?.status?.volumesAttached ?? [];
    return volumes.every((volume) => attached.some(({ name }) => name === volume));
  }

  /** At the next change of the Node, or after a while: the pod may have been deleted meanwhile. */
  #nextLook(): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        cancel();
        this.#waiting.delete(look);
        resolve();
      };
      const cancel = this.#options.life.after(this.#options.retryMs, look);
      this.#waiting.add(look);
    });
  }

  /** Unique volume names in the attach/detach controller's spelling. */
  async #volumesOf(pod: Pod, wanted: () => boolean): Promise<readonly string[] | undefined> {
    const claims = (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim }) =>
      persistentVolumeClaim ? [persistentVolumeClaim.claimName] : [],
    );
    const names: string[] = [];
    for (const claim of claims) {
      const name = await this.#volumeOf(pod.metadata.namespace ?? "", claim, wanted);
      if (name === undefined) return undefined;
      if (name !== "") names.push(name);
    }
    return names;
  }

  async #volumeOf(namespace: string, claim: string, wanted: () => boolean): Promise<string | undefined> {
    const { door, life, retryMs } = this.#options;
    while (wanted()) {
      const pvc = await door.request<PersistentVolumeClaim>({
        method: "GET",
        path: `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim}`,
      });
      const volumeName = pvc.ok ? pvc.value.spec.volumeName : undefined;
      if (volumeName !== undefined) {
        const pv = await door.request<PersistentVolume>({
          method: "GET",
          path: `/api/v1/persistentvolumes/${volumeName}`,
        });
        if (pv.ok) {
          const { csi } = pv.value.spec;
          return csi ? `kubernetes.io/csi/${csi.driver}^${csi.volumeHandle}` : "";
        }
      }
      // The node authorizer's graph learns of a bound pod a moment after the kubelet does.
      await life.sleep(retryMs);
    }
    return undefined;
  }

  #changed(): void {
    if (this.#reporting) return;
    this.#reporting = true;
    void this.#report();
  }

  async #report(): Promise<void> {
    const { life, report, retryMs } = this.#options;
    for (;;) {
      await life.sleep(GATHER_MS);
      const { volumes } = this;
      const text = volumes.join();
      if (text === this.#reported) break;
      if (await report(volumes)) this.#reported = text;
      else await life.sleep(retryMs);
    }
    this.#reporting = false;
  }
}
