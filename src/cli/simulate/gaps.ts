// What a cluster or its dump leaves out, without which an answer would reassure for no reason.
import type { Snapshot } from "../../model/snapshot.ts";
import { isFinal } from "../../model/virtual-machine.ts";
import { counted } from "../terminal.ts";

export interface Gaps {
  /** Why nothing can be simulated, and what to do. */
  readonly problem: string | undefined;
  /** What the answer is without, for people. */
  readonly notes: readonly string[];
}

const HOW_TO = "`kubectl holdfast simulate --help` says how a whole dump is made";

/** Looks for kinds that are missing altogether, and for VMs of which a part is missing. */
export function gapsOf(snapshot: Snapshot): Gaps {
  const { nodes, vmis, vms, pods, protections, leases } = snapshot;
  if (nodes.size === 0) return { problem: `there is no Node, so none can be lost; ${HOW_TO}`, notes: [] };
  const running = [...vmis.values()].filter((vmi) => vmi.nodeName !== undefined && !isFinal(vmi));
  const launched = new Set([...pods.values()].map(({ vmiUID }) => vmiUID));
  if (running.length > 0 && !running.some(({ uid }) => launched.has(uid)))
    return {
      problem: `${counted(running.length, "VirtualMachineInstance")} run, and no virt-launcher Pod of theirs is there; ${HOW_TO}`,
      notes: [],
    };
  const notes: string[] = [];
  const homeless = running.filter(({ uid }) => !launched.has(uid)).map(({ key }) => key);
  const orphans = running.filter(({ key }) => !vms.has(key)).map(({ key }) => key);
  if (homeless.length > 0) notes.push(`no virt-launcher Pod is there of ${named(homeless)}`);
  if (orphans.length > 0)
    notes.push(`no VirtualMachine is there of ${named(orphans)}: who starts it again is not known`);
  if (vmis.size === 0)
    notes.push("there is no VirtualMachineInstance: no VM runs, or the dump leaves them out");
  else if (protections.size === 0)
    notes.push("there is no HAVirtualMachine: nothing is promised for any VM, or the dump leaves them out");
  if (![...nodes.keys()].some((name) => leases.get(name) !== undefined))
    notes.push(
      "there is no Lease of a node: which nodes are silent already is told by their heartbeats alone",
    );
  return { problem: undefined, notes };
}

const MAX_NAMED = 3;

function named(keys: readonly string[]): string {
  const more = keys.length > MAX_NAMED ? ` and ${keys.length - MAX_NAMED} more` : "";
  return `${keys.slice(0, MAX_NAMED).join(", ")}${more}`;
}
