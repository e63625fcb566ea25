// From a planned step to its effect: which file performs it, which steps must not overlap, and which goes first.
import type { FencingFact } from "../model/fencing.ts";
import type { Step } from "../model/plan.ts";
import { performConfirmOff } from "./confirm-off.ts";
import type { ActContext } from "./context.ts";
import {
  performCordon,
  performStartDrillProbes,
  performStopDrillProbes,
  performUncordon,
  performWriteDrill,
} from "./drill.ts";
import { performFence } from "./fence.ts";
import { performOpenFencing, performWriteFencing } from "./fencing-ledger.ts";
import { performAbortMigration, performCreateMigration } from "./migrate.ts";
import { performApplyProtection, performDeleteProtection } from "./opt-in.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { performWriteProtection, performWriteSummary } from "./own-status.ts";
import { performRecordStorageClients } from "./record-storage-clients.ts";
import { performLiftRemediation } from "./lift-remediation.ts";
import { performPowerOn } from "./power-on.ts";
import { performRelease } from "./release.ts";
import { performDeleteVMI, performRestartVM, performStartVM } from "./start-stop.ts";
import { performUnfenceStorage } from "./unfence-storage.ts";
import { performQuarantine, performTaint, performUntaint } from "./taint.ts";

/** Performs one step. Its Events are recorded when it took effect, and not otherwise. */
export async function performStep(step: Step, context: ActContext): Promise<PerformedStep> {
  if (!context.leadership.valid()) return ended("stale", "leadership has ended");
  const performed = await perform(step, context);
  if (performed.outcome === "done" && step.events !== undefined) context.events.record(step.events);
  return performed;
}

function perform(step: Step, context: ActContext): Promise<PerformedStep> {
  switch (step.kind) {
    case "RefreshNode":
      return refreshNode(step.node, context);
    case "OpenFencing":
      return performOpenFencing(step, context);
    case "Fence":
      return performFence(step, context);
    case "ConfirmOff":
      return performConfirmOff(step, context);
    case "WriteFencing":
      return performWriteFencing(step, context);
    case "Taint":
      return performTaint(step, context);
    case "Release":
      return performRelease(step, context);
    case "StartVM":
      return performStartVM(step, context);
    case "DeleteVMI":
      return performDeleteVMI(step, context);
    case "RestartVM":
      return performRestartVM(step, context);
    case "PowerOn":
      return performPowerOn(step, context);
    case "LiftRemediation":
      return performLiftRemediation(step, context);
    case "UnfenceStorage":
      return performUnfenceStorage(step, context);
    case "RecordStorageClients":
      return performRecordStorageClients(step, context);
    case "Untaint":
      return performUntaint(step, context);
    case "Quarantine":
      return performQuarantine(step, context);
    case "CreateMigration":
      return performCreateMigration(step, context);
    case "AbortMigration":
      return performAbortMigration(step, context);
    case "WriteProtection":
      return performWriteProtection(step, context);
    case "ApplyProtection":
      return performApplyProtection(step, context);
    case "DeleteProtection":
      return performDeleteProtection(step, context);
    case "WriteSummary":
      return performWriteSummary(step, context);
    case "WriteDrill":
      return performWriteDrill(step, context);
    case "Cordon":
      return performCordon(step, context);
    case "Uncordon":
      return performUncordon(step, context);
    case "StartDrillProbes":
      return performStartDrillProbes(step, context);
    case "StopDrillProbes":
      return performStopDrillProbes(step, context);
  }
}

async function refreshNode(node: string, context: ActContext): Promise<PerformedStep> {
  const read = await context.facts.refreshNode(node);
  return read.ok ? DONE : outcomeOf(read);
}

/**
 * What must not be worked on twice at once. Only the newest waiting step of a key is kept, so steps share one only where a
 * later one makes the earlier pointless: for a node the plan names its next step and no other.
 */
export function queueKeyOf(step: Step): string {
  switch (step.kind) {
    case "RefreshNode":
      return `refresh/${step.node}`;
    case "RecordStorageClients":
      return `storage-clients/${step.node}`;
    case "OpenFencing":
    case "Taint":
    case "Untaint":
    case "Quarantine":
      return `node/${step.node}`;
    case "Cordon":
    case "Uncordon":
      return `cordon/${step.node}`;
    case "Fence":
    case "ConfirmOff":
    case "WriteFencing":
    case "PowerOn":
    case "LiftRemediation":
    case "UnfenceStorage":
      return `node/${step.fencing.nodeName}`;
    case "Release":
      return `release/${step.proof.nodeName}/${step.vmKey}`;
    case "StartVM":
    case "DeleteVMI":
    case "RestartVM":
      return `vm/${step.vmKey}`;
    case "CreateMigration":
      return `migrate/${step.vmKey}`;
    case "AbortMigration":
      return `abort/${step.namespace}/${step.name}`;
    case "WriteProtection":
      return `protection-status/${step.protection.key}`;
    case "ApplyProtection":
    case "DeleteProtection":
      return `protection/${step.namespace}/${step.name}`;
    case "WriteSummary":
      return `summary/${step.resource}/${step.name}`;
    case "WriteDrill":
      return `drill/${step.drill.name}`;
    case "StartDrillProbes":
    case "StopDrillProbes":
      return `drill-probes/${step.run}`;
  }
}

/**
 * Equal for steps that would do the same. A compare-and-swap is known by the version it starts from: of two that start
 * from the same one, only one can win.
 */
export function identityOf(step: Step): string {
  return `${step.kind}/${aimOf(step)}`;
}

function aimOf(step: Step): string {
  switch (step.kind) {
    case "RefreshNode":
    case "Untaint":
      return step.node;
    case "Quarantine":
      return join(step.node, step.untilSeconds === undefined ? "lifted" : "set");
    case "OpenFencing":
      return step.name;
    case "Fence":
      return join(step.fencing.uid, attemptsEnded(step.fencing), step.level.name, step.mayPowerOff);
    case "ConfirmOff":
    case "WriteFencing":
    case "LiftRemediation":
    case "UnfenceStorage":
      return join(step.fencing.uid, step.fencing.resourceVersion);
    case "PowerOn":
      return join(step.fencing.uid, step.level.name);
    case "RecordStorageClients":
      return join(step.node, step.bootID);
    case "Taint":
      return join(step.node, step.proof.bootID);
    case "Release":
      return join(step.proof.fencing, step.vmKey, ...step.pods.map((pod) => pod.uid).sort());
    case "StartVM":
      return step.vmKey;
    case "DeleteVMI":
    case "RestartVM":
      return join(step.vmKey, step.vmiUID);
    case "CreateMigration":
      return join(step.vmKey, step.name);
    case "AbortMigration":
    case "DeleteProtection":
      return step.uid;
    case "WriteProtection":
      return join(step.protection.uid, step.protection.resourceVersion);
    case "ApplyProtection":
      return join(step.namespace, step.name, step.vmUID, step.policy.name, step.policy.generation);
    case "WriteSummary":
      return join(step.resource, step.name, step.resourceVersion);
    case "WriteDrill":
      return join(step.drill.uid, step.drill.resourceVersion);
    case "Cordon":
    case "Uncordon":
      return join(step.node, step.drill);
    case "StartDrillProbes":
    case "StopDrillProbes":
      return step.run;
  }
}

/** Not the version: an attempt under way writes into the ledger itself, and must not be offered again for that. */
function attemptsEnded(fencing: FencingFact): number {
  const last = fencing.status.attempts.at(-1);
  if (last === undefined) return 0;
  return last.outcome === "Started" ? last.number - 1 : last.number;
}

function join(...parts: readonly (string | number | boolean)[]): string {
  return parts.join("/");
}

/** Room between two bands, for the priorities of VMs within one. */
const BAND = 10_000;
/** Highest priority of a VM. */
const MAX_VM_PRIORITY = 1_000;

/** Lower goes first: what proves a node dead, what releases its VMs (the important ones first), and statuses last. */
export function priorityOf(step: Step): number {
  switch (step.kind) {
    case "RefreshNode":
    case "OpenFencing":
    case "Fence":
    case "ConfirmOff":
    case "WriteFencing":
      return 0;
    case "Taint":
      return BAND;
    case "Release":
      return 2 * BAND + less(step.priority);
    case "DeleteVMI":
    case "StartVM":
      return 3 * BAND;
    case "AbortMigration":
      return 4 * BAND;
    case "CreateMigration":
    case "RestartVM":
      return 5 * BAND;
    case "Untaint":
    case "Quarantine":
    case "Uncordon":
    case "PowerOn":
    case "LiftRemediation":
    case "UnfenceStorage":
      return 6 * BAND;
    case "WriteProtection":
      // What a failover has come to is what people wait to read.
      return (step.status.failover === undefined ? 8 : 7) * BAND + less(step.protection.priority);
    case "ApplyProtection":
    case "DeleteProtection":
    case "RecordStorageClients":
      return 9 * BAND;
    case "WriteSummary":
    case "WriteDrill":
    case "Cordon":
    case "StartDrillProbes":
    case "StopDrillProbes":
      return 10 * BAND;
  }
}

function less(vmPriority: number): number {
  return Math.min(BAND - 1, Math.max(0, MAX_VM_PRIORITY - vmPriority));
}
