// In which order the control-plane binaries are looked for.
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheFolder, findAssetFolder, missingBinaries } from "../../lab/control-plane/asset-folders.ts";
import { ETCD_VERSION, KUBERNETES_VERSION } from "../../lab/control-plane/versions.ts";
import { scratchFolder, writeBinaries } from "./scratch-folder.ts";

describe("the search for control-plane binaries", () => {
  it("takes HOLDFAST_ASSETS, then KUBEBUILDER_ASSETS, then the cache, then nothing", () => {
    const root = scratchFolder();
    const own = writeBinaries(join(root, "own"));
    const shared = writeBinaries(join(root, "shared"));
    const cache = writeBinaries(cacheFolder({ XDG_CACHE_HOME: root }));
    const environment = { XDG_CACHE_HOME: root, KUBEBUILDER_ASSETS: shared, HOLDFAST_ASSETS: own };
    expect(findAssetFolder(environment)).toEqual({ directory: own, source: "HOLDFAST_ASSETS" });
    expect(findAssetFolder({ ...environment, HOLDFAST_ASSETS: "" })?.source).toBe("KUBEBUILDER_ASSETS");
    expect(findAssetFolder({ XDG_CACHE_HOME: root })).toEqual({ directory: cache, source: "cache" });
    rmSync(cache, { recursive: true });
    expect(findAssetFolder({ XDG_CACHE_HOME: root })).toBeUndefined();
  });

  it("refuses an incomplete HOLDFAST_ASSETS instead of running something else", () => {
    const own = writeBinaries(scratchFolder(), ["etcd", "kubectl", "kube-apiserver"]);
    expect(() => findAssetFolder({ HOLDFAST_ASSETS: own })).toThrow(
      /lacks kube-controller-manager, kube-scheduler: add them or unset HOLDFAST_ASSETS/,
    );
  });

  it("passes over a KUBEBUILDER_ASSETS without controllers, as setup-envtest makes it", () => {
    const root = scratchFolder();
    const shared = writeBinaries(join(root, "shared"), ["etcd", "kubectl", "kube-apiserver"]);
    writeBinaries(cacheFolder({ XDG_CACHE_HOME: root }));
    expect(findAssetFolder({ XDG_CACHE_HOME: root, KUBEBUILDER_ASSETS: shared })?.source).toBe("cache");
  });

  it("counts a file that cannot be executed as missing", () => {
    const folder = writeBinaries(scratchFolder());
    chmodSync(join(folder, "etcd"), 0o644);
    expect(missingBinaries(folder)).toEqual(["etcd"]);
  });

  it("keeps one cache folder for each pair of versions, below the home folder unless XDG says otherwise", () => {
    const name = `kubernetes-${KUBERNETES_VERSION}-etcd-${ETCD_VERSION}`;
    expect(cacheFolder({ XDG_CACHE_HOME: "/caches" })).toBe(`/caches/holdfast/control-plane/${name}`);
    expect(cacheFolder({})).toMatch(new RegExp(`/\\.cache/holdfast/control-plane/${name}$`));
  });

  it("names the versions that the Go modules pin", () => {
    const goMod = readFileSync(new URL("../../lab/control-plane/build/go.mod", import.meta.url), "utf8");
    expect(goMod).toContain(`k8s.io/kubernetes ${KUBERNETES_VERSION}\n`);
    expect(goMod).toContain(`go.etcd.io/etcd/server/v3 ${ETCD_VERSION}\n`);
  });
});
