import { describe, expect, it } from "vitest";
import { judgeMigratability } from "../../lab/nodes/live-migratable.ts";
import type { Vmi, VmiPhase } from "../../lab/nodes/vmi.ts";
import { phaseOf, withDomainStatus } from "../../lab/nodes/vmi-status.ts";
import type { GuestEnd } from "../../lab/oracle/witness.ts";

function vmi(phase: VmiPhase, change: Partial<Vmi["spec"]> = {}, status: Partial<Vmi["status"]> = {}): Vmi {
  return {
    metadata: { name: "vm", namespace: "default", uid: "u" },
    spec: {
      domain: { devices: { interfaces: [{ name: "default", masquerade: {} }] } },
      networks: [{ name: "default", pod: {} }],
      ...change,
    },
    status: { phase, nodeName: "a", ...status },
  };
}

describe("VMI phase", () => {
  const off = (end: GuestEnd) => ({ domain: "off" as const, end });
  it.each([
    ["Scheduled", { domain: "none" as const, end: undefined }, "Scheduled"],
    ["Scheduled", { domain: "starting" as const, end: undefined }, "Scheduled"],
    ["Scheduled", { domain: "running" as const, end: undefined }, "Running"],
    ["Running", off("shutdown"), "Succeeded"],
    ["Running", off("killed"), "Failed"],
    ["Running", off("crashed"), "Failed"],
    ["Running", off("migrated"), "Running"],
    ["Running", undefined, "Failed"],
    ["Scheduling", undefined, "Scheduling"],
  ] as const)("%s with domain %j becomes %s", (before, launcher, after) => {
    expect(phaseOf(vmi(before), launcher)).toBe(after);
  });

  it("is Succeeded for a killed guest whose VMI has no grace period", () => {
    expect(phaseOf(vmi("Running", { terminationGracePeriodSeconds: 0 }), off("killed"))).toBe("Succeeded");
  });
});

describe("VMI status", () => {
  it("is described once and then left alone", () => {
    const launcher = { domain: "running" as const, end: undefined };
    const described = withDomainStatus(vmi("Scheduled"), launcher, "10.1.0.1");
    expect(described?.status).toMatchObject({
      phase: "Running",
      migrationMethod: "LiveMigration",
      interfaces: [{ name: "default", ipAddress: "10.1.0.1" }],
    });
    expect(described?.status?.phaseTransitionTimestamps?.map(({ phase }) => phase)).toEqual(["Running"]);
    expect(described && withDomainStatus(described, launcher, "10.1.0.1")).toBeUndefined();
  });

  it("says that I/O errors have paused the guest, and takes it back", () => {
    const running = { domain: "running" as const, end: undefined };
    const described = withDomainStatus(vmi("Scheduled"), running, undefined);
    const paused = described && withDomainStatus(described, { ...running, stalled: true }, undefined);
    expect(paused?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: "Paused", status: "True", reason: "PausedIOError" }),
    );
    expect(paused && withDomainStatus(paused, { ...running, stalled: true }, undefined)).toBeUndefined();
    const resumed = paused && withDomainStatus(paused, running, undefined);
    expect(resumed?.status?.conditions?.map(({ type }) => type)).not.toContain("Paused");
  });

  it("keeps conditions of other writers", () => {
    const ready = { type: "Ready", status: "True" as const };
    const described = withDomainStatus(
      vmi("Scheduled", {}, { conditions: [ready] }),
      { domain: "running", end: undefined },
      undefined,
    );
    expect(described?.status?.conditions).toContainEqual(ready);
  });
});

describe("LiveMigratable", () => {
  const disk = { volumes: [{ name: "root", persistentVolumeClaim: { claimName: "c" } }] };
  const claim = (mode: string) => ({
    volumeStatus: [{ name: "root", persistentVolumeClaimInfo: { accessModes: [mode] } }],
  });
  const judge = (subject: Vmi) => judgeMigratability(subject).conditions[0];

  it("is True for shared disks and for none", () => {
    expect(judge(vmi("Running"))).toMatchObject({ status: "True" });
    expect(judge(vmi("Running", disk, claim("ReadWriteMany")))).toMatchObject({ status: "True" });
  });

  it("is False with DisksNotLiveMigratable for a ReadWriteOnce claim", () => {
    expect(judge(vmi("Running", disk, claim("ReadWriteOnce")))).toMatchObject({
      status: "False",
      reason: "DisksNotLiveMigratable",
      message: expect.stringContaining("PVC c is not shared"),
    });
  });

  it("is False for a claim whose access modes nobody told", () => {
    expect(judge(vmi("Running", disk))).toMatchObject({ status: "False" });
  });

  it("is False with InterfaceNotLiveMigratable for a bridge on the pod network", () => {
    const bridged = { domain: { devices: { interfaces: [{ name: "default", bridge: {} }] } } };
    expect(judge(vmi("Running", bridged))).toMatchObject({ reason: "InterfaceNotLiveMigratable" });
  });

  it("means block migration where a local disk would have to be copied", () => {
    expect(judgeMigratability(vmi("Running", { volumes: [{ name: "scratch" }] })).method).toBe(
      "BlockMigration",
    );
  });
});
