// One step of every kind, as a turn might plan it for the scene's node.
import { DEFAULT_AVAILABILITY_RULE } from "../../src/model/availability.ts";
import type { DrillFact } from "../../src/model/drill.ts";
import type { Step } from "../../src/model/plan.ts";
import type { OptInPolicyFact, ProtectionFact, ProtectionStatus } from "../../src/model/protection.ts";
import { type ActScene, BOOT_ID, LEVEL, NODE, NODE_UID } from "./act-fixture.ts";

export const PROTECTION_STATUS: ProtectionStatus = { conditions: [], outages: [] };

export const PROTECTION: ProtectionFact = {
  key: "prod/db",
  namespace: "prod",
  name: "db",
  uid: "havm-uid",
  resourceVersion: "5",
  generation: 1,
  createdAtWallMs: 0,
  vmKey: "prod/db",
  vmName: "db",
  priority: 900,
  dependsOn: [],
  evacuation: { strategy: "LiveMigrate", targetSelector: {}, timeoutMs: 900_000 },
  failover: {
    enabled: true,
    restartOnce: false,
    startManual: true,
    maxRestarts: 3,
    restartWindowMs: 3_600_000,
  },
  failback: { policy: "Never", delayMs: 300_000, nodeSelector: {} },
  availability: DEFAULT_AVAILABILITY_RULE,
  madeByPolicy: undefined,
  policyGeneration: undefined,
  deleting: false,
  status: PROTECTION_STATUS,
};

export const POLICY: OptInPolicyFact = {
  name: "gold",
  uid: "policy-uid",
  resourceVersion: "9",
  generation: 4,
  precedence: 0,
  namespaceSelector: {},
  selector: {},
  rules: PROTECTION,
  template: { priority: 900, failover: { maxRestarts: 5 } },
  deleting: false,
  status: { conditions: [] },
};

const DRILL: DrillFact = {
  name: "d",
  uid: "uid",
  resourceVersion: "5",
  generation: 1,
  deleting: false,
  type: "NodeEvacuation",
  vmKey: undefined,
  nodeName: NODE,
  runs: 1,
  intervalMs: 30_000,
  schedule: undefined,
  suspended: false,
  startTimeoutMs: 60_000,
  runTimeoutMs: 600_000,
  promise: {},
  probes: [],
  status: { epoch: 1, phase: "Pending", message: "", runs: [], statistics: [], conditions: [] },
};

type StepOf<Kind extends Step["kind"]> = Extract<Step, { readonly kind: Kind }>;

/** A step of each kind; the ledger of the fencing they speak of is seeded with it. */
export function sampleSteps(scene: ActScene): { readonly [Kind in Step["kind"]]: StepOf<Kind> } {
  const proof = scene.proof();
  const fencing = scene.fencing();
  return {
    RefreshNode: { kind: "RefreshNode", node: NODE },
    OpenFencing: {
      kind: "OpenFencing",
      name: "nf-worker-1-2",
      node: NODE,
      nodeUID: NODE_UID,
      bootID: BOOT_ID,
      topology: "all",
      message: "no sign of life for 25 s",
      detectedAt: "2026-11-22T00:00:25.000Z",
      lastSeenAt: "2026-11-22T00:00:00.000Z",
    },
    Fence: { kind: "Fence", fencing, level: LEVEL, mayPowerOff: true },
    ConfirmOff: {
      kind: "ConfirmOff",
      fencing,
      confirmation: { bootID: BOOT_ID, by: "ada", writtenAt: "2026-11-22T00:00:30Z" },
    },
    WriteFencing: { kind: "WriteFencing", fencing, status: { ...fencing.status, message: "waiting" } },
    Taint: { kind: "Taint", node: NODE, proof },
    Release: {
      kind: "Release",
      vmKey: "prod/db",
      pods: [{ namespace: "prod", name: "virt-launcher-db-x", uid: "pod-uid" }],
      proof,
      priority: 900,
    },
    StartVM: { kind: "StartVM", vmKey: "prod/db" },
    DeleteVMI: { kind: "DeleteVMI", vmKey: "prod/db", vmiUID: "vmi-uid" },
    RestartVM: { kind: "RestartVM", vmKey: "prod/db", vmiUID: "vmi-uid" },
    PowerOn: { kind: "PowerOn", fencing, level: LEVEL },
    LiftRemediation: { kind: "LiftRemediation", fencing },
    UnfenceStorage: { kind: "UnfenceStorage", fencing },
    RecordStorageClients: {
      kind: "RecordStorageClients",
      node: NODE,
      bootID: BOOT_ID,
      wanted: [{ className: "ceph", cidrs: ["10.0.0.1"] }],
      validUntilMs: Number.MAX_SAFE_INTEGER,
    },
    Untaint: { kind: "Untaint", node: NODE },
    Quarantine: { kind: "Quarantine", node: NODE, untilSeconds: 1_795_000_000 },
    CreateMigration: {
      kind: "CreateMigration",
      vmKey: "prod/db",
      vmiUID: "vmi-uid",
      name: "holdfast-db-1",
      purpose: "Evacuation",
      targetSelector: {},
      unschedulableTimeoutSeconds: 60,
    },
    AbortMigration: {
      kind: "AbortMigration",
      namespace: "prod",
      name: "holdfast-db-1",
      uid: "vmim-uid",
      why: "no longer cordoned",
    },
    WriteProtection: { kind: "WriteProtection", protection: PROTECTION, status: PROTECTION_STATUS },
    ApplyProtection: {
      kind: "ApplyProtection",
      policy: POLICY,
      namespace: "prod",
      name: "db",
      vmName: "db",
      vmUID: "vm-uid",
    },
    DeleteProtection: { kind: "DeleteProtection", namespace: "prod", name: "db", uid: "havm-uid" },
    WriteDrill: { kind: "WriteDrill", drill: DRILL, status: DRILL.status },
    Cordon: { kind: "Cordon", node: NODE, drill: "d/uid" },
    Uncordon: { kind: "Uncordon", node: NODE, drill: "d/uid" },
    StartDrillProbes: { kind: "StartDrillProbes", run: "uid/1/now", vmKeys: ["prod/db"], probes: [] },
    StopDrillProbes: { kind: "StopDrillProbes", run: "uid/1/now" },
    WriteSummary: {
      kind: "WriteSummary",
      resource: "fencingtopologies",
      name: "all",
      resourceVersion: "3",
      status: { coveredNodes: 3 },
    },
  };
}
