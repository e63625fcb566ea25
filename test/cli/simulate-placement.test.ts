// The what-if's scheduler: the rules by which Kubernetes would place a launcher pod, and the words for a VM without a place.
import { describe, expect, it } from "vitest";
import type { SimulationResult, VMFate } from "../../src/cli/simulate/scenario.ts";
import { run } from "./cli-bench.ts";
import { Dump } from "./dump.ts";

interface Answer {
  readonly code: number;
  readonly notes: readonly string[];
  readonly fate: (vm: string) => VMFate | undefined;
}

async function simulate(dump: Dump, ...argv: readonly string[]): Promise<Answer> {
  const words = ["simulate", "--from=d", "-o", "json", "--no-single-failures", ...argv];
  const { code, out, err } = await run(words, { files: { d: dump.yaml } });
  if (out === "") throw new Error(err);
  const { result, notes } = JSON.parse(out) as { result: SimulationResult; notes: readonly string[] };
  return { code, notes, fate: (name) => result.vms.find(({ vm }) => vm === `shop/${name}`) };
}

const three = (): Dump => new Dump().topology().node("node-1").node("node-2").node("node-3");
const labels = { app: "db" };
const rule = (topologyKey: string, more: object = {}) => [
  { labelSelector: { matchLabels: labels }, topologyKey, ...more },
];
const far = (terms = rule("kubernetes.io/hostname")) => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const near = (terms = rule("kubernetes.io/hostname")) => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});

describe("pod anti-affinity", () => {
  it("keeps two of a kind apart, and names the rule where no node is left", async () => {
    const dump = three();
    for (const n of [1, 2, 3]) dump.vm(`db-${n}`, { on: `node-${n}`, pod: { labels, spec: far() } });
    const { fate, code } = await simulate(dump, "--lose=node-2");
    expect(fate("db-2")).toMatchObject({ fate: "down" });
    expect(fate("db-2")?.why).toBe(
      "no node can host it: node-1, node-3 (holds what it must stay away from (pod anti-affinity by kubernetes.io/hostname)); node-2 (gives no sign of life)",
    );
    expect(code).toBe(3);
  });

  it("finds the one node that holds none of its kind", async () => {
    const dump = three()
      .vm("db-1", { on: "node-1", pod: { labels, spec: far() } })
      .vm("db-2", { on: "node-2", pod: { labels, spec: far() } });
    expect((await simulate(dump, "--lose=node-2")).fate("db-2")).toMatchObject({ to: "node-3" });
  });

  it("counts for whoever is already there, too", async () => {
    const dump = new Dump().topology().node("node-1").node("node-2");
    dump.vm("shy", { on: "node-1", pod: { spec: far() } }).vm("db", { on: "node-2", pod: { labels } });
    expect((await simulate(dump, "--lose=node-2")).fate("db")).toMatchObject({ fate: "down" });
  });

  it("counts in its own namespace, unless others are named", async () => {
    const other = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "db-0", namespace: "elsewhere", labels },
      spec: { nodeName: "node-1", containers: [] },
      status: { phase: "Running" },
    };
    const dump = (terms: ReturnType<typeof rule>): Dump =>
      new Dump()
        .topology()
        .node("node-1")
        .node("node-2")
        .add(other)
        .vm("db", { on: "node-2", pod: { labels, spec: far(terms) } });
    const apart = rule("kubernetes.io/hostname", { namespaces: ["elsewhere"] });
    const anywhere = rule("kubernetes.io/hostname", { namespaceSelector: {} });
    expect((await simulate(dump(rule("kubernetes.io/hostname")), "--lose=node-2")).fate("db")?.to).toBe(
      "node-1",
    );
    expect((await simulate(dump(apart), "--lose=node-2")).fate("db")?.fate).toBe("down");
    expect((await simulate(dump(anywhere), "--lose=node-2")).fate("db")?.fate).toBe("down");
  });

  it("holds a cordoned node's VM back as well", async () => {
    const dump = new Dump().topology().node("node-1").node("node-2");
    for (const n of [1, 2]) dump.vm(`db-${n}`, { on: `node-${n}`, pod: { labels, spec: far() } });
    const { fate, code } = await simulate(dump, "--cordon=node-2");
    expect(fate("db-2")).toMatchObject({ fate: "stays" });
    expect(fate("db-2")?.why).toContain("pod anti-affinity");
    expect(code).toBe(3);
  });
});

describe("pod affinity", () => {
  it("keeps together what belongs together", async () => {
    const dump = three()
      .vm("db", { on: "node-1", pod: { labels }, memory: "60Gi" })
      .vm("web", { on: "node-2", pod: { spec: near() }, memory: "1Gi" });
    expect((await simulate(dump, "--lose=node-2")).fate("web")).toMatchObject({ to: "node-1" });
  });

  it("lets the first of a group stand anywhere, and nobody whose partner is nowhere", async () => {
    const dump = three()
      .vm("db", { on: "node-2", pod: { labels, spec: near() } })
      .vm("alone", { on: "node-3", pod: { spec: near(rule("zone")) } });
    expect((await simulate(dump, "--lose=node-2")).fate("db")).toMatchObject({ fate: "restarted" });
    const { fate } = await simulate(dump, "--lose=node-3");
    expect(fate("alone")?.why).toContain("pod affinity by zone");
  });
});

describe("what a VM holds on to", () => {
  const claim = (claimName: string) => ({ spec: { volumes: [{ persistentVolumeClaim: { claimName } }] } });

  it("keeps a VM down whose disk is on the lost node, and names disk and volume", async () => {
    const dump = three()
      .disk("local", { "kubernetes.io/hostname": "node-2" })
      .vm("db", { on: "node-2", pod: claim("local") });
    const { fate, code } = await simulate(dump, "--lose=node-2");
    expect(fate("db")?.why).toContain("cannot reach its disk shop/local (PersistentVolume pv-local)");
    expect(code).toBe(3);
  });

  it("goes where a disk of its zone can be reached", async () => {
    const dump = new Dump().topology().disk("zonal", { zone: "a" });
    dump.node("node-1", { labels: { zone: "b" } }).node("node-2", { labels: { zone: "a" } });
    dump.node("node-3", { labels: { zone: "a" } }).vm("db", { on: "node-2", pod: claim("zonal") });
    const { fate, notes } = await simulate(dump, "--lose=node-2");
    expect(fate("db")).toMatchObject({ to: "node-3" });
    expect(notes).toEqual([]);
  });

  it("says so where nothing is known of a disk", async () => {
    const dump = three().vm("db", { on: "node-2", pod: claim("unheard-of") });
    const { fate, notes } = await simulate(dump, "--lose=node-2");
    expect(fate("db")).toMatchObject({ fate: "restarted" });
    expect(notes.join()).toContain("no PersistentVolume is known of the claim shop/unheard-of");
  });

  it("waits for a node with the device it needs, and for one that is free", async () => {
    const gpu = "nvidia.com/GA102GL_A10";
    const with1 = { devices: { [gpu]: "1" } };
    const dump = (): Dump => new Dump().topology().node("node-1").node("node-2", with1).node("node-3", with1);
    const wants = { pod: { requests: { [gpu]: "1" } } };
    const free = dump().vm("cad", { on: "node-2", ...wants });
    expect((await simulate(free, "--lose=node-2")).fate("cad")).toMatchObject({ to: "node-3" });
    const taken = free.vm("other", { on: "node-3", ...wants });
    expect((await simulate(taken, "--lose=node-2")).fate("cad")?.why).toContain(`1 ${gpu}, 0 ${gpu} is free`);
  });

  it("needs a CPU that can what its own could", async () => {
    const cpu = "cpu-model.node.kubevirt.io/Skylake";
    const dump = new Dump()
      .topology()
      .node("node-1")
      .node("node-2", { labels: { [cpu]: "true" } });
    dump.vm("db", { on: "node-2", pod: { spec: { nodeSelector: { [cpu]: "true" } } } });
    expect((await simulate(dump, "--lose=node-2")).fate("db")?.why).toContain(
      `lacks the CPU it needs (${cpu})`,
    );
  });
});

describe("where no node is left", () => {
  it("says of each node why it will not do", async () => {
    const dump = three()
      .node("node-4", { cordoned: true })
      .node("node-5", { ready: "False" })
      .vm("db", { on: "node-1", nodeSelector: { disks: "fast" } });
    dump.node("node-6", { labels: { disks: "fast" }, memory: "1Gi" });
    const { fate } = await simulate(dump, "--lose=node-1", "--lose=node-2");
    expect(fate("db")?.why).toContain("node-6");
    const nobody = three().node("node-4", { cordoned: true }).vm("db", { on: "node-1" });
    const all = await simulate(nobody, "--lose=node-1", "--lose=node-2", "--lose=node-3");
    expect(all.fate("db")?.why).toBe(
      "no node can host it: node-1, node-2, node-3 (gives no sign of life); node-4 (is cordoned)",
    );
  });
});
