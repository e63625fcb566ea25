// One leadership from its beginning to its end: the queue of steps, their pacing, the checks of fence devices. Nothing of it
// is remembered by the next.
import { type ActContext, createActContext } from "../act/context.ts";
import type { PerformedStep } from "../act/outcome.ts";
import { identityOf, performStep, priorityOf, queueKeyOf } from "../act/performer.ts";
import { DrillProbes } from "../act/drill-probes.ts";
import { ReadinessRounds } from "../act/readiness/readiness-rounds.ts";
import { SecretShelf } from "../act/readiness/secret-shelf.ts";
import type { Plan, Step } from "../model/plan.ts";
import { realProbeNetwork } from "../observe/service-probes/probe-network.ts";
import { serviceProbes } from "../observe/service-probes/service-probes.ts";
import type { World } from "../observe/world.ts";
import type { Leadership } from "./leadership.ts";
import type { OperatorOptions } from "./operator-options.ts";
import { readinessTargets } from "./readiness-targets.ts";
import { StepPacing } from "./step-pacing.ts";
import { type WorkDone, WorkQueue } from "./work-queue.ts";

/** Steps under way at once. Most are single requests; a fencing attempt may hold its place for a minute. */
const MAX_STEPS_AT_ONCE = 48;
/** Keys waiting at most. A turn offers again what did not fit. */
const MAX_STEPS_WAITING = 20_000;
/** How long steps under way may take to end when we let go of leadership. */
const DRAIN_MS = 3_000;
/** How long the last Events may take to be written. */
const EVENTS_DRAIN_MS = 1_000;
const FIELD_MANAGER = "holdfast";

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
export class Term {
  readonly readiness: ReadinessRounds;
  readonly drillProbes: DrillProbes;
  readonly #options: OperatorOptions;
  readonly #queue: WorkQueue<Step, PerformedStep>;
  readonly #pacing: StepPacing;
  readonly #context: ActContext;

  constructor({ options, world, leadership, wake, ...parts }: TermParts) {
    this.#options = options;
    this.#pacing = new StepPacing(options.clock);
    this.drillProbes = new DrillProbes({
      clock: options.clock,
      startProbe: options.startServiceProbe ?? serviceProbes({ ...options, network: realProbeNetwork }),
      addressOf: (vmKey) => world.reflectors.virtualMachineInstances.store.get(vmKey)?.address,
    });
    this.#context = createActContext({
      ...options,
      drillProbes: this.drillProbes,
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

  /** The NodeFencings under which a step that may cut power is being carried out. */
  shooting(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { payload } of this.#queue.underWay)
      if (payload.kind === "Fence" && payload.mayPowerOff) names.add(payload.fencing.name);
    return names;
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

  /** Nothing more is asked of anybody in this leadership's name; steps under way end by its signal. */
  end(): void {
    this.readiness.stop();
    void this.drillProbes.end();
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
