// One replica of the operator: the unchanged code with this world's clock, network, chance and devices. It can crash at any
// write, stand still and go on, and is started again as a new process.
import { defaultPolicy } from "../../../src/config.ts";
import type { DecisionPolicy, ReadinessPace } from "../../../src/model/decision-policy.ts";
import type { Clock } from "../../../src/model/clock.ts";
import type { ApiOutcome, ApiRequest, ApiStream, ApiTransport } from "../../../src/kube/transport.ts";
import type { ProbeSettings } from "../../../src/observe/node-prober.ts";
import type { ProbeAnswer, ProbeConnection } from "../../../src/observe/probe-connection.ts";
import { DEFAULT_ELECTION_TIMINGS } from "../../../src/run/election-timings.ts";
import { Operator } from "../../../src/run/operator.ts";
import { type Backbone, type Link, SimConnection } from "../api/connection.ts";
import { openSimDevice, type SimBmc } from "./bmc.ts";
import { frozenGate, type ProcessGate, scheduleBehind } from "./process-gate.ts";
import type { Chance } from "./random.ts";
import type { ReplicaPlan } from "./world-plan.ts";

export const HOLDFAST_NAMESPACE = "holdfast-system";
export const LEASE_NAME = "holdfast";

/** What a world is told of its replicas. */
export interface ReplicaEvents {
  readonly onShot: (replica: string, node: string) => void;
  readonly onLog: (replica: string, message: string, fields: object) => void;
  readonly onBug: (replica: string, error: unknown) => void;
  readonly onWrite: (replica: string, request: ApiRequest) => void;
  /** A probe of that address has come back to it. */
  readonly onProbed?: (replica: string, address: string, answer: ProbeAnswer) => void;
}

export interface ReplicaOptions {
  readonly plan: ReplicaPlan;
  readonly backbone: Backbone;
  readonly chance: Chance;
  readonly bmcs: ReadonlyMap<string, SimBmc>;
  readonly policy: Partial<DecisionPolicy>;
  readonly readiness: ReadinessPace | undefined;
  /** Whether and how it probes nodes directly. */
  readonly probe: ProbeSettings | undefined;
  readonly probeConnection: (of: Replica) => ProbeConnection;
  readonly events: ReplicaEvents;
}

const DEFAULT_POLICY = defaultPolicy();
const DELAY_MS = { from: 0.3, to: 12 } as const;
/** Of what watches tell, while they repeat themselves. */
const TOLD_TWICE = 0.5;

/** The user all replicas are; the name after it tells them apart in the audit. */
export const HOLDFAST_USER = "system:serviceaccount:holdfast-system:holdfast";

export class Replica {
  readonly name: string;
  readonly link: Link;
  extraDelayMs = 0;
  watchLagMs = 0;
  /** Until when what was held up before still comes late, in its order. */
  watchesLateUntilMs = 0;
  /** Only watches of this kind lag; undefined: all do. */
  laggingPlural: string | undefined;
  bmcCut = false;
  /** Watches tell things twice. */
  repeatsWatches = false;
  /** Writes (the election's not counted) until it crashes; undefined: it does not. */
  crashAfterWrites:
    | { left: number; readonly when: "before" | "after"; readonly restart: () => void }
    | undefined;
  wallJumpMs = 0;
  readonly #options: ReplicaOptions;
  #life:
    | { readonly operator: Operator; readonly gate: ProcessGate; readonly connection: SimConnection }
    | undefined;
  #lives = 0;
  /** Who holds the process still; it runs while nobody does. */
  readonly #holders = new Set<object>();

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.name = options.plan.name;
    const chance = options.chance.stream("delays");
    this.link = {
      cutOut: false,
      cutBack: false,
      delayMs: () =>
        chance.between(DELAY_MS.from, DELAY_MS.to) +
        (this.extraDelayMs === 0 ? 0 : chance.between(0, this.extraDelayMs)),
      watchLagMs: (plural) =>
        this.laggingPlural === undefined || this.laggingPlural === plural ? this.watchLagMs : 0,
    };
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  /** Name of the process that runs now, as it stands in the leader's Lease. */
  get life(): string | undefined {
    return this.#life === undefined ? undefined : `${this.name}_${this.#lives}`;
  }

  get operator(): Operator | undefined {
    return this.#life?.operator;
  }

  start(): void {
    if (this.#life !== undefined) return;
    const { plan, backbone, chance, bmcs, policy, readiness, probe, events } = this.#options;
    this.#lives += 1;
    const life = `${plan.name}_${this.#lives}`;
    const gate = frozenGate(backbone.time);
    if (this.#holders.size > 0) gate.freeze();
    const connection = new SimConnection({ backbone, user: `${HOLDFAST_USER}:${life}`, link: this.link });
    const operator = new Operator({
      transport: this.#mortal(connection, gate, life),
      clock: this.#clock(gate),
      random: chance.stream(life).next,
      log: {
        info: (fields, message) => events.onLog(life, message, fields),
        warn: (fields, message) => events.onLog(life, message, fields),
      },
      namespace: HOLDFAST_NAMESPACE,
      leaseName: LEASE_NAME,
      identity: life,
      timings: DEFAULT_ELECTION_TIMINGS,
      policy: { ...DEFAULT_POLICY, ...policy },
      readiness: readiness ?? { intervalMs: 0, maxConcurrent: 1 },
      dryRun: false,
      probe,
      probeConnection: this.#probing(gate, life),
      openDevice: openSimDevice({
        time: backbone.time,
        bmcs,
        isCut: () => this.bmcCut,
        onShot: (node) => events.onShot(life, node),
        alive: () => gate.open(),
        isDead: () => gate.ended,
      }),
      onBug: (error) => events.onBug(life, error),
    });
    this.#life = { operator, gate, connection };
    operator.start();
  }

  /** Stops dead, as with SIGKILL: nothing more is sent, heard or awaited. */
  crash(): void {
    const life = this.#life;
    this.#life = undefined;
    this.crashAfterWrites = undefined;
    life?.gate.end();
    void life?.connection.close();
  }

  /** The process stands still and its machine's clocks go on. */
  freeze(holder: object): void {
    this.#holders.add(holder);
    this.#life?.gate.freeze();
  }

  thaw(holder: object): void {
    this.#holders.delete(holder);
    if (this.#holders.size === 0) this.#life?.gate.thaw();
  }

  breakConnections(): void {
    this.#life?.connection.redial();
  }

  #clock(gate: ProcessGate): Clock {
    const inner = this.#options.backbone.time.clock(this.#options.plan.skew);
    return {
      now: () => {
        const { monotonicMs, wallMs } = inner.now();
        return { monotonicMs, wallMs: wallMs + this.wallJumpMs };
      },
      schedule: (delayMs, wake) => scheduleBehind(gate, inner, { delayMs, wake }),
    };
  }

  #probing(gate: ProcessGate, life: string): ProbeConnection {
    const connect = this.#options.probeConnection(this);
    return async (request) => {
      if (gate.ended) return never();
      const answer = await connect(request);
      await gate.open();
      this.#options.events.onProbed?.(life, request.address, answer);
      return answer;
    };
  }

  #mortal(connection: SimConnection, gate: ProcessGate, life: string): ApiTransport {
    const repeating = this.#options.chance.stream(`${life} repeats`);
    const isRepeated = () => this.repeatsWatches && repeating.chance(TOLD_TWICE);
    const guarded = async <R>(ask: () => Promise<R>): Promise<R> => {
      if (gate.ended) return never();
      const answer = await ask();
      await gate.open();
      return answer;
    };
    return {
      request: async <T>(request: ApiRequest): Promise<ApiOutcome<T>> => {
        if (gate.ended) return never();
        const isWrite = request.method !== "GET" && !request.path.startsWith("/apis/coordination.k8s.io/");
        if (isWrite) this.#options.events.onWrite(life, request);
        const fate = isWrite ? this.#fate() : undefined;
        if (fate?.when === "before") {
          this.#die(fate.restart);
          return never();
        }
        const answer = await guarded(() => connection.request<T>(request));
        if (fate !== undefined) {
          this.#die(fate.restart);
          return never();
        }
        return answer;
      },
      stream: async (request) => {
        const opened = await guarded(() => connection.stream(request));
        return opened.ok ? { ...opened, value: mortalStream(opened.value, gate, isRepeated) } : opened;
      },
      redial: () => (gate.ended ? undefined : connection.redial()),
      close: () => connection.close(),
    };
  }

  #fate() {
    const crash = this.crashAfterWrites;
    if (crash === undefined) return undefined;
    crash.left -= 1;
    return crash.left < 0 ? crash : undefined;
  }

  #die(restart: () => void): void {
    this.crash();
    restart();
  }
}

function mortalStream(stream: ApiStream, gate: ProcessGate, isRepeated: () => boolean): ApiStream {
  async function* lines(): AsyncGenerator {
    for await (const line of stream.lines) {
      if (gate.closed) await gate.open();
      yield line;
      if (isRepeated()) yield line;
    }
    if (gate.closed) await gate.open();
  }
  return { lines: lines(), close: () => stream.close() };
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
