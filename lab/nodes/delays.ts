// How long things take on a simulated node. Defaults are the figures behind the measured facts, so that results compare.

/** Every delay of the simulation, by name; milliseconds unless the name says otherwise. */
export interface NodeDelays {
  /** Pod bound and volumes attached → containers running. */
  readonly podStartMs: number;
  /** QEMU started (the disk is held from here on) → guest up and VMI `Running`. */
  readonly guestBootMs: number;
  /** Memory copy of a live migration. */
  readonly preCopyMs: number;
  /** ACPI shutdown request → guest off. */
  readonly guestShutdownMs: number;
  /** SIGTERM → exit of a container that is not a launcher. */
  readonly containerStopMs: number;
  /** Power on → kubelet running. */
  readonly nodeBootMs: number;
  readonly leaseRenewMs: number;
  /** The kubelet's own jitter: each wait is up to this share longer (client-go, lease controller). */
  readonly leaseJitter: number;
  /** How often the kubelet looks whether its node status changed. */
  readonly nodeStatusCheckMs: number;
  /** How often it reports a status that did not change. */
  readonly nodeStatusReportMs: number;
  /** virt-handler's heartbeat: each wait is `heartbeatMs` times a number in [1, 1 + `heartbeatJitter`). */
  readonly heartbeatMs: number;
  readonly heartbeatJitter: number;
  /** Pause before a broken watch or a failed write is tried again. */
  readonly retryMs: number;
  /** How much longer than the VMI's grace period a launcher waits before it kills its guest by itself. */
  readonly launcherExtraGraceMs: number;
  /** How long a launcher whose guest is gone waits for virt-handler to take note. */
  readonly finalNotifyMs: number;
  /** How long a migration without progress lives. */
  readonly migrationProgressTimeoutMs: number;
  /** The storage answers again → virt-handler resumes a guest that was paused by I/O errors (KubeVirt begins with 10 s). */
  readonly ioErrorResumeMs: number;
}

/** The delays of the measurements in `kubevirt-measured.md`, and the real periods of kubelet and virt-handler. */
export const MEASURED_DELAYS: NodeDelays = {
  podStartMs: 300,
  guestBootMs: 500,
  preCopyMs: 2_000,
  guestShutdownMs: 1_000,
  containerStopMs: 50,
  nodeBootMs: 4_000,
  leaseRenewMs: 10_000,
  leaseJitter: 0.04,
  nodeStatusCheckMs: 10_000,
  nodeStatusReportMs: 300_000,
  heartbeatMs: 60_000,
  heartbeatJitter: 1.2,
  retryMs: 500,
  launcherExtraGraceMs: 15_000,
  finalNotifyMs: 15_000,
  migrationProgressTimeoutMs: 150_000,
  ioErrorResumeMs: 10_000,
};
