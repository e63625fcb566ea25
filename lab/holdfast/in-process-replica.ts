// A replica of the operator inside this process: for tests that watch it closely, or stop it in the middle of a write.
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import type { OpenDevice } from "../../src/act/open-device.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { Clock } from "../../src/model/clock.ts";
import type { ProbeSettings } from "../../src/observe/node-prober.ts";
import type { DecisionPolicy, ReadinessPace } from "../../src/model/decision-policy.ts";
import { Operator } from "../../src/run/operator.ts";
import type { OperatorObserver } from "../../src/run/operator-options.ts";
import type { DecisionRing } from "../../src/run/decision-ring.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { defaultPolicy, defaultReadiness } from "../../src/config.ts";
import type { ElectionTimings } from "../../src/run/election-timings.ts";
import type { ControlPlane } from "../control-plane/start.ts";
import { HOLDFAST_IDENTITY, HOLDFAST_NAMESPACE } from "./install.ts";

export interface ReplicaOptions {
  readonly name: string;
  readonly policy?: Partial<DecisionPolicy>;
  readonly readiness?: Partial<ReadinessPace>;
  readonly timings?: ElectionTimings;
  readonly observer?: OperatorObserver;
  /** Stands between the replica and the API server. */
  readonly wrapTransport?: (transport: ApiTransport) => ApiTransport;
  /** The machine's clock unless said. */
  readonly clock?: Clock;
  /** How fence devices are opened; the real ones unless said. */
  readonly openDevice?: OpenDevice;
  /** Whether and how nodes are probed directly; not at all unless said. */
  readonly probe?: ProbeSettings;
  /** Keeps its decisions for replay. */
  readonly decisions?: DecisionRing;
  readonly log?: (level: "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** What `npm start` decides by without any flag; but a lab fences the same few nodes all day. */
export const LAB_POLICY: DecisionPolicy = {
  ...defaultPolicy(),
  maxFencingsPerHour: 10_000,
  quarantineAfterReturns: 0,
};

const LAB_TIMINGS: ElectionTimings = { leaseDurationMs: 3_000, renewDeadlineMs: 2_000, retryPeriodMs: 500 };

/** Starts a replica with the rights of Holdfast's ServiceAccount. */
export function startReplica(controlPlane: ControlPlane, options: ReplicaOptions): Operator {
  const transport = createHttpTransport(controlPlane.kubeConfigFor(HOLDFAST_IDENTITY), {
    userAgent: `holdfast/${options.name}`,
  });
  const log = options.log ?? (() => undefined);
  const operator = new Operator({
    transport: options.wrapTransport?.(transport) ?? transport,
    clock: options.clock ?? createRealClock(),
    random: Math.random,
    log: {
      info: (fields, message) => log("info", message, fields),
      warn: (fields, message) => log("warn", message, fields),
    },
    namespace: HOLDFAST_NAMESPACE,
    leaseName: "holdfast",
    identity: options.name,
    timings: options.timings ?? LAB_TIMINGS,
    policy: { ...LAB_POLICY, ...options.policy },
    readiness: { ...defaultReadiness(), ...options.readiness },
    dryRun: false,
    ...(options.observer === undefined ? {} : { observer: options.observer }),
    ...(options.probe === undefined ? {} : { probe: options.probe }),
    ...(options.decisions === undefined ? {} : { decisions: options.decisions }),
    ...(options.openDevice === undefined ? {} : { openDevice: options.openDevice }),
    onBug: (error) => {
      throw error;
    },
  });
  operator.start();
  return operator;
}
