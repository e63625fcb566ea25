// FailoverDrill -> its fact, in domain values.
import { minuteOf, weekdayNumber } from "../../api/availability.ts";
import { durationMs } from "../../api/duration.ts";
import { failoverDrill, type FailoverDrill } from "../../api/failover-drill.ts";
import type { DrillFact, NamedProbe } from "../../model/drill.ts";
import type { PacketsPerSecond } from "../../model/service-probe.ts";
import { type Reading, readWith } from "./reading.ts";

const DEFAULT_PACKETS_PER_SECOND: PacketsPerSecond = 100;
const DEFAULT_TRANSFER_BYTES = 100_000_000;

/** Reads a FailoverDrill with its status; one without has not been looked at yet. */
export function readDrill(raw: unknown): Reading<DrillFact> {
  return readWith(failoverDrill.stored, raw, ({ metadata, spec, status }) => {
    const { virtualMachine, schedule } = spec;
    return {
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      generation: metadata.generation,
      deleting: metadata.deletionTimestamp !== undefined,
      type: spec.type,
      vmKey: virtualMachine && `${virtualMachine.namespace}/${virtualMachine.name}`,
      nodeName: spec.nodeName,
      runs: spec.runs,
      intervalMs: durationMs(spec.interval),
      schedule: schedule && {
        days: schedule.days.map(weekdayNumber),
        minute: minuteOf(schedule.at),
        timeZone: schedule.timeZone,
      },
      suspended: spec.suspend,
      startTimeoutMs: durationMs(spec.startTimeout),
      runTimeoutMs: durationMs(spec.runTimeout),
      promise: promiseOf(spec.promise),
      probes: (spec.probes ?? []).map(probeOf),
      status: {
        epoch: 0,
        phase: "Pending" as const,
        message: "",
        ...status,
        runs: status?.runs ?? [],
        statistics: status?.statistics ?? [],
        conditions: status?.conditions ?? [],
      },
    };
  });
}

function promiseOf(promise: FailoverDrill["spec"]["promise"]): DrillFact["promise"] {
  const { recoveryTime, outageBudget } = promise ?? {};
  return {
    ...(recoveryTime === undefined ? {} : { recoveryTimeMs: durationMs(recoveryTime) }),
    ...(outageBudget === undefined ? {} : { outageBudgetMs: durationMs(outageBudget) }),
  };
}

type Probe = NonNullable<FailoverDrill["spec"]["probes"]>[number];

function probeOf({ name, type, port, packetsPerSecond, path = "/", bytes }: Probe): NamedProbe {
  switch (type) {
    case "UDP":
      // The schema takes these rates only.
      return { name, probe: { kind: "Udp", port, packetsPerSecond: rateOf(packetsPerSecond) } };
    case "TCP":
      return { name, probe: { kind: "Tcp", port } };
    case "HTTP":
      return { name, probe: { kind: "Http", port, path } };
    case "Transfer":
      return { name, probe: { kind: "Transfer", port, path, bytes: bytes ?? DEFAULT_TRANSFER_BYTES } };
  }
}

function rateOf(rate: number | undefined): PacketsPerSecond {
  return rate === 10 || rate === 1000 ? rate : DEFAULT_PACKETS_PER_SECOND;
}
