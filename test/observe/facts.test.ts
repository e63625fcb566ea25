import { describe, expect, it } from "vitest";
import type { NodeLeaseFact } from "../../src/model/node.ts";
import { readFencing, readTopology } from "../../src/observe/facts/fencing.ts";
import { readKubeVirtConfig } from "../../src/observe/facts/kubevirt-config.ts";
import { readLauncherPod } from "../../src/observe/facts/launcher-pod.ts";
import { readMigration } from "../../src/observe/facts/migration.ts";
import { readNode, readNodeLease } from "../../src/observe/facts/node.ts";
import { readNamespace, readPolicy, readProtection } from "../../src/observe/facts/protection.ts";
import type { Reading } from "../../src/observe/facts/reading.ts";
import { readVMI } from "../../src/observe/facts/virtual-machine-instance.ts";
import { VMReader } from "../../src/observe/facts/virtual-machine.ts";

function first(seenAtMs = 1_000): { previous: undefined; seenAtMs: number; seenAtWallMs: number } {
  return { previous: undefined, seenAtMs, seenAtWallMs: 1_700_000_000_000 + seenAtMs };
}

function fact<F>(reading: Reading<F>): F {
  if (!reading.ok) throw new Error(reading.reason);
  return reading.fact;
}

const meta = (name: string, more: object = {}): object => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: "1",
  ...more,
});

describe("reading a Node", () => {
  const raw = (more: object = {}, annotations: object = {}): object => ({
    metadata: meta("n1", { labels: { zone: "a" }, annotations }),
    spec: { taints: [{ key: "k", effect: "NoSchedule" }] },
    status: { nodeInfo: { bootID: "b1" }, conditions: [{ type: "Ready", status: "True" }] },
    ...more,
  });

  it("takes boot ID, readiness, taints and labels", () => {
    expect(fact(readNode(raw(), first()))).toMatchObject({
      name: "n1",
      bootID: "b1",
      ready: "True",
      placement: { labels: { zone: "a" }, unschedulable: false, ready: true },
    });
  });

  it("keeps the age of a heartbeat that did not change, and the same placement object", () => {
    const before = fact(readNode(raw({}, { "kubevirt.io/heartbeat": "x" }), first(1_000)));
    const same = fact(
      readNode(raw({}, { "kubevirt.io/heartbeat": "x" }), { ...first(9_000), previous: before }),
    );
    expect(same.heartbeat.changedAtMs).toBe(1_000);
    expect(same.placement).toBe(before.placement);
    const beat = fact(
      readNode(raw({}, { "kubevirt.io/heartbeat": "y" }), { ...first(9_000), previous: before }),
    );
    expect(beat.heartbeat.changedAtMs).toBe(9_000);
  });

  it("starts all ages anew for another node under the same name", () => {
    const before = fact(readNode(raw({}, { "kubevirt.io/heartbeat": "x" }), first(1_000)));
    const other = {
      ...raw({}, { "kubevirt.io/heartbeat": "x" }),
      metadata: { ...meta("n1"), uid: "other", annotations: { "kubevirt.io/heartbeat": "x" } },
    };
    expect(fact(readNode(other, { ...first(9_000), previous: before })).heartbeat.changedAtMs).toBe(9_000);
  });

  it("takes an empty boot ID for none, and a node without status for one without a kubelet", () => {
    expect(fact(readNode(raw({ status: { nodeInfo: { bootID: "" } } }), first())).bootID).toBeUndefined();
    expect(fact(readNode({ metadata: meta("n1") }, first())).ready).toBeUndefined();
  });

  it("counts only a change of renewTime as a sign of life of the Lease", () => {
    const lease = (renewTime: string, labels: object): object => ({
      metadata: meta("n1", { labels }),
      spec: { renewTime },
    });
    const before = fact(readNodeLease(lease("t1", {}), first(1_000)));
    expect(
      fact(readNodeLease(lease("t1", { a: "b" }), { ...first(5_000), previous: before })).renewal.changedAtMs,
    ).toBe(1_000);
    expect(
      fact(readNodeLease(lease("t2", {}), { ...first(5_000), previous: before })).renewal.changedAtMs,
    ).toBe(5_000);
  });

  it("tells when each renewal was written by the one that reached us fastest, and trusts no clock that was set back", () => {
    const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString();
    const read = (renewTime: string, seenAtMs: number, previous?: NodeLeaseFact): NodeLeaseFact =>
      fact(readNodeLease({ metadata: meta("n1"), spec: { renewTime } }, { ...first(seenAtMs), previous }));
    const sight = read(at(0), 4_000);
    expect(sight.writtenAtMs).toBe(4_000);
    const fast = read(at(10), 11_000, sight);
    expect(fast.writtenAtMs).toBe(11_000);
    // Heard only after a gap of ours: written long before.
    const late = read(at(40), 95_000, fast);
    expect(late).toMatchObject({ writtenAtMs: 41_000, writtenBeforeMs: 11_000, renewedBeforeMs: 11_000 });
    expect(read(at(-600), 105_000, late).writtenAtMs).toBe(105_000);
    expect(read("no time", 105_000, late).writtenAtMs).toBeUndefined();
    expect(read(at(50), 105_000, read("no time", 95_000)).writtenAtMs).toBe(105_000);
  });
});

describe("reading KubeVirt's objects", () => {
  const vm = (spec: object): object => ({ metadata: meta("a", { namespace: "ns" }), spec });

  it("shares one constraints object among VMs that ask the same of a node", () => {
    const reader = new VMReader();
    const template = { spec: { nodeSelector: { b: "2", a: "1" } } };
    const one = fact(reader.read(vm({ runStrategy: "Always", template })));
    const two = fact(
      reader.read(vm({ runStrategy: "Always", template: { spec: { nodeSelector: { a: "1", b: "2" } } } })),
    );
    expect(two.constraints).toBe(one.constraints);
    expect(fact(reader.read(vm({ runStrategy: "Always" }))).constraints).not.toBe(one.constraints);
  });

  it.each([
    [{ running: true }, "Always"],
    [{ running: false }, "Halted"],
    [{ runStrategy: "RerunOnFailure" }, "RerunOnFailure"],
  ])("reads the run strategy of %j as %s", (spec, expected) => {
    expect(fact(new VMReader().read(vm(spec))).runStrategy).toBe(expected);
  });

  const vmi = (status: object, uid = "u1"): object => ({
    metadata: { ...meta("a", { namespace: "ns" }), uid },
    status,
  });

  it("times a VMI's stages by what it saw, and by KubeVirt's stamps where it came later", () => {
    const pending = fact(readVMI(vmi({ phase: "Scheduling" }), first(1_000)));
    const running = fact(
      readVMI(vmi({ phase: "Running", nodeName: "n1" }), { ...first(2_500), previous: pending }),
    );
    expect(running.runningAtWallMs).toBe(1_700_000_002_500);
    const stamped = vmi({
      phase: "Running",
      phaseTransitionTimestamps: [{ phase: "Running", phaseTransitionTimestamp: "2026-01-01T00:00:00Z" }],
    });
    expect(fact(readVMI(stamped, first())).runningAtWallMs).toBe(Date.UTC(2026, 0, 1));
  });

  it("knows since when the guest agent is connected, and since when it is not, where it saw it go", () => {
    const agent = { type: "AgentConnected", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" };
    const stamped = fact(readVMI(vmi({ phase: "Running", conditions: [agent] }), first()));
    expect(stamped).toMatchObject({ agentConnected: true, agentChangedAtWallMs: Date.UTC(2026, 0, 1) });
    // KubeVirt takes the condition away.
    const later = { ...first(9_000), previous: stamped };
    const silent = fact(readVMI(vmi({ phase: "Running", conditions: [] }), later));
    expect(silent).toMatchObject({ agentConnected: false, agentChangedAtWallMs: 1_700_000_009_000 });
    expect(fact(readVMI(vmi({ phase: "Running" }), first())).agentChangedAtWallMs).toBeUndefined();
  });

  it("takes a new UID under the same name for a new guest", () => {
    const before = fact(readVMI(vmi({ phase: "Running" }), first(1_000)));
    const after = fact(readVMI(vmi({ phase: "Pending" }, "u2"), { ...first(2_000), previous: before }));
    expect(after).toMatchObject({ uid: "u2", firstSeenMs: 2_000, runningAtWallMs: undefined });
  });

  it("finds a guest at the first of its interfaces that has an address", () => {
    const interfaces = [{ name: "a" }, { name: "b", ipAddress: "" }, { name: "c", ipAddress: "10.0.0.7" }];
    expect(fact(readVMI(vmi({ phase: "Running", interfaces }), first())).address).toBe("10.0.0.7");
    expect(fact(readVMI(vmi({ phase: "Running", interfaces: [] }), first())).address).toBeUndefined();
    expect(fact(readVMI(vmi({ phase: "Running" }), first())).address).toBeUndefined();
  });

  it("knows an unknown phase as Unknown and an absent one as Pending", () => {
    expect(fact(readVMI(vmi({ phase: "Dancing" }), first())).phase).toBe("Unknown");
    expect(fact(readVMI({ metadata: meta("a", { namespace: "ns" }) }, first())).phase).toBe("Pending");
  });

  it("finds the VM of a launcher pod by its owner, and of a hot-plug pod by the launcher that owns it", () => {
    const launcher = {
      metadata: meta("p", {
        namespace: "ns",
        labels: { "kubevirt.io": "virt-launcher" },
        ownerReferences: [{ kind: "VirtualMachineInstance", name: "a", uid: "u" }],
      }),
    };
    expect(fact(readLauncherPod(launcher))).toMatchObject({ kind: "launcher", vmKey: "ns/a" });
    const hotplug = {
      metadata: meta("hp", {
        namespace: "ns",
        labels: { "kubevirt.io": "hotplug-disk" },
        ownerReferences: [{ kind: "Pod", name: "virt-launcher-my-vm-x7k2p", uid: "u" }],
      }),
    };
    expect(fact(readLauncherPod(hotplug))).toMatchObject({ kind: "hotplug", vmKey: "ns/my-vm" });
  });

  it("tells our migrations from others' by their label", () => {
    const migration = (labels: object): object => ({
      metadata: meta("m", { namespace: "ns", labels }),
      spec: { vmiName: "a" },
      status: { phase: "Failed" },
    });
    expect(
      fact(
        readMigration(
          migration({ "holdfast.dev/purpose": "Evacuation", "holdfast.dev/vmi-uid": "u" }),
          first(),
        ),
      ),
    ).toMatchObject({
      purpose: "Evacuation",
      forVMI: "u",
      finished: true,
      succeeded: false,
    });
    expect(fact(readMigration(migration({}), first())).purpose).toBeUndefined();
  });

  it("falls back to KubeVirt's defaults for what the KubeVirt object leaves out", () => {
    expect(
      fact(
        readKubeVirtConfig({ spec: { configuration: { migrations: { parallelMigrationsPerCluster: 9 } } } }),
      ),
    ).toMatchObject({
      parallelMigrationsPerCluster: 9,
      parallelOutboundMigrationsPerNode: 2,
    });
  });
});

describe("malformed objects", () => {
  const readers: readonly (readonly [string, (raw: unknown) => Reading<unknown>])[] = [
    ["Node", (raw) => readNode(raw, first())],
    ["Lease", (raw) => readNodeLease(raw, first())],
    ["VirtualMachine", (raw) => new VMReader().read(raw)],
    ["VirtualMachineInstance", (raw) => readVMI(raw, first())],
    ["VirtualMachineInstanceMigration", (raw) => readMigration(raw, first())],
    ["Pod", readLauncherPod],
    ["HAVirtualMachine", readProtection],
    ["HAVirtualMachinePolicy", readPolicy],
    ["FencingTopology", readTopology],
    ["NodeFencing", (raw) => readFencing(raw, first())],
  ];
  const broken: readonly unknown[] = [
    null,
    undefined,
    7,
    "text",
    [],
    {},
    { metadata: null },
    { metadata: { name: 7, uid: "u" } },
    { metadata: { name: "a", uid: "u", labels: "x" }, spec: 3, status: [] },
    {
      metadata: { name: "a", uid: "u" },
      spec: { vmiName: 5, runStrategy: "Perhaps", taints: "no" },
      status: { conditions: {}, phase: 4 },
    },
  ];

  it.each(readers)(
    "a broken %s is refused with a reason that names the field, never thrown at us",
    (_kind, read) => {
      for (const raw of broken) {
        const reading = read(raw);
        if (!reading.ok) expect(reading.reason).not.toBe("");
      }
      expect(read({ metadata: { name: 7, uid: "u" } })).toMatchObject({
        ok: false,
        reason: expect.stringContaining("metadata.name"),
      });
    },
  );

  it("a Namespace without labels has none", () => {
    expect(fact(readNamespace({ metadata: {} }))).toEqual({});
  });
});
