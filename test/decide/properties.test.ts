import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { haVirtualMachineStatus } from "../../src/api/ha-virtual-machine-status.ts";
import { decide } from "../../src/decide/decide.ts";
import { identityOf } from "../../src/act/performer.ts";
import type { Plan, Step } from "../../src/model/plan.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { type Cluster, NOW_MS, NOW_WALL_MS, POLICY, stepsOf } from "./builder.ts";
import { LiveWorld } from "./live-world.ts";
import { expectLawful } from "./plan-rules.ts";
import { CHECKED, type Draw, draws, drawAbsurdCluster, drawCluster } from "./random-world.ts";

const NOW = { monotonicMs: NOW_MS, wallMs: NOW_WALL_MS };

/** Checks a property of clusters drawn at random; a failure prints the seed and the path that repeat it. */
function always(draw: (from: Draw) => Cluster, check: (cluster: Cluster, from: Draw) => void): void {
  fc.assert(
    fc.property(draws, (from) => {
      check(draw(from), from);
    }),
    CHECKED,
  );
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) for (const one of value.values()) freeze(one);
  for (const one of Object.values(value)) freeze(one);
  return Object.freeze(value);
}

/** All that a snapshot holds, maps and sets included. */
const contents = (snapshot: Snapshot): string =>
  JSON.stringify(snapshot, (_key, value: unknown) =>
    value instanceof Map || value instanceof Set ? [...(value as Iterable<unknown>)] : value,
  );

describe("decide", () => {
  it.each([
    ["plausible", drawCluster],
    ["absurd", drawAbsurdCluster],
  ])("never throws and keeps every rule, in a %s world", (_kind, draw) => {
    always(draw, (cluster) => {
      const snapshot = cluster.snapshot();
      expectLawful(decide(snapshot, POLICY, NOW), snapshot, POLICY, NOW_MS);
    });
  });

  it("is pure: it changes nothing it is given, and gives the same for the same", () => {
    always(drawAbsurdCluster, (cluster) => {
      const snapshot = freeze(cluster.snapshot());
      const before = contents(snapshot);
      const plan = decide(snapshot, POLICY, NOW);
      expect(contents(snapshot)).toBe(before);
      expect(decide(snapshot, POLICY, NOW)).toEqual(plan);
    });
  });

  it("does the same in whatever order the objects are listed", () => {
    always(drawCluster, (cluster) => {
      const kinds = (): string[] => cluster.decide().steps.map(comparable).sort(byText);
      const before = kinds();
      for (const map of [cluster.nodes, cluster.vms, cluster.vmis, cluster.pods, cluster.protections])
        reverse<unknown>(map);
      expect(kinds()).toEqual(before);
    });
  });

  it("writes statuses that the API server accepts", () => {
    always(drawCluster, (cluster) => {
      for (const { status } of stepsOf(cluster.decide(), "WriteProtection")) {
        const parsed = haVirtualMachineStatus.safeParse(status);
        expect(parsed.error?.issues ?? []).toEqual([]);
      }
    });
  });

  it("comes to rest: what it writes about our own objects gives it nothing more to write", () => {
    always(drawCluster, (cluster) => {
      new LiveWorld(cluster).settle(12);
    });
  });

  it("looks again before time alone makes anything to do", () => {
    always(drawCluster, (cluster, from) => {
      const world = new LiveWorld(cluster);
      world.settle(12);
      const now = world.fullTurn();
      const laterMs = from.int(0, 900_000);
      if (NOW_MS + laterMs >= (now.lookAgainAtMs ?? Number.POSITIVE_INFINITY)) return;
      world.nowMs += laterMs;
      world.wallMs += laterMs;
      const later = world.fullTurn();
      expect(now.steps.map(identityOf)).toEqual(expect.arrayContaining(later.steps.map(identityOf)));
      const kinds = (plan: Plan): string[] => [...plan.verdicts].map(([node, { kind }]) => `${node} ${kind}`);
      expect(kinds(later)).toEqual(kinds(now));
    });
  });
});

function comparable(step: Step): string {
  if (step.kind !== "Release") return JSON.stringify(step);
  return JSON.stringify({ ...step, pods: step.pods.map((pod) => pod.uid).sort(byText) });
}
function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
function reverse<T>(map: Map<string, T>): void {
  const entries = [...map].reverse();
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
