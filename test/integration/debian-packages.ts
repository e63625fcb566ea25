// Programs that a test needs and Debian has: installed where that is possible, else the reason why not.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
const INSTALL_DEADLINE_MS = 300_000;

export type Provided = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * Sees to it that every program is there. `packages` are tried one list after the other: Debian 12 has one package of all
 * fence agents, Debian 13 one for each.
 */
export async function providePrograms(
  programs: readonly string[],
  packages: readonly (readonly string[])[],
): Promise<Provided> {
  const missing = () => programs.filter((program) => !existsSync(program));
  if (missing().length === 0) return { ok: true };
  if (process.getuid?.() !== 0) {
    return { ok: false, reason: `${missing().join(", ")} not installed, and only root may install them` };
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const limits = { env, timeout: INSTALL_DEADLINE_MS };
  let last = "no package was tried";
  for (const list of packages) {
    try {
      console.log(`installing ${list.join(" ")} with apt-get (once)`);
      await run("apt-get", ["update"], limits);
      await run("apt-get", ["install", "-y", "--no-install-recommends", ...list], limits);
      if (missing().length === 0) return { ok: true };
      last = `${list.join(" ")} did not bring ${missing().join(", ")}`;
    } catch (error) {
      last = error instanceof Error ? error.message.split("\n").slice(0, 2).join(" ") : String(error);
    }
  }
  return { ok: false, reason: last };
}
