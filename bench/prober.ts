// Probes in a process of their own, as in life: the lab's nodes and guests keep theirs busy, and a prober that is held up
// there would measure that.
import { createRealClock, realRandom } from "../src/run/real-clock.ts";
import type { ProbeFacts, RunningServiceProbe, ServiceProbe } from "../src/model/service-probe.ts";
import { realProbeNetwork } from "../src/observe/service-probes/probe-network.ts";
import { serviceProbes } from "../src/observe/service-probes/service-probes.ts";

export type ProbeOrder =
  | { readonly kind: "start"; readonly probes: readonly ServiceProbe[] }
  | { readonly kind: "address"; readonly address: string | undefined }
  | { readonly kind: "facts" }
  | { readonly kind: "stop" };

/** In the order of the probes, with the wall time at which each began: processes share no monotonic zero. */
export interface ProbeReport {
  readonly all: readonly { readonly facts: ProbeFacts; readonly startedAtWallMs: number }[];
}

const start = serviceProbes({ clock: createRealClock(), random: realRandom, network: realProbeNetwork });
let address: string | undefined;
let running: readonly RunningServiceProbe[] = [];

function report(all: readonly ProbeFacts[]): void {
  const told: ProbeReport = {
    all: all.map((facts) => ({ facts, startedAtWallMs: performance.timeOrigin + facts.startedAtMs })),
  };
  process.send?.(told);
}

async function obey(order: ProbeOrder): Promise<void> {
  switch (order.kind) {
    case "address":
      address = order.address;
      return;
    case "start":
      running = order.probes.map((probe) => start({ probe, address: () => address }));
      return;
    case "facts":
      return report(running.map((probe) => probe.facts()));
    case "stop":
      return report(await Promise.all(running.map((probe) => probe.stop())));
  }
}

process.on("message", (order: ProbeOrder) => void obey(order));
// Whoever started this process is gone, or has no more use for it.
process.on("disconnect", () => process.exit());
