// Loads credentials from where the configuration says. Knows client-node's KubeConfig and nothing of what it is used for.
import { KubeConfig } from "@kubernetes/client-node";
import type { KubeconfigSource } from "../config.ts";

export type KubeconfigOutcome =
  | { readonly ok: true; readonly kubeConfig: KubeConfig }
  | { readonly ok: false; readonly message: string };

/** A file that is missing, is no kubeconfig, or names no current cluster is an expected failure: a value that names the file. */
export function loadKubeconfig(source: KubeconfigSource): KubeconfigOutcome {
  const where = source.kind === "inCluster" ? "the pod's service account" : source.path;
  const kubeConfig = new KubeConfig();
  try {
    if (source.kind === "file") kubeConfig.loadFromFile(source.path);
    else if (source.kind === "inCluster") kubeConfig.loadFromCluster();
    else kubeConfig.loadFromDefault();
    if (kubeConfig.getCurrentCluster()) return { ok: true, kubeConfig };
    return { ok: false, message: `${where} has no current context with a cluster: set current-context` };
  } catch (error) {
    return {
      ok: false,
      message: `${where} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}
