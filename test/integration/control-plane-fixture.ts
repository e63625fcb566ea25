// One real control plane for the tests of one file.
import { afterAll, beforeAll } from "vitest";
import { findAssetFolder } from "../../lab/control-plane/asset-folders.ts";
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from "../../lab/control-plane/start.ts";

/**
 * Starts a control plane before the file's tests and stops it after them; the answer gives it inside tests and hooks.
 * Errors: fails the file at once where the binaries are missing, since providing them takes longer than a hook may.
 */
export function useControlPlane(options: ControlPlaneOptions = {}): () => ControlPlane {
  let controlPlane: ControlPlane | undefined;
  beforeAll(async () => {
    if (!findAssetFolder(process.env)) {
      throw new Error("the control-plane binaries are missing: run `node lab/control-plane/provide.ts` once");
    }
    controlPlane = await startControlPlane(options);
  });
  afterAll(() => controlPlane?.stop());
  return () => {
    if (!controlPlane) throw new Error("the control plane exists only inside tests and hooks");
    return controlPlane;
  };
}
