// How the cache folder is filled: from a release, from a build, by one process at a time, wholly or not at all.
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheFolder, missingBinaries } from "../../lab/control-plane/asset-folders.ts";
import { provideAssets } from "../../lab/control-plane/assets.ts";
import type { BuildOptions } from "../../lab/control-plane/go-build.ts";
import { BINARIES } from "../../lab/control-plane/versions.ts";
import { recordProgress } from "./recorded-progress.ts";
import { startReleaseServer } from "./release-server.ts";
import { scratchFolder, writeBinaries } from "./scratch-folder.ts";

/** Port 1 of loopback: nobody listens there. */
const UNREACHABLE = { kubernetes: "http://127.0.0.1:1/k", etcd: "http://127.0.0.1:1/e" };

function setting() {
  const environment = { XDG_CACHE_HOME: scratchFolder() };
  const built: (readonly string[])[] = [];
  const build = (options: BuildOptions) => {
    built.push(options.names);
    writeBinaries(options.directory, options.names);
    return Promise.resolve();
  };
  return { environment, folder: cacheFolder(environment), built, build, progress: recordProgress() };
}

describe("providing the control-plane binaries", () => {
  it("builds everything where no release can be reached, and says why", async () => {
    const { environment, folder, built, build, progress } = setting();
    const assets = await provideAssets({ environment, progress, build, sources: UNREACHABLE });
    expect(assets).toEqual({ directory: folder, source: "cache" });
    expect(missingBinaries(folder)).toEqual([]);
    expect(built).toEqual([BINARIES]);
    expect(progress.lines).toHaveLength(1);
    expect(progress.lines[0]).toMatch(
      /^no official release of etcd, .*kubectl: .*; building from source instead$/,
    );
    expect(readdirSync(dirname(folder))).toEqual([folder.slice(dirname(folder).length + 1)]);
  });

  it.runIf(process.platform === "linux" && process.arch === "x64")(
    "builds only what the release did not give",
    async () => {
      const { environment, folder, built, build, progress } = setting();
      const server = await startReleaseServer();
      server.files.set("/kubernetes/linux/amd64/kube-scheduler", "tampered with");
      await provideAssets({ environment, progress, build, sources: server.sources });
      expect(built).toEqual([["kube-scheduler"]]);
      expect(missingBinaries(folder)).toEqual([]);
    },
  );

  it("asks nobody when the binaries are there", async () => {
    const { environment, folder, built, build, progress } = setting();
    writeBinaries(folder);
    await provideAssets({ environment, progress, build, sources: UNREACHABLE });
    expect(built).toEqual([]);
    expect(progress.shown).toEqual([]);
  });

  it("lets the second of two wait for the first and use what it made", async () => {
    const { environment, folder, built, build, progress } = setting();
    const options = { environment, progress, build, sources: UNREACHABLE };
    const both = await Promise.all([provideAssets(options), provideAssets(options)]);
    expect(both.map(({ directory }) => directory)).toEqual([folder, folder]);
    expect(built).toHaveLength(1);
    expect(progress.shown.some(({ what }) => what.startsWith(`waiting for process ${process.pid}`))).toBe(
      true,
    );
  });

  it("leaves the cache empty when the build fails, and the lock free", async () => {
    const { environment, folder, progress, build } = setting();
    const fail = (options: BuildOptions) => {
      writeBinaries(options.directory, ["etcd"]);
      return Promise.reject(new Error("no Go here"));
    };
    const attempt = provideAssets({ environment, progress, build: fail, sources: UNREACHABLE });
    await expect(attempt).rejects.toThrow("no Go here");
    expect(readdirSync(dirname(folder))).toEqual([]);
    await provideAssets({ environment, progress, build, sources: UNREACHABLE });
    expect(missingBinaries(folder)).toEqual([]);
  });

  it("does not call a build done that lacks a binary", async () => {
    const { environment, folder, progress } = setting();
    const build = (options: BuildOptions) => {
      writeBinaries(options.directory, ["etcd"]);
      return Promise.resolve();
    };
    await expect(provideAssets({ environment, progress, build, sources: UNREACHABLE })).rejects.toThrow(
      /^kube-apiserver, .* did not come out of the build$/,
    );
    expect(existsSync(folder)).toBe(false);
  });

  it("replaces an incomplete cache folder and clears away what a killed process left", async () => {
    const { environment, folder, progress, build } = setting();
    writeBinaries(folder, ["etcd"]);
    const leftover = writeBinaries(`${folder}.partial-abcdef`, ["kubectl"]);
    writeFileSync(join(folder, "stray"), "");
    await provideAssets({ environment, progress, build, sources: UNREACHABLE });
    expect(readdirSync(folder).sort()).toEqual([...BINARIES].sort());
    expect(existsSync(leftover)).toBe(false);
  });
});
