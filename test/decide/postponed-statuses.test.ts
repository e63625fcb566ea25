// A first start in a large cluster: statuses are worked out a few hundred at a time, and nothing that matters waits for them.
import { describe, expect, it } from "vitest";
import type { Plan } from "../../src/model/plan.ts";
import { type Cluster, stepsOf, threeNodes } from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const PER_TURN = 500;
const VMS = 1_200;

/** Never judged before: every status has something to say. */
function manyOn(node: string): Cluster {
  const cluster = threeNodes();
  for (let i = 0; i < VMS; i++) cluster.vm(`vm-${i}`, { on: node });
  return cluster;
}

const written = (plan: Plan): readonly string[] =>
  stepsOf(plan, "WriteProtection").map(({ protection }) => protection.name);

describe("when more statuses have something new to say than can be written between two turns", () => {
  it("plans a few hundred in each turn, until all are written", () => {
    const world = new LiveWorld(manyOn("n1"));
    const counts: number[] = [];
    for (let writes = 1; writes > 0; ) {
      const plan = world.turn();
      counts.push(written(plan).length);
      writes = world.write(plan);
    }
    expect(counts).toEqual([PER_TURN, PER_TURN, VMS - 2 * PER_TURN, 0]);
    const statuses = [...world.cluster.protections.values()].map(({ status }) => status.conditions.length);
    expect(Math.min(...statuses)).toBeGreaterThan(0);
  });

  it("goes on at once where those whose turn it was had nothing to say", () => {
    const cluster = threeNodes();
    for (let i = 0; i < 2_000; i++) cluster.vm(`vm-${i}`, { on: "n1" });
    const world = new LiveWorld(cluster);
    world.write(world.turn());
    const waiting = [...cluster.protections.values()].filter(({ status }) => status.conditions.length === 0);
    expect(waiting).toHaveLength(1_500);
    // All but the last ten go, so that the next turn takes a thousand of which none is left.
    for (const { key } of waiting.slice(0, -10)) world.protection(key, undefined);
    const next = world.turn();
    expect(written(next)).toEqual([]);
    expect(next.lookAgainAtMs).toBeLessThanOrEqual(world.nowMs);
    expect(written(world.turn())).toHaveLength(10);
  });

  it("lets none wait behind others that cannot be written", () => {
    const world = new LiveWorld(manyOn("n1"));
    const planned = new Set<string>();
    // Nothing is ever written.
    for (let i = 0; i < 3; i++) for (const name of written(world.turn())) planned.add(name);
    expect(planned.size).toBe(VMS);
  });

  it("writes at once what a loss is about, however many others wait", () => {
    const cluster = manyOn("n1");
    for (let i = 0; i < 600; i++) cluster.vm(`lost-${i}`, { on: "n2" });
    const world = new LiveWorld(cluster);
    world.turn();
    world.pass(13_000, ["n2"]).turn();
    world.pass(10_000, ["n2"]);
    const names = written(world.turn());
    expect(names.filter((name) => name.startsWith("lost-"))).toHaveLength(600);
    expect(names.filter((name) => name.startsWith("vm-"))).toHaveLength(PER_TURN);
  });
});
