// Where control-plane binaries may already lie on this machine. Looks only; provides nothing.
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { BINARIES, type BinaryName, ETCD_VERSION, KUBERNETES_VERSION } from "./versions.ts";

/** A folder with every binary of `BINARIES`, and who named it. */
export interface AssetFolder {
  readonly directory: string;
  readonly source: "HOLDFAST_ASSETS" | "KUBEBUILDER_ASSETS" | "cache";
}

/** The part of the environment that the search reads. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder that provided binaries are kept in, one for each pair of versions. */
export function cacheFolder(environment: Environment): string {
  const base = environment["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "holdfast", "control-plane", `kubernetes-${KUBERNETES_VERSION}-etcd-${ETCD_VERSION}`);
}

/** Names of `BINARIES` that are missing from `directory` or cannot be executed. */
export function missingBinaries(directory: string): readonly BinaryName[] {
  return BINARIES.filter((name) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}

/**
 * The first complete folder: `HOLDFAST_ASSETS`, `KUBEBUILDER_ASSETS`, the cache. An incomplete `HOLDFAST_ASSETS` is an
 * error, since falling through would run other binaries than were asked for; an incomplete `KUBEBUILDER_ASSETS` is
 * the rule (setup-envtest has no controllers) and is passed over.
 */
export function findAssetFolder(environment: Environment): AssetFolder | undefined {
  const own = environment["HOLDFAST_ASSETS"];
  if (own) {
    const missing = missingBinaries(own);
    if (missing.length === 0) return { directory: own, source: "HOLDFAST_ASSETS" };
    throw new Error(`HOLDFAST_ASSETS=${own} lacks ${missing.join(", ")}: add them or unset HOLDFAST_ASSETS`);
  }
  const shared = environment["KUBEBUILDER_ASSETS"];
  if (shared && missingBinaries(shared).length === 0) {
    return { directory: shared, source: "KUBEBUILDER_ASSETS" };
  }
  const directory = cacheFolder(environment);
  return missingBinaries(directory).length === 0 ? { directory, source: "cache" } : undefined;
}
