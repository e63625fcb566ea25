import { describe, expect, it } from "vitest";
import type { Step } from "../../src/model/plan.ts";
import type { OptInPolicyFact } from "../../src/model/protection.ts";
import {
  type Cluster,
  lostWith,
  NOW_WALL_MS,
  optInPolicy,
  stepsOf,
  threeNodes,
  type VMWords,
} from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

const SELECTED: VMWords = { labels: { ha: "yes" }, unprotected: true };
const MADE = { madeByPolicy: "all", policyGeneration: 1 };

const cluster = (...policies: OptInPolicyFact[]): Cluster => {
  const built = threeNodes();
  for (const one of policies) built.policies.set(one.name, one);
  return built;
};
const all = optInPolicy("all");
const steps = (built: Cluster): Step[] =>
  built.decide().steps.filter((step) => step.kind === "ApplyProtection" || step.kind === "DeleteProtection");

describe("a VM that a policy selects", () => {
  it("gets an HAVirtualMachine of its own name, and an Event that says so", () => {
    expect(steps(cluster(all).vm("a", SELECTED))).toMatchObject([
      {
        kind: "ApplyProtection",
        policy: { name: "all" },
        namespace: "ns",
        name: "a",
        vmName: "a",
        vmUID: "vm-a",
        events: [{ reason: "ProtectionCreated", about: { kind: "VirtualMachine", name: "a" } }],
      },
    ]);
  });

  it.each<[string, Cluster]>([
    ["is not selected by its labels", cluster(all).vm("a", { unprotected: true })],
    [
      "is in a namespace that is not selected",
      cluster(optInPolicy("all", inNamespaces("prod"))).vm("a", SELECTED),
    ],
    ["is being deleted", cluster(all).vm("a", { ...SELECTED, deleting: true })],
    ["is protected by hand", cluster(all).vm("a", { ...SELECTED, unprotected: false })],
    [
      "is selected only by a policy that is being deleted",
      cluster(optInPolicy("all", { deleting: true })).vm("a", SELECTED),
    ],
    [
      "has its HAVirtualMachine already",
      cluster(all).vm("a", { ...SELECTED, unprotected: false, protection: MADE }),
    ],
  ])("and one that %s gets none", (_what, built) => {
    expect(steps(built)).toEqual([]);
  });

  function inNamespaces(tier: string): Partial<OptInPolicyFact> {
    return { namespaceSelector: { matchLabels: { tier } } };
  }

  it("goes by the policy of highest precedence, then the first by name", () => {
    const chosen = (...policies: OptInPolicyFact[]): unknown => steps(cluster(...policies).vm("a", SELECTED));
    expect(chosen(optInPolicy("b"), optInPolicy("c", { precedence: 1 }))).toMatchObject([
      { policy: { name: "c" } },
    ]);
    expect(chosen(optInPolicy("c"), optInPolicy("b"))).toMatchObject([{ policy: { name: "b" } }]);
  });

  it("gets another name where an HAVirtualMachine of another VM has its own", () => {
    const built = cluster(all).vm("a", SELECTED).protect("other", { name: "a" });
    const [step] = steps(built);
    expect(step).toMatchObject({ kind: "ApplyProtection", vmName: "a" });
    expect(step?.kind === "ApplyProtection" && step.name).toMatch(/^havm-a-[0-9a-f]{12}$/);
  });
});

describe("an HAVirtualMachine that a policy had made", () => {
  const made = (change: VMWords["protection"] = {}, words: VMWords = {}): VMWords => ({
    labels: { ha: "yes" },
    protection: { ...MADE, ...change },
    ...words,
  });

  it("is brought up to a changed template, under its name and without another Event", () => {
    const built = cluster(optInPolicy("all", { generation: 2 })).vm("a", made({ name: "havm-a" }));
    expect(steps(built)).toMatchObject([{ kind: "ApplyProtection", name: "havm-a", events: [] }]);
  });

  it("is handed to a policy of higher precedence", () => {
    const built = cluster(all, optInPolicy("better", { precedence: 1 })).vm("a", made());
    expect(steps(built)).toMatchObject([{ kind: "ApplyProtection", name: "a", policy: { name: "better" } }]);
  });

  it.each<[string, Cluster]>([
    ["nothing selects its VM any more", cluster(all).vm("a", made({}, { labels: {} }))],
    ["its policy is gone", cluster().vm("a", made())],
    ["its policy is being deleted", cluster(optInPolicy("all", { deleting: true })).vm("a", made())],
  ])("is removed when %s", (_what, built) => {
    expect(steps(built)).toEqual([{ kind: "DeleteProtection", namespace: "ns", name: "a", uid: "havm-a" }]);
  });

  it("is removed when a person writes one", () => {
    const built = cluster(all).vm("a", made()).protect("a", { name: "by-hand" });
    expect(steps(built)).toMatchObject([{ kind: "DeleteProtection", name: "a" }]);
  });

  it("is kept until a failover under way is over", () => {
    const status = { failover: lostWith("a", "n1") };
    const world = new LiveWorld(cluster(all).vm("a", made({ status }, { labels: {} })));
    expect(stepsOf(world.turn(), "DeleteProtection")).toEqual([]);
    world.protection("ns/a", { status: { conditions: [], outages: [] } });
    expect(stepsOf(world.turn(), "DeleteProtection")).toHaveLength(1);
  });

  it("is left to the garbage collector when its VM is gone", () => {
    const built = cluster(all).vm("a", made());
    built.vms.delete("ns/a");
    expect(steps(built)).toEqual([]);
  });

  it("is not removed twice", () => {
    expect(steps(cluster().vm("a", made({ deleting: true })))).toEqual([]);
  });

  it("is one per VM: of two the one in charge stays", () => {
    const built = cluster(all).vm("a", made({ createdAtWallMs: NOW_WALL_MS - 5 }));
    built.protect("a", { ...MADE, name: "younger", createdAtWallMs: NOW_WALL_MS - 1 });
    expect(steps(built)).toMatchObject([{ kind: "DeleteProtection", name: "younger" }]);
  });

  it("that a person wrote is never removed", () => {
    expect(steps(cluster().vm("a"))).toEqual([]);
  });
});

describe("what a turn looks at", () => {
  it("is every VM when the rules change, and the changed VMs otherwise", () => {
    const world = new LiveWorld(cluster().vm("a", SELECTED).vm("b", SELECTED));
    world.settle();
    world.cluster.policies.set("all", all);
    expect(stepsOf(world.turn(), "ApplyProtection")).toHaveLength(0);
    expect(stepsOf(world.rulesChanged().turn(), "ApplyProtection")).toHaveLength(2);
  });

  it("is every VM of a namespace whose labels change", () => {
    const prod = optInPolicy("all", { namespaceSelector: { matchLabels: { tier: "prod" } } });
    const world = new LiveWorld(cluster(prod).vm("a", SELECTED).vm("b", SELECTED));
    world.settle();
    world.namespace("elsewhere", { tier: "prod" });
    expect(stepsOf(world.turn(), "ApplyProtection")).toEqual([]);
    world.namespace("ns", { tier: "prod" });
    expect(stepsOf(world.turn(), "ApplyProtection")).toHaveLength(2);
  });

  it("is looked at again until it is done: a write that failed is not forgotten", () => {
    const world = new LiveWorld(cluster(all).vm("a", SELECTED));
    expect(stepsOf(world.turn(), "ApplyProtection")).toHaveLength(1);
    expect(stepsOf(world.turn(), "ApplyProtection")).toHaveLength(1);
    world.cluster.protect("a", MADE);
    world.adopt("protections", "ns/a").settle();
    expect(stepsOf(world.turn(), "ApplyProtection")).toEqual([]);
  });
});

describe("the status of a policy", () => {
  const statusOfAll = (world: LiveWorld) => world.cluster.policies.get("all")?.status;

  it("says that it selects nothing", () => {
    const [step] = stepsOf(cluster(all).decide(), "WriteSummary").filter((one) => one.name === "all");
    expect(step?.status).toMatchObject({
      selected: 0,
      conditions: [{ reason: "SelectsNothing", status: "False" }],
    });
  });

  it("counts what it had made, and how many of these are protected", () => {
    const built = cluster(optInPolicy("all"))
      .vm("a", { on: "n1", labels: { ha: "yes" }, protection: MADE })
      .vm("b", { labels: { ha: "yes" }, protection: MADE })
      .vm("c", { on: "n1" });
    const world = new LiveWorld(built);
    world.settle();
    expect(statusOfAll(world)).toMatchObject({
      observedGeneration: 1,
      selected: 2,
      protectedVMs: 1,
      conditions: [{ reason: "Selected" }],
    });
    world.protection("ns/a", undefined).protection("ns/b", undefined).settle();
    expect(statusOfAll(world)).toMatchObject({ selected: 0, protectedVMs: 0 });
  });

  it("is not rewritten for every VM on its way up, but when all are", () => {
    const built = cluster(optInPolicy("all"));
    for (const name of ["a", "b", "c"]) built.vm(name, { on: "n1", labels: { ha: "yes" }, protection: MADE });
    const world = new LiveWorld(built);
    world.settle();
    world.pass(23_000, ["n1"]);
    let writes = 0;
    const settle = (): void => {
      for (const step of world.settle()) if (step.kind === "WriteSummary" && step.name === "all") writes += 1;
    };
    settle();
    for (const name of ["a", "b", "c"]) {
      world.newVMI(`ns/${name}`, {
        uid: `again-${name}`,
        phase: "Scheduling",
        nodeName: undefined,
        ready: false,
      });
      settle();
    }
    for (const name of ["a", "b", "c"]) {
      world.vmi(`ns/${name}`, { phase: "Running", nodeName: "n2", ready: true });
      settle();
    }
    expect(writes).toBe(0);
    expect(statusOfAll(world)).toMatchObject({ selected: 3, protectedVMs: 3 });
    world.vm("ns/a", { runStrategy: "Once" });
    settle();
    expect(writes).toBe(1);
  });

  it("does not wait for a VM that is blocked for long", () => {
    const built = cluster(optInPolicy("all")).node("n1", {
      leaseSilentMs: 60_000,
      heartbeatSilentMs: 200_000,
    });
    built.topologies.clear();
    const world = new LiveWorld(built.vm("a", { on: "n1", labels: { ha: "yes" }, protection: MADE }));
    world.settle();
    expect(world.cluster.protections.get("ns/a")?.status.failover?.phase).toBe("Blocked");
    expect(statusOfAll(world)).toMatchObject({ selected: 1, protectedVMs: 0 });
  });
});
