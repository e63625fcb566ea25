// What must hold when an attempt to fence a node goes on record: nobody was heard there who could be, and no more nodes are
// attempted at once than the policy allows.
import { defaultPolicy } from "../../../src/config.ts";
import { objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Change } from "../api/store.ts";
import type { StoredObject } from "../api/stored.ts";
import { levelsOf } from "../world/install.ts";
import type { World } from "../world/world.ts";
import { hearsInTime } from "./hearing.ts";
import type { Signs } from "./signs.ts";

const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");
const DEFAULT_POLICY = defaultPolicy();
/** As in judge-node.ts, with room on the safe side. */
const BEAT_AFTER_LEASE_MS = 16_000;
/** A heartbeat this old was there to be weighed by a replica that hears in time. */
const BEAT_SEEN_MS = 1_500;
const BEAT_TRUST_MS = 120_000;

interface Attempt {
  readonly number: number;
  readonly outcome: string;
  readonly epoch: number;
}

interface LedgerStatus {
  readonly phase?: string;
  readonly proof?: object;
  readonly attempts?: readonly Attempt[];
}

export class AttemptChecks {
  readonly #world: World;
  readonly #signs: Signs;
  readonly #report: (check: string, message: string) => void;
  /** When each open attempt began, by ledger. */
  readonly #begunAtMs = new Map<string, number>();

  constructor(world: World, signs: Signs, report: (check: string, message: string) => void) {
    this.#world = world;
    this.#signs = signs;
    this.#report = report;
  }

  /** When the attempt now under way at that node went on record; undefined where none is. */
  beganMs(node: string): number | undefined {
    const ledger = this.#world.server.store
      .list(FENCINGS)
      .find((one) => objectIn(one, "spec")["nodeName"] === node && openAttempt(one) !== undefined);
    return ledger === undefined ? undefined : this.#begunAtMs.get(ledger.metadata.name);
  }

  /** A ledger has changed. */
  changed({ object, before, by }: Change): void {
    const last = openAttempt(object);
    if (last === undefined || last.number === openAttempt(before)?.number) return;
    this.#begunAtMs.set(object.metadata.name, this.#world.time.nowMs);
    if (objectIn(object, "spec")["reason"] !== "Requested") this.#judgeIsolation(object, by);
    this.#judgeLimit(object, last);
  }

  /** virt-handler was heard so much later than the kubelet that guests may well be running. */
  #judgeIsolation(ledger: StoredObject, by: string): void {
    const { plan, fleet, time } = this.#world;
    if (plan.policy.onIsolated === "fence") return;
    const node = textOf(objectIn(ledger, "spec")["nodeName"]);
    const beat = this.#signs.heartbeat(node);
    const renewal = this.#signs.renewals(node).at(-1);
    if (beat === undefined || renewal === undefined || fleet.node(node).state !== "running") return;
    if (!hearsInTime(this.#world, by)) return;
    const ageMs = time.nowMs - beat.atMs;
    if (beat.atMs - renewal.atMs > BEAT_AFTER_LEASE_MS && ageMs > BEAT_SEEN_MS && ageMs < BEAT_TRUST_MS)
      this.#report(
        "do no harm",
        `${by} begins to fence ${node}, whose virt-handler was heard ${Math.round(ageMs)} ms ago`,
      );
  }

  /** Of first attempts: what has been shot at may be shot at again, since half a fencing helps nobody. */
  #judgeLimit(ledger: StoredObject, attempt: Attempt): void {
    if (attempt.number > 1) return;
    const limit = { ...DEFAULT_POLICY, ...this.#world.plan.policy }.maxConcurrentFencings;
    const underWay = this.#world.server.store
      .list(FENCINGS)
      .filter((other) => other === ledger || this.#isUnderWay(other, attempt.epoch));
    if (underWay.length > limit)
      this.#report(
        "limits",
        `${underWay.map(({ metadata }) => metadata.name).join(", ")} are attempted at once, limit ${limit}`,
      );
  }

  /** By this leader, unproven, and its node has not been heard since. */
  #isUnderWay(ledger: StoredObject, epoch: number): boolean {
    const open = openAttempt(ledger);
    if (open === undefined || open.epoch !== epoch || this.#hasFailedRound(ledger)) return false;
    const heard = this.#signs.renewals(textOf(objectIn(ledger, "spec")["nodeName"])).at(-1)?.atMs ?? 0;
    return heard < (this.#begunAtMs.get(ledger.metadata.name) ?? 0);
  }

  /** Every level with all its retries was tried in vain: such a node holds up no other, and is under no limit itself. */
  #hasFailedRound(ledger: StoredObject): boolean {
    const last = (objectIn(ledger, "status") as LedgerStatus).attempts?.at(-1);
    if (last === undefined) return false;
    const finished = last.outcome === "Started" ? last.number - 1 : last.number;
    const round = levelsOf(this.#world.plan.topology).reduce((sum, { retries }) => sum + retries + 1, 0);
    return finished >= round;
  }
}

/** The attempt under way in an open, unproven ledger. */
function openAttempt(ledger: StoredObject | undefined): Attempt | undefined {
  const { phase, proof, attempts } = objectIn(ledger, "status") as LedgerStatus;
  const last = attempts?.at(-1);
  const isOpen = phase !== "Returned" && phase !== "Aborted" && proof === undefined;
  return isOpen && last?.outcome === "Started" ? last : undefined;
}
