import { describe, expect, it } from "vitest";
import { migrationBackoffLeftMs } from "../../lab/kubevirt/migration-backoff.ts";
import { judgeMigration, type MigrationSurroundings } from "../../lab/kubevirt/migration-status.ts";
import { pendingLeftMs } from "../../lab/kubevirt/migration-timeout.ts";
import { sampleMigration, samplePod, sampleVmi } from "./kubevirt-samples.ts";

const MINE = { migrationUid: "migration", targetNode: "node-2" };

function around(change: Partial<MigrationSurroundings> = {}): MigrationSurroundings {
  return {
    vmi: sampleVmi("Running"),
    targetPod: samplePod("Running", { node: "node-2", name: "target" }),
    sourcePodName: "source",
    blocked: false,
    handedOff: true,
    ...change,
  };
}

const withState = (migrationState: object) => around({ vmi: sampleVmi("Running", { migrationState }) });
const DELETED = { deletionTimestamp: "2026-01-01T00:00:00Z" };

describe("a migration's phase", () => {
  it("goes the whole way, each step on the word of the one who takes it", () => {
    const steps = [
      ["", around(), "Pending"],
      ["Pending", around(), "Scheduling"],
      ["Scheduling", around(), "Scheduled"],
      ["Scheduled", withState(MINE), "PreparingTarget"],
      ["PreparingTarget", withState({ ...MINE, targetNodeAddress: "10.0.0.2" }), "TargetReady"],
      ["TargetReady", withState({ ...MINE, startTimestamp: "t" }), "Running"],
      ["Running", withState({ ...MINE, completed: true }), "Succeeded"],
    ] as const;
    for (const [phase, surroundings, next] of steps) {
      expect(judgeMigration(sampleMigration(phase), surroundings)).toEqual({ phase: next });
    }
  });

  it("waits where nobody has spoken: TargetReady has no time-out of its own", () => {
    expect(judgeMigration(sampleMigration("Pending"), around({ targetPod: undefined })).phase).toBe(
      "Pending",
    );
    expect(judgeMigration(sampleMigration("TargetReady"), withState(MINE)).phase).toBe("TargetReady");
  });

  it("ends with the VMI, with its target pod, and on the source's word", () => {
    const vmi = sampleVmi("Failed");
    const failures = [
      judgeMigration(sampleMigration("Running"), around({ vmi })),
      judgeMigration(sampleMigration("Scheduling"), around({ targetPod: undefined })),
      judgeMigration(sampleMigration("Running"), around({ targetPod: samplePod("Failed") })),
      judgeMigration(sampleMigration("Running"), withState({ ...MINE, failed: true })),
      judgeMigration(sampleMigration("Running"), withState({ ...MINE, migrationUid: "another" })),
      judgeMigration(sampleMigration(""), around({ blocked: true })),
    ];
    expect(failures.map(({ phase }) => phase)).toEqual(Array(6).fill("Failed"));
    expect(failures.map(({ failure }) => failure?.split(" ").slice(0, 4).join(" "))).toEqual([
      "Migration failed vmi shutdown",
      "Migration target pod was",
      "Migration failed because target",
      "source node reported migration",
      "VMI's migration state was",
      "VMI is not eligible",
    ]);
  });

  it("a deleted one fails at once before the hand-off, and only asks for an abort after it", () => {
    const before = judgeMigration(sampleMigration("Scheduling", DELETED), around({ handedOff: false }));
    expect(before).toMatchObject({ phase: "Failed", abortRequested: true });
    const after = judgeMigration(sampleMigration("Running", DELETED), withState(MINE));
    expect(after).toEqual({ phase: "Running", abortRequested: true });
  });

  it("does not move once it has ended", () => {
    expect(judgeMigration(sampleMigration("Succeeded"), withState({ ...MINE, failed: true })).phase).toBe(
      "Succeeded",
    );
  });
});

describe("waiting", () => {
  const createdMs = Date.parse("2026-01-01T00:00:00Z");

  it("a Pending target gets fifteen minutes, an unschedulable one five, or what the annotation says", () => {
    const pending = samplePod("Pending");
    const stuck = structuredClone(pending);
    stuck.status = {
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }],
    };
    const short = sampleMigration("Scheduling", {
      annotations: { "kubevirt.io/migrationUnschedulablePodTimeoutSeconds": "7" },
    });
    const plain = sampleMigration("Scheduling");
    expect(pendingLeftMs(plain, pending, createdMs)).toBe(900_000);
    expect(pendingLeftMs(plain, stuck, createdMs)).toBe(300_000);
    expect(pendingLeftMs(short, stuck, createdMs + 8_000)).toBe(-1_000);
  });

  it("evacuations wait 20 s after a failure and twice as long after the next; other migrations never", () => {
    const evacuation = (index: number, phase: "Failed" | "Pending" | "Succeeded") => {
      const migration = sampleMigration(phase, {
        name: `m-${index}`,
        uid: `m-${index}`,
        creationTimestamp: `2026-01-01T00:0${index}:00Z`,
        annotations: { "kubevirt.io/evacuationMigration": "node-1" },
      });
      migration.status.phaseTransitionTimestamps = [
        { phase, phaseTransitionTimestamp: `2026-01-01T00:0${index}:00Z` },
      ];
      return migration;
    };
    const newest = evacuation(3, "Pending");
    const nowMs = Date.parse("2026-01-01T00:02:00Z");
    const left = (all: readonly ReturnType<typeof evacuation>[]) =>
      migrationBackoffLeftMs(newest, all, nowMs);
    expect(left([newest])).toBe(0);
    expect(left([evacuation(2, "Failed"), newest])).toBe(20_000);
    expect(left([evacuation(1, "Failed"), evacuation(2, "Failed"), newest])).toBe(40_000);
    expect(left([evacuation(1, "Failed"), evacuation(2, "Succeeded"), newest])).toBe(0);
    const plain = sampleMigration("Pending");
    expect(migrationBackoffLeftMs(plain, [evacuation(2, "Failed"), plain], nowMs)).toBe(0);
  });
});
