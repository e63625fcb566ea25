// helm and kubeconform for the chart's tests: found in the cache folder, or built once from their Go modules, whose content
// build/go.sum pins. Knows no chart.
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { takeAssetLock } from "../control-plane/asset-lock.ts";

/** Paths of the tools' binaries. */
export interface ChartTools {
  readonly helm: string;
  readonly kubeconform: string;
}

/** As build/go.mod says; a test compares them. */
export const HELM_VERSION = "v3.22.0";
export const KUBECONFORM_VERSION = "v0.8.0";

const PACKAGES = ["helm.sh/helm/v3/cmd/helm", "github.com/yannh/kubeconform/cmd/kubeconform"];
const BUILD_DEADLINE_MS = 45 * 60_000;
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

function folder(): string {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "holdfast", "chart-tools", `helm-${HELM_VERSION}-kubeconform-${KUBECONFORM_VERSION}`);
}

/** The tools in the cache, or undefined. Nothing on PATH counts: another version may render otherwise. */
export function findChartTools(): ChartTools | undefined {
  const tools = { helm: join(folder(), "helm"), kubeconform: join(folder(), "kubeconform") };
  try {
    for (const path of Object.values(tools)) accessSync(path, constants.X_OK);
    return tools;
  } catch {
    return undefined;
  }
}

/** Builds what is missing, once, however many processes ask. Errors: throws with the go command's words. */
export async function provideChartTools(): Promise<ChartTools> {
  await mkdir(dirname(folder()), { recursive: true });
  const lock = await takeAssetLock(`${folder()}.lock`, () => undefined);
  try {
    const found = findChartTools();
    if (found) return found;
    const work = await mkdtemp(`${folder()}.partial-`);
    try {
      await promisify(execFile)(
        "go",
        ["build", "-trimpath", "-ldflags=-s -w", "-o", `${work}/`, ...PACKAGES],
        {
          cwd: join(import.meta.dirname, "build"),
          env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false", GOWORK: "off" },
          timeout: BUILD_DEADLINE_MS,
          maxBuffer: OUTPUT_LIMIT_BYTES,
        },
      );
      await rm(folder(), { recursive: true, force: true });
      await rename(work, folder());
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    const built = findChartTools();
    if (!built) throw new Error(`the build left no helm and kubeconform in ${folder()}`);
    return built;
  } finally {
    await lock.release();
  }
}
