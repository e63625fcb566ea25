// The demo's story of a drill: a failover on purpose, repeated, and measured from outside by packets to the VM itself.
import type { FailoverDrill } from "../../src/api/failover-drill.ts";
import { waitFor } from "../cluster/wait-for.ts";
import { GUEST_PORTS } from "../guests/guest-address.ts";
import { apply } from "../holdfast/install.ts";
import { expectOk } from "../kubevirt/calls.ts";
import type { KubernetesObject } from "../nodes/objects.ts";
import { NAMESPACE } from "./cast.ts";
import { type DrillRow, renderDrillTable } from "./drill-table.ts";
import type { Stage } from "./stage.ts";
import type { Story } from "./stories.ts";

type Drill = FailoverDrill & KubernetesObject;

const NAME = "db-1-moves";
const VM = "db-1";
const RUNS = 3;
const DEADLINE_MS = 120_000;
/** A hand-over takes 0.08 to 0.3 s here; the rest, and no faster probe, is for a machine that has to play all nodes and guests at once. */
const OUTAGE_BUDGET = "3s";
const PATH = `/apis/holdfast.dev/v1alpha1/failoverdrills/${NAME}`;
const ENDED: readonly string[] = ["Passed", "Failed", "Inconclusive", "Refused", "Interrupted"];

const DRILL = {
  apiVersion: "holdfast.dev/v1alpha1",
  kind: "FailoverDrill",
  metadata: { name: NAME },
  spec: {
    type: "LiveMigration",
    virtualMachine: { namespace: NAMESPACE, name: VM },
    runs: RUNS,
    interval: "5s",
    promise: { outageBudget: OUTAGE_BUDGET },
    probes: [
      { name: "udp-10", type: "UDP", port: GUEST_PORTS.udpEcho, packetsPerSecond: 10 },
      { name: "tcp", type: "TCP", port: GUEST_PORTS.http },
      { name: "http", type: "HTTP", port: GUEST_PORTS.http, path: "/" },
    ],
    reason: "how long is the database away when it moves?",
  },
} as const;

/** (f) A drill: the outage of a live migration, measured three times by packets that were lost. */
export const drill: Story = async (stage, checks) => {
  const { timeline, cluster } = stage;
  const key = `${NAMESPACE}/${VM}`;
  timeline.tell(
    "(f)",
    `a drill: ${VM} is live-migrated ${RUNS} times while packets are sent to it`,
    "chapter",
  );
  if (process.platform !== "linux") {
    timeline.tell("drill", "left out: only Linux gives each guest an address on loopback", "bad");
    return;
  }
  const uid = cluster.view.vmis.get(key)?.metadata.uid;
  const migrationsBefore = migrationsOf(stage, key);
  timeline.tell(
    "kubectl",
    `apply FailoverDrill ${NAME}: ${RUNS} runs, outage budget ${OUTAGE_BUDGET}`,
    "deed",
  );
  await apply(cluster.controlPlane.admin, DRILL);
  const ended = await end(stage);
  const { phase, message, statistics = [] } = ended.status ?? {};
  for (const line of renderDrillTable(rowsOf(ended)).split("\n")) timeline.tell("drill", line);
  checks.claim(
    `each of ${RUNS} live migrations kept ${VM}'s outage budget of ${OUTAGE_BUDGET}, measured by the packets that it cost`,
    phase === "Passed",
    message,
  );
  const measured = statistics.filter(({ name }) => name.startsWith("udp"));
  checks.claim(
    "the drill saw every hand-over: packets were lost in each, and the guest was never restarted",
    measured.length === 1 &&
      measured.every(
        ({ runs, lost, longestOutageMs }) => runs === RUNS && lost >= RUNS && longestOutageMs > 0,
      ) &&
      migrationsOf(stage, key) - migrationsBefore === RUNS &&
      cluster.view.vmis.get(key)?.metadata.uid === uid,
    measured.map(({ name, lost, sent }) => `${name}: ${lost} of ${sent} lost`).join(", "),
  );
};

/** Waits until the series is over, and tells of each run as it ends. */
async function end({ cluster, timeline }: Stage): Promise<Drill> {
  let told = 0;
  return waitFor(
    `the drill ${NAME} is over`,
    async (saw) => {
      const read = await cluster.controlPlane.admin.request<Drill>({ method: "GET", path: PATH });
      const now = expectOk(read, `read the FailoverDrill ${NAME}`);
      const runs = now.status?.runs ?? [];
      for (const run of runs.slice(told))
        timeline.tell("drill", `run ${run.number}: ${run.outcome}: ${run.message}`);
      told = runs.length;
      saw(now.status);
      return ENDED.includes(now.status?.phase ?? "") ? now : undefined;
    },
    DEADLINE_MS,
  );
}

function migrationsOf({ cluster }: Stage, key: string): number {
  return cluster.oracle.history(key).filter(({ began }) => began === "migration").length;
}

function rowsOf({ status }: Drill): readonly DrillRow[] {
  const skipped = (name: string): number =>
    (status?.runs ?? [])
      .flatMap(({ measures }) => measures.filter((measure) => measure.name === name))
      .reduce((sum, measure) => sum + measure.skipped, 0);
  return (status?.statistics ?? []).map((one) => ({
    ...one,
    skipped: skipped(one.name),
    outageMs: meanOf(one.outage),
    convergenceMs: one.convergence === undefined ? undefined : meanOf(one.convergence),
    result: status?.phase ?? "?",
  }));
}

type StatusMean = NonNullable<NonNullable<Drill["status"]>["statistics"]>[number]["outage"];

function meanOf({ meanMs, standardDeviationMs, lowMs, highMs }: StatusMean): DrillRow["outageMs"] {
  const known = lowMs !== undefined && highMs !== undefined;
  return {
    mean: meanMs,
    standardDeviation: standardDeviationMs,
    confidence95: known ? { low: lowMs, high: highMs } : undefined,
  };
}
