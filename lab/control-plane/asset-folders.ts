// Where control-plane binaries may already lie on this machine. Looks only; provides nothing.
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { BINARIES, type BinaryName, ETCD_VERSION, KUBERNETES_VERSION } from "./versions.ts";

/** A folder with every binary of `BINARIES`, and what led to it. */
export interface AssetFolder {
  readonly directory: string;
  readonly source: "HOLDFAST_ASSETS" | "KUBEBUILDER_ASSETS" | "cache" | "release" | "build";
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
 * The first complete folder: `HOLDFAST_ASSETS`, `KUBEBUILDER_ASSETS`, the cache. A folder that somebody named and that
 * is incomplete is an error, not a hint: falling through would run other versions than were asked for.
 */
export function findAssetFolder(environment: Environment): AssetFolder | undefined {
  for (const source of ["HOLDFAST_ASSETS", "KUBEBUILDER_ASSETS"] as const) {
    const directory = environment[source];
    if (!directory) continue;
    const missing = missingBinaries(directory);
    if (missing.length > 0) {
      throw new Error(`${source}=${directory} lacks ${missing.join(", ")}: add them or unset ${source}`);
    }
    return { directory, source };
  }
  const directory = cacheFolder(environment);
  return missingBinaries(directory).length === 0 ? { directory, source: "cache" } : undefined;
}
