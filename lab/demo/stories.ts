// The demo's stories. Each does something to the cluster as a person or a failure would, and says what must come of it.
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../cluster/wait-for.ts";
import { CORDONED_NODE, ISOLATED_NODE, NAMESPACE, POWERLESS_NODE } from "./cast.ts";
import type { Checks } from "./checks.ts";
import type { Stage } from "./stage.ts";

const EVACUATION_DEADLINE_MS = 90_000;
const FAILBACK_DEADLINE_MS = 60_000;
/** Detection takes 12 to 22 s, the restart of a node's VMs some more. */
const FAILOVER_DEADLINE_MS = 90_000;
const RETURN_DEADLINE_MS = 60_000;

export type Story = (stage: Stage, checks: Checks) => Promise<void>;

/** What is said of VMs that cannot be helped, long before anything happens. */
export const standingVerdicts: Story = async (stage, checks) => {
  stage.timeline.tell("Before", "what would happen if a node were lost now", "chapter");
  for (const { vm, role } of stage.cast) {
    const conditions = stage.view.protections.get(`${NAMESPACE}/${vm.name}`)?.status?.conditions ?? [];
    const shown = conditions.find((condition) => condition.type === "Protected");
    const good = shown?.status === "True";
    stage.timeline.tell(
      vm.name,
      `${good ? "protected" : "NOT protected"}: ${shown?.message ?? "?"}`,
      good ? "plain" : "bad",
    );
    if (vm.name === "legacy-1") {
      const migratable = conditions.find((condition) => condition.type === "Migratable");
      checks.claim(
        "a VM that cannot be migrated is known before it matters",
        migratable?.status === "False",
        migratable?.message,
      );
    }
    if (vm.name === "pinned-1") {
      checks.claim(
        "a VM that cannot restart is known before it matters",
        shown?.status === "False",
        `${role}: ${shown?.reason ?? "?"}`,
      );
    }
  }
};

/** (a) Cordon: every VM that can leaves by live migration, none is restarted. */
export const cordon: Story = async (stage, checks) => {
  const { timeline, cluster } = stage;
  timeline.tell("(a)", `kubectl cordon ${CORDONED_NODE}`, "chapter");
  const leaving = stage.vmsOn(CORDONED_NODE).filter((name) => name !== "legacy-1");
  stage.remember(leaving);
  const before = new Map(
    leaving.map((name) => [name, cluster.view.vmis.get(`${NAMESPACE}/${name}`)?.metadata.uid]),
  );
  timeline.tell(
    "kubectl",
    `cordon ${CORDONED_NODE}, which runs ${stage.vmsOn(CORDONED_NODE).join(", ")}`,
    "deed",
  );
  await stage.cordon(CORDONED_NODE, true);
  await checks.becomes(
    `all ${leaving.length} VMs that can be migrated have left ${CORDONED_NODE}`,
    waitFor(
      "only the VM that cannot be migrated is left",
      (saw) => {
        const left = stage.vmsOn(CORDONED_NODE);
        saw(left);
        return left.every((name) => name === "legacy-1") ? true : undefined;
      },
      EVACUATION_DEADLINE_MS,
    ),
  );
  const restarted = leaving.filter(
    (name) => cluster.view.vmis.get(`${NAMESPACE}/${name}`)?.metadata.uid !== before.get(name),
  );
  checks.claim("none of them was restarted", restarted.length === 0, restarted.join(", "));
  const said = stage.view.protections.get(`${NAMESPACE}/legacy-1`)?.status?.evacuation;
  checks.claim(
    "the VM that cannot be migrated says so and runs on",
    said?.phase === "Refused",
    said?.message,
  );
};

/** (b) Uncordon: VMs whose policy says so go home, and no other moves. */
export const failback: Story = async (stage, checks) => {
  const { timeline, view } = stage;
  timeline.tell("(b)", `kubectl uncordon ${CORDONED_NODE}`, "chapter");
  const displaced = (name: string): boolean =>
    view.protections.get(`${NAMESPACE}/${name}`)?.status?.displacedFrom?.node === CORDONED_NODE;
  const away = stage.homesick();
  await checks.becomes(
    `${away.join(", ")} (failback.policy Automatic) remember where they belong`,
    waitFor("displaced VMs are on record", (saw) => {
      saw(away.filter((name) => !displaced(name)));
      return away.length > 0 && away.every(displaced) ? true : undefined;
    }),
  );
  const expected = [...new Set([...away, ...stage.vmsOn(CORDONED_NODE)])].sort();
  timeline.tell("kubectl", `uncordon ${CORDONED_NODE}`, "deed");
  await stage.cordon(CORDONED_NODE, false);
  await checks.becomes(
    `they are home again, and no other VM moved`,
    waitFor(
      "the displaced VMs are home",
      (saw) => {
        const there = stage.vmsOn(CORDONED_NODE);
        saw({ there, expected });
        return JSON.stringify(there) === JSON.stringify(expected) && !away.some(displaced) ? true : undefined;
      },
      FAILBACK_DEADLINE_MS,
    ),
  );
};

/** (c) Power loss: verdict, fence, proof, restart; and the VM that can run nowhere else says so. */
export const powerLoss: Story = async (stage, checks) => {
  const { timeline } = stage;
  timeline.tell("(c)", `${POWERLESS_NODE} loses its power`, "chapter");
  const lost = stage.vmsOn(POWERLESS_NODE);
  timeline.tell(POWERLESS_NODE, `power cut, with ${lost.join(", ")} on it`, "deed");
  await stage.cluster.fleet.node(POWERLESS_NODE).power.off();
  await backElsewhere(
    stage,
    checks,
    POWERLESS_NODE,
    lost.filter((name) => name !== "pinned-1"),
  );
  if (lost.includes("pinned-1")) await blockedThenBack(stage, checks);
  await returned(stage, checks, POWERLESS_NODE);
};

/** (d) Cut off from the API server while its VMs run: fenced before anything is restarted. */
export const partition: Story = async (stage, checks) => {
  const { timeline, cluster, bmcs } = stage;
  const node = cluster.fleet.node(ISOLATED_NODE);
  timeline.tell("(d)", `${ISOLATED_NODE} is cut off from the API server while its VMs run`, "chapter");
  const lost = stage.vmsOn(ISOLATED_NODE);
  timeline.tell(ISOLATED_NODE, `network to the API server cut; ${lost.join(", ")} run on`, "deed");
  node.cutApi();
  await backElsewhere(stage, checks, ISOLATED_NODE, lost);
  const shots = bmcs
    .of(ISOLATED_NODE)
    .requests.filter((request) => request.method === "POST" && request.path.includes("Reset"));
  checks.claim(
    "the node was powered off through its BMC before that",
    shots.length > 0 && endedBeforeRestart(stage, lost),
    `${shots.length} reset requests`,
  );
  timeline.tell(ISOLATED_NODE, "network healed", "deed");
  node.healApi();
  await returned(stage, checks, ISOLATED_NODE);
};

/** Every guest of the lost node had ended, by the oracle, before its VM's next run began. */
function endedBeforeRestart(stage: Stage, vms: readonly string[]): boolean {
  return vms.every((name) => {
    const runs = stage.cluster.oracle.history(`${NAMESPACE}/${name}`);
    const [old, next] = runs.slice(-2);
    return old?.stoppedAtMs !== undefined && (next === undefined || next.startedAtMs >= old.stoppedAtMs);
  });
}

async function backElsewhere(
  stage: Stage,
  checks: Checks,
  node: string,
  lost: readonly string[],
): Promise<void> {
  const expected = lost.filter((name) => name !== "batch-2");
  await checks.becomes(
    `${expected.length} VMs of ${node} run elsewhere again`,
    waitFor(
      `the VMs of ${node} run elsewhere`,
      (saw) => {
        const missing = expected.filter((name) => {
          const runs = stage.cluster.oracle.running(`${NAMESPACE}/${name}`);
          return !runs.some((run) => run.node !== node && run.upAtMs !== undefined);
        });
        saw(`not yet: ${missing.join(", ")}`);
        return missing.length === 0 ? true : undefined;
      },
      FAILOVER_DEADLINE_MS,
    ),
  );
  await recordedOutages(stage, checks, { node, expected });
  if (lost.includes("batch-2")) {
    const conditions = stage.view.protections.get(`${NAMESPACE}/batch-2`)?.status?.conditions ?? [];
    const restartable = conditions.find((condition) => condition.type === "Restartable");
    checks.claim(
      "a Once VM that must not run again stays down, and says why",
      restartable?.status === "False",
      restartable?.message,
    );
  }
}

/** Each VM is up again, and its outage is on record. */
export async function recordedOutages(
  stage: Stage,
  checks: Checks,
  { node, expected }: { readonly node: string; readonly expected: readonly string[] },
): Promise<void> {
  await checks.becomes(
    "each of them is up again and has its outage on record, phase by phase",
    waitFor(
      "outages are recorded",
      (saw) => {
        const missing = expected.filter((name) => {
          const status = stage.view.protections.get(`${NAMESPACE}/${name}`)?.status;
          return status?.failover !== undefined || status?.outages?.[0]?.fromNode !== node;
        });
        saw(`not yet: ${missing.join(", ")}`);
        return missing.length === 0 ? true : undefined;
      },
      FAILOVER_DEADLINE_MS,
    ),
  );
}

async function blockedThenBack(stage: Stage, checks: Checks): Promise<void> {
  await checks.becomes(
    "the VM that is bound to the lost node says that it is blocked",
    waitFor(
      "pinned-1 is Blocked",
      (saw) => {
        const status = stage.view.protections.get(`${NAMESPACE}/pinned-1`)?.status;
        saw(status);
        return status?.failover?.phase === "Blocked" || status?.outages?.length ? true : undefined;
      },
      RETURN_DEADLINE_MS,
    ),
  );
}

/** The node was switched on again, and is trusted. */
export async function returned(stage: Stage, checks: Checks, node: string): Promise<void> {
  await checks.becomes(
    `${node} was powered on again and is trusted with VMs once it is healthy`,
    waitFor(
      `${node} has returned`,
      (saw) => {
        const fencing = [...stage.view.fencings.values()].find((one) => one.spec.nodeName === node);
        const taints = stage.cluster.view.nodes.get(node)?.spec?.taints ?? [];
        saw({ phase: fencing?.status?.phase, taints });
        const isTainted = taints.some((taint) => taint.key === "node.kubernetes.io/out-of-service");
        return fencing?.status?.phase === "Returned" && !isTainted ? true : undefined;
      },
      RETURN_DEADLINE_MS,
    ),
  );
}

/** At the end nothing is left undone, and no VM ever ran twice. */
export const epilogue: Story = async (stage, checks) => {
  stage.timeline.tell("After", "what is left", "chapter");
  const down = (): string[] =>
    stage.cast
      .filter(({ vm }) => vm.runStrategy !== "Halted" && vm.name !== "batch-2")
      .map(({ vm }) => vm.name)
      .filter((name) => stage.cluster.oracle.running(`${NAMESPACE}/${name}`).length !== 1);
  await checks.becomes(
    "every VM that may run runs, exactly once",
    waitFor("all VMs run", (saw) => {
      saw(`not running: ${down().join(", ")}`);
      return down().length === 0 ? true : undefined;
    }),
  );
  // A late second copy would show itself now.
  await sleep(1_000);
  const { overlaps, unsafeWrites } = stage.cluster.oracle;
  checks.claim(
    "no VM ran on two nodes at once, not for a moment",
    overlaps.length === 0,
    `${overlaps.length} overlaps`,
  );
  checks.claim(
    "no pod was taken away while its guest ran",
    unsafeWrites.length === 0,
    `${unsafeWrites.length} unsafe writes`,
  );
  const refusals = stage.audit.refusals(0);
  checks.claim(
    "all of it with the rights of deploy/rbac.yaml and no others",
    stage.audit.requests(0).length > 0 && refusals.length === 0,
    refusals.length === 0 ? "no request refused" : `refused: ${[...new Set(refusals)].join(", ")}`,
  );
};
