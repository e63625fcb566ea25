// The release before this one, as git has it: its source to run, its CRDs, rights and samples to install.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The last state that was given out: four kinds, Redfish only. After a release: that release's tag. */
export const PREVIOUS = "c446783d8272835cab8072ae2bc2d83d551b6762";

const ROOT = join(import.meta.dirname, "../..");
const PARTS = ["src", "package.json", "tsconfig.json", "crds", "deploy"];

export interface PreviousRelease {
  /** Folder with src/, crds/ and deploy/ as they were. */
  readonly directory: string;
  remove(): void;
}

/** Undefined where this clone does not have it: a shallow one, or none of git's. */
export function findPreviousRelease(): PreviousRelease | undefined {
  let archive: Buffer;
  try {
    archive = execFileSync("git", ["archive", "--format=tar", PREVIOUS, ...PARTS], {
      cwd: ROOT,
      maxBuffer: 64 * 1024 * 1024,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), "holdfast-previous-"));
  execFileSync("tar", ["-x", "-C", directory], { input: archive });
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
