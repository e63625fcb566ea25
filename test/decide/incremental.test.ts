import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Plan, Step } from "../../src/model/plan.ts";
import { type Cluster, NOW_WALL_MS, outage, threeNodes } from "./builder.ts";
import { LiveWorld } from "./live-world.ts";
import {
  CHECKED,
  type Draw,
  draws,
  drawCluster,
  drawFencing,
  drawMigration,
  drawNode,
  drawPolicy,
  drawProtection,
  drawVMI,
  NODES,
  VMS,
} from "./random-world.ts";

type Mutation = (world: LiveWorld, draw: Draw) => void;

/** Draws one object into a scratch cluster, so that it comes with what the builder gives it. */
function drawn(
  world: LiveWorld,
  kind: "pods" | "protections" | "migrations",
  draw: (cluster: Cluster) => void,
): string | undefined {
  const before = new Set(world.cluster[kind].keys());
  draw(world.cluster);
  return [...world.cluster[kind].keys()].find((key) => !before.has(key));
}

const keyOf = (draw: Draw, map: ReadonlyMap<string, unknown>): string => draw.pick("none", ...map.keys());

/** Everything that can happen to the world, one thing at a time. */
const MUTATIONS: Record<string, Mutation> = {
  "a node changes": (world, draw) => drawNode(draw, world.cluster, draw.pick(...NODES)),
  "a node goes": (world, draw) => {
    const name = draw.pick(...NODES);
    world.cluster.nodes.delete(name);
    if (draw.chance(2)) world.cluster.leases.delete(name);
  },
  "a Lease is renewed": (world, draw) => world.renew(draw.pick(...NODES)),
  "time passes": (world, draw) => {
    world.pass(draw.pick(1_000, 9_000, 25_000, 400_000), draw.chance(2) ? NODES : [draw.pick(...NODES)]);
  },
  "our contact breaks": (world) => {
    world.cluster.contactSinceMs = world.nowMs;
  },
  "a VM changes": (world, draw) => {
    const key = keyOf(draw, world.cluster.vms);
    const change = draw.pick<Parameters<LiveWorld["vm"]>[1]>(
      undefined,
      { runStrategy: "Halted" },
      { runStrategy: "Manual" },
      { runStrategy: "Always" },
      { labels: { ha: "yes" } },
      { labels: {} },
      { deleting: true },
      { constraints: { key: "rack", nodeSelector: { rack: "a" }, affinityTerms: [], tolerations: [] } },
      { constraints: { key: "other", nodeSelector: { rack: "b" }, affinityTerms: [], tolerations: [] } },
    );
    if (world.cluster.vms.has(key)) world.vm(key, change);
  },
  "a VM comes": (world, draw) => {
    const name = draw.pick(...VMS);
    if (world.cluster.vms.has(`ns/${name}`)) return;
    world.cluster.vm(name, {
      unprotected: true,
      labels: draw.pick<Record<string, string>>({ ha: "yes" }, {}),
    });
    world.adopt("vms", `ns/${name}`);
  },
  "an instance changes": (world, draw) => {
    const key = keyOf(draw, world.cluster.vmis);
    const node = draw.chance(5) ? undefined : draw.pick(...NODES);
    if (!world.cluster.vmis.has(key)) return;
    if (draw.chance(5)) world.vmi(key, undefined);
    else world.vmi(key, { nodeName: node, ...drawVMI(draw, key.slice(3), node) });
  },
  "a pod goes": (world, draw) => {
    const key = keyOf(draw, world.cluster.pods);
    if (world.cluster.pods.has(key)) world.pod(key, undefined);
  },
  "a pod comes": (world, draw) => {
    const name = `extra-${world.cluster.pods.size}`;
    const change = { name, nodeName: draw.pick(undefined, ...NODES), unschedulable: draw.maybe("0/5") };
    const vm = draw.pick(...VMS);
    const uid = `vmi-${vm}-${draw.pick(1, 2)}`;
    const key = drawn(world, "pods", (cluster) => cluster.pod(vm, { ...change, vmiUID: uid }));
    if (key !== undefined) world.adopt("pods", key);
  },
  "a migration comes": (world, draw) => {
    const key = drawn(world, "migrations", (cluster) => drawMigration(draw, cluster, draw.pick(...VMS)));
    if (key !== undefined) world.adopt("migrations", key);
  },
  "a migration ends": (world, draw) => {
    const key = keyOf(draw, world.cluster.migrations);
    const succeeded = draw.chance(2);
    if (world.cluster.migrations.has(key))
      world.migration(key, { finished: true, succeeded, finishedAtMs: world.nowMs });
  },
  "a promise changes": (world, draw) => {
    const key = keyOf(draw, world.cluster.protections);
    const before = world.cluster.protections.get(key);
    if (before === undefined) return;
    const { status: _kept, ...spec } = drawProtection(draw, before.vmName);
    world.protection(key, { ...spec, generation: before.generation + 1 });
  },
  "a promise goes": (world, draw) => {
    const key = keyOf(draw, world.cluster.protections);
    if (world.cluster.protections.has(key)) world.protection(key, undefined);
  },
  "a promise comes": (world, draw) => {
    const vm = draw.pick(...VMS);
    const spec = drawProtection(draw, vm);
    const name = draw.pick(vm, `${vm}-three`);
    const key = drawn(world, "protections", (cluster) => {
      if (!cluster.protections.has(`ns/${name}`))
        cluster.protect(vm, { ...spec, name, createdAtWallMs: draw.pick(0, NOW_WALL_MS), deleting: false });
    });
    if (key !== undefined) world.adopt("protections", key);
  },
  "an outage is remembered": (world, draw) => {
    const key = keyOf(draw, world.cluster.protections);
    const before = world.cluster.protections.get(key);
    if (before === undefined) return;
    const outages = [outage(1_000), outage(3_500_000), ...before.status.outages].slice(0, 10);
    world.protection(key, { status: { ...before.status, outages } });
  },
  "a fencing changes": (world, draw) => {
    const node = draw.pick(...NODES);
    if (draw.chance(4)) world.cluster.fencings.delete(`nf-${node}`);
    else drawFencing(draw, world.cluster, node);
  },
  "a topology changes": (world, draw) => {
    if (draw.chance(3)) world.cluster.topologies.clear();
    else world.cluster.topology(draw.pick("bmc", "rack"), { precedence: draw.int(0, 2), generation: 2 });
    world.rulesChanged();
  },
  "a policy changes": (world, draw) => {
    if (draw.chance(3)) world.cluster.policies.clear();
    else world.cluster.policies.set("all", drawPolicy(draw));
    world.rulesChanged();
  },
  "a namespace changes": (world, draw) => {
    world.namespace("ns", draw.pick<Record<string, string>>({}, { tier: "prod" }));
  },
  "KubeVirt is configured anew": (world, draw) => {
    const evictionStrategy = draw.pick(undefined, "LiveMigrate", "External");
    world.cluster.kubeVirt = { ...world.cluster.kubeVirt, evictionStrategy };
    world.rulesChanged();
  },
};

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

/** What a plan would have done, in no order. */
const effects = (plan: Plan): readonly string[] => plan.steps.map(textOf).sort(byText);

function textOf(step: Step): string {
  return JSON.stringify(step);
}

describe("a turn that looks only at what changed", () => {
  it("plans what a turn would that looks at everything, whatever happened in between", () => {
    fc.assert(
      fc.property(draws, (draw) => {
        const world = new LiveWorld(drawCluster(draw));
        const told: string[] = [];
        world.turn();
        for (let i = draw.int(1, 6); i > 0; i--) {
          const what = draw.pick("time passes", ...Object.keys(MUTATIONS));
          MUTATIONS[what]?.(world, draw);
          told.push(what);
          if (draw.chance(4)) continue;
          const everything = world.fullTurn();
          const plan = world.turn();
          expect(effects(plan), told.join(", then ")).toEqual(effects(everything));
          expect(plan.refusals).toEqual(everything.refusals);
          expect([...plan.verdicts]).toEqual([...everything.verdicts]);
          // What is written is there in the next turn; sometimes a write fails.
          if (!draw.chance(4)) world.write(plan);
        }
      }),
      CHECKED,
    );
  });

  it("looks at a few of many", () => {
    const cluster = threeNodes();
    for (let i = 0; i < 50; i++) cluster.vm(`vm-${i}`, { on: "n1" });
    const world = new LiveWorld(cluster);
    expect(world.settle().filter((step) => step.kind === "WriteProtection")).toHaveLength(50);
    world.vmi("ns/vm-7", { ready: false });
    expect(world.turn().steps).toMatchObject([{ kind: "WriteProtection", protection: { name: "vm-7" } }]);
  });
});
