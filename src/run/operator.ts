// Joins the rooms into one replica: it watches always, and decides and acts while it leads.
import { createActContext, type ActContext } from "../act/context.ts";
import type { LogPort } from "../act/log-port.ts";
import type { PerformedStep } from "../act/outcome.ts";
import type { OpenDevice } from "../act/open-device.ts";
import { identityOf, performStep, priorityOf, queueKeyOf } from "../act/performer.ts";
import { type CheckedLevel, ReadinessRounds } from "../act/readiness/readiness-rounds.ts";
import { SecretShelf } from "../act/readiness/secret-shelf.ts";
import { decide } from "../decide/decide.ts";
import type { ApiTransport } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { DecisionPolicy, ReadinessPace } from "../model/decision-policy.ts";
import type { FencingAttempt } from "../model/fencing.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { OutageRecord } from "../model/protection.ts";
import type { MigrationFact } from "../model/virtual-machine.ts";
import type { ProbeSettings } from "../observe/node-prober.ts";
import type { Reflector } from "../observe/reflector.ts";
import { watchSecretRevisions } from "../observe/secret-revisions.ts";
import { World } from "../observe/world.ts";
import type { DecisionRing } from "./decision-ring.ts";
import type { ElectionTimings } from "./election-timings.ts";
import { createLeaderElection, type LeaderElection } from "./leader-election.ts";
import type { Leadership } from "./leadership.ts";
import { readinessTargets } from "./readiness-targets.ts";
import { StepPacing } from "./step-pacing.ts";
import { TurnLoop } from "./turn-loop.ts";
import { UnreadableObjects } from "./unreadable-objects.ts";
import { type WorkDone, WorkQueue } from "./work-queue.ts";

/** Steps under way at once. Most are single requests; a fencing attempt may hold its place for a minute. */
const MAX_STEPS_AT_ONCE = 48;
/** Keys waiting at most. A turn offers again what did not fit. */
const MAX_STEPS_WAITING = 20_000;
/** How long steps under way may take to end when we let go of leadership. */
const DRAIN_MS = 3_000;
/** How long the last Events may take to be written. */
const EVENTS_DRAIN_MS = 1_000;

/** Told of what happens; for metrics and the demo's timeline. All optional, none may throw. */
export interface OperatorObserver {
  readonly onPlan?: (plan: Plan, tookMs: number) => void;
  readonly onStepDone?: (done: WorkDone<Step, PerformedStep>) => void;
  readonly onLeading?: (epoch: number) => void;
  readonly onLost?: (why: string) => void;
  readonly onDepth?: (waiting: number, running: number) => void;
  /** The queue was full; the next turn offers the step again. */
  readonly onRefused?: () => void;
  /** A migration that we asked for has ended, while we lead. */
  readonly onMigrationEnded?: (migration: MigrationFact) => void;
  /** An attempt to fence a node has ended, while we lead. */
  readonly onAttemptEnded?: (attempt: FencingAttempt) => void;
  /** A VM has come back after the loss of its node, while we lead. */
  readonly onFailoverEnded?: (outage: OutageRecord) => void;
}

export interface OperatorOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LogPort;
  readonly namespace: string;
  readonly leaseName: string;
  readonly identity: string;
  readonly timings: ElectionTimings;
  readonly policy: DecisionPolicy;
  readonly readiness: ReadinessPace;
  /** Decide and report, never act: every step is logged and none is performed. */
  readonly dryRun: boolean;
  readonly observer?: OperatorObserver;
  /** Keeps the decisions that did something. */
  readonly decisions?: DecisionRing;
  /** An exception out of our own code: the process must not go on. */
  readonly onBug: (error: unknown) => void;
  readonly openDevice?: OpenDevice;
  /** Whether and how nodes are probed directly; left out: not at all. */
  readonly probe?: ProbeSettings | undefined;
}

const FIELD_MANAGER = "holdfast";

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
      onChange: () => this.turns.wake(),
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
    this.#term?.readiness.stop();
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

interface TermParts {
  readonly options: OperatorOptions;
  readonly world: World;
  readonly leadership: Leadership;
  readonly wake: () => void;
  readonly lastPlan: () => Plan | undefined;
  /** resourceVersion of a Secret by `namespace/name`, where it is watched. */
  readonly secretRevision: (key: string) => string | undefined;
}

/** Everything that belongs to one leadership and ends with it. */
class Term {
  readonly readiness: ReadinessRounds;
  readonly #options: OperatorOptions;
  readonly #queue: WorkQueue<Step, PerformedStep>;
  readonly #pacing: StepPacing;
  readonly #context: ActContext;

  constructor({ options, world, leadership, wake, ...parts }: TermParts) {
    this.#options = options;
    this.#pacing = new StepPacing(options.clock);
    this.#context = createActContext({
      ...options,
      fieldManager: FIELD_MANAGER,
      leadership,
      facts: {
        applyOwnWrite: (source, raw) => world.applyOwnWrite(source, raw),
        applyOwnDelete: (source, key, uid) => world.applyOwnDelete(source, key, uid),
        refreshNode: (node) => world.refreshNode(node),
        disarmedBy: (node) => world.disarmedBy(node),
      },
    });
    this.#queue = new WorkQueue<Step, PerformedStep>({
      clock: options.clock,
      maxConcurrent: MAX_STEPS_AT_ONCE,
      maxWaiting: MAX_STEPS_WAITING,
      signal: leadership.signal,
      perform: (step) => performStep(step, this.#context),
      onDone: (done) => {
        // Decided before this step's effect was known; if it is still wanted, the next turn says so on new facts.
        this.#queue.forget(done.item.key);
        this.#pacing.ended(done.item.identity, done.outcome);
        this.#report(done);
        options.observer?.onStepDone?.(done);
        wake();
      },
      onBug: options.onBug,
      ...(options.observer?.onDepth === undefined ? {} : { onDepth: options.observer.onDepth }),
    });
    this.readiness = new ReadinessRounds(this.#context, {
      ...options.readiness,
      targets: () => readinessTargets(world, parts.lastPlan()),
      secrets: new SecretShelf((namespace, name) => parts.secretRevision(`${namespace}/${name}`)),
    });
    if (!options.dryRun) this.readiness.start();
  }

  /** Offers a turn's steps; what an earlier turn wanted and this one does not is forgotten. */
  submit(steps: readonly Step[]): number | undefined {
    const wanted = new Set(steps.map((step) => identityOf(step)));
    this.#queue.retain((item) => wanted.has(item.identity));
    let retryAtMs: number | undefined;
    for (const step of steps) {
      const identity = identityOf(step);
      const notBeforeMs = this.#pacing.notBeforeMs(identity);
      if (notBeforeMs !== undefined) {
        retryAtMs = Math.min(retryAtMs ?? notBeforeMs, notBeforeMs);
        continue;
      }
      if (this.#options.dryRun) this.#pretend(step, identity);
      else this.#offer(step, identity);
    }
    return retryAtMs;
  }

  #offer(step: Step, identity: string): void {
    const offered = this.#queue.offer({
      key: queueKeyOf(step),
      identity,
      payload: step,
      priority: priorityOf(step),
    });
    if (!offered.ok && offered.why === "full") this.#options.observer?.onRefused?.();
  }

  /** Waits for steps under way and for their Events, each within its bound. */
  async drain(): Promise<void> {
    await this.#queue.drain(DRAIN_MS);
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.schedule(EVENTS_DRAIN_MS, resolve);
    await Promise.race([this.#context.events.settled(), promise]);
    cancel();
  }

  #pretend(step: Step, identity: string): void {
    this.#pacing.ended(identity, { outcome: "refused" });
    this.#options.log.info({ step: identity }, `dry run: would perform ${step.kind}`);
  }

  #report({ item, outcome, ranMs }: WorkDone<Step, PerformedStep>): void {
    const fields = {
      step: item.identity,
      outcome: outcome.outcome,
      detail: outcome.detail,
      ranMs: Math.round(ranMs),
    };
    if (outcome.outcome === "refused" || outcome.outcome === "retry")
      this.#options.log.warn(fields, item.payload.kind);
    else if (item.payload.kind !== "WriteProtection") this.#options.log.info(fields, item.payload.kind);
  }
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
