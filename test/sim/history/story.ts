// What happened, in lines for people and as a digest for comparing runs.
import { isObject, objectIn, textOf } from "../api/json.ts";
import type { Change } from "../api/store.ts";
import type { World } from "../world/world.ts";

/** Lines kept; a story that long is not read. */
const MAX_LINES = 20_000;

export class Story {
  readonly lines: string[] = [];
  readonly #world: World;
  readonly #tells: boolean;
  #hash = 0x811c9dc5;

  constructor(world: World, tells: boolean) {
    this.#world = world;
    this.#tells = tells;
    world.server.store.onEveryChange((change) => this.#changed(change));
  }

  get digest(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  tell(line: string): void {
    this.#mix(line);
    this.#say(line);
  }

  /** For people alone: the digest is the same whether anybody listens or not. */
  #say(line: string): void {
    if (!this.#tells || this.lines.length >= MAX_LINES) return;
    this.lines.push(`${(this.#world.time.nowMs / 1_000).toFixed(3).padStart(9)} s  ${line}`);
  }

  log(replica: string, message: string, fields: object): void {
    if (this.#tells) this.#say(`    ${replica}: ${message} ${JSON.stringify(fields).slice(0, 400)}`);
  }

  #changed({ version, type, object, before, by }: Change): void {
    const { kind, metadata } = object;
    this.#mix(`${version} ${type} ${kind} ${metadata.name} ${metadata.uid} ${by} ${this.#world.time.nowMs}`);
    if (!this.#tells) return;
    const line = tellingLine(object, before);
    if (type === "DELETED" && (kind === "Pod" || kind.startsWith("VirtualMachine")))
      this.#say(`  ${kind} ${metadata.name} is gone (${by})`);
    else if (line !== undefined && line !== (before && tellingLine(before, undefined)))
      this.#say(`  ${line} (${by})`);
  }

  #mix(text: string): void {
    let hash = this.#hash;
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    this.#hash = hash;
  }
}

/** The part of an object whose changes a reader wants to hear of. */
function tellingLine(object: Change["object"], _before: unknown): string | undefined {
  const { kind, metadata } = object;
  const spec = objectIn(object, "spec");
  const status = objectIn(object, "status");
  switch (kind) {
    case "VirtualMachineInstance":
      return `VMI ${metadata.name} (${metadata.uid.slice(0, 8)}) is ${textOf(status["phase"])} on ${textOf(status["nodeName"] ?? "no node")}`;
    case "VirtualMachineInstanceMigration":
      return `migration ${metadata.name} is ${textOf(status["phase"])}`;
    case "Pod":
      return objectIn(metadata, "labels")["kubevirt.io"] === "virt-launcher"
        ? `pod ${metadata.name} is ${textOf(status["phase"])} on ${textOf(spec["nodeName"] ?? "no node")}${metadata["deletionTimestamp"] === undefined ? "" : ", terminating"}`
        : undefined;
    case "Node": {
      const conditions = Array.isArray(status["conditions"]) ? status["conditions"] : [];
      const ready = conditions.find((one) => isObject(one) && one["type"] === "Ready") as
        | { status?: string }
        | undefined;
      const taints = Array.isArray(spec["taints"])
        ? spec["taints"].map((taint) =>
            isObject(taint) ? `${textOf(taint["key"])}:${textOf(taint["effect"])}` : "",
          )
        : [];
      return `node ${metadata.name} is Ready ${ready?.status} boot ${textOf(objectIn(status, "nodeInfo")["bootID"]).slice(0, 8)} taints [${taints.join(", ")}]${spec["unschedulable"] === true ? " cordoned" : ""}`;
    }
    case "NodeFencing": {
      const attempts = Array.isArray(status["attempts"]) ? status["attempts"] : [];
      const last = attempts.at(-1);
      return `${kind} ${metadata.name} is ${textOf(status["phase"])}, attempt ${isObject(last) ? `${textOf(last["number"])} ${textOf(last["outcome"])} ${textOf(last["answer"] ?? "")}` : "none"}, proof ${textOf(objectIn(status, "proof")["type"] ?? "none")}, ${textOf(status["message"] ?? "")}`;
    }
    case "HAVirtualMachine": {
      const failover = status["failover"];
      return `promise ${metadata.name}: node ${textOf(status["node"])}, failover ${isObject(failover) ? `${textOf(failover["phase"])}: ${textOf(failover["message"])}` : "none"}`;
    }
    default:
      return undefined;
  }
}
