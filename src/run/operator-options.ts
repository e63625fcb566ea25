// What one replica is made with, and whom it tells of what happens.
import type { LogPort } from "../act/log-port.ts";
import type { OpenDevice } from "../act/open-device.ts";
import type { PerformedStep } from "../act/outcome.ts";
import type { ApiTransport } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { DecisionPolicy, ReadinessPace } from "../model/decision-policy.ts";
import type { FencingAttempt } from "../model/fencing.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { OutageRecord } from "../model/protection.ts";
import type { StartServiceProbe } from "../model/service-probe.ts";
import type { MigrationFact } from "../model/virtual-machine.ts";
import type { ProbeSettings } from "../observe/node-prober.ts";
import type { ProbeConnection } from "../observe/probe-connection.ts";
import type { DecisionRing } from "./decision-ring.ts";
import type { ElectionTimings } from "./election-timings.ts";
import type { WorkDone } from "./work-queue.ts";

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
  /** How drilled VMs are asked whether they are there; over the network unless said. */
  readonly startServiceProbe?: StartServiceProbe;
  /** Whether and how nodes are probed directly; left out: not at all. */
  readonly probe?: ProbeSettings | undefined;
  /** How a probe is made; the real connection unless said. */
  readonly probeConnection?: ProbeConnection;
}
