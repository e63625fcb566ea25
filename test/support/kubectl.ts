// The real kubectl, in the repository's root, against one control plane.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findAssetFolder } from "../../lab/control-plane/asset-folders.ts";

const ROOT = join(import.meta.dirname, "../..");
const DEADLINE_MS = 120_000;

/** What a command said. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs kubectl; throws with its words when it fails. */
export async function kubectl(kubeconfig: string, ...args: readonly string[]): Promise<Said> {
  const command = join(findAssetFolder(process.env)?.directory ?? "", "kubectl");
  return promisify(execFile)(command, [`--kubeconfig=${kubeconfig}`, ...args], {
    cwd: ROOT,
    timeout: DEADLINE_MS,
  });
}
