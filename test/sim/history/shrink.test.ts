import { expect, it } from "vitest";
import { failureText } from "../failure-text.ts";
import type { ScriptEvent, WorldPlan } from "../world/world-plan.ts";
import { runHistory } from "./history.ts";
import { shrunk } from "./shrink.ts";

const SEED = 1;
const TIMEOUT_MS = 120_000;

const MATTERS: readonly ScriptEvent[] = [
  { atMs: 1_000, forMs: 100_000, act: { kind: "bmc", node: "node-1", fault: "saysOff" } },
  { atMs: 2_000, forMs: 100_000, act: { kind: "cutNodeApi", node: "node-1" } },
];

/** A device that lies consistently, which no protocol can see through, among much that has nothing to do with it. */
const PLAN: WorldPlan = {
  nodes: ["node-1", "node-2", "node-3"].map((name) => ({ name, room: 8 })),
  vms: ["vm-1", "vm-2", "vm-3"].map((name, at) => ({
    namespace: "vms",
    name,
    on: `node-${at + 1}`,
    runStrategy: "Always",
    disk: "rwx",
    promise: { priority: 500 },
  })),
  replicas: ["replica-1", "replica-2"].map((name) => ({
    name,
    skew: { rate: 1, monotonicOffsetMs: 0, wallOffsetMs: 0 },
  })),
  policy: {},
  topology: { afterFencing: "PowerOn", timeout: "30s", retries: 1, backoff: "1s" },
  events: [
    { atMs: 500, act: { kind: "editVM", vm: "vms/vm-2" } },
    ...MATTERS,
    { atMs: 3_000, act: { kind: "breakWatches", replica: "replica-2" } },
    { atMs: 4_000, act: { kind: "editTopology" } },
    { atMs: 5_000, forMs: 2_000, act: { kind: "failProbe", vm: "vms/vm-3" } },
  ],
  healAtMs: 120_000,
};

it("a failing history shrinks to what matters, and fails in the same way", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { violations } = await runHistory(PLAN, SEED);
  const check = violations[0]?.check ?? "";
  expect(check).toBe("release needs proof");
  const { plan, runs } = await shrunk(PLAN, SEED, check);
  expect(runs).toBeGreaterThan(0);
  expect(plan.events).toEqual(MATTERS);
  expect(plan.vms.map(({ name }) => name)).toEqual(["vm-1"]);
  expect(plan.replicas).toHaveLength(1);
  expect((await runHistory(plan, SEED)).violations[0]?.check).toBe(check);
});

it("a failure is told with its seed, its commit, and the command that shows it again", () => {
  const violations = [{ check: "never two", atMs: 1_234.5, message: "vms/db runs on a and b" }];
  expect(failureText({ seed: 42, commit: "abc1234", violations })).toBe(
    "FAILED seed 42 at commit abc1234: npm run sim -- --seed 42 --trace\n  never two, at 1.234 s: vms/db runs on a and b",
  );
});
