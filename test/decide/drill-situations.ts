// Every situation in which a drill has something to say, for the tests that hold all reasons to their documentation.
import type { DrillRun } from "../../src/model/drill.ts";
import { type Cluster, type DrillWords, NOW, NOW_WALL_MS, threeNodes } from "./builder.ts";

const at = (laterMs: number): string => new Date(NOW_WALL_MS + laterMs).toISOString();
const rested = (): Cluster => threeNodes().vm("a", { on: "n1" });
const elsewhere = (): Cluster => threeNodes().vm("a", { on: "n2" });

const running = (change: Partial<DrillRun> = {}): DrillWords => ({
  status: {
    phase: "Running",
    run: {
      number: 1,
      step: "Acting",
      startedAt: at(-10_000),
      actedAt: at(-9_000),
      effect: "effect",
      node: "n1",
      nodeUID: "uid-n1",
      bootID: "boot-n1-1",
      virtualMachines: [{ namespace: "ns", name: "a", vmiUID: "vmi-a-1" }],
      ...change,
    },
  },
});
const settled = running({ step: "Settling", settledAt: at(-5_000) });
const probes = [{ name: "udp", probe: { kind: "Udp", port: 7, packetsPerSecond: 100 } }] as const;
const LOSS = { type: "NodeLoss" } as const;
const OPTED_IN = { mayBeLostInDrill: true } as const;

/** One cluster for each reason and Event of drills. */
export function drillSituations(): readonly Cluster[] {
  return [
    rested().drill("d", { schedule: { days: [0], minute: 0, timeZone: "UTC" } }),
    rested().drill("d", { suspended: true }),
    rested().drill("d"),
    elsewhere().drill("d", settled),
    elsewhere().drill("d", { ...settled, promise: { recoveryTimeMs: 1 } }),
    broken(),
    unmeasured(),
    rested().drill("d", running({ startedAt: at(-700_000) })),
    rested().migration("a", { name: "effect", finished: true }).drill("d", running()),
    elsewhere().drill("d", { ...settled, probes }),
    rested().drill("d", { vmKey: "ns/nobody", startTimeoutMs: 0 }),
    rested().fencing("n3", {}, { requested: true }).drill("d"),
    rested().drill("c").drill("d"),
    rested().node("n3", { ready: "False" }).drill("d"),
    rested().node("n1", { cordoned: true }).drill("d"),
    rested().drill("d", { type: "NodeEvacuation", nodeName: "n2" }),
    crowded(),
    threeNodes().vm("a").drill("d"),
    rested().migration("a", { purpose: undefined }).drill("d"),
    threeNodes().vm("a", { on: "n1", unprotected: true }).drill("d"),
    rested().drill("d", LOSS),
    threeNodes()
      .vm("a", { on: "n1", protection: OPTED_IN })
      .node("n2", { cordoned: true })
      .node("n3", { cordoned: true })
      .drill("d", LOSS),
    rested().drill("d", { status: { nextRunAt: at(-3_600_000), message: NOW } }),
  ];
}

function crowded(): Cluster {
  const cluster = threeNodes().drill("d", { type: "NodeEvacuation" });
  for (let i = 0; i <= 300; i++) cluster.vm(`vm-${i}`, { on: "n1" });
  return cluster;
}

/** The VM was away for longer than was promised. */
function broken(): Cluster {
  const recent = [{ cause: "Drill", class: "Planned", since: at(-8_000), until: at(-6_000) }] as const;
  const availability = { since: at(-1e7), until: NOW, recent, days: [], totals: [], burntMs: 0 };
  return threeNodes()
    .vm("a", { on: "n2", protection: { status: { availability } } })
    .drill("d", { ...settled, promise: { recoveryTimeMs: 1_000 } });
}

/** The service did not answer even before it was disturbed. */
function unmeasured(): Cluster {
  const cluster = elsewhere().drill("d", { ...settled, probes });
  const { run } = settled.status ?? {};
  const facts = {
    probe: probes[0].probe,
    startedAtMs: 980_000,
    observedMs: 20_000,
    sent: 100,
    answered: 100,
    lost: 0,
    skipped: 0,
    meanLatencyMs: 1,
    maxLatencyMs: 1,
    outages: [],
    outageCount: 0,
    outageMs: 0,
    longestOutageMs: 0,
    sliceMs: 250,
    slices: [],
  };
  cluster.drillProbings.set(`uid-d/1/${run?.startedAt}`, {
    startedAtMs: 980_000,
    results: [{ vmKey: "ns/a", name: "udp", facts }],
  });
  return cluster;
}
