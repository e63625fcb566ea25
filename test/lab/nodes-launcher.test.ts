import { describe, expect, it } from "vitest";
import type { Launcher } from "../../lab/nodes/launcher.ts";
import { OutgoingMigration } from "../../lab/nodes/launcher-migration.ts";
import { Rack, tick, VM } from "./nodes-rack.ts";

async function running(rack: Rack, node = "a") {
  const machine = rack.powerOn(node);
  const started = rack.launch(machine);
  started.launcher.boot();
  await tick(20);
  expect(started.launcher.domain).toBe("running");
  return { machine, ...started };
}

function migrate(source: { launcher: Launcher }, toNode: string) {
  const outgoing = new OutgoingMigration(source.launcher, "migration-1");
  source.launcher.outgoing = outgoing;
  outgoing.start(toNode);
  return outgoing;
}

describe("a guest", () => {
  it("holds its disk from the start of QEMU, before it has booted", () => {
    const rack = new Rack();
    const { launcher } = rack.launch(rack.powerOn("a"));
    launcher.boot();
    expect(rack.oracle.running(VM)).toHaveLength(1);
    expect(rack.oracle.running(VM)[0]?.upAtMs).toBeUndefined();
  });

  it("stops at the very instant its machine loses power, and nothing of it acts later", async () => {
    const rack = new Rack();
    const { machine, launcher, exitCode } = await running(rack);
    machine.losePower();
    expect(rack.oracle.running(VM)).toEqual([]);
    expect(rack.oracle.history(VM)[0]?.end).toBe("powerLoss");
    launcher.boot();
    await tick(30);
    expect(rack.oracle.history(VM)).toHaveLength(1);
    expect(exitCode()).toBeUndefined();
  });

  it("is paused while its disk does not answer, holds it all the same, and goes on by itself", async () => {
    const rack = new Rack();
    const { machine, launcher } = await running(rack);
    rack.storageAnswers = false;
    machine.noticeStorage();
    expect(launcher.stalled).toBe(true);
    expect(rack.oracle.running(VM)[0]?.frozen).toMatchObject([{ toMs: undefined }]);
    launcher.shutdownGuest();
    await tick(30);
    expect(launcher.executing).toBe(true);
    rack.storageAnswers = true;
    machine.noticeStorage();
    await tick(30);
    expect(launcher.stalled).toBe(false);
    expect(rack.oracle.running(VM)[0]?.frozen[0]?.toMs).toBeDefined();
  });

  it("does not come up while its disk does not answer", async () => {
    const rack = new Rack();
    const machine = rack.powerOn("a");
    const { launcher } = rack.launch(machine);
    rack.storageAnswers = false;
    launcher.boot();
    await tick(30);
    expect(launcher.domain).toBe("starting");
    rack.storageAnswers = true;
    machine.noticeStorage();
    await tick(30);
    expect(launcher.domain).toBe("running");
  });

  it("never starts on a machine that lost power while it was about to", async () => {
    const rack = new Rack();
    const machine = rack.powerOn("a");
    const { launcher } = rack.launch(machine);
    machine.losePower();
    launcher.boot();
    expect(rack.oracle.history(VM)).toEqual([]);
  });

  it("shuts down when virt-handler asks, and its launcher waits to be released", async () => {
    const rack = new Rack();
    const { launcher, exitCode } = await running(rack);
    launcher.shutdownGuest();
    await tick(20);
    expect(launcher.end).toBe("shutdown");
    expect(exitCode()).toBeUndefined();
    launcher.release();
    expect(exitCode()).toBe(0);
  });

  it("survives SIGTERM to its launcher for its grace period and the launcher's own, where no virt-handler acts", async () => {
    const rack = new Rack();
    const { launcher } = await running(rack);
    launcher.configure({ graceMs: 40 });
    launcher.terminate();
    await tick(80);
    expect(launcher.executing).toBe(true);
    await tick(40);
    expect(launcher.end).toBe("killed");
  });

  it("is gone when SIGKILL returns", async () => {
    const rack = new Rack();
    const { launcher, exitCode } = await running(rack);
    launcher.kill();
    expect(exitCode()).toBe(137);
    expect(rack.oracle.running(VM)).toEqual([]);
  });

  it("stands still while its machine hangs, and goes on holding its disk", async () => {
    const rack = new Rack();
    const { machine, launcher } = await running(rack);
    machine.hang();
    launcher.shutdownGuest();
    await tick(40);
    expect(rack.oracle.running(VM)).toHaveLength(1);
    expect(rack.oracle.outages(VM)).toHaveLength(1);
    machine.resume();
    await tick(40);
    expect(launcher.end).toBe("shutdown");
  });

  it("takes its delays from the VMI's annotations", async () => {
    const rack = new Rack();
    const { launcher } = rack.launch(rack.powerOn("a"));
    launcher.configure({
      graceMs: 0,
      annotations: { "lab.holdfast.dev/guest-boot-ms": "60", "lab.holdfast.dev/pre-copy-ms": "soon" },
    });
    launcher.boot();
    await tick(30);
    expect(launcher.domain).toBe("starting");
    expect(launcher.guestDelays.preCopyMs).toBe(40);
  });
});

describe("a live migration", () => {
  it("hands the guest over in one instant: no overlap and no outage", async () => {
    const rack = new Rack();
    const source = await running(rack);
    const target = rack.launch(rack.powerOn("b"));
    const outgoing = migrate(source, "b");
    expect(target.launcher.domain).toBe("incoming");
    expect(rack.oracle.running(VM).map(({ node }) => node)).toEqual(["a"]);
    await tick(60);
    expect(outgoing.metadata).toMatchObject({ failed: false });
    expect(target.launcher.domain).toBe("running");
    expect(source.launcher.end).toBe("migrated");
    expect(rack.oracle.running(VM).map(({ node }) => node)).toEqual(["b"]);
    expect(rack.oracle.overlaps).toEqual([]);
    expect(rack.oracle.outages(VM)).toEqual([]);
  });

  it("fails at once where the target does not answer", async () => {
    const rack = new Rack();
    const source = await running(rack);
    expect(migrate(source, "b").metadata.failed).toBe(true);
    expect(source.launcher.domain).toBe("running");
  });

  it("fails on the source when the target loses power, and the guest runs on", async () => {
    const rack = new Rack();
    const source = await running(rack);
    const b = rack.powerOn("b");
    rack.launch(b);
    const outgoing = migrate(source, "b");
    b.losePower();
    await tick(60);
    expect(outgoing.metadata).toMatchObject({ failed: true });
    expect(source.launcher.domain).toBe("running");
    expect(rack.oracle.overlaps).toEqual([]);
  });

  it("does not switch to a target that lost power while the source hung, whatever the source notices first", async () => {
    const rack = new Rack();
    const source = await running(rack);
    const b = rack.powerOn("b");
    rack.launch(b);
    const outgoing = migrate(source, "b");
    source.machine.hang();
    await tick(60);
    b.losePower();
    source.machine.resume();
    await tick(60);
    expect(outgoing.metadata).toMatchObject({ failed: true });
    expect(source.launcher.domain).toBe("running");
    expect(rack.oracle.running(VM)).toHaveLength(1);
  });

  it("ends the target's launcher when the source loses power, and the guest is down", async () => {
    const rack = new Rack();
    const source = await running(rack);
    const target = rack.launch(rack.powerOn("b"));
    migrate(source, "b");
    source.machine.losePower();
    await tick(60);
    expect(target.exitCode()).toBe(1);
    expect(rack.oracle.running(VM)).toEqual([]);
  });

  it("can be aborted while it copies, and not afterwards", async () => {
    const rack = new Rack();
    const source = await running(rack);
    const target = rack.launch(rack.powerOn("b"));
    const outgoing = migrate(source, "b");
    outgoing.cancel();
    await tick(60);
    expect(outgoing.metadata).toMatchObject({ failed: true, abortStatus: "Succeeded" });
    expect(source.launcher.domain).toBe("running");
    expect(target.exitCode()).toBe(1);
    outgoing.cancel("too late");
    expect(outgoing.metadata.failureReason).toBe("Live migration has been aborted");
  });

  it("waits for a target that hangs, and gives up without progress", async () => {
    const rack = new Rack({ migrationProgressTimeoutMs: 100 });
    const source = await running(rack);
    const b = rack.powerOn("b");
    rack.launch(b);
    const outgoing = migrate(source, "b");
    b.hang();
    await tick(60);
    expect(outgoing.done).toBe(false);
    await tick(500);
    expect(outgoing.metadata.failed).toBe(true);
    expect(source.launcher.domain).toBe("running");
  });
});
