import { describe, expect, it } from "vitest";
import type { RunStrategy, VmiPhase } from "../../lab/kubevirt/objects.ts";
import { demandOf, isFirstRequestMet } from "../../lab/kubevirt/run-strategy.ts";
import { nextStartFailure, startBackoffSeconds } from "../../lab/kubevirt/start-backoff.ts";
import { nextVmStatus } from "../../lab/kubevirt/vm-status.ts";
import { sampleVm, sampleVmi } from "./kubevirt-samples.ts";

const QUIET = { startExpected: false, stopExpected: false, failure: undefined };

describe("run strategies", () => {
  it.each([
    { runStrategy: "Always", none: "start", Running: "nothing", Failed: "stop", Succeeded: "stop" },
    {
      runStrategy: "RerunOnFailure",
      none: "nothing",
      Running: "nothing",
      Failed: "stopAndStartAgain",
      Succeeded: "stop",
    },
    { runStrategy: "Manual", none: "nothing", Running: "nothing", Failed: "nothing", Succeeded: "nothing" },
    { runStrategy: "Once", none: "start", Running: "nothing", Failed: "nothing", Succeeded: "nothing" },
    { runStrategy: "Halted", none: "nothing", Running: "stop", Failed: "stop", Succeeded: "stop" },
  ] as const)("$runStrategy asks for what the table says", ({ runStrategy, none, ...byPhase }) => {
    // It has been started before.
    const vm = sampleVm({ runStrategy }, { runStrategy });
    expect(demandOf(vm, undefined)).toBe(none);
    for (const phase of ["Running", "Failed", "Succeeded"] as const) {
      expect(demandOf(vm, sampleVmi(phase)), phase).toBe(byPhase[phase]);
    }
  });

  it("RerunOnFailure starts once when it was just chosen, and does not count a VMI that somebody deleted", () => {
    const chosen = sampleVm({ runStrategy: "RerunOnFailure" }, { runStrategy: "Halted" });
    expect(demandOf(chosen, undefined)).toBe("start");
    const deleted = sampleVmi("Failed", {}, { deletionTimestamp: "2026-01-01T00:00:00Z" });
    expect(demandOf(chosen, deleted)).toBe("nothing");
  });

  it("requests are obeyed oldest first, and a stop request only for the VMI it names", () => {
    const stop = { action: "Stop", uid: "vmi" } as const;
    const manual = sampleVm({ runStrategy: "Manual" }, { stateChangeRequests: [stop, { action: "Start" }] });
    expect(demandOf(manual, sampleVmi("Running"))).toBe("stop");
    expect(demandOf(manual, sampleVmi("Running", {}, { uid: "another" }))).toBe("nothing");
    expect(isFirstRequestMet(manual, sampleVmi("Running"))).toBe(false);
    expect(isFirstRequestMet(manual, undefined)).toBe(true);
  });

  it("a start request is met by a living VMI, not by one that has ended", () => {
    const vm = sampleVm({ runStrategy: "RerunOnFailure" }, { stateChangeRequests: [{ action: "Start" }] });
    expect(isFirstRequestMet(vm, sampleVmi("Scheduling"))).toBe(true);
    expect(isFirstRequestMet(vm, sampleVmi("Failed"))).toBe(false);
  });
});

describe("the start back-off", () => {
  it("is ten seconds times the square of the failures, up to half as much again, at most 300", () => {
    const bounds = [1, 2, 3, 4, 5, 6].map((failures) => [
      startBackoffSeconds(failures, () => 0),
      startBackoffSeconds(failures, () => 0.999),
    ]);
    expect(bounds).toEqual([
      [10, 15],
      [40, 60],
      [90, 135],
      [160, 240],
      [250, 300],
      [300, 300],
    ]);
  });

  it("counts a VMI that never ran, once, and forgets everything when one ran", () => {
    const vm = sampleVm({ runStrategy: "Always" });
    const first = nextStartFailure(vm, sampleVmi("Failed"));
    expect(first).toMatchObject({ consecutiveFailCount: 1, lastFailedVMIUID: "vmi" });
    const counted = sampleVm({ runStrategy: "Always" }, first ? { startFailure: first } : {});
    expect(nextStartFailure(counted, sampleVmi("Failed"))).toBe(first);
    expect(nextStartFailure(counted, sampleVmi("Failed", {}, { uid: "next" }))).toMatchObject({
      consecutiveFailCount: 2,
    });
    const ran = { phaseTransitionTimestamps: [{ phase: "Running", phaseTransitionTimestamp: "" }] };
    expect(nextStartFailure(counted, sampleVmi("Failed", ran, { uid: "next" }))).toBeUndefined();
  });

  it("does not exist for Manual", () => {
    expect(nextStartFailure(sampleVm({ runStrategy: "Manual" }), sampleVmi("Failed"))).toBeUndefined();
  });
});

describe("what a VM shows", () => {
  const shown = (phase: VmiPhase, runStrategy: RunStrategy = "Always") =>
    nextVmStatus(sampleVm({ runStrategy }), sampleVmi(phase), QUIET).printableStatus;

  it("names the phase, and stays Running whatever the Ready condition says", () => {
    expect(shown("Scheduling")).toBe("Starting");
    expect(shown("Failed", "Manual")).toBe("Stopped");
    const unready = sampleVmi("Running", { conditions: [{ type: "Ready", status: "False" }] });
    const status = nextVmStatus(sampleVm({ runStrategy: "Always" }), unready, QUIET);
    expect(status.printableStatus).toBe("Running");
    expect(status).not.toHaveProperty("ready");
  });

  it("shows a failed start under Always as CrashLoopBackOff", () => {
    expect(shown("Failed")).toBe("CrashLoopBackOff");
  });

  it("copies the VMI's conditions and drops those it no longer has", () => {
    const old = { conditions: [{ type: "Paused", status: "True" } as const] };
    const vmi = sampleVmi("Running", { conditions: [{ type: "LiveMigratable", status: "True" }] });
    const { conditions } = nextVmStatus(sampleVm({ runStrategy: "Always" }, old), vmi, QUIET);
    expect(conditions?.map(({ type }) => type)).toEqual(["Ready", "LiveMigratable"]);
  });
});
