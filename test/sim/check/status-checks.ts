// What Holdfast's statuses say must hang together at every instant: each with itself, and a promise with the ledger that it
// names. Knows no truth but theirs.
import { isObject, type JsonObject, listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Change } from "../api/store.ts";
import type { StoredObject } from "../api/stored.ts";
import type { World } from "../world/world.ts";

const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");
const PROVEN_PHASES: readonly unknown[] = ["Fenced", "Releasing", "Released", "Returned"];
/** Ends of an attempt on which a proof may rest. */
const PROVING: readonly unknown[] = ["PoweredOff", "AlreadyOff", "Remediated", "StorageFenced"];

export class StatusChecks {
  readonly #world: World;
  readonly #report: (check: string, message: string) => void;
  /** As they last were: what they said has happened, whoever deleted them. */
  readonly #deletedLedgers = new Map<string, StoredObject>();

  constructor(world: World, report: (check: string, message: string) => void) {
    this.#world = world;
    this.#report = report;
  }

  changed({ type, object }: Change): void {
    const { kind, metadata } = object;
    if (type === "DELETED" && kind === "NodeFencing") this.#deletedLedgers.set(metadata.name, object);
    if (type === "DELETED" || !isObject(object["status"])) return;
    for (const contradiction of this.#contradictions(kind, object))
      this.#report("statuses agree", `${kind} ${metadata.name}: ${contradiction}`);
  }

  #contradictions(kind: string, object: StoredObject): readonly string[] {
    switch (kind) {
      case "NodeFencing":
        return [...ledgerContradictions(object), ...this.#rivals(object)];
      case "HAVirtualMachine":
        return [...promiseContradictions(object), ...this.#againstLedgers(object)];
      case "FencingTopology":
        return topologyContradictions(objectIn(object, "status"));
      default:
        return [];
    }
  }

  /** Two open ledgers of our own about one incarnation of a node; anybody may ask for a fencing that is under way already. */
  #rivals(ledger: StoredObject): readonly string[] {
    const { nodeName, bootID, reason } = objectIn(ledger, "spec");
    if (!isOpen(ledger) || reason === "Requested") return [];
    return this.#world.server.store
      .list(FENCINGS)
      .filter((other) => {
        const spec = objectIn(other, "spec");
        const isOther = other.metadata.uid !== ledger.metadata.uid && spec["nodeName"] === nodeName;
        if (spec["reason"] === "Requested") return false;
        return isOther && spec["bootID"] === bootID && isObject(other["status"]) && isOpen(other);
      })
      .map((other) => `${other.metadata.name} is open about the same boot of ${textOf(nodeName)}`);
  }

  /** What a promise says of its failover stands in the ledger first. */
  #againstLedgers(promise: StoredObject): readonly string[] {
    const status = objectIn(promise, "status");
    const failover = objectIn(status, "failover");
    const records = [failover, ...listIn(status, "outages")].filter(
      (record): record is JsonObject => isObject(record) && typeof record["fencing"] === "string",
    );
    return records.flatMap((record) => {
      const name = textOf(record["fencing"]);
      const ledger =
        this.#world.server.store.get(FENCINGS, undefined, name)?.object ?? this.#deletedLedgers.get(name);
      // It is named in the turn in which it is opened, and need not be there yet.
      if (ledger === undefined)
        return record["provedAt"] === undefined ? [] : [`proven by ${name}, which does not exist`];
      const { nodeName } = objectIn(ledger, "spec");
      const { proof, phase } = objectIn(ledger, "status");
      return [
        ...(record["fromNode"] === nodeName
          ? []
          : [`lost with ${textOf(record["fromNode"])}, by ${name}, which is about ${textOf(nodeName)}`]),
        ...(record["provedAt"] === undefined || proof !== undefined
          ? []
          : [`${name} is proven, and holds no proof`]),
        ...(record["releasedAt"] === undefined || PROVEN_PHASES.includes(phase)
          ? []
          : [`released by ${name}, which is ${textOf(phase)}`]),
      ];
    });
  }
}

function isOpen(ledger: StoredObject): boolean {
  const { phase } = objectIn(ledger, "status");
  return phase !== "Returned" && phase !== "Aborted";
}

function ledgerContradictions(ledger: StoredObject): readonly string[] {
  const status = objectIn(ledger, "status");
  const { phase, proof, releasedAt, returnedAt, powerOnRequestedAt, epoch } = status;
  const attempts = listIn(status, "attempts") as readonly JsonObject[];
  const isProven = proof !== undefined;
  const proving = attempts.find(({ number }) => number === objectIn(status, "proof")["attempt"]);
  const rules: readonly (readonly [boolean, string])[] = [
    [PROVEN_PHASES.includes(phase) === isProven, `is ${textOf(phase)}, proof ${textOf(proof)}`],
    [phase !== "Pending" || attempts.length === 0, "is Pending with attempts"],
    [releasedAt === undefined || isProven, "released without a proof"],
    [listIn(status, "releasedVMs").length === 0 || isProven, "VMs let go without a proof"],
    [phase !== "Released" || releasedAt !== undefined, "Released, and does not say when"],
    [powerOnRequestedAt === undefined || releasedAt !== undefined, "powered on before the release"],
    [
      (phase === "Returned") === (returnedAt !== undefined),
      `is ${textOf(phase)}, returned ${textOf(returnedAt)}`,
    ],
    [attempts.every((attempt) => Number(attempt["epoch"]) <= Number(epoch)), "an attempt of a later epoch"],
    [attempts.slice(0, -1).every(({ outcome }) => outcome !== "Started"), "two attempts are open"],
    [
      proving === undefined || PROVING.includes(proving["outcome"]),
      `proven by ${textOf(proving?.["outcome"])}`,
    ],
    [
      attempts.every(({ number }, at) => at === 0 || Number(number) > Number(attempts[at - 1]?.["number"])),
      "attempts are out of order",
    ],
  ];
  return rules.filter(([holds]) => !holds).map(([, says]) => says);
}

function promiseContradictions(promise: StoredObject): readonly string[] {
  const status = objectIn(promise, "status");
  const conditions = listIn(status, "conditions") as readonly JsonObject[];
  const outages = listIn(status, "outages") as readonly JsonObject[];
  const isTrue = (type: string) =>
    conditions.some((condition) => condition["type"] === type && condition["status"] === "True");
  const hasFailover = isObject(status["failover"]);
  const losses = outages.map(({ vmiUID, cause }) => `${textOf(cause)} ${textOf(vmiUID)}`);
  const rules: readonly (readonly [boolean, string])[] = [
    [!hasFailover || !isTrue("Available"), "a failover under way, and Available"],
    [new Set(losses).size === losses.length, `an outage twice on record: ${losses.join(", ")}`],
    [
      Number(status["observedGeneration"] ?? 0) <= Number(promise.metadata["generation"] ?? 0),
      "a status of a generation to come",
    ],
    [
      !isTrue("Restartable") || objectIn(status, "candidates")["count"] !== 0,
      "Restartable, and no node that could host it",
    ],
  ];
  return rules.filter(([holds]) => !holds).map(([, says]) => says);
}

function topologyContradictions({ coveredNodes, readyNodes }: JsonObject): readonly string[] {
  if (coveredNodes === undefined || readyNodes === undefined) return [];
  return Number(readyNodes) <= Number(coveredNodes)
    ? []
    : [`${Number(readyNodes)} of ${Number(coveredNodes)} nodes are ready`];
}
