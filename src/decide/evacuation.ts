// Cordon means: live-migrate every VM in our care away, the important first, within KubeVirt's slots; uncordon means stop.
import type { ProtectionFact } from "../model/protection.ts";
import { isFinal, type KubeVirtConfig, type MigrationFact, type VMIFact } from "../model/virtual-machine.ts";
import { isOutOfService, type NodeFact } from "../model/node.ts";
import { vmEvents } from "./event.ts";
import type { MigrationSlots } from "./migration-slots.ts";
import { abort, migrationStep, nextAttemptAtMs, sourceOf, unfinishedMigrationOf } from "./migrations.ts";
import { protectedOn, type Turn } from "./turn.ts";

/** The taint key by which KubeVirt can be told to evacuate on cordon by itself. */
const UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable";

/** What is known of moving one VM off its cordoned node. */
export type EvacuationState =
  | { readonly kind: "migrating"; readonly migration: MigrationFact }
  /** It is going down, by us or by itself. */
  | { readonly kind: "ending" }
  | { readonly kind: "waiting"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "due" }
  | { readonly kind: "restartDue" };

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
    for (const protection of protectedOn(turn, node.name)) {
      // Taken for lost until it is heard: a migration away from a dead node would only hold a slot.
      if (protection.status.failover === undefined) evacuate(turn, protection, node, slots);
    }
  }
  abortPointless(turn);
}

function evacuate(turn: Turn, protection: ProtectionFact, node: NodeFact, slots: MigrationSlots): void {
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  if (vmi === undefined) return;
  const state = evacuationState(turn, protection, vmi);
  switch (state.kind) {
    case "migrating":
      giveUpLate(turn, protection, vmi, state.migration);
      return;
    case "due":
      // A node that is late may be dead: nothing is begun there until it is heard again.
      if (turn.verdicts.get(node.name)?.kind === "suspect") return;
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
      restart(turn, vmi, "it cannot be live-migrated off its cordoned node");
      return;
    case "refused":
      turn.plan.refuse(`vm/${protection.vmKey}`, "NotMigratable", state.why);
      return;
    case "waiting":
    case "ending":
      return;
  }
}

/** A migration that takes longer than its policy allows is called off, or the VM restarted where the policy says so. */
function giveUpLate(turn: Turn, protection: ProtectionFact, vmi: VMIFact, migration: MigrationFact): void {
  const untilMs = migration.firstSeenMs + protection.evacuation.timeoutMs;
  if (turn.now.monotonicMs < untilMs) {
    turn.plan.lookAgain(untilMs);
    return;
  }
  if (sourceOf(vmi, migration) === undefined) return;
  if (mayRestart(turn, protection, vmi))
    restart(turn, vmi, "its live migration took longer than evacuation.timeout");
  else abort(turn, migration, "evacuation.timeout has passed");
}

function restart(turn: Turn, vmi: VMIFact, why: string): void {
  turn.plan.add({
    kind: "RestartVM",
    vmKey: vmi.key,
    vmiUID: vmi.uid,
    events: vmEvents(turn, vmi.key, {
      type: "Warning",
      reason: "RestartedForEvacuation",
      message: `restarted on another node, since ${why}`,
    }),
  });
}

/** Whether policy and run strategy let the VM be restarted elsewhere; KubeVirt refuses to restart a VM of strategy Once. */
function mayRestart(turn: Turn, protection: ProtectionFact, vmi: VMIFact): boolean {
  const strategy = turn.snapshot.vms.get(vmi.key)?.runStrategy;
  return (
    protection.evacuation.strategy === "LiveMigrateOrRestart" &&
    (strategy === "Always" || strategy === "RerunOnFailure" || strategy === "Manual") &&
    hasPlaceElsewhere(turn, vmi)
  );
}

/** Where the VM stands on its way off the cordoned node. */
export function evacuationState(turn: Turn, protection: ProtectionFact, vmi: VMIFact): EvacuationState {
  if (isFinal(vmi) || vmi.deleting) return { kind: "ending" };
  const running = unfinishedMigrationOf(turn, vmi.key);
  if (running?.purpose === "Evacuation") return { kind: "migrating", migration: running };
  if (running !== undefined)
    return { kind: "waiting", why: `migration ${running.name}, not of this evacuation, is under way` };
  if (protection.evacuation.strategy === "None")
    return { kind: "refused", why: "evacuation.strategy is None: it stays on the cordoned node" };
  const other = otherEvacuator(turn, vmi);
  if (other !== undefined) return { kind: "waiting", why: other };
  if (vmi.phase !== "Running") return { kind: "waiting", why: `it is ${vmi.phase}, not yet Running` };
  const blocked = whyNotMigratable(turn, vmi);
  if (blocked !== undefined)
    return mayRestart(turn, protection, vmi) ? { kind: "restartDue" } : { kind: "refused", why: blocked };
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
  if (vmi.evacuationNodeName === vmi.nodeName) return "KubeVirt's own drain is moving it";
  if (config.nodeDrainTaintKey === UNSCHEDULABLE_TAINT)
    return "KubeVirt is configured to evacuate on cordon by itself";
  return undefined;
}

/** Why the VM cannot be live-migrated now, in KubeVirt's words or ours; undefined when it can. */
export function whyNotMigratable(turn: Turn, vmi: VMIFact): string | undefined {
  if (vmi.liveMigratable?.status === false) {
    return `KubeVirt cannot live-migrate it: ${vmi.liveMigratable.reason}: ${vmi.liveMigratable.message}`;
  }
  return hasPlaceElsewhere(turn, vmi) ? undefined : "no other node can host it";
}

function hasPlaceElsewhere(turn: Turn, vmi: VMIFact): boolean {
  const vm = turn.snapshot.vms.get(vmi.key);
  if (vm === undefined) return true;
  return (turn.candidates.get(vm.constraints.key) ?? []).some((node) => node !== vmi.nodeName);
}

/** Evacuations of VMs whose node is no longer cordoned are called off. */
function abortPointless(turn: Turn): void {
  for (const key of turn.snapshot.index.unfinishedMigrations) {
    const migration = turn.snapshot.migrations.get(key);
    if (migration?.purpose !== "Evacuation" || migration.deleting) continue;
    const source = sourceOf(turn.snapshot.vmis.get(migration.vmiKey), migration);
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
