import { describe, expect, it } from "vitest";
import {
  ISOLATION_MATRIX,
  type HeartbeatState,
  type LeaseState,
  type Meaning,
  type Paths,
  type ReadyState,
  RESPONSES,
  rowFor,
} from "../../src/decide/isolation-matrix.ts";
import type { ProbeState } from "../../src/model/probe.ts";
import { attempt, Cluster, effectsOf, refusalsOf, stepsOf } from "./builder.ts";

const LEASES: readonly LeaseState[] = ["renewed", "late", "silent", "none"];
const READY: readonly ReadyState[] = ["True", "False", "Unknown", "never"];
const HEARTBEATS: readonly HeartbeatState[] = ["heard", "silent"];
const PROBES: readonly ProbeState[] = ["answers", "some", "silent", "unknown"];

const every: readonly Paths[] = LEASES.flatMap((lease) =>
  READY.flatMap((ready) =>
    HEARTBEATS.flatMap((heartbeat) => PROBES.map((probe) => ({ lease, ready, heartbeat, probe }))),
  ),
);
const SILENCE_MS: Readonly<Record<LeaseState, number>> = {
  renewed: 3_000,
  late: 15_000,
  silent: 60_000,
  none: 0,
};
const NETWORKS = {
  answers: ["answers", "never"],
  some: ["answers", "silent"],
  silent: ["silent", "never"],
  unknown: ["never"],
} as const;

/** A cluster in which n1 is heard on exactly these paths, and eight others are well. */
function seen({ lease, ready, heartbeat, probe }: Paths): Cluster {
  const cluster = new Cluster().topology();
  for (let i = 2; i < 10; i++) cluster.node(`n${i}`);
  return cluster
    .node("n1", {
      ready: ready === "never" ? undefined : ready,
      leaseSilentMs: SILENCE_MS[lease],
      heartbeatSilentMs: heartbeat === "heard" ? 20_000 : 200_000,
      noLease: lease === "none",
    })
    .probed("n1", ...NETWORKS[probe])
    .vm("a", { on: "n1" });
}

function judged(paths: Paths): Meaning {
  const verdict = seen(paths).decide().verdicts.get("n1");
  if (verdict?.kind === "healthy" && verdict.degraded !== undefined) return "degraded";
  return (verdict?.kind ?? "unknown") as Meaning;
}

describe("the isolation matrix", () => {
  it.each(every)(
    "is what decides: $lease Lease, Ready $ready, heartbeat $heartbeat, probes $probe",
    (paths) => {
      // Only with a silent Lease does a heartbeat say anything of its own.
      const counted = paths.lease === "silent" ? paths : { ...paths, heartbeat: "silent" as const };
      expect(judged(paths)).toBe(rowFor(counted).means);
    },
  );

  it("calls no node lost that gives any sign of life", () => {
    const alive = every.filter(
      ({ lease, heartbeat, probe }) =>
        lease === "renewed" ||
        lease === "late" ||
        (lease === "silent" && heartbeat === "heard") ||
        probe === "answers" ||
        probe === "some",
    );
    expect(alive.length).toBeGreaterThan(60);
    expect(alive.filter((paths) => rowFor(paths).means === "lost")).toEqual([]);
  });

  it("calls a node lost when all that could speak is silent, whatever Kubernetes still says of it", () => {
    for (const ready of READY)
      for (const probe of ["silent", "unknown"] as const)
        expect(rowFor({ lease: "silent", ready, heartbeat: "silent", probe }).means).toBe("lost");
  });

  it("has no row that never counts", () => {
    const used = new Set(every.map(rowFor));
    expect(ISOLATION_MATRIX.filter((row) => !used.has(row))).toEqual([]);
  });

  it("is the table in docs/verdicts.md (-u writes it)", async () => {
    await expect(page()).toMatchFileSnapshot("../../docs/verdicts.md");
  });
});

describe("what follows from a verdict", () => {
  const paths = { ready: "Unknown", heartbeat: "silent", probe: "unknown" } as const;
  const lost = (): Cluster => seen({ ...paths, lease: "silent" }).fencing("n1");
  const storm = (cluster: Cluster): Cluster => {
    for (const name of ["n2", "n3", "n4"])
      cluster.node(name, { leaseSilentMs: 60_000, heartbeatSilentMs: 200_000 });
    return cluster;
  };

  it("is nothing for a node that is healthy, degraded, suspect or isolated", () => {
    for (const one of every) {
      const { means } = rowFor(one);
      if (means !== "lost") expect(effectsOf(seen(one).decide()), JSON.stringify(one)).toEqual([]);
    }
  });

  it("is a shot for a lost node, and only a look in a storm", () => {
    expect(stepsOf(lost().decide(), "Fence").map((step) => step.mayPowerOff)).toEqual([true]);
    expect(stepsOf(storm(lost()).decide(), "Fence").map((step) => step.mayPowerOff)).toEqual([false]);
  });

  it("is the release of a node that was read back as off, storm or not", () => {
    const off = (cluster: Cluster): Cluster =>
      cluster
        .node("n1", {
          ready: "Unknown",
          leaseSilentMs: 400_000,
          heartbeatSilentMs: 400_000,
          outOfService: true,
        })
        .fenced("n1", { attempts: [attempt({ outcome: "AlreadyOff" })] });
    for (const cluster of [off(lost()), storm(off(lost()))])
      expect(stepsOf(cluster.decide(), "Release").map((step) => step.vmKey)).toEqual(["ns/a"]);
  });

  it("is for an isolated node what the policy says: nothing, or a fencing once it has been so for long", () => {
    const isolated = (): Cluster => seen({ ...paths, lease: "silent", probe: "answers" });
    expect(refusalsOf(isolated().decide(), "node/n1")).toEqual(["NodeIsolated"]);
    const fence = { onIsolated: "fence", isolatedGraceMs: 60_000 } as const;
    expect(stepsOf(isolated().decide(fence), "OpenFencing").map((step) => step.node)).toEqual(["n1"]);
    const early = isolated().decide({ ...fence, isolatedGraceMs: 61_000 });
    expect(effectsOf(early)).toEqual([]);
    expect(early.lookAgainAtMs).toBeDefined();
  });

  it("tells of a degraded node which network is silent", () => {
    const plan = seen({ ...paths, lease: "renewed", ready: "True", probe: "some" }).decide();
    expect(plan.refusals.map(({ reason, message }) => `${reason} ${message}`)).toEqual([
      "NodeDegraded n1: no answer to probes on example.com/net-1 (1 of 2 networks)",
    ]);
  });

  it("does not rest on an answer that is old: the probes may have stopped", () => {
    const cluster = seen({ ...paths, lease: "silent", probe: "answers" });
    const [path] = cluster.probes.get("n1") ?? [];
    if (path?.answeredAtMs !== undefined)
      cluster.probes.set("n1", [{ ...path, answeredAtMs: path.answeredAtMs - 20_000 }]);
    expect(cluster.decide().verdicts.get("n1")?.kind).toBe("lost");
  });
});

function page(): string {
  const cells = (values: readonly string[] | undefined): string => values?.join(", ") ?? "any";
  const rows = ISOLATION_MATRIX.map(
    ({ when, means, because }) =>
      `| ${cells(when.lease)} | ${cells(when.ready)} | ${cells(when.heartbeat)} | ${cells(when.probe)} | **${means}** | ${because} |`,
  );
  const responses = RESPONSES.map(
    ({ verdict, power, storm, response }) =>
      `| ${verdict} | ${power} | ${storm ? "yes" : "no"} | ${response} |`,
  );
  return `# Verdicts

<!-- Generated from src/decide/isolation-matrix.ts. After a change there: npx vitest run --project unit test/decide/isolation-matrix.test.ts -u -->

How a node is judged from the paths on which it can be heard, and what follows. The first row that fits counts; a test runs every combination through the decision.

- **Lease**: the kubelet's. *renewed* within \`--node-suspect-after\`; *late* until it has been silent for \`--node-lost-after\` and the API server has told us so; *silent* after that; *none*: the node has no Lease.
- **Ready**: the condition as Kubernetes has it; *never*: no kubelet has set it.
- **heartbeat**: virt-handler's. *heard*: it changed more than 13 s after the Lease's last renewal, and less than \`--heartbeat-trust\` ago.
- **probes**: direct connections to the node, network by network (\`--probe-method\`). *answers*: on every network that ever did; *some*: on some of them; *silent*: on none of them, twice in a row; *unknown*: it never answered us, or was not asked within 10 s. A refused connection is an answer of a host that has answered before: its kernel sent it.

All ages run on our monotonic clock, and begin anew after a gap in our contact with the API server.

| Lease | Ready | heartbeat | probes | verdict | because |
|---|---|---|---|---|---|
${rows.join("\n")}

A node whose fencing is proven is **lost** until it reports a new boot ID, and then **returning** until it is Ready, its Lease is fresh, virt-handler is heard, and its old pods are gone.

## What follows

The power state is read from the fence device, which is harmless; *off* counts when it was read twice, over independent connections, and the node stays silent.

| verdict | power | storm | what is done |
|---|---|---|---|
${responses.join("\n")}

A \`FencingDisarm\` holds every shot, and every look for one; a node that was proven off before is still seen to.
`;
}
