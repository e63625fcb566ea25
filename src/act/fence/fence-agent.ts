// Power fencing through a program of the fence-agents project. Believes neither its exit code nor its words about what it
// has done; only what another run reads back.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../model/clock.ts";
import type { AgentEnd } from "./agent-process.ts";
import { CallDeadline } from "./call-deadline.ts";
import { type AgentAction, checkParameters, type FenceAgentAccess } from "./fence-agent-access.ts";
import type { FenceAgentCatalog } from "./fence-agent-catalog.ts";
import type {
  DeviceAnswer,
  DeviceCall,
  DeviceFailure,
  FenceDevice,
  PowerReading,
  ReadCall,
} from "./fence-device.ts";
import { Redactor } from "./redaction.ts";

/** What agents call their device and the machine on it; told to people, so that they can check the wiring. */
const PLACE_PARAMETERS = ["ip", "ipaddr", "ipport", "systems_uri", "plug", "port"];

/** Exit codes of the action `status`; every failure is 1, whatever it was. */
const STATUS_ON = 0;
const STATUS_OFF = 2;

/** The words of an agent about the state; where they are there at all they must agree with its exit code. */
const STATUS_WORDS = /^Status:\s*(ON|OFF)\s*$/im;

/** A request that was begun, or why it was not. */
type Ran = { readonly ok: true; readonly end: Exclude<AgentEnd, { kind: "notStarted" }> } | DeviceFailure;

/**
 * One machine behind one agent.
 *
 * Guarantees: the agent is always told which action to do; it learns secrets from its standard input and inherits no
 * environment; it is killed at the deadline with everything it has started, and what it did is then unknown; parameters
 * that its metadata does not know are refused before it is run.
 * Caveats: agents tell no identity of a machine, and some call off whatever is not on; who uses the device must have seen
 * it say On of the living node.
 */
export class FenceAgentDevice implements FenceDevice {
  readonly label: string;
  #access: () => FenceAgentAccess;
  #catalog: FenceAgentCatalog;
  #clock: Clock;
  #redactor = new Redactor();
  #caDirectory: Promise<string> | undefined;

  constructor(
    access: FenceAgentAccess,
    parts: { readonly catalog: FenceAgentCatalog; readonly clock: Clock },
  ) {
    // Behind a function, so that no picture of this object shows the secrets in it.
    this.#access = () => access;
    this.#catalog = parts.catalog;
    this.#clock = parts.clock;
    for (const secret of Object.values(access.secretParameters)) this.#redactor.add(secret);
    this.label = this.#redactor.clean(`${access.agent} ${placeOf(access)}`.trim());
  }

  async readPower(call: ReadCall): Promise<PowerReading> {
    const ran = await this.#act("status", call);
    if (!ran.ok) return ran;
    const { end } = ran;
    if (end.kind === "killed") return this.#failure("timeout", "the agent had not read the state in time");
    const state = end.code === STATUS_ON ? "On" : end.code === STATUS_OFF ? "Off" : undefined;
    if (state === undefined) return this.#failure("faulty", `status: ${wordsOf(end)}`);
    const said = STATUS_WORDS.exec(end.output)?.[1]?.toUpperCase();
    if (said !== undefined && said !== state.toUpperCase()) {
      return this.#failure("faulty", `status ended with ${end.code}, which means ${state}, but said ${said}`);
    }
    return { ok: true, state, identity: { path: this.label } };
  }

  requestOff(call: DeviceCall): Promise<DeviceAnswer> {
    return this.#request("off", call);
  }

  requestOn(call: DeviceCall): Promise<DeviceAnswer> {
    return this.#request("on", call);
  }

  async close(): Promise<void> {
    const directory = this.#caDirectory;
    this.#caDirectory = undefined;
    if (directory === undefined) return;
    await directory.then((path) => rm(path, { recursive: true, force: true })).catch(() => {});
  }

  /** An agent that fails may have acted all the same, and one that succeeds may not. */
  async #request(action: "off" | "on", call: DeviceCall): Promise<DeviceAnswer> {
    const ran = await this.#act(action, call);
    if (!ran.ok) return unsent(ran);
    const { end } = ran;
    if (end.kind === "killed") {
      return { kind: "noAnswer", message: `${action}: the agent had not ended in time and was killed` };
    }
    const kind = end.code === 0 ? "accepted" : "faulty";
    return { kind, message: this.#redactor.clean(`${action}: ${wordsOf(end)}`) };
  }

  async #act(action: AgentAction, call: DeviceCall): Promise<Ran> {
    const access = this.#access();
    const deadline = new CallDeadline(this.#clock, call);
    try {
      const described = await this.#catalog.describe(access.agent, deadline, this.#clock);
      if (!described.ok) return this.#failure(described.kind, described.message);
      const checked = checkParameters(access, described.metadata);
      if (!checked.ok) return this.#failure("misconfigured", checked.message);
      const environment = await this.#caEnvironment(access).catch(() => undefined);
      if (environment === undefined) {
        this.#caDirectory = undefined;
        return this.#failure(
          "misconfigured",
          `${tmpdir()} cannot be written: agents take certificates from files`,
        );
      }
      const lines = [...checked.value, `action=${action}`];
      const end = await this.#catalog.run({ agent: access.agent, lines, environment }, deadline, this.#clock);
      return end.kind === "notStarted" ? this.#catalog.notStarted(access.agent, end) : { ok: true, end };
    } finally {
      deadline.end();
    }
  }

  /** Agents take certificates from files only; each library has its own name for the variable. */
  async #caEnvironment(access: FenceAgentAccess): Promise<Readonly<Record<string, string>>> {
    const { caPem } = access;
    if (caPem === undefined) return {};
    this.#caDirectory ??= writeCa(caPem);
    const file = join(await this.#caDirectory, "ca.crt");
    return { REQUESTS_CA_BUNDLE: file, CURL_CA_BUNDLE: file, SSL_CERT_FILE: file };
  }

  #failure(kind: DeviceFailure["kind"], message: string): DeviceFailure {
    return { ok: false, kind, message: this.#redactor.clean(message) };
  }
}

async function writeCa(caPem: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-fence-ca-"));
  await writeFile(join(directory, "ca.crt"), caPem, { mode: 0o600 });
  return directory;
}

function placeOf(access: FenceAgentAccess): string {
  return PLACE_PARAMETERS.flatMap((name) => access.parameters[name] ?? []).join(" ");
}

/** Nothing was run, so nothing was done. */
function unsent(failure: DeviceFailure): DeviceAnswer {
  const { kind, message } = failure;
  if (kind === "timeout" || kind === "aborted" || kind === "faulty") {
    return { kind: "unreachable", message: `not run: ${message}` };
  }
  return { kind, message };
}

/** The exit code and the reason: agents log it as an error with a time before it, and advice to read the usage after it. */
function wordsOf(end: Extract<AgentEnd, { kind: "exited" }>): string {
  const lines = `${end.output}\n${end.errors}`.split("\n").map((line) => line.trim());
  const logged = lines.flatMap((line) => /\b(?:ERROR|CRITICAL): (.*)/.exec(line)?.[1] ?? []);
  const said = logged[0] ?? lines.filter(Boolean).at(-1);
  return [`exit code ${end.code}`, said].filter((part) => part !== undefined).join(": ");
}
