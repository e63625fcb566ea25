// One kubelet process: registration, Lease and pods, wired together. Its containers outlive it.
import type { ContainerRuntime } from "./container-runtime.ts";
import type { NodeDelays } from "./delays.ts";
import type { Lifeline } from "./lifeline.ts";
import { keepNodeLease } from "./node-lease.ts";
import type { ApiDoor } from "./node-link.ts";
import type { NodeProfile } from "./node-profile.ts";
import { NodeRegistration } from "./node-registration.ts";
import { PodSync } from "./pod-sync.ts";
import { VolumesInUse } from "./volumes-in-use.ts";

export interface KubeletOptions {
  readonly profile: NodeProfile;
  readonly bootID: string;
  readonly door: ApiDoor;
  /** Ends with the process. */
  readonly life: Lifeline;
  readonly delays: NodeDelays;
  readonly runtime: ContainerRuntime;
  /** Mounted volumes by pod UID, on the machine's disk. */
  readonly mounts: Map<string, readonly string[]>;
  readonly csiDrivers: readonly string[];
}

/** Starts a kubelet; it runs until `life` ends, and then stops at that instant without a farewell. */
export function startKubelet(options: KubeletOptions): void {
  const { profile, bootID, door, life, delays, runtime, mounts, csiDrivers } = options;
  const registration: NodeRegistration = new NodeRegistration({
    profile,
    bootID,
    door,
    life,
    delays,
    csiDrivers,
    volumesInUse: () => volumes.volumes,
    onChange: () => volumes.noticeNode(),
  });
  const volumes = new VolumesInUse({
    door,
    life,
    mounts,
    retryMs: delays.retryMs,
    node: () => registration.node,
    report: (names) => registration.reportVolumesInUse(names),
  });
  void registration.run();
  void keepNodeLease({ nodeName: profile.name, door, life, delays, owner: () => registration.owner });
  new PodSync({
    nodeName: profile.name,
    hostIP: profile.internalIP,
    door,
    life,
    delays,
    runtime,
    volumes,
  }).run();
}
