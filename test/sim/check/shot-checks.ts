// What must hold when a request to cut a node's power leaves a replica: the node was not heard, it is on record, no storm
// goes on, and nobody has disarmed fencing. Knows what was heard when; who leads is none of its business.
import { defaultPolicy } from "../../../src/config.ts";
import { stormLimit } from "../../../src/decide/storm.ts";
import { listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Change } from "../api/store.ts";
import { BEGAN_WALL_MS } from "../world/sim-time.ts";
import type { World } from "../world/world.ts";
import { hearsInTime } from "./hearing.ts";
import type { Signs } from "./signs.ts";

const DEFAULT_POLICY = defaultPolicy();
/**
 * A renewal this old at a shot was there to be seen before the decision; a younger one may have come too late for it. Lost is
 * a node after 22 s, of which the API server may have been away for 6 s without that being taken for a gap.
 */
const RENEWAL_SEEN_MS = { youngest: 11_000, oldest: 15_900 } as const;
/** A node heard so often within so long has missed no renewal at all. */
const WHOLE = { renewals: 3, withinMs: 32_000 } as const;
/** Silent for so long when an attempt began, a node was late in the eyes of whoever began it: it had heard nobody's silence longer. */
const SURELY_LATE_MS = 27_000;
/** Lost longer ago and alone, a node is no part of a storm any more: storm.ts. */
const LONG_LOST_MS = 590_000;
/** A disarm counts from when its writer was told of success; a shot follows its last look by less than this. */
const DISARMED_MS = 3_000;
/** Time between that last look and the shot, of a replica that hears in time and of others. */
const DELETED_MS = { heard: 500, late: 60_000 } as const;
const NODES = resourceNamed("v1/nodes");
const DISARMS = resourceNamed("holdfast.dev/v1alpha1/fencingdisarms");
const VMIS = resourceNamed("kubevirt.io/v1/virtualmachineinstances");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");

interface LedgerStatus {
  readonly phase?: string;
  readonly proof?: object;
}

export class ShotChecks {
  readonly #world: World;
  readonly #signs: Signs;
  readonly #attemptBeganMs: (node: string) => number | undefined;
  readonly #report: (check: string, message: string) => void;
  readonly #ledgerDeletedAtMs = new Map<string, number>();

  constructor(
    world: World,
    parts: {
      readonly signs: Signs;
      readonly attemptBeganMs: (node: string) => number | undefined;
      readonly report: (check: string, message: string) => void;
    },
  ) {
    this.#world = world;
    this.#signs = parts.signs;
    this.#attemptBeganMs = parts.attemptBeganMs;
    this.#report = parts.report;
  }

  /** A ledger is gone. */
  ledgerDeleted({ object }: Change): void {
    this.#ledgerDeletedAtMs.set(textOf(objectIn(object, "spec")["nodeName"]), this.#world.time.nowMs);
  }

  /** `life`: the replica's process. */
  shot(life: string, node: string): void {
    this.#judgeSilence(life, node);
    this.#judgeRecord(life, node);
    this.#judgeStorm(life, node);
    this.#judgeDisarms(life, node);
  }

  #judgeSilence(life: string, name: string): void {
    if (this.#world.fleet.node(name).state !== "running" || this.#isAskedFor(name)) return;
    const { nowMs } = this.#world.time;
    const heard = this.#signs.renewals(name);
    // Silence counts only while the API server could hear: an outage of its own says nothing of the node.
    const seen = heard.filter(
      (renewal) =>
        nowMs - renewal.atMs >= RENEWAL_SEEN_MS.youngest &&
        this.#signs.hearableSinceMs(renewal) <= RENEWAL_SEEN_MS.oldest,
    );
    const lately = heard.filter(({ atMs }) => nowMs - atMs <= WHOLE.withinMs);
    const told = seen.length > 0 ? seen : lately.length >= WHOLE.renewals ? lately : [];
    if (told.length > 0)
      this.#report(
        "do no harm",
        `${life} shoots ${name}, whose Lease was renewed ${told.map(({ atMs }) => Math.round(nowMs - atMs)).join(", ")} ms ago, the API server's outages included`,
      );
  }

  /** What is about to be done is on record. */
  #judgeRecord(life: string, name: string): void {
    const isOnRecord = this.#world.server.store.list(FENCINGS).some((fencing) => {
      const attempts = listIn(objectIn(fencing, "status"), "attempts") as readonly {
        readonly outcome?: string;
      }[];
      return objectIn(fencing, "spec")["nodeName"] === name && attempts.at(-1)?.outcome === "Started";
    });
    if (!isOnRecord && !this.#wasDeletedJustNow(life, name))
      this.#report("written down first", `${life} shoots ${name}, and no ledger tells of it`);
  }

  /** Somebody deleted the record after the last look that precedes a shot. */
  #wasDeletedJustNow(life: string, name: string): boolean {
    const agoMs = this.#world.time.nowMs - (this.#ledgerDeletedAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
    return agoMs < (hearsInTime(this.#world, life) ? DELETED_MS.heard : DELETED_MS.late);
  }

  #judgeStorm(life: string, name: string): void {
    const { plan, time } = this.#world;
    if (!hearsInTime(this.#world, life)) return;
    const policy = { ...DEFAULT_POLICY, ...plan.policy };
    const limit = stormLimit(policy.stormMaxLost, plan.nodes.length);
    const agoMs = time.nowMs - (this.#attemptBeganMs(name) ?? time.nowMs);
    const late = plan.nodes.map((node) => node.name).filter((node) => this.#isSurelyLate(node, agoMs));
    if (late.length > limit && late.includes(name))
      this.#report(
        "storm hold",
        `${life} shoots ${name}, while ${late.join(", ")} are silent, limit ${limit}`,
      );
  }

  #judgeDisarms(life: string, name: string): void {
    if (!hearsInTime(this.#world, life)) return;
    const { server, time } = this.#world;
    for (const disarm of server.store.list(DISARMS)) {
      const conditions = listIn(objectIn(disarm, "status"), "conditions") as readonly { status?: string }[];
      const ageMs = BEGAN_WALL_MS + time.nowMs - Date.parse(disarm.metadata.creationTimestamp);
      // Its end is on record before anybody goes by it.
      if (conditions[0]?.status === "False" || ageMs < DISARMED_MS) continue;
      this.#report("disarmed", `${life} shoots ${name}, while ${disarm.metadata.name} disarms fencing`);
    }
  }

  /** Silent for long when the attempt began, `agoMs` before now; unproven, and with VMs that count. */
  #isSurelyLate(name: string, agoMs: number): boolean {
    const last = this.#signs.renewals(name).at(-1);
    if (last === undefined) return false;
    const silentMs = this.#signs.hearableSinceMs(last) - agoMs;
    if (silentMs < SURELY_LATE_MS || silentMs > LONG_LOST_MS) return false;
    const hasVMs = this.#world.server.store
      .list(VMIS)
      .some((vmi) => objectIn(vmi, "status")["nodeName"] === name);
    // Whoever deletes its Node says that it is gone.
    const isKnown = this.#world.server.store.get(NODES, undefined, name) !== undefined;
    return isKnown && hasVMs && !this.#isProven(name);
  }

  /** An open ledger holds a proof of the node. */
  #isProven(name: string): boolean {
    return this.#ledgersOf(name).some(({ status }) => status.proof !== undefined);
  }

  #isAskedFor(name: string): boolean {
    return this.#ledgersOf(name).some(({ reason }) => reason === "Requested");
  }

  /** The open ones. */
  #ledgersOf(name: string) {
    return this.#world.server.store
      .list(FENCINGS)
      .filter((fencing) => objectIn(fencing, "spec")["nodeName"] === name)
      .map((fencing) => ({
        reason: textOf(objectIn(fencing, "spec")["reason"]),
        status: objectIn(fencing, "status") as LedgerStatus,
      }))
      .filter(({ status: { phase } }) => phase !== "Returned" && phase !== "Aborted");
  }
}
