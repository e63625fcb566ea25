// The what-if: the operator's real decision on a dump, in virtual time.
import { describe, expect, it } from "vitest";
import type { SimulationResult, VMFate } from "../../src/cli/simulate/scenario.ts";
import type { SingleFailures } from "../../src/cli/simulate/single-failures.ts";
import { quantity } from "../../src/cli/simulate/resources.ts";
import { run } from "./cli-bench.ts";
import { Dump, shop } from "./dump.ts";

interface Answer {
  readonly code: number;
  readonly result: SimulationResult;
  readonly singleFailures: SingleFailures;
}

async function simulate(dump: Dump, ...argv: readonly string[]): Promise<Answer> {
  const { code, out, err } = await run(["simulate", "--from=d", "-o", "json", ...argv], {
    files: { d: dump.yaml },
  });
  if (out === "") throw new Error(err);
  return { code, ...(JSON.parse(out) as Omit<Answer, "code">) };
}

const fate = ({ result }: Answer, vm: string): VMFate | undefined =>
  result.vms.find((one) => one.vm === `shop/${vm}`);

describe("the loss of a node", () => {
  it("brings the important VMs back first, elsewhere, after detection, fencing, release and boot", async () => {
    const answer = await simulate(shop(), "--lose=node-2");
    expect(answer.code).toBe(0);
    expect(answer.result.vms.map(({ vm, fate }) => [vm, fate])).toEqual([
      ["shop/db", "restarted"],
      ["shop/web", "restarted"],
      ["shop/batch", "down"],
    ]);
    expect(fate(answer, "db")).toMatchObject({ order: 1, from: "node-2", priority: 900 });
    expect(fate(answer, "db")?.to).not.toBe("node-2");
    expect(fate(answer, "batch")?.why).toBe("nobody has promised anything for it");
    // 17 s are left of the 22 s of silence, then 5 s of fencing and 30 s of boot.
    const seconds = (fate(answer, "db")?.afterMs ?? 0) / 1000;
    expect(seconds).toBeGreaterThan(17 + 5 + 30);
    expect(seconds).toBeLessThan(60);
  });

  it("takes as long to boot as the VM itself took last time", async () => {
    const outages = [
      {
        cause: "NodeLost",
        fromNode: "node-9",
        vmiUID: "old",
        lastGoodAt: "2026-11-20T10:00:00.000Z",
        lostAt: "2026-11-20T10:00:22.000Z",
        scheduledAt: "2026-11-20T10:00:30.000Z",
        readyAt: "2026-11-20T10:05:30.000Z",
      },
    ];
    const slow = new Dump()
      .topology()
      .node("node-1")
      .node("node-2")
      .vm("db", { on: "node-2", status: { outages } });
    expect((fate(await simulate(slow, "--lose=node-2"), "db")?.afterMs ?? 0) / 1000).toBeGreaterThan(300);
  });

  it("waits for a dependency to be up", async () => {
    const dump = new Dump()
      .topology()
      .node("node-1")
      .node("node-2")
      .vm("db", { on: "node-2", promise: { priority: 100 } })
      .vm("web", { on: "node-2", promise: { priority: 900, dependsOn: [{ name: "db" }] } });
    const answer = await simulate(dump, "--lose=node-2");
    expect(answer.result.vms.map(({ vm }) => vm)).toEqual(["shop/db", "shop/web"]);
    expect(fate(answer, "web")?.afterMs ?? 0).toBeGreaterThan(fate(answer, "db")?.afterMs ?? 0);
  });

  it("says with numbers who finds no room, the less important one", async () => {
    const dump = new Dump()
      .topology()
      .node("node-1", { memory: "6Gi" })
      .node("node-2")
      .vm("small", { on: "node-2", promise: { priority: 100 }, memory: "4Gi" })
      .vm("big", { on: "node-2", promise: { priority: 900 }, memory: "4Gi" });
    const answer = await simulate(dump, "--lose=node-2");
    expect(fate(answer, "big")).toMatchObject({ fate: "restarted", to: "node-1" });
    expect(fate(answer, "small")).toMatchObject({
      fate: "down",
      why: "the only node that could host it, node-1, has no room: it asks for 4.0 GiB of memory, 2.0 GiB of memory is free",
    });
    expect(answer.code).toBe(3);
  });

  it.each([
    [
      "no topology covers the node",
      (): Dump => new Dump().node("node-1").node("node-2").vm("db", { on: "node-2" }),
      "no FencingTopology covers node-2",
    ],
    [
      "its run strategy does not start it again",
      (): Dump => shop().vm("once", { on: "node-2", runStrategy: "Once" }),
      "run strategy Once",
    ],
    [
      "nothing else can host it",
      (): Dump => shop().vm("gpu", { on: "node-2", nodeSelector: { gpu: "yes" } }),
      "node selector",
    ],
  ])("says why a VM stays down where %s", async (_what, dump, words) => {
    const answer = await simulate(dump(), "--lose=node-2");
    expect(
      answer.result.vms.find(({ why, priority }) => priority !== undefined && why !== undefined)?.why,
    ).toContain(words);
    expect(answer.code).toBe(3);
  });

  it("starts a Manual VM again, as the promise has it", async () => {
    const answer = await simulate(shop().vm("man", { on: "node-2", runStrategy: "Manual" }), "--lose=node-2");
    expect(fate(answer, "man")).toMatchObject({ fate: "restarted" });
  });

  it("goes on from a node that is silent already", async () => {
    const dump = new Dump()
      .topology()
      .node("node-1")
      .node("node-2", { silentMs: 60_000, ready: "Unknown" })
      .node("node-3")
      .vm("db", { on: "node-3" });
    const answer = await simulate(dump, "--lose=node-3");
    expect(fate(answer, "db")).toMatchObject({ fate: "restarted", to: "node-1" });
  });
});

describe("a storm", () => {
  it("recovers a zone that lost its power, for its nodes are read back as off", async () => {
    const answer = await simulate(shop(), "--lose=zone=a");
    expect(answer.result.scenario.lose).toEqual(["node-1", "node-2"]);
    expect(fate(answer, "db")).toMatchObject({ fate: "restarted" });
  });

  it("holds where a zone is only silent: nothing is shot, and that is said", async () => {
    const dump = shop().vm("other", { on: "node-1" });
    const answer = await simulate(dump, "--lose=zone=a", "--still-on");
    expect(fate(answer, "db")).toMatchObject({ fate: "down" });
    expect(fate(answer, "db")?.why).toContain("more nodes are lost at once than the policy allows");
    expect(answer.code).toBe(3);
  });
});

describe("a cordon", () => {
  it("moves VMs by live migration, the important first, and says who cannot leave", async () => {
    const dump = shop().vm("pinned", { on: "node-2", migratable: false });
    const answer = await simulate(dump, "--cordon=node-2");
    expect(fate(answer, "db")).toMatchObject({ fate: "migrated", order: 1 });
    expect(fate(answer, "web")).toMatchObject({ fate: "migrated", order: 2 });
    expect(fate(answer, "pinned")).toMatchObject({ fate: "stays", to: "node-2" });
    expect(fate(answer, "pinned")?.why).toContain("local disk");
    expect(answer.code).toBe(3);
  });
});

describe("a migration that is under way already", () => {
  it("goes on where its node is cordoned, to the node it was going to", async () => {
    const answer = await simulate(shop().migration("db", "node-3"), "--cordon=node-2");
    expect(fate(answer, "db")).toMatchObject({ fate: "migrated", to: "node-3" });
    expect(answer.code).toBe(0);
  });

  it("fails where its target is lost, and the VM goes elsewhere", async () => {
    const argv = ["--cordon=node-2", "--lose=node-3"];
    const answer = await simulate(shop().migration("db", "node-3"), ...argv);
    expect(fate(answer, "db")?.fate).toBe("migrated");
    expect(fate(answer, "db")?.to).not.toBe("node-3");
  });

  it("ends with its node, and the VM is restarted", async () => {
    const answer = await simulate(shop().migration("db", "node-3"), "--lose=node-2");
    expect(fate(answer, "db")).toMatchObject({ fate: "restarted" });
  });
});

describe("a node that is lost and cordoned", () => {
  it.each([
    ["long before", { cordoned: true }, ["--lose=node-2"]],
    ["at the same time", {}, ["--lose=node-2", "--cordon=node-2"]],
  ])("sends no guest away from a dead node, cordoned %s", async (_when, words, argv) => {
    const dump = new Dump().topology().node("node-1").node("node-2", words).node("node-3");
    const answer = await simulate(dump.vm("db", { on: "node-2" }), ...argv);
    expect(fate(answer, "db")).toMatchObject({ fate: "restarted" });
    expect((fate(answer, "db")?.afterMs ?? 0) / 1000).toBeGreaterThan(17 + 5 + 30);
    expect(answer.code).toBe(0);
  });
});

describe("a dump that leaves something out", () => {
  const without = (...kinds: readonly string[]): string => {
    const items = shop().objects.filter(({ kind }) => !kinds.includes(kind ?? ""));
    return JSON.stringify({ apiVersion: "v1", kind: "List", items });
  };
  const tell = (text: string, ...argv: readonly string[]) =>
    run(["simulate", "--from=d", ...argv], { files: { d: text } });

  it.each([
    ["Nodes", without("Node"), /^error: d: there is no Node, so none can be lost/],
    ["Pods", without("Pod"), /^error: d: 4 VirtualMachineInstances run, and no virt-launcher Pod of theirs/],
    [
      "its end",
      shop().yaml.replace(/^kind: List\n/m, ""),
      /holds a list of items without its kind: it was cut off/,
    ],
    ["everything", "", /holds no Kubernetes objects/],
    ["its form", "NAME  STATUS\nnode-1  Ready\n", /holds text where a Kubernetes object should be .*NAME/],
  ])("is refused where it has lost %s", async (_what, text, said) => {
    const { code, out, err } = await tell(text, "--lose=node-2");
    expect(err).toMatch(said);
    expect(out).toBe("");
    expect(code).toBe(1);
  });

  it.each([
    ["instances", ["VirtualMachineInstance", "Pod"], "there is no VirtualMachineInstance"],
    ["promises", ["HAVirtualMachine"], "there is no HAVirtualMachine"],
    ["Leases", ["Lease"], "there is no Lease of a node"],
    ["VirtualMachines", ["VirtualMachine"], "no VirtualMachine is there of shop/"],
  ])("is noted where it has no %s", async (_what, kinds, said) => {
    const { out } = await tell(without(...kinds), "-o", "json", "--no-single-failures", "--lose=node-2");
    expect((JSON.parse(out) as { notes: readonly string[] }).notes.join("\n")).toContain(said);
  });

  it("takes the same object twice for one, and refuses two that differ", async () => {
    const [, , node] = shop().objects;
    const twice = `${shop().yaml}---\n${JSON.stringify(node)}\n`;
    expect((await tell(twice, "--lose=node-2")).code).toBe(0);
    const other = twice.replace(/"zone":"a"/, '"zone":"c"');
    expect((await tell(other, "--lose=node-2")).err).toMatch(/holds Node node-1 twice, and not the same/);
  });

  it("reads several documents, and JSON, as it reads one list", async () => {
    const { objects, yaml } = shop();
    const documents = objects.map((object) => `---\n${JSON.stringify(object)}\n`).join("");
    const [one, many, json] = await Promise.all(
      [yaml, documents, JSON.stringify({ kind: "List", items: objects })].map((text) =>
        tell(text, "--lose=node-2"),
      ),
    );
    expect(many?.out).toBe(one?.out);
    expect(json?.out).toBe(one?.out);
  });
});

describe("single failures", () => {
  it("names the node whose loss the cluster cannot bear now, and which VMs would stay down", async () => {
    const dump = new Dump()
      .topology()
      .node("node-1", { memory: "8Gi" })
      .node("node-2", { memory: "8Gi" })
      .node("node-3", { memory: "8Gi" })
      .vm("a", { on: "node-1", memory: "6Gi" })
      .vm("b", { on: "node-2", memory: "6Gi" })
      .vm("c", { on: "node-3", memory: "1Gi" });
    const answer = await simulate(dump);
    expect(answer.singleFailures.tried).toEqual(["node-1", "node-2", "node-3"]);
    expect(answer.singleFailures.unbearable.map(({ node }) => node)).toEqual([]);
    const full = await simulate(dump.vm("d", { on: "node-3", memory: "2Gi" }));
    expect(full.singleFailures.unbearable).toMatchObject([
      { node: "node-1", down: [{ vm: "shop/a" }] },
      { node: "node-2", down: [{ vm: "shop/b" }] },
    ]);
    expect(full.code).toBe(3);
  });

  it("is calm where every single loss can be borne", async () => {
    const { code, out } = await run(["simulate", "--from=d"], { files: { d: shop().yaml } });
    expect(out).toContain("The loss of any single node could be borne now: 2 nodes with VMs tried.");
    expect(code).toBe(0);
  });
});

describe("the command", () => {
  it("tells the story in order of time", async () => {
    const { out } = await run(["simulate", "--from=d", "--lose=node-2", "--story"], {
      files: { d: shop().yaml },
    });
    const marks = ["loses power", "judged lost", "proven off", "shop/db: released", "shop/db: up on"];
    const places = marks.map((mark) => out.indexOf(mark));
    expect(places.every((place, i) => place > (places[i - 1] ?? 0))).toBe(true);
  });

  it("does not praise itself where no VM in care was struck", async () => {
    const { out, code } = await run(["simulate", "--from=d", "--lose=node-1"], { files: { d: shop().yaml } });
    expect(out).toContain("node-1 without power: no VM in care is on it\n");
    expect(code).toBe(0);
  });

  it("answers the same twice", async () => {
    const dump = shop();
    expect(await simulate(dump, "--lose=node-2")).toEqual(await simulate(dump, "--lose=node-2"));
  });

  it("answers 5 for nodes that are not there", async () => {
    const bench = { files: { d: shop().yaml } };
    expect((await run(["simulate", "--from=d", "--lose=node-9"], bench)).code).toBe(5);
    expect((await run(["simulate", "--from=d", "--lose=zone=z"], bench)).err).toContain(
      "no node has the labels zone=z",
    );
    expect((await run(["simulate", "--from=d", "--lose=node-1,node-2"], bench)).err).toContain(
      "there is no Node node-1,node-2; there are node-1, node-2, node-3, node-4; repeat the flag",
    );
    const bare = await run(["simulate", "--from=d", "--lose="], bench);
    expect([bare.code, bare.err.split("\n")[0]]).toEqual([2, "error: --lose needs a value: --lose=NODE"]);
  });

  it.each([
    ["64Gi", 68_719_476_736],
    ["500m", 0.5],
    ["1e3", 1_000],
    ["1.5Gi", 1_610_612_736],
    [2, 2],
    ["nothing", 0],
  ])("reads the quantity %s", (text, value) => {
    expect(quantity(text)).toBeCloseTo(value);
  });
});
