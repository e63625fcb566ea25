// Runs an installed fence agent the way any script would, to show what it does by itself; and as Holdfast does.
import { spawn } from "node:child_process";
import type { FenceAgentAccess } from "../../src/act/fence/fence-agent-access.ts";
import { FenceAgentCatalog } from "../../src/act/fence/fence-agent-catalog.ts";
import { FenceAgentDevice } from "../../src/act/fence/fence-agent.ts";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import type { PowerOffOptions, PowerOffResult } from "../../src/act/fence/power-off-result.ts";
import { timingsOf } from "../../src/act/level-timings.ts";
import { createRealClock } from "../../src/run/real-clock.ts";

export const clock = createRealClock();
const catalog = new FenceAgentCatalog();

/** As the operator does for a level of method FenceAgent. */
export const AGENT_TIMINGS = timingsOf({
  method: "FenceAgent",
  fenceAgent: { agent: "fence_any", parameters: {}, parametersSecret: undefined, caSecret: undefined },
});

export interface RawEnd {
  /** Undefined: it had not ended by the deadline, and was killed. */
  readonly code: number | undefined;
  readonly output: string;
  readonly lastedMs: number;
}

/** Runs an agent by hand: its own defaults, its own time limits, and ours only so that the test ends. */
export function runByHand(
  agent: string,
  lines: readonly string[],
  options: { readonly deadlineMs?: number; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<RawEnd> {
  const startedMs = performance.now();
  const child = spawn(`/usr/sbin/${agent}`, [], {
    env: { PATH: process.env["PATH"] ?? "", ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  // An agent may end without reading what it is told; what it says then is in its output.
  child.stdin.on("error", () => undefined);
  child.stdin.end(`${lines.join("\n")}\n`);
  return new Promise((resolve) => {
    let inTime = true;
    const timer = setTimeout(() => {
      inTime = false;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, options.deadlineMs ?? 60_000);
    child.once("exit", (code) => {
      clearTimeout(timer);
      const lastedMs = performance.now() - startedMs;
      resolve({ code: inTime ? (code ?? undefined) : undefined, output, lastedMs });
    });
  });
}

export function openAgent(access: FenceAgentAccess): FenceAgentDevice {
  return new FenceAgentDevice(access, { catalog, clock });
}

/** The whole procedure, as the operator runs it on a node that is silent. */
export function cut(device: FenceDevice, options: Partial<PowerOffOptions> = {}): Promise<PowerOffResult> {
  return powerOff(device, {
    clock,
    deadlineMs: 60_000,
    timings: AGENT_TIMINGS,
    beforeRequest: async () => true,
    // Agents name no machine; only an On that was seen could vouch for an unexplained Off.
    vouchesForOff: () => false,
    ...options,
  });
}
