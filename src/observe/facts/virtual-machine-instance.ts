// VirtualMachineInstance -> VMIFact. Times are what we saw; KubeVirt's own stamps (whole seconds) where we came later.
import { z } from "zod";
import type { LiveMigratable, VMIFact, VMIMigrationState } from "../../model/virtual-machine.ts";
import { sharedName } from "../object-key.ts";
import {
  keyOf,
  metadata,
  nodeNameOf,
  type Reading,
  type ReadingContext,
  readWith,
  wallMsOfTime,
} from "./reading.ts";
import { SharedValues } from "./shared-values.ts";

const values = new SharedValues();

const vmiObject = z.object({
  metadata,
  spec: z.object({ evictionStrategy: z.string().nullish() }).nullish(),
  status: z
    .object({
      phase: z.string().optional(),
      nodeName: z.string().optional(),
      evacuationNodeName: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().nullish(),
            message: z.string().nullish(),
            lastTransitionTime: z.string().nullish(),
          }),
        )
        .nullish(),
      phaseTransitionTimestamps: z
        .array(z.object({ phase: z.string(), phaseTransitionTimestamp: z.string().nullish() }))
        .nullish(),
      migrationState: z
        .object({
          migrationUid: z.string().nullish(),
          sourceNode: z.string().nullish(),
          targetNode: z.string().nullish(),
          targetNodeDomainReadyTimestamp: z.string().nullish(),
          completed: z.boolean().nullish(),
          failed: z.boolean().nullish(),
        })
        .nullish(),
      interfaces: z.array(z.object({ ipAddress: z.string().nullish() })).nullish(),
    })
    .nullish(),
});

type VMIObject = z.output<typeof vmiObject>;

const PHASES: readonly string[] = [
  "Pending",
  "Scheduling",
  "Scheduled",
  "Running",
  "Succeeded",
  "Failed",
  "WaitingForSync",
];

/** Reads a VMI; a new UID under the same name is a new guest and starts with no history. */
export function readVMI(raw: unknown, context: ReadingContext<VMIFact>): Reading<VMIFact> {
  return readWith(vmiObject, raw, (vmi) => {
    const { status } = vmi;
    const before = context.previous?.uid === vmi.metadata.uid ? context.previous : undefined;
    const phase = status?.phase === undefined || status.phase === "" ? "Pending" : status.phase;
    const ready = conditionOf(vmi, "Ready")?.status === "True";
    const agentConnected = conditionOf(vmi, "AgentConnected")?.status === "True";
    return {
      key: keyOf(vmi.metadata),
      namespace: sharedName(vmi.metadata.namespace ?? ""),
      name: vmi.metadata.name,
      uid: vmi.metadata.uid,
      phase: PHASES.includes(phase) ? (phase as VMIFact["phase"]) : "Unknown",
      nodeName: nodeNameOf(status?.nodeName),
      ready,
      paused: pausedReason(vmi),
      liveMigratable: liveMigratable(vmi),
      evictionStrategy: vmi.spec?.evictionStrategy ?? undefined,
      evacuationNodeName: status?.evacuationNodeName === "" ? undefined : status?.evacuationNodeName,
      migration: migrationState(vmi),
      deleting: vmi.metadata.deletionTimestamp !== undefined,
      scheduledAtWallMs: reached(vmi, ["Scheduled", "Running"], before, {
        before: before?.scheduledAtWallMs,
        context,
      }),
      runningAtWallMs: reached(vmi, ["Running"], before, { before: before?.runningAtWallMs, context }),
      readyAtWallMs: readyAt(vmi, ready, before, context),
      createdAtWallMs: wallMsOfTime(vmi.metadata.creationTimestamp),
      readyChangedAtWallMs:
        before === undefined
          ? stampOf(vmi, "Ready")
          : before.ready === ready
            ? before.readyChangedAtWallMs
            : context.seenAtWallMs,
      agentConnected,
      agentChangedAtWallMs:
        before === undefined
          ? stampOf(vmi, "AgentConnected")
          : before.agentConnected === agentConnected
            ? before.agentChangedAtWallMs
            : context.seenAtWallMs,
      address: addressOf(vmi),
      firstSeenMs: before?.firstSeenMs ?? context.seenAtMs,
    };
  });
}

function conditionOf(vmi: VMIObject, type: string) {
  return vmi.status?.conditions?.find((condition) => condition.type === type);
}

/** When a condition last changed, by KubeVirt's own stamp. */
function stampOf(vmi: VMIObject, type: string): number | undefined {
  return wallMsOfTime(conditionOf(vmi, type)?.lastTransitionTime ?? undefined);
}

function addressOf({ status }: VMIObject): string | undefined {
  const named = status?.interfaces?.find(
    ({ ipAddress }) => typeof ipAddress === "string" && ipAddress !== "",
  );
  return named?.ipAddress ?? undefined;
}

function pausedReason(vmi: VMIObject): string | undefined {
  const paused = conditionOf(vmi, "Paused");
  return paused?.status === "True" ? (paused.reason ?? "Paused") : undefined;
}

function liveMigratable(vmi: VMIObject): LiveMigratable | undefined {
  const condition = conditionOf(vmi, "LiveMigratable");
  if (condition === undefined) return undefined;
  return values.share({
    status: condition.status === "True",
    reason: condition.reason ?? "",
    message: condition.message ?? "",
  });
}

function migrationState(vmi: VMIObject): VMIMigrationState | undefined {
  const state = vmi.status?.migrationState;
  if (state === null || state === undefined) return undefined;
  return {
    uid: state.migrationUid ?? undefined,
    sourceNode: state.sourceNode ?? undefined,
    targetNode: state.targetNode ?? undefined,
    targetReady: typeof state.targetNodeDomainReadyTimestamp === "string",
    ended: state.completed === true || state.failed === true,
  };
}

/** When one of the phases was first reached: kept once known, what we saw where we watched, else KubeVirt's stamp. */
function reached(
  vmi: VMIObject,
  phases: readonly string[],
  previous: VMIFact | undefined,
  known: { readonly before: number | undefined; readonly context: ReadingContext<VMIFact> },
): number | undefined {
  if (known.before !== undefined) return known.before;
  if (!phases.includes(vmi.status?.phase ?? "")) return undefined;
  if (previous !== undefined) return known.context.seenAtWallMs;
  const stamp = vmi.status?.phaseTransitionTimestamps?.find((entry) => phases.includes(entry.phase));
  return wallMsOfTime(stamp?.phaseTransitionTimestamp ?? undefined);
}

function readyAt(
  vmi: VMIObject,
  ready: boolean,
  previous: VMIFact | undefined,
  context: ReadingContext<VMIFact>,
): number | undefined {
  if (previous?.readyAtWallMs !== undefined) return previous.readyAtWallMs;
  if (!ready || vmi.status?.phase !== "Running") return undefined;
  if (previous !== undefined) return context.seenAtWallMs;
  return wallMsOfTime(conditionOf(vmi, "Ready")?.lastTransitionTime ?? undefined);
}
