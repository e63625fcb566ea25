// The names KubeVirt gives to things: groups, labels, annotations, finalizers, service accounts. Facts only, no behaviour.

/** Namespace KubeVirt is installed in; virt-controller falls back to it outside a pod. */
export const KUBEVIRT_NAMESPACE = "kubevirt";

/** Path of KubeVirt's core API group. */
export const KUBEVIRT_API = "/apis/kubevirt.io/v1";

/** Path of the aggregated API that carries start, stop, restart, migrate. */
export const SUBRESOURCES_GROUP = "subresources.kubevirt.io";

/** Service accounts in the install namespace whose writes the VMI mutator trusts (facts 2.6). */
export const SERVICE_ACCOUNTS = {
  api: "kubevirt-apiserver",
  controller: "kubevirt-controller",
  handler: "kubevirt-handler",
  synchronization: "kubevirt-synchronization-controller",
} as const;

/** The full user name of one of KubeVirt's service accounts. */
export function serviceAccountUser(account: string): string {
  return `system:serviceaccount:${KUBEVIRT_NAMESPACE}:${account}`;
}

/** The groups every service account of the install namespace is in. */
export const SERVICE_ACCOUNT_GROUPS: readonly string[] = [
  "system:serviceaccounts",
  `system:serviceaccounts:${KUBEVIRT_NAMESPACE}`,
];

export const LABEL = {
  app: "kubevirt.io",
  createdBy: "kubevirt.io/created-by",
  vmName: "vm.kubevirt.io/name",
  domain: "kubevirt.io/domain",
  nodeName: "kubevirt.io/nodeName",
  schedulable: "kubevirt.io/schedulable",
  migrationJobUid: "kubevirt.io/migrationJobUID",
  migrationTargetNode: "kubevirt.io/migrationTargetNodeName",
  migrationVmi: "kubevirt.io/vmi-name",
  machineType: "machine-type.node.kubevirt.io",
} as const;

export const ANNOTATION = {
  heartbeat: "kubevirt.io/heartbeat",
  domain: "kubevirt.io/domain",
  vmGeneration: "kubevirt.io/vm-generation",
  migrationJobName: "kubevirt.io/migrationJobName",
  migrationTransportUnix: "kubevirt.io/migrationTransportUnix",
  evacuationMigration: "kubevirt.io/evacuationMigration",
  unschedulableTimeoutSeconds: "kubevirt.io/migrationUnschedulablePodTimeoutSeconds",
  pendingTimeoutSeconds: "kubevirt.io/migrationPendingPodTimeoutSeconds",
  targetReadyTimestamp: "kubevirt.io/migration-target-ready-timestamp",
} as const;

export const FINALIZER = {
  /** On the VMI; the VM controller takes it off. */
  vmController: "kubevirt.io/virtualMachineControllerFinalize",
  /** On the VMI; goes when the VMI is final and no pod it owns remains. */
  vmi: "kubevirt.io/foregroundDeleteVirtualMachine",
  /** On the migration; goes when the migration is final. */
  migration: "kubevirt.io/migrationJobFinalize",
} as const;

/** Readiness gate of a launcher pod: the guest is not paused. */
export const UNPAUSED_GATE = "kubevirt.io/virtual-machine-unpaused";
