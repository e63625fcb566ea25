import { describe, expect, it } from "vitest";
import { remediationObject, signalOf } from "../../src/act/external/remediation-signal.ts";

const CREATED = "2026-11-22T10:00:00Z";
const AT = "2026-11-22T10:00:20Z";
const HORIZON = "2026-11-22T10:03:00Z";
const AFTER = Date.parse("2026-11-22T10:03:01Z");

const yes = (type: string) => ({ type, status: "True", reason: "r", message: "m", lastTransitionTime: AT });
const no = (type: string) => ({ ...yes(type), status: "False" });

function signal(kind: string, status: object | undefined, annotations: object = {}, nowMs = AFTER) {
  const metadata = { name: "n1", uid: "u", creationTimestamp: CREATED, annotations };
  return signalOf(kind, remediationObject.parse({ metadata, status }), nowMs);
}

describe("a remediation is safe to restart after", () => {
  it.each<[string, object, string]>([
    ["FenceAgentsRemediation", { conditions: [yes("Processing"), yes("FenceAgentActionSucceeded")] }, AT],
    ["MachineDeletionRemediation", { conditions: [yes("Succeeded")] }, AT],
    ["StorageBasedRemediation", { conditions: [yes("FencingSucceeded")] }, CREATED],
    ["SelfNodeRemediation", { phase: "Reboot-Completed", timeAssumedRebooted: HORIZON }, CREATED],
    ["SelfNodeRemediation", { phase: "Fencing-Completed", timeAssumedRebooted: HORIZON }, CREATED],
    ["Metal3Remediation", { phase: "Waiting" }, CREATED],
    ["SomebodysRemediation", { conditions: [yes("Succeeded")] }, AT],
  ])("%s: %j", (kind, status, at) => {
    expect(signal(kind, status)).toMatchObject({ kind: "safe", at });
  });

  it("with the horizon by which a node must have reset itself, and not before it on our own clock", () => {
    const status = { phase: "Reboot-Completed", timeAssumedRebooted: HORIZON };
    expect(signal("SelfNodeRemediation", status)).toMatchObject({ horizon: HORIZON });
    const before = Date.parse(HORIZON) - 1;
    expect(signal("SelfNodeRemediation", status, {}, before)).toMatchObject({ kind: "working" });
  });
});

describe("a remediation is still at work", () => {
  it.each<[string, object | undefined]>([
    ["FenceAgentsRemediation", undefined],
    ["FenceAgentsRemediation", {}],
    ["FenceAgentsRemediation", { conditions: [yes("Processing"), no("FenceAgentActionSucceeded")] }],
    ["FenceAgentsRemediation", { conditions: [{ ...yes("Succeeded"), status: "Unknown" }] }],
    ["SelfNodeRemediation", { phase: "Pre-Reboot-Completed", timeAssumedRebooted: HORIZON }],
    ["SelfNodeRemediation", { phase: "Reboot-Completed" }],
    ["SelfNodeRemediation", { phase: "Reboot-Completed", timeAssumedRebooted: "soon" }],
    ["SelfNodeRemediation", { conditions: [yes("Succeeded")] }],
    ["StorageBasedRemediation", { conditions: [no("Ready")] }],
    ["StorageBasedRemediation", { conditions: [yes("Succeeded")] }],
    ["Metal3Remediation", { phase: "Running" }],
  ])("%s: %j", (kind, status) => {
    expect(signal(kind, status).kind).toBe("working");
  });

  it("and says what it says", () => {
    const status = { phase: "Fencing-Started", lastError: "Node is not capable to reboot itself" };
    expect(signal("SelfNodeRemediation", status)).toEqual({
      kind: "working",
      message: "phase Fencing-Started, Node is not capable to reboot itself",
    });
  });
});

describe("a remediation has failed", () => {
  it.each<[string, object, object]>([
    ["FenceAgentsRemediation", { conditions: [no("Succeeded")] }, {}],
    ["FenceAgentsRemediation", {}, { "remediation.medik8s.io/nhc-timed-out": AT }],
    ["StorageBasedRemediation", { conditions: [{ ...no("Ready"), reason: "RemediationFailed" }] }, {}],
    ["Metal3Remediation", { phase: "Failed" }, {}],
    ["Metal3Remediation", { phase: "Deleting machine" }, {}],
    ["SomebodysRemediation", { conditions: [no("Succeeded")] }, {}],
  ])("%s: %j %j", (kind, status, annotations) => {
    expect(signal(kind, status, annotations).kind).toBe("failed");
  });

  it.each<[string, object]>([
    ["SelfNodeRemediation", { phase: "Reboot-Completed", timeAssumedRebooted: HORIZON }],
    ["StorageBasedRemediation", { conditions: [yes("FencingSucceeded")] }],
    ["SomebodysRemediation", { conditions: [yes("Succeeded")] }],
  ])("once it was told to stop, where time alone may have made it say more: %s", (kind, status) => {
    const stopped = { "remediation.medik8s.io/nhc-timed-out": AT };
    expect(signal(kind, status, stopped)).toEqual({
      kind: "failed",
      message: `it was told to stop at ${AT}`,
    });
  });

  it("but not one whose agent had acted before it was told to stop", () => {
    const conditions = [yes("FenceAgentActionSucceeded"), no("Succeeded")];
    const stopped = { "remediation.medik8s.io/nhc-timed-out": AT };
    expect(signal("FenceAgentsRemediation", { conditions }, stopped).kind).toBe("safe");
  });
});
