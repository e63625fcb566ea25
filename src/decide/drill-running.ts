// A run of a drill with what it is judged from: where its VMs are, and which times have come. Decides nothing.
import type { DrilledVM, DrillFact, DrillProbing, DrillRun } from "../model/drill.ts";
import type { MigrationFact, VMIFact } from "../model/virtual-machine.ts";
import type { MigrationSlots } from "./migration-slots.ts";
import { protectionOf, type Turn } from "./turn.ts";

/** A run with what it is judged from. */
export interface Running {
  readonly turn: Turn;
  readonly drill: DrillFact;
  readonly run: DrillRun;
  readonly slots: MigrationSlots;
  readonly probing: DrillProbing | undefined;
}

/** Whether the VM has left the node and is up again, or is not wanted up any more by its owner. */
export function isAway({ turn, drill, run }: Running, vm: DrilledVM | undefined): boolean {
  if (vm === undefined) return true;
  const fact = turn.snapshot.vms.get(keyOf(vm));
  if (fact === undefined || fact.deleting || fact.runStrategy === "Halted") return true;
  const vmi = vmiOf(turn, vm);
  if (vmi === undefined || vmi.phase !== "Running" || !vmi.ready || vmi.deleting) return false;
  const protection = protectionOf(turn.snapshot, vmi.key);
  if (protection?.status.failover !== undefined) return false;
  if (drill.type === "NodeLoss") return vmi.uid !== vm.vmiUID;
  return vmi.nodeName !== run.node && (drill.type === "NodeEvacuation" || vmi.uid === vm.vmiUID);
}

/** What of the run is missing, for people. */
export function stillAway(running: Running): string {
  const { virtualMachines, node } = running.run;
  const missing = virtualMachines.filter((vm) => !isAway(running, vm));
  return missing.length === 0
    ? "the services do not answer"
    : `${missing.length} of ${virtualMachines.length} VMs from ${node} are not up elsewhere, the first ${keyOf(missing[0])}`;
}

/** The live migration that does it; undefined where there is none, or another type of drill. */
export function migrationOf({ turn, drill, run }: Running): MigrationFact | undefined {
  const [vm] = run.virtualMachines;
  if (drill.type !== "LiveMigration" || vm === undefined || run.effect === undefined) return undefined;
  return turn.snapshot.migrations.get(`${vm.namespace}/${run.effect}`);
}

/** The VM's instance as it is now. */
export function vmiOf(
  turn: Turn,
  vm: Pick<DrilledVM, "namespace" | "name"> | undefined,
): VMIFact | undefined {
  return vm === undefined ? undefined : turn.snapshot.vmis.get(keyOf(vm));
}

/** `namespace/name` of the VM. */
export function keyOf(vm: Pick<DrilledVM, "namespace" | "name"> | undefined): string {
  return vm === undefined ? "" : `${vm.namespace}/${vm.name}`;
}

/** Whether a wall time has come; if not, asks for a turn when it has. A clock that is wrong costs a drill its timing only. */
export function isPast(turn: Turn, atWallMs: number): boolean {
  const left = leftMs(turn, atWallMs);
  if (left <= 0) return true;
  turn.plan.lookAgain(turn.now.monotonicMs + left);
  return false;
}

/** How long until a wall time. */
export function leftMs({ now }: Turn, atWallMs: number): number {
  return atWallMs - now.wallMs;
}
