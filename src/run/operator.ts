// Joins the rooms into one replica: it watches always, and decides and acts while it leads.
import type { LogPort } from "../act/log-port.ts";
import type { CheckedLevel } from "../act/readiness/readiness-rounds.ts";
import { decide } from "../decide/decide.ts";
import type { Plan } from "../model/plan.ts";
import type { Reflector } from "../observe/reflector.ts";
import { watchSecretRevisions } from "../observe/secret-revisions.ts";
import { World } from "../observe/world.ts";
import { createLeaderElection, type LeaderElection } from "./leader-election.ts";
import type { Leadership } from "./leadership.ts";
import type { OperatorOptions } from "./operator-options.ts";
import { Term } from "./term.ts";
import { TurnLoop } from "./turn-loop.ts";
import { UnreadableObjects } from "./unreadable-objects.ts";

/**
 * One replica. Guarantees: nothing is performed without leadership, and all of it ends with leadership; on a new
 * leadership everything is looked at anew, with nothing remembered of the last.
 */
export class Operator {
  readonly world: World;
  readonly election: LeaderElection;
  readonly turns: TurnLoop;
  readonly #options: OperatorOptions;
  readonly #unreadable: UnreadableObjects;
  readonly #secrets: Reflector<string>;
  #term: Term | undefined;
  #lastPlan: Plan | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
    this.#unreadable = new UnreadableObjects(options.log);
    const { transport, clock, random } = options;
    this.world = new World({
      transport,
      clock,
      random,
      ...(options.probe === undefined ? {} : { probe: options.probe }),
      ...(options.probeConnection === undefined ? {} : { probeConnection: options.probeConnection }),
      onChange: () => this.turns.wake(),
      shooting: () => this.#term?.shooting() ?? new Set(),
      drillProbings: () => this.#term?.drillProbes.states ?? new Map(),
      onMigrationEnded: (migration) => {
        if (this.leading) options.observer?.onMigrationEnded?.(migration);
      },
      onAttemptEnded: (attempt) => {
        if (this.leading) options.observer?.onAttemptEnded?.(attempt);
      },
      onFailoverEnded: (outage) => {
        if (this.leading) options.observer?.onFailoverEnded?.(outage);
      },
    });
    this.#secrets = watchSecretRevisions({
      ...options,
      onChange: (name) => this.#term?.readiness.secretChanged(options.namespace, name),
    });
    this.turns = new TurnLoop({
      clock,
      snapshot: (last) => this.world.snapshot(last),
      decide: (snapshot, now) => {
        const plan = decide(snapshot, options.policy, now);
        options.decisions?.consider(snapshot, plan, { policy: options.policy, now });
        return plan;
      },
      submit: (steps) => this.#term?.submit(steps),
      onPlan: (plan, tookMs) => this.#planned(plan, tookMs),
      onNotJudged: () => this.world.lookAtEverything(),
    });
    this.election = createLeaderElection({
      transport,
      clock,
      random,
      namespace: options.namespace,
      leaseName: options.leaseName,
      identity: options.identity,
      timings: options.timings,
      onLeading: (leadership) => this.#lead(leadership),
      onLost: (why) => this.#stopLeading(why),
      onContact: (ok) => this.#contact(ok),
      onStored: (isStored) => this.world.stored(isStored),
      epochFloor: () => this.#highestEpoch(),
      unobserved: () => this.world.gaps,
      onTaken: (lease) => this.world.takeOver(lease?.unobserved, wallMsOfRenewal(lease?.renewTime)),
    });
  }

  /** What the last turn concluded; undefined while this replica has not led. */
  get lastPlan(): Plan | undefined {
    return this.#lastPlan;
  }

  get leading(): boolean {
    return this.#term !== undefined;
  }

  /** The levels that this replica checks while it leads. */
  checkedLevels(): readonly CheckedLevel[] {
    return this.#term?.readiness.checked() ?? [];
  }

  start(): void {
    this.world.start();
    this.#secrets.start();
    this.election.start();
  }

  /** Ends turns, waits for steps under way, lets the Lease go, and closes the watches. */
  async stop(): Promise<void> {
    this.turns.stop();
    await this.#term?.drain();
    await this.election.stop();
    this.#secrets.stop();
    this.world.stop();
  }

  #lead(leadership: Leadership): void {
    this.#options.log.info({ epoch: leadership.epoch }, "leading");
    // What an earlier leadership concluded says nothing about who is alive now.
    this.#lastPlan = undefined;
    this.#term = new Term({
      options: this.#options,
      world: this.world,
      leadership,
      wake: () => this.turns.wake(),
      lastPlan: () => this.#lastPlan,
      secretRevision: (key) => this.#secrets.store.get(key),
    });

    this.#options.observer?.onLeading?.(leadership.epoch);
    this.world.startProbing();
    this.turns.start();
  }

  #stopLeading(why: string): void {
    this.#options.log.warn({ why }, "no longer leading");
    this.turns.stop();
    this.world.stopProbing();
    this.#term?.end();
    this.#term = undefined;
    this.#options.observer?.onLost?.(why);
  }

  #contact(ok: boolean): void {
    if (ok) this.world.heard();
    // The Lease's call failed: watches on the same path are likely dead without knowing it.
    else this.world.redial();
  }

  #highestEpoch(): number {
    let highest = 0;
    for (const fencing of this.world.reflectors.fencings.store.values()) {
      highest = Math.max(highest, fencing.status.epoch);
    }
    for (const drill of this.world.reflectors.drills.store.values()) {
      highest = Math.max(highest, drill.status.epoch);
    }
    return highest;
  }

  #planned(plan: Plan, tookMs: number): void {
    const attended = new Set<string>();
    for (const [node, verdict] of plan.verdicts) if (verdict.kind !== "healthy") attended.add(node);
    this.world.attend(attended);
    logChanges(this.#options.log, this.#lastPlan, plan);
    this.#unreadable.tell(Object.values(this.world.reflectors));
    this.#lastPlan = plan;
    this.#options.observer?.onPlan?.(plan, tookMs);
  }
}

/** A Lease's MicroTime as wall-clock milliseconds; undefined where nobody ever renewed it. */
function wallMsOfRenewal(renewTime: string | undefined): number | undefined {
  const ms = renewTime === undefined ? Number.NaN : Date.parse(renewTime);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Logs what a turn concluded differently from the last: verdicts, and refusals that are new. */
function logChanges(log: LogPort, before: Plan | undefined, now: Plan): void {
  for (const [node, verdict] of now.verdicts) {
    const was = before?.verdicts.get(node)?.kind ?? "healthy";
    if (was !== verdict.kind) log.info({ node, was, verdict }, `node ${node} is ${verdict.kind}`);
  }
  const known = new Set(before?.refusals.map((refusal) => `${refusal.about}/${refusal.reason}`));
  for (const refusal of now.refusals) {
    if (known.has(`${refusal.about}/${refusal.reason}`)) continue;
    log.info({ about: refusal.about, reason: refusal.reason }, refusal.message);
  }
}
