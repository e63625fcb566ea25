// Power fencing over Redfish: which system, how to read and cut it. Sessions, HTTP and parsing live beside it.
import type { Clock } from "../../model/clock.ts";
import { CallDeadline } from "./call-deadline.ts";
import type {
  DeviceAnswer,
  DeviceCall,
  DeviceFailure,
  FenceDevice,
  PowerReading,
  ReadCall,
} from "./fence-device.ts";
import { Redactor } from "./redaction.ts";
import { type RedfishAccess, checkAccess, pathWithin } from "./redfish-access.ts";
import { RedfishConversation } from "./redfish-conversation.ts";
import {
  deviceFailure,
  failureOfAnswer,
  isSuccess,
  jsonOf,
  resetAnswerOf,
  type SendFailure,
  unsentAnswerOf,
} from "./redfish-failure.ts";
import type { LearnedService } from "./redfish-login.ts";
import {
  chooseOffType,
  chooseOnType,
  type ComputerSystem,
  parseActionInfo,
  parseComputerSystem,
} from "./redfish-resources.ts";
import { explainMissing, findSystemPath } from "./redfish-systems.ts";
import { followTask } from "./redfish-task.ts";

/**
 * One Redfish service as the settings describe it. Long-lived: it remembers what the service told about itself (where
 * sessions and systems are, which reset types there are), so that a fencing in earnest asks only for the state. Wrong
 * settings do not throw; every call of a device then answers `misconfigured`.
 */
export class RedfishService {
  #access: RedfishAccess;
  #clock: Clock;
  #learned: LearnedService = { resetTypes: new Map() };

  constructor(access: RedfishAccess, parts: { readonly clock: Clock }) {
    this.#access = access;
    this.#clock = parts.clock;
  }

  /** A device with connections and a session of its own, both made when first needed and given back by `close`. */
  open(): FenceDevice {
    return new RedfishDevice(this.#access, this.#clock, this.#learned);
  }
}

type ChooseType = (types: readonly string[] | undefined) => { type: string } | { obstacle: string };

/** A system as last read: the parts a reset needs, with what stands in its way. */
interface KnownSystem {
  readonly system: ComputerSystem;
  readonly target: string | undefined;
  readonly types: readonly string[] | undefined;
}

class RedfishDevice implements FenceDevice {
  readonly label: string;
  #clock: Clock;
  #redactor = new Redactor();
  #conversation: RedfishConversation;
  #wrongSettings: string | undefined;
  #known: KnownSystem | undefined;

  constructor(access: RedfishAccess, clock: Clock, learned: LearnedService) {
    this.#clock = clock;
    this.#redactor.add(access.password);
    this.#redactor.add(`${access.username}:${access.password}`);
    const checked = checkAccess(access);
    this.#wrongSettings = checked.ok ? undefined : checked.message;
    this.label = checked.ok ? `Redfish ${checked.value}` : "Redfish";
    // Nothing is ever sent where the settings are wrong, but the object has to be whole.
    const origin = checked.ok ? checked.value : "https://invalid.";
    this.#conversation = new RedfishConversation({
      origin,
      access,
      clock,
      learned,
      redactor: this.#redactor,
    });
  }

  async readPower(call: ReadCall): Promise<PowerReading> {
    if (call.fresh === true) this.#conversation.http.redial();
    const known = await this.#within(call, (deadline) => this.#readSystem(deadline));
    if ("ok" in known) return this.#clean(known);
    const obstacle = obstacleOf(known, chooseOffType);
    return {
      ok: true,
      state: known.system.state,
      identity: known.system.identity,
      ...(obstacle === undefined ? {} : { obstacle }),
    };
  }

  requestOff(call: DeviceCall): Promise<DeviceAnswer> {
    return this.#reset(call, chooseOffType);
  }

  requestOn(call: DeviceCall): Promise<DeviceAnswer> {
    return this.#reset(call, chooseOnType);
  }

  async close(): Promise<void> {
    this.#known = undefined;
    await this.#conversation.end();
  }

  async #reset(call: DeviceCall, choose: ChooseType): Promise<DeviceAnswer> {
    const answer = await this.#within(call, async (deadline): Promise<DeviceAnswer> => {
      const known = this.#known ?? (await this.#readSystem(deadline));
      if ("ok" in known) return unsentAnswerOf(known);
      const chosen = choose(known.types);
      const obstacle = obstacleOf(known, choose);
      if (obstacle !== undefined || known.target === undefined || "obstacle" in chosen) {
        return { kind: "misconfigured", message: obstacle ?? "the system offers no reset action" };
      }
      const body = { ResetType: chosen.type };
      const sent = await this.#conversation.send({ method: "POST", path: known.target, body }, deadline);
      if (!sent.ok) return unsentAnswerOf(sent);
      if (sent.status !== 202) return resetAnswerOf(sent);
      return followTask(sent, this.#conversation, { deadline, clock: this.#clock });
    });
    return "ok" in answer ? this.#clean(unsentAnswerOf(answer)) : this.#clean(answer);
  }

  async #within<T>(call: DeviceCall, work: (deadline: CallDeadline) => Promise<T>): Promise<T | SendFailure> {
    if (this.#wrongSettings !== undefined) return deviceFailure("misconfigured", this.#wrongSettings);
    const deadline = new CallDeadline(this.#clock, call);
    try {
      return await work(deadline);
    } finally {
      deadline.end();
    }
  }

  async #readSystem(deadline: CallDeadline): Promise<KnownSystem | SendFailure> {
    const path = await findSystemPath(this.#conversation, deadline);
    if (typeof path !== "string") return path;
    const answer = await this.#conversation.send({ method: "GET", path }, deadline);
    if (!answer.ok) return answer;
    if (answer.status === 404) return explainMissing(this.#conversation, path, deadline);
    if (!isSuccess(answer.status)) return failureOfAnswer(answer, path);
    const body = jsonOf(answer);
    if (body === undefined) return deviceFailure("faulty", `${path} does not answer in JSON`);
    const system = parseComputerSystem(body, path);
    if (typeof system === "string") {
      return deviceFailure("misconfigured", `${path} is ${system}, not a ComputerSystem`);
    }
    this.#known = {
      system,
      target: system.reset && pathWithin(this.#conversation.http.origin, system.reset.target),
      types: system.reset?.types ?? (await this.#typesFrom(system.reset?.actionInfo, deadline)),
    };
    return this.#known;
  }

  /** The types an ActionInfo allows; undefined, so that the standard's value is tried, where it cannot be read now. */
  async #typesFrom(link: string | undefined, deadline: CallDeadline): Promise<readonly string[] | undefined> {
    const path = link && pathWithin(this.#conversation.http.origin, link);
    if (!path) return undefined;
    const remembered = this.#conversation.learned.resetTypes.get(path);
    if (remembered !== undefined) return remembered;
    const answer = await this.#conversation.send({ method: "GET", path }, deadline);
    const types = answer.ok && isSuccess(answer.status) ? parseActionInfo(jsonOf(answer)) : undefined;
    if (types !== undefined) this.#conversation.learned.resetTypes.set(path, types);
    return types;
  }

  #clean<T extends DeviceFailure | DeviceAnswer>(said: T): T {
    return { ...said, message: this.#redactor.clean(said.message) };
  }
}

function obstacleOf(known: KnownSystem, choose: ChooseType): string | undefined {
  if (known.system.reset === undefined) return "the system offers no reset action";
  if (known.target === undefined) return "the system's reset action leads to another origin";
  const chosen = choose(known.types);
  return "obstacle" in chosen ? chosen.obstacle : undefined;
}
