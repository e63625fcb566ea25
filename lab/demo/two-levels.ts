// The demo's story of a node whose first fence device is dead: known before it matters, and not in the way when it does.
import { waitFor } from "../cluster/wait-for.ts";
import { startOutlet } from "../holdfast/bmcs.ts";
import { CORDONED_NODE } from "./cast.ts";
import type { Stage } from "./stage.ts";
import { recordedOutages, returned, type Story } from "./stories.ts";

const NODE = CORDONED_NODE;
const READINESS_DEADLINE_MS = 60_000;
const CONDITION = /FencingReady-(mainboard|outlet)$/;

/** (e) Two levels, the first dead: told before the outage; the second one fences. */
export const deadFirstLevel: Story = async (stage, checks) => {
  const { timeline, cluster, bmcs } = stage;
  timeline.tell("(e)", `${NODE} has two fencing levels, and the first is dead`, "chapter");
  await bmcs.of(NODE).faults.set({ down: true });
  const outlet = await startOutlet(cluster, NODE);
  try {
    timeline.tell(
      "kubectl",
      "apply FencingTopology two-levels: mainboard, then outlet; the mainboard's BMC is dead",
      "deed",
    );
    await checks.becomes(
      "that the first level could not fence the node is known before it has to",
      waitFor(
        "both levels are checked",
        (saw) => {
          const said = readinessOf(stage);
          saw(said);
          return said["mainboard"] === "False" && said["outlet"] === "True" ? true : undefined;
        },
        READINESS_DEADLINE_MS,
      ),
    );
    const lost = stage.vmsOn(NODE);
    timeline.tell(NODE, `hangs, with ${lost.join(", ")} on it`, "deed");
    cluster.fleet.node(NODE).hang();
    // Not "elsewhere": the node may be back before the last of them starts.
    const expected = lost.filter((name) => name !== "batch-2");
    await recordedOutages(stage, checks, { node: NODE, expected });
    const attempts = fencingOf(stage)?.status?.attempts ?? [];
    const story = attempts.map(({ level, outcome }) => `${level} ${outcome}`).join(", then ");
    checks.claim(
      "the dead level was tried once, and the next one fenced the node",
      story === "mainboard Unreachable, then outlet PoweredOff",
      story,
    );
    await returned(stage, checks, NODE);
  } finally {
    await outlet.stop();
  }
};

/** Status of each level's condition on the node. */
function readinessOf({ cluster }: Stage): Readonly<Record<string, string | undefined>> {
  const conditions = cluster.view.nodes.get(NODE)?.status?.conditions ?? [];
  return Object.fromEntries(
    conditions.flatMap(({ type, status }) => {
      const level = CONDITION.exec(type)?.[1];
      return level === undefined ? [] : [[level, status]];
    }),
  );
}

function fencingOf({ view }: Stage) {
  return [...view.fencings.values()].find(({ spec }) => spec.nodeName === NODE);
}
