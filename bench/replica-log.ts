// When a replica concluded something, by its own log. The replica is another process; both read the same machine's clock.
import { readFileSync } from "node:fs";
import type { ReplicaProcess } from "../lab/holdfast/replica-process.ts";

interface LogLine {
  readonly time: string;
  readonly msg: string;
}

/** Wall time of the first line with that message at or after `sinceMs`; undefined while there is none. */
export function firstLogged(replica: ReplicaProcess, message: string, sinceMs: number): number | undefined {
  for (const line of readFileSync(replica.logPath, "utf8").split("\n")) {
    if (!line.includes(message)) continue;
    // What the process writes when it crashes is no JSON.
    if (!line.startsWith("{") || !line.endsWith("}")) continue;
    const { time, msg } = JSON.parse(line) as LogLine;
    const atMs = Date.parse(time);
    if (msg === message && atMs >= sinceMs) return atMs;
  }
  return undefined;
}
