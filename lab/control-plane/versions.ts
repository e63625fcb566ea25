// The versions of the lab's control plane. build/go.mod names the same ones; a test compares them.

/** Kubernetes release of kube-apiserver, kube-controller-manager, kube-scheduler and kubectl. */
export const KUBERNETES_VERSION = "v1.37.2";
/** etcd release. */
export const ETCD_VERSION = "v3.7.3";

/** Names of the binaries the lab needs, as they are called in every folder that holds them. */
export const BINARIES = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubectl",
] as const;

/** One of `BINARIES`. */
export type BinaryName = (typeof BINARIES)[number];
