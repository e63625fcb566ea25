// Whether a process still runs. A zombie does not: containers without an init process never collect orphans.
import { execFileSync } from "node:child_process";

/** True while `pid` runs; false for one that ended, collected or not. */
export function isRunning(pid: number): boolean {
  try {
    const state = execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return state !== "" && !state.startsWith("Z");
  } catch {
    return false;
  }
}
