// Makes sure that the control-plane binaries are on this machine: found, downloaded, or built, in that order.
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Progress } from "../terminal/progress.ts";
import {
  type AssetFolder,
  cacheFolder,
  type Environment,
  findAssetFolder,
  missingBinaries,
} from "./asset-folders.ts";
import { takeAssetLock } from "./asset-lock.ts";
import { buildFromModules, type BuildOptions } from "./go-build.ts";
import { type OrphanGuard, startOrphanGuard } from "./orphan-guard.ts";
import {
  type DownloadFailure,
  downloadRelease,
  OFFICIAL_RELEASES,
  type ReleaseSources,
} from "./release-download.ts";

export interface ProvideOptions {
  readonly environment: Environment;
  readonly progress: Progress;
  /** Where releases are asked for; the official addresses unless said. */
  readonly sources?: ReleaseSources;
  /** Builds what no release gave; the Go build unless said. */
  readonly build?: (options: BuildOptions) => Promise<void>;
}

/**
 * Answers with a folder that holds every binary. Fills the cache folder by one rename, so that it is either complete or
 * not there, and is safe to run in several processes at once: one works, the others wait for it.
 * Errors: throws, naming what to install or set, when neither release nor build can give the binaries.
 */
export async function provideAssets(options: ProvideOptions): Promise<AssetFolder> {
  const found = findAssetFolder(options.environment);
  if (found) return found;
  const folder = cacheFolder(options.environment);
  await mkdir(dirname(folder), { recursive: true });
  const lock = await takeAssetLock(`${folder}.lock`, (owner) =>
    options.progress.show(`waiting for process ${owner}, which is providing the control plane`),
  );
  try {
    const meanwhile = findAssetFolder(options.environment);
    if (meanwhile) return meanwhile;
    await removeLeftovers(folder);
    await fill(folder, options);
    return { directory: folder, source: "cache" };
  } finally {
    options.progress.end();
    await lock.release();
  }
}

/** Work folders of processes that died before their guard could tidy up; we hold the lock, so nobody works in them. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(`${basename(folder)}.partial-`)) continue;
    await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}

async function fill(folder: string, options: ProvideOptions): Promise<void> {
  const work = await mkdtemp(`${folder}.partial-`);
  const guard = startOrphanGuard({ removeDirectory: work });
  try {
    await gather(work, guard, options);
    // An incomplete folder of an earlier version of this program, or one that somebody tidied by hand.
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
  } finally {
    await guard.release();
    await rm(work, { recursive: true, force: true });
  }
}

async function gather(work: string, guard: OrphanGuard, options: ProvideOptions): Promise<void> {
  const { progress } = options;
  const failures = await downloadRelease({
    names: missingBinaries(work),
    directory: work,
    progress,
    sources: options.sources ?? OFFICIAL_RELEASES,
    platform: process.platform,
    architecture: process.arch,
  });
  for (const line of describeFailures(failures)) progress.say(line);
  const names = failures.map((failure) => failure.name);
  if (names.length > 0) {
    await (options.build ?? buildFromModules)({ names, directory: work, progress, guard });
  }
  const missing = missingBinaries(work);
  if (missing.length > 0) throw new Error(`${missing.join(", ")} did not come out of the build`);
}

/** One line for each reason, since an unreachable host has the same reason for every file. */
function describeFailures(failures: readonly DownloadFailure[]): string[] {
  const namesByReason = Map.groupBy(failures, (failure) => failure.reason);
  return [...namesByReason].map(
    ([reason, group]) =>
      `no official release of ${group.map(({ name }) => name).join(", ")}: ${reason}; building from source instead`,
  );
}
