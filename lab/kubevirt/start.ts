// Starts KubeVirt beside a lab control plane: the real one where its binaries are given, the stand-in otherwise.
import type { ControlPlane } from "../control-plane/start.ts";
import type { KubeVirt } from "./kubevirt.ts";
import { startRealKubeVirt } from "./real.ts";
import { type StandInOptions, startStandInKubeVirt } from "./stand-in.ts";

export type { KubeVirt } from "./kubevirt.ts";

/** Environment variable that names a folder with virt-controller, virt-api and crds/*.yaml. */
export const ASSETS_VARIABLE = "KUBEVIRT_ASSETS";

/** Starts whichever KubeVirt this environment has. Options that only the stand-in knows are ignored by the real one. */
export function startKubeVirt(controlPlane: ControlPlane, options: StandInOptions = {}): Promise<KubeVirt> {
  const assets = process.env[ASSETS_VARIABLE];
  if (!assets) return startStandInKubeVirt(controlPlane, options);
  const { configuration, onProgress } = options;
  return startRealKubeVirt(controlPlane, {
    assets,
    ...(configuration ? { configuration } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
}
