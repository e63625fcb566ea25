// The fence agents that are installed, and what each says of itself; asked once for each version of its file.
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../model/clock.ts";
import { type AgentEnd, runAgent } from "./agent-process.ts";
import type { CallDeadline } from "./call-deadline.ts";
import { checkAgentKind, checkAgentName } from "./fence-agent-access.ts";
import { type AgentMetadata, readAgentMetadata } from "./fence-agent-metadata.ts";
import type { DeviceFailure, DeviceFailureKind } from "./fence-device.ts";

/** Where Debian, Fedora and their kin put fence agents. */
export const FENCE_AGENTS_DIRECTORY = "/usr/sbin";

/** Longest output that is kept of an agent's action; its last lines say what went wrong. */
const MAX_OUTPUT_BYTES = 16_384;
/** The longest metadata there is has about 40,000. */
const MAX_METADATA_BYTES = 1_000_000;

/**
 * The whole environment of an agent. Nothing of ours: `PCMK_service`, for one, has agents wait without any limit. HOME is
 * where `ssh` remembers hosts.
 */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C",
  LC_ALL: "C",
  HOME: tmpdir(),
  PYTHONDONTWRITEBYTECODE: "1",
};

interface Described {
  /** Changes with the file, so that an upgraded agent is asked anew. */
  readonly version: string;
  readonly metadata: AgentMetadata;
}

export interface AgentCall {
  readonly agent: string;
  readonly lines: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export class FenceAgentCatalog {
  #directory: string;
  #described = new Map<string, Described>();

  constructor(directory: string = FENCE_AGENTS_DIRECTORY) {
    this.#directory = directory;
  }

  /** What the agent says of itself; a failure where it is not installed, or cannot both cut power and tell the state. */
  async describe(
    agent: string,
    deadline: CallDeadline,
    clock: Clock,
  ): Promise<{ readonly ok: true; readonly metadata: AgentMetadata } | DeviceFailure> {
    const named = checkAgentName(agent);
    if (!named.ok) return failure("misconfigured", named.message);
    const version = await this.#versionOf(agent);
    if (version === undefined) return this.#notInstalled(agent);
    const known = this.#described.get(agent);
    if (known?.version === version) return { ok: true, metadata: known.metadata };
    const end = await this.#run({ agent, lines: ["action=metadata"] }, { deadline, clock, metadata: true });
    if (end.kind === "notStarted") return this.notStarted(agent, end);
    if (end.kind === "killed") return failure("timeout", `${agent} did not say in time what it can do`);
    const reading = readAgentMetadata(end.output);
    if (!reading.ok) return failure("misconfigured", `${agent}: ${reading.message}`);
    const fit = checkAgentKind(reading.metadata);
    if (!fit.ok) return failure("misconfigured", `${agent} cannot be used: ${fit.message}`);
    this.#described.set(agent, { version, metadata: reading.metadata });
    return { ok: true, metadata: reading.metadata };
  }

  /** Runs the agent; `lines` must name the action, or it reboots the machine. */
  run(call: AgentCall, deadline: CallDeadline, clock: Clock): Promise<AgentEnd> {
    return this.#run(call, { deadline, clock, metadata: false });
  }

  notStarted(agent: string, end: Extract<AgentEnd, { kind: "notStarted" }>): DeviceFailure {
    return end.isMissing ? this.#notInstalled(agent) : failure("faulty", `${agent}: ${end.message}`);
  }

  #run(
    call: AgentCall,
    how: { readonly deadline: CallDeadline; readonly clock: Clock; readonly metadata: boolean },
  ): Promise<AgentEnd> {
    const run = {
      program: join(this.#directory, call.agent),
      input: `${call.lines.join("\n")}\n`,
      environment: { ...ENVIRONMENT, ...call.environment },
      maxOutputBytes: how.metadata ? MAX_METADATA_BYTES : MAX_OUTPUT_BYTES,
    };
    return runAgent(run, how.deadline, how.clock);
  }

  async #versionOf(agent: string): Promise<string | undefined> {
    try {
      const { mtimeMs, size, ino } = await stat(join(this.#directory, agent));
      return `${ino}/${size}/${mtimeMs}`;
    } catch {
      return undefined;
    }
  }

  #notInstalled(agent: string): DeviceFailure {
    return failure("misconfigured", `${agent} is not installed in ${this.#directory}, or may not be run`);
  }
}

function failure(kind: DeviceFailureKind, message: string): DeviceFailure {
  return { ok: false, kind, message };
}
