// Several devices that only together cut a node, such as the switches of its two power supplies, as one device.
import type {
  DeviceAnswer,
  DeviceAnswerKind,
  DeviceCall,
  DeviceFailure,
  FenceDevice,
  PowerReading,
  PowerState,
  ReadCall,
  ReadPower,
  SystemIdentity,
} from "./fence-device.ts";
import { MAX_MESSAGE_CHARS } from "./fence-device.ts";
import { compareSystemUUID } from "./system-identity.ts";

export interface NamedFenceDevice {
  readonly name: string;
  readonly device: FenceDevice;
}

interface Told<T> {
  readonly name: string;
  readonly said: T;
}

/** Answers after which a device may have acted. */
const MAY_HAVE_ACTED: ReadonlySet<DeviceAnswerKind> = new Set(["accepted", "noAnswer", "faulty"]);

/** Where none can have acted: the answer that stands for all is the one that most needs a person. */
const WORST_FIRST: readonly DeviceAnswerKind[] = [
  "denied",
  "misconfigured",
  "untrusted",
  "unreachable",
  "busy",
  "refused",
];

/**
 * Guarantees: Off only where every device was read as Off in one reading; one that cannot be read leaves the state
 * unknown, and one that is not Off leaves it as that one has it. Requests go to all at once.
 * Assumptions: with any one of the devices on, the node may run.
 */
export class AllOfDevice implements FenceDevice {
  readonly label: string;
  #devices: readonly NamedFenceDevice[];

  constructor(devices: readonly NamedFenceDevice[]) {
    this.#devices = devices;
    this.label = devices.map(({ name, device }) => `${name} (${device.label})`).join(" and ");
  }

  async readPower(call: ReadCall): Promise<PowerReading> {
    const readings = await this.#ask((device) => device.readPower(call));
    const read: Told<ReadPower>[] = [];
    for (const { name, said } of readings) {
      if (!said.ok) return { ...said, message: shortened(`${name}: ${said.message}`) };
      read.push({ name, said });
    }
    const identity = oneIdentity(read);
    if ("ok" in identity) return identity;
    const obstacle = read.find(({ said }) => said.obstacle !== undefined);
    const states = read.map(({ name, said }) => `${name} ${said.state}`).join(", ");
    const isMixed = new Set(read.map(({ said }) => said.state)).size > 1;
    return {
      ok: true,
      state: stateOfAll(read.map(({ said }) => said.state)),
      identity,
      ...(obstacle === undefined ? {} : { obstacle: `${obstacle.name}: ${obstacle.said.obstacle}` }),
      ...(isMixed ? { mixed: states } : {}),
    };
  }

  async requestOff(call: DeviceCall): Promise<DeviceAnswer> {
    return oneAnswer(await this.#ask((device) => device.requestOff(call)));
  }

  async requestOn(call: DeviceCall): Promise<DeviceAnswer> {
    return oneAnswer(await this.#ask((device) => device.requestOn(call)));
  }

  async close(): Promise<void> {
    await this.#ask((device) => device.close());
  }

  #ask<T>(question: (device: FenceDevice) => Promise<T>): Promise<readonly Told<T>[]> {
    return Promise.all(
      this.#devices.map(async ({ name, device }) => ({ name, said: await question(device) })),
    );
  }
}

/** Off is what all are; short of that the state that is furthest from it. */
function stateOfAll(states: readonly PowerState[]): PowerState {
  const furthestFirst: readonly PowerState[] = ["On", "PoweringOn", "Unknown", "PoweringOff"];
  return furthestFirst.find((state) => states.includes(state)) ?? "Off";
}

/** One machine, told by whichever device knows it; devices that know two different ones are not wired to one node. */
function oneIdentity(read: readonly Told<ReadPower>[]): SystemIdentity | DeviceFailure {
  const knowing = read.filter(({ said }) => said.identity.uuid !== undefined);
  const [first] = knowing;
  const other = knowing.find(
    ({ said }) => compareSystemUUID(first?.said.identity.uuid, said.identity.uuid) === "different",
  );
  if (first !== undefined && other !== undefined) {
    const message = `${first.name} speaks of system UUID ${first.said.identity.uuid}, ${other.name} of ${other.said.identity.uuid}: they do not cut one node`;
    return { ok: false, kind: "misconfigured", message: shortened(message) };
  }
  const path = read.map(({ name, said }) => `${name}: ${said.identity.path}`).join(" and ");
  const { path: _ownPath, ...known } = first?.said.identity ?? { path };
  return { ...known, path, ...(knowing.length < read.length ? { isPartial: true } : {}) };
}

function oneAnswer(answers: readonly Told<DeviceAnswer>[]): DeviceAnswer {
  const message = shortened(
    answers.map(({ name, said }) => `${name}: ${said.kind}: ${said.message}`).join("; "),
  );
  const kinds = new Set(answers.map(({ said }) => said.kind));
  const waits = answers.flatMap(({ said }) => said.retryAfterMs ?? []);
  const retry = waits.length === 0 ? {} : { retryAfterMs: Math.max(...waits) };
  if (![...kinds].some((kind) => MAY_HAVE_ACTED.has(kind))) {
    return { kind: WORST_FIRST.find((kind) => kinds.has(kind)) ?? "faulty", message, ...retry };
  }
  // A device that refuses may be off already; the state read back will tell. Any other answer has to be asked for again.
  const isSettled = [...kinds].every((kind) => kind === "accepted" || kind === "refused");
  if (isSettled) return { kind: "accepted", message };
  return { kind: kinds.has("faulty") ? "faulty" : "noAnswer", message };
}

function shortened(message: string): string {
  return message.slice(0, MAX_MESSAGE_CHARS);
}
