// Cordon means: live-migrate every VM in our care away, the important first, within KubeVirt's slots; uncordon means stop.
import type { ProtectionFact } from "../model/protection.ts";
import {
  isFinal,
  type KubeVirtConfig,
  type MigrationFact,
  type MigrationPurpose,
  type VMIFact,
} from "../model/virtual-machine.ts";
import { isOutOfService, type NodeFact } from "../model/node.ts";
import { derivedName } from "./text.ts";
import { protectedOn, type Turn } from "./turn.ts";

/** A failed migration is tried again no later than this after it failed. */
const MAX_BACKOFF_MS = 600_000;

/** The taint key by which KubeVirt can be told to evacuate on cordon by itself. */
const UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable";

/** What is known of moving one VM off its cordoned node. */
export type EvacuationState =
  | { readonly kind: "migrating"; readonly migration: MigrationFact }
  | { readonly kind: "restarting" }
  | { readonly kind: "waiting"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "due" }
  | { readonly kind: "restartDue" };

/** Free migration slots: what KubeVirt allows less what is under way, whoever started it. */
export class MigrationSlots {
  #cluster: number;
  #outbound = new Map<string, number>();
  #perNode: number;

  constructor(turn: Turn) {
    const { kubeVirt, index, migrations, vmis } = turn.snapshot;
    const allowed = Math.min(
      kubeVirt.parallelMigrationsPerCluster,
      turn.policy.maxConcurrentMigrations ?? kubeVirt.parallelMigrationsPerCluster,
    );
    this.#cluster = allowed - index.unfinishedMigrations.size;
    this.#perNode = kubeVirt.parallelOutboundMigrationsPerNode;
    for (const key of index.unfinishedMigrations) {
      const source = vmis.get(migrations.get(key)?.vmiKey ?? "")?.nodeName;
      if (source !== undefined) this.#outbound.set(source, (this.#outbound.get(source) ?? 0) + 1);
    }
  }

  /** Takes a slot for a migration away from `node`; false when none is free. */
  take(node: string): boolean {
    const outbound = this.#outbound.get(node) ?? 0;
    if (this.#cluster <= 0 || outbound >= this.#perNode) return false;
    this.#cluster -= 1;
    this.#outbound.set(node, outbound + 1);
    return true;
  }
}

/** Whether the node is to be emptied: cordoned, alive, and not on its way out by fencing. */
export function isToBeEmptied(turn: Turn, node: NodeFact): boolean {
  const verdict = turn.verdicts.get(node.name);
  return (
    node.placement.unschedulable &&
    !isOutOfService(node) &&
    !turn.openFencings.has(node.name) &&
    (verdict?.kind === "healthy" || verdict?.kind === "suspect" || verdict?.kind === "isolated")
  );
}

/** Steps for all cordoned nodes, and aborts for migrations whose reason has gone. */
export function decideEvacuations(turn: Turn, slots: MigrationSlots): void {
  for (const node of turn.snapshot.nodes.values()) {
    if (!isToBeEmptied(turn, node)) continue;
    for (const protection of protectedOn(turn, node.name)) evacuate(turn, protection, node, slots);
  }
  abortPointless(turn);
}

function evacuate(turn: Turn, protection: ProtectionFact, node: NodeFact, slots: MigrationSlots): void {
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  if (vmi === undefined) return;
  const state = evacuationState(turn, protection, vmi);
  switch (state.kind) {
    case "migrating":
      if (turn.now.monotonicMs - state.migration.firstSeenMs >= protection.evacuation.timeoutMs) {
        abort(turn, state.migration, "evacuation.timeout has passed");
      } else {
        turn.plan.lookAgain(state.migration.firstSeenMs + protection.evacuation.timeoutMs);
      }
      return;
    case "due":
      if (slots.take(node.name)) {
        turn.plan.add(migrationStep(turn, vmi, "Evacuation", protection.evacuation.targetSelector));
      } else {
        turn.plan.refuse(
          `vm/${protection.vmKey}`,
          "WaitingForMigrationSlot",
          "KubeVirt's migration slots are taken",
        );
      }
      return;
    case "restartDue":
      turn.plan.add({ kind: "RestartVM", vmKey: protection.vmKey, vmiUID: vmi.uid });
      return;
    case "refused":
      turn.plan.refuse(`vm/${protection.vmKey}`, "NotMigratable", state.why);
      return;
    case "waiting":
    case "restarting":
      return;
  }
}

/** Where the VM stands on its way off the cordoned node. */
export function evacuationState(turn: Turn, protection: ProtectionFact, vmi: VMIFact): EvacuationState {
  const { strategy } = protection.evacuation;
  if (isFinal(vmi) || vmi.deleting) return { kind: "restarting" };
  const running = unfinishedMigrationOf(turn, vmi.key);
  if (running?.purpose === "Evacuation") return { kind: "migrating", migration: running };
  if (running !== undefined)
    return { kind: "waiting", why: `migration ${running.name} of somebody else is under way` };
  if (strategy === "None")
    return { kind: "refused", why: "evacuation.strategy is None: it stays on the cordoned node" };
  const other = otherEvacuator(turn, vmi);
  if (other !== undefined) return { kind: "waiting", why: other };
  if (vmi.phase !== "Running") return { kind: "waiting", why: `it is ${vmi.phase}, not yet Running` };
  const blocked = whyNotMigratable(turn, protection, vmi);
  if (blocked !== undefined) {
    if (strategy !== "LiveMigrateOrRestart") return { kind: "refused", why: blocked };
    return hasPlaceElsewhere(turn, vmi) ? { kind: "restartDue" } : { kind: "refused", why: blocked };
  }
  const againAtMs = nextAttemptAtMs(turn, vmi, "Evacuation");
  if (turn.now.monotonicMs < againAtMs) {
    turn.plan.lookAgain(againAtMs);
    return { kind: "waiting", why: "the last migration failed; it is tried again after a pause" };
  }
  return { kind: "due" };
}

/** Who else empties this VM's node, so that we stand aside. */
function otherEvacuator(turn: Turn, vmi: VMIFact): string | undefined {
  const config: KubeVirtConfig = turn.snapshot.kubeVirt;
  const evictionStrategy = vmi.evictionStrategy ?? config.evictionStrategy;
  const kubeVirtActs = evictionStrategy === "LiveMigrate" || evictionStrategy === "LiveMigrateIfPossible";
  if (!kubeVirtActs || vmi.liveMigratable?.status === false) return undefined;
  if (vmi.evacuationNodeName !== undefined) return "KubeVirt's own drain is moving it";
  if (config.nodeDrainTaintKey === UNSCHEDULABLE_TAINT)
    return "KubeVirt is configured to evacuate on cordon by itself";
  return undefined;
}

/** Why the VM cannot be live-migrated now, in KubeVirt's words or ours; undefined when it can. */
export function whyNotMigratable(turn: Turn, protection: ProtectionFact, vmi: VMIFact): string | undefined {
  if (vmi.liveMigratable?.status === false) {
    return `KubeVirt cannot live-migrate it: ${vmi.liveMigratable.reason}: ${vmi.liveMigratable.message}`;
  }
  if (!hasPlaceElsewhere(turn, vmi)) return `no other node can host it`;
  if (protection.deleting) return "its HAVirtualMachine is being deleted";
  return undefined;
}

function hasPlaceElsewhere(turn: Turn, vmi: VMIFact): boolean {
  const vm = turn.snapshot.vms.get(vmi.key);
  if (vm === undefined) return true;
  return (turn.candidates.get(vm.constraints.key) ?? []).some((node) => node !== vmi.nodeName);
}

/** The unfinished migration of a VM, ours or another's; ours first. */
export function unfinishedMigrationOf(turn: Turn, vmKey: string): MigrationFact | undefined {
  let found: MigrationFact | undefined;
  for (const key of turn.snapshot.index.migrationsByVM.get(vmKey) ?? []) {
    const migration = turn.snapshot.migrations.get(key);
    if (migration === undefined || migration.finished) continue;
    if (found === undefined || migration.purpose !== undefined) found = migration;
  }
  return found;
}

/** Our finished migrations of this VMI for that purpose, the newest last. */
function finishedOurs(turn: Turn, vmi: VMIFact, purpose?: MigrationPurpose): readonly MigrationFact[] {
  const found: MigrationFact[] = [];
  for (const key of turn.snapshot.index.migrationsByVM.get(vmi.key) ?? []) {
    const migration = turn.snapshot.migrations.get(key);
    if (migration === undefined || !migration.finished || migration.purpose === undefined) continue;
    if (migration.forVMI === vmi.uid && (purpose === undefined || migration.purpose === purpose))
      found.push(migration);
  }
  return found.sort((a, b) => a.createdAtWallMs - b.createdAtWallMs || (a.name < b.name ? -1 : 1));
}

/** Monotonic time before which the VM is not migrated again: back-off after failures, none after a success. */
export function nextAttemptAtMs(turn: Turn, vmi: VMIFact, purpose: MigrationPurpose): number {
  const finished = finishedOurs(turn, vmi, purpose);
  let failures = 0;
  for (let i = finished.length - 1; i >= 0 && finished[i]?.succeeded === false; i--) failures += 1;
  const last = finished.at(-1);
  if (failures === 0 || last?.finishedAtMs === undefined) return 0;
  return last.finishedAtMs + Math.min(MAX_BACKOFF_MS, turn.policy.migrationBackoffMs * 2 ** (failures - 1));
}

/**
 * A migration whose name follows from the VMI and from our last ended migration of it. While one is under way every
 * replica, however stale, arrives at the same name, so KubeVirt's 400 or 409 stops a second (measured: three with
 * different names were all accepted and moved the VM three times).
 */
export function migrationStep(
  turn: Turn,
  vmi: VMIFact,
  purpose: MigrationPurpose,
  targetSelector: Readonly<Record<string, string>>,
) {
  const previous = finishedOurs(turn, vmi).at(-1)?.uid ?? "first";
  return {
    kind: "CreateMigration",
    vmKey: vmi.key,
    vmiUID: vmi.uid,
    name: derivedName("holdfast", vmi.name, `${vmi.uid}/${previous}`),
    purpose,
    targetSelector,
    unschedulableTimeoutSeconds: turn.policy.migrationUnschedulableTimeoutSeconds,
  } as const;
}

/** Evacuations of VMs whose node is no longer cordoned are called off. */
function abortPointless(turn: Turn): void {
  for (const key of turn.snapshot.index.unfinishedMigrations) {
    const migration = turn.snapshot.migrations.get(key);
    if (migration?.purpose !== "Evacuation" || migration.deleting) continue;
    const source = turn.snapshot.vmis.get(migration.vmiKey)?.nodeName;
    const node = source === undefined ? undefined : turn.snapshot.nodes.get(source);
    if (
      node !== undefined &&
      !node.placement.unschedulable &&
      turn.verdicts.get(node.name)?.kind === "healthy"
    ) {
      abort(turn, migration, `${node.name} is no longer cordoned`);
    }
  }
}

function abort(turn: Turn, migration: MigrationFact, why: string): void {
  if (migration.deleting) return;
  turn.plan.add({
    kind: "AbortMigration",
    namespace: migration.namespace,
    name: migration.name,
    uid: migration.uid,
    why,
  });
}
