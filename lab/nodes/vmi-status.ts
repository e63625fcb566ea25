// What virt-handler writes about a VMI it owns, computed from the VMI and the domain on this node. Pure: each function returns a changed copy or undefined.
import type { GuestEnd } from "../oracle/witness.ts";
import type { Launcher } from "./launcher.ts";
import { judgeMigratability } from "./live-migratable.ts";
import { type Condition, timestamp } from "./objects.ts";
import { graceSecondsOf, type Vmi, type VmiPhase, type VmiStatus } from "./vmi.ts";
import { plainCopy } from "../plain-data.ts";

/** What virt-handler sees of a domain. */
export type SeenDomain = Pick<Launcher, "domain" | "end"> & { readonly stalled?: boolean };

/** KubeVirt's `calculateVmPhaseForStatusReason`. `launcher` undefined: no trace of it on this node. */
export function phaseOf(vmi: Vmi, launcher: SeenDomain | undefined): VmiPhase | undefined {
  const phase = vmi.status?.phase;
  if (!launcher) return phase === "Scheduled" || phase === "Running" ? "Failed" : phase;
  if (launcher.domain === "running") return "Running";
  if (launcher.domain === "off") return phaseAtEnd(vmi, launcher.end);
  return phase;
}

function phaseAtEnd(vmi: Vmi, end: GuestEnd | undefined): VmiPhase | undefined {
  switch (end) {
    case "shutdown":
      return "Succeeded";
    case "killed":
      // Without a grace period being killed is the agreed way to stop.
      return graceSecondsOf(vmi) === 0 ? "Succeeded" : "Failed";
    case "crashed":
    case "powerLoss":
      return "Failed";
    case "migrated":
    case undefined:
      return vmi.status?.phase;
  }
}

/** The VMI with its phase and, while it runs, everything virt-handler knows of it; undefined where nothing would change. */
export function withDomainStatus(
  vmi: Vmi,
  launcher: SeenDomain | undefined,
  podIP: string | undefined,
): Vmi | undefined {
  const phase = phaseOf(vmi, launcher);
  const draft = plainCopy(vmi);
  const status: VmiStatus = draft.status ?? {};
  draft.status = status;
  let changed = false;
  if (phase !== undefined && phase !== status.phase) {
    status.phase = phase;
    status.phaseTransitionTimestamps = [
      ...(status.phaseTransitionTimestamps ?? []).filter((transition) => transition.phase !== phase),
      { phase, phaseTransitionTimestamp: timestamp() },
    ];
    changed = true;
  }
  if (phase === "Running")
    changed = describeRunning(draft, { status, podIP, stalled: launcher?.stalled === true }) || changed;
  return changed ? draft : undefined;
}

const PAUSED_BY_IO_ERROR: Omit<Condition, "lastProbeTime" | "lastTransitionTime"> = {
  type: "Paused",
  status: "True",
  reason: "PausedIOError",
  message: "VMI was paused, low-level IO error detected",
};

interface Seen {
  readonly status: VmiStatus;
  readonly podIP: string | undefined;
  readonly stalled: boolean;
}

function describeRunning(vmi: Vmi, { status, podIP, stalled }: Seen): boolean {
  const before = JSON.stringify([status.conditions, status.migrationMethod, status.interfaces]);
  const { conditions, method } = judgeMigratability(vmi);
  const agent: Condition = {
    type: "AgentConnected",
    status: "True",
    lastProbeTime: timestamp(),
    lastTransitionTime: null,
  };
  const others = (status.conditions ?? []).filter(
    ({ reason }) => reason !== PAUSED_BY_IO_ERROR.reason || stalled,
  );
  const paused: Condition = {
    ...PAUSED_BY_IO_ERROR,
    lastProbeTime: timestamp(),
    lastTransitionTime: timestamp(),
  };
  status.conditions = mergeConditions(others, [...conditions, agent, ...(stalled ? [paused] : [])]);
  status.migrationMethod = method;
  const interfaces = interfacesOf(vmi, status, podIP);
  if (interfaces.length > 0) status.interfaces = interfaces;
  status.selinuxContext ??= "none";
  status.machine ??= { type: "q35" };
  return JSON.stringify([status.conditions, status.migrationMethod, status.interfaces]) !== before;
}

/** Replaces conditions that say something new, and leaves the rest as they were, other writers' among them. */
function mergeConditions(known: readonly Condition[], own: readonly Condition[]): Condition[] {
  const merged = [...known];
  for (const condition of own) {
    const at = merged.findIndex(({ type }) => type === condition.type);
    const before = merged[at];
    if (!before) merged.push(condition);
    else if (
      before.status !== condition.status ||
      before.reason !== condition.reason ||
      before.message !== condition.message
    )
      merged[at] = condition;
  }
  return merged;
}

function interfacesOf(vmi: Vmi, status: VmiStatus, podIP: string | undefined) {
  const known = status.interfaces ?? [];
  const podNetworks = new Set(vmi.spec.networks?.filter(({ pod }) => pod).map(({ name }) => name));
  return (vmi.spec.domain?.devices?.interfaces ?? []).map(({ name, macAddress }) => {
    const before = known.find((seen) => seen.name === name);
    const address = podNetworks.has(name) ? podIP : undefined;
    return {
      ...before,
      name,
      mac: macAddress ?? before?.mac ?? macOf(vmi.metadata.uid ?? "", name),
      ...(address === undefined ? {} : { ipAddress: address, ipAddresses: [address] }),
    };
  });
}

/** A stable, locally administered address. */
function macOf(uid: string, name: string): string {
  let hash = 0;
  for (const character of uid + name) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  const bytes = [0x02, 0, hash >>> 24, (hash >>> 16) & 255, (hash >>> 8) & 255, hash & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
