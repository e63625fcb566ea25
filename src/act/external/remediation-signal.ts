// What a remediation's status says, kind by kind: working, safe to restart, or failed. Pure; knows no requests.
import { z } from "zod";
import { STRONG_REMEDIATIONS } from "../../model/proof.ts";

/** Names of the medik8s contract. */
export const NODE_NAME_ANNOTATION = "remediation.medik8s.io/node-name";
export const TEMPLATE_NAME_ANNOTATION = "remediation.medik8s.io/template-name";
export const TIMED_OUT_ANNOTATION = "remediation.medik8s.io/nhc-timed-out";
export const MULTIPLE_TEMPLATES_ANNOTATION = "remediation.medik8s.io/multiple-templates-support";
export const EXCLUDE_LABEL = "remediation.medik8s.io/exclude-from-remediation";

const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().optional(),
});

/** A remediation as far as the contract goes; of everything else in it we know nothing. */
export const remediationObject = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string(),
    creationTimestamp: z.string().default(""),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
    ownerReferences: z.array(z.object({ uid: z.string() })).default([]),
  }),
  spec: z.unknown().optional(),
  status: z
    .object({
      conditions: z.array(condition).nullish(),
      phase: z.string().optional(),
      timeAssumedRebooted: z.string().nullish(),
      lastError: z.string().optional(),
    })
    .nullish(),
});

export type Remediation = z.output<typeof remediationObject>;

/** `safe`: VMs may be restarted elsewhere, as far as this kind's word goes. `at`: what the word is as old as. */
export type RemediationSignal =
  | { readonly kind: "working"; readonly message: string }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "safe"; readonly says: string; readonly at: string; readonly horizon?: string };

/** A host that its owner has switched off, and one that was given up. */
const METAL3_FAILED_PHASES = ["Failed", "Deleting machine"];
const SELF_FENCED_PHASES = ["Reboot-Completed", "Fencing-Completed"];

/** The node that it is about, as remediators themselves tell. */
export function nodeOf({ metadata }: Remediation): string {
  return metadata.annotations[NODE_NAME_ANNOTATION] ?? metadata.name;
}

/** When it was told to stop, by whomever; undefined where nobody has. */
export function toldToStop({ metadata }: Remediation): string | undefined {
  return metadata.annotations[TIMED_OUT_ANNOTATION];
}

/** Reads the signal of that kind. A kind nobody knows is taken by the contract's own `Succeeded`. */
export function signalOf(kind: string, remediation: Remediation, nowWallMs: number): RemediationSignal {
  const safe = safeSignal(kind, remediation, nowWallMs);
  if (safe !== undefined) return safe;
  const failure = failureOf(kind, remediation);
  if (failure !== undefined) return { kind: "failed", message: failure };
  const { conditions, phase, lastError } = remediation.status ?? {};
  const told = (conditions ?? []).map(({ type, status }) => `${type}=${status}`);
  if (phase !== undefined) told.push(`phase ${phase}`);
  if (lastError) told.push(lastError);
  return { kind: "working", message: told.length === 0 ? "it says nothing yet" : told.join(", ") };
}

function safeSignal(
  kind: string,
  remediation: Remediation,
  nowWallMs: number,
): RemediationSignal | undefined {
  const created = remediation.metadata.creationTimestamp;
  // Time goes on whether or not anybody acts; who was told to stop may not have.
  if (!STRONG_REMEDIATIONS.includes(kind) && toldToStop(remediation) !== undefined) return undefined;
  switch (kind) {
    case "FenceAgentsRemediation":
      // Before it deletes pods; `Succeeded` comes after.
      return fromCondition(remediation, "FenceAgentActionSucceeded");
    case "StorageBasedRemediation": {
      const signal = fromCondition(remediation, "FencingSucceeded");
      // By time or by the node's silence: only as young as the request itself.
      return signal && { ...signal, at: created };
    }
    case "SelfNodeRemediation":
      return selfFenced(remediation, nowWallMs);
    case "Metal3Remediation":
      return remediation.status?.phase === "Waiting"
        ? { kind: "safe", says: "phase Waiting", at: created }
        : undefined;
    default:
      return fromCondition(remediation, "Succeeded");
  }
}

/** Its phase, and on our own clock as well the time by which it assumes the reboot. */
function selfFenced({ metadata, status }: Remediation, nowWallMs: number): RemediationSignal | undefined {
  const horizon = status?.timeAssumedRebooted;
  if (horizon === undefined || horizon === null || !SELF_FENCED_PHASES.includes(status?.phase ?? ""))
    return undefined;
  const horizonMs = Date.parse(horizon);
  if (Number.isNaN(horizonMs) || nowWallMs < horizonMs) return undefined;
  const says = `phase ${status?.phase ?? ""}, reboot assumed by ${horizon}`;
  return { kind: "safe", says, at: metadata.creationTimestamp, horizon };
}

function fromCondition(remediation: Remediation, type: string): SafeSignal | undefined {
  const found = conditionOf(remediation, type);
  if (found?.status !== "True") return undefined;
  return {
    kind: "safe",
    says: `${type}=True`,
    at: found.lastTransitionTime ?? remediation.metadata.creationTimestamp,
  };
}

type SafeSignal = Extract<RemediationSignal, { kind: "safe" }>;

function failureOf(kind: string, remediation: Remediation): string | undefined {
  const stoppedAt = toldToStop(remediation);
  if (stoppedAt !== undefined) return stoppedText(stoppedAt);
  const phase = remediation.status?.phase ?? "";
  if (kind === "Metal3Remediation" && METAL3_FAILED_PHASES.includes(phase)) return `phase ${phase}`;
  const succeeded = conditionOf(remediation, "Succeeded");
  if (succeeded?.status === "False") return `Succeeded=False${reasonText(succeeded)}`;
  const ready = conditionOf(remediation, "Ready");
  const gaveUp = ready?.status === "False" && ready.reason === "RemediationFailed";
  return kind === "StorageBasedRemediation" && gaveUp ? `Ready=False${reasonText(ready)}` : undefined;
}

/** For people: that it was told to stop, and when. */
export function stoppedText(at: string): string {
  return `it was told to stop at ${at}`;
}

function conditionOf({ status }: Remediation, type: string) {
  return status?.conditions?.find((one) => one.type === type);
}

function reasonText({
  reason,
  message,
}: {
  reason?: string | undefined;
  message?: string | undefined;
}): string {
  const parts = [reason, message].filter(Boolean).join(": ");
  return parts === "" ? "" : ` (${parts})`;
}
