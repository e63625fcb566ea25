// Command: makes sure that the control-plane binaries are on this machine, and says where.
import { progressOn } from "../terminal/progress.ts";
import { findAssetFolder } from "./asset-folders.ts";
import { provideAssets } from "./assets.ts";
import { ETCD_VERSION, KUBERNETES_VERSION } from "./versions.ts";

try {
  const wanted = `Kubernetes ${KUBERNETES_VERSION} and etcd ${ETCD_VERSION}`;
  const found = findAssetFolder(process.env);
  if (!found) console.error(`Providing a real control plane for the tests (${wanted}); once.`);
  const { directory, source } =
    found ?? (await provideAssets({ environment: process.env, progress: progressOn(process.stderr) }));
  console.error(`Control plane: ${source === "cache" ? wanted : source} in ${directory}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
