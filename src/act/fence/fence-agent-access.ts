// What a fence agent is told on its standard input, checked against its own metadata before anything is run in earnest.
import { FORBIDDEN_PARAMETER } from "../../api/fence-device-settings.ts";
import type { AgentMetadata, AgentParameter } from "./fence-agent-metadata.ts";
import { parameterKey } from "./fence-agent-metadata.ts";
import type { Checked } from "./redfish-access.ts";

/** Which agent to run and what to tell it; nothing of it ever reaches a command line. */
export interface FenceAgentAccess {
  /** Name of the program, without a path. */
  readonly agent: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** From a Secret; told to the agent and to nobody else. */
  readonly secretParameters: Readonly<Record<string, string>>;
  /** Certificate authorities to trust, PEM; reaches the agent through its environment. */
  readonly caPem?: string;
}

/** The actions that are asked of agents; `reboot`, which they do when told nothing, is not among them. */
export type AgentAction = "off" | "on" | "status";

const AGENT = /^fence_[a-z0-9_]+$/;

const TRUE_WORDS: ReadonlySet<string> = new Set(["1", "yes", "on", "true"]);
const FALSE_WORDS: ReadonlySet<string> = new Set(["0", "no", "off", "false"]);

/** Parameters without which an agent takes a machine of its own choice, and why. */
const NEEDED: Readonly<Record<string, { readonly parameter: string; readonly because: string }>> = {
  fence_redfish: {
    parameter: "systems_uri",
    because: "without it the agent cuts whichever system the service lists last",
  },
};

/** Says what is wrong with the settings by themselves; nothing has been run yet. */
export function checkAgentName(agent: string): Checked<string> {
  return AGENT.test(agent) ? good(agent) : bad(`"${agent}" is not the name of a fence agent`);
}

/** Whether `metadata` describes an agent that can cut power and tell its state. */
export function checkAgentKind(metadata: AgentMetadata): Checked<AgentMetadata> {
  const lacking = ["off", "status"].filter((action) => !metadata.actions.has(action));
  if (lacking.length > 0) {
    return bad(`it has no action ${lacking.join(" and no ")}, without which nothing can be proven`);
  }
  if (metadata.cutsAccessOnly) {
    return bad("it cuts access to storage or network, not power: its off does not prove that a node stopped");
  }
  return good(metadata);
}

/** The lines for the agent's standard input without the action, or what is wrong; names are told, values never. */
export function checkParameters(
  access: FenceAgentAccess,
  metadata: AgentMetadata,
): Checked<readonly string[]> {
  const lines: string[] = [];
  const set = new Map<AgentParameter, string>();
  const given = [...Object.entries(access.parameters), ...Object.entries(access.secretParameters)];
  for (const [name, value] of given) {
    const parameter = metadata.parameters.get(parameterKey(name));
    const wrong = wrongName(name, parameter, metadata) ?? wrongValue(name, value, parameter);
    if (wrong !== undefined) return bad(wrong);
    if (parameter === undefined) return bad(`the agent has no parameter ${name}`);
    if (set.has(parameter)) return bad(`parameter ${name} is set twice (also as ${set.get(parameter)})`);
    set.set(parameter, name);
    // What an agent takes for false differs; leaving a flag out is false to all of them.
    if (parameter.type !== "boolean" || TRUE_WORDS.has(value.toLowerCase())) lines.push(`${name}=${value}`);
  }
  const wrong = missing(access, metadata, new Set(set.keys())) ?? untrusted(access, lines);
  return wrong === undefined ? good(lines) : bad(wrong);
}

function wrongName(
  name: string,
  parameter: AgentParameter | undefined,
  metadata: AgentMetadata,
): string | undefined {
  // From a Secret as well, whose keys no API server checks.
  if (FORBIDDEN_PARAMETER.test(parameterKey(name))) return `parameter ${name} must not be set`;
  if (parameter === undefined) return `the agent has no parameter ${name}, and would only warn and go on`;
  // The plug of such an agent is an alias of its address, and ignored unless that is asked for.
  const plugIsIgnored =
    metadata.parameters.has("port_as_ip") && ["plug", "port"].includes(parameterKey(name));
  return plugIsIgnored ? `the agent ignores parameter ${name}: it takes no plug` : undefined;
}

function wrongValue(name: string, value: string, parameter: AgentParameter | undefined): string | undefined {
  if (value === "") return `parameter ${name} is empty`;
  if (/\p{Cc}/u.test(value)) {
    return `parameter ${name} holds a line break or another control character: it could set further parameters`;
  }
  if (value !== value.trim() || /^".*"$/.test(value)) {
    return `parameter ${name} begins or ends with blanks, or is in quotation marks, which agents strip`;
  }
  const lower = value.toLowerCase();
  switch (parameter?.type) {
    case "boolean":
      return TRUE_WORDS.has(lower) || FALSE_WORDS.has(lower) ? undefined : `parameter ${name} must be 1 or 0`;
    case "integer":
    case "second":
      return /^[-+]?\d+$/.test(value) ? undefined : `parameter ${name} must be a whole number`;
    case "select": {
      const { options } = parameter;
      return options.some((option) => option.toLowerCase() === lower)
        ? undefined
        : `parameter ${name} must be one of ${options.join(", ")}`;
    }
    case "string":
    case undefined:
      return undefined;
  }
}

function missing(
  access: FenceAgentAccess,
  metadata: AgentMetadata,
  set: ReadonlySet<AgentParameter>,
): string | undefined {
  const required = new Set([...metadata.parameters.values()].filter((one) => one.required));
  // Agents that could take the plug for the address say that they need neither.
  const ip = metadata.parameters.has("port_as_ip") ? metadata.parameters.get("ip") : undefined;
  if (ip !== undefined) required.add(ip);
  const lacking = [...required].filter((one) => one.name !== "action" && !set.has(one));
  if (lacking.length > 0) return `the agent needs ${lacking.map((one) => one.name).join(", ")}`;
  const needed = NEEDED[access.agent];
  if (needed === undefined || [...set].some((one) => one.name === needed.parameter)) return undefined;
  return `${access.agent} needs ${needed.parameter}: ${needed.because}`;
}

function untrusted(access: FenceAgentAccess, lines: readonly string[]): string | undefined {
  if (access.caPem === undefined || !lines.some((line) => line.startsWith("ssl_insecure="))) return undefined;
  return "tls.caSecretRef and ssl_insecure exclude each other";
}

function good<T>(value: T): Checked<T> {
  return { ok: true, value };
}

function bad(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
