// Brings VMs home by live migration, where their policy says so and home has been fit for long enough.
import type { ProtectionFact } from "../model/protection.ts";
import type { NodeFact } from "../model/node.ts";
import type { VMIFact } from "../model/virtual-machine.ts";
import { isToBeEmptied, whyNotMigratable } from "./evacuation.ts";
import type { MigrationSlots } from "./migration-slots.ts";
import { migrationStep, nextAttemptAtMs, unfinishedMigrationOf } from "./migrations.ts";
import { satisfies } from "./placement.ts";
import { byImportance, protectionOf, type Turn } from "./turn.ts";

/** Steps for all VMs that are away from home, the important first. */
export function decideFailbacks(turn: Turn, slots: MigrationSlots): void {
  const away: ProtectionFact[] = [];
  for (const key of turn.snapshot.index.unsettled) {
    const protection = turn.snapshot.protections.get(key);
    if (protection?.failback.policy !== "Automatic" || protection.status.displacedFrom === undefined)
      continue;
    if (protectionOf(turn.snapshot, protection.vmKey) === protection) away.push(protection);
  }
  for (const protection of away.sort(byImportance)) bringHome(turn, protection, slots);
}

function bringHome(turn: Turn, protection: ProtectionFact, slots: MigrationSlots): void {
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  if (vmi?.nodeName === undefined || vmi.phase !== "Running" || !vmi.ready || vmi.deleting) return;
  if (protection.status.failover !== undefined || unfinishedMigrationOf(turn, vmi.key) !== undefined) return;
  // Whoever empties its node moves it: two reasons must not make two migrations.
  const node = turn.snapshot.nodes.get(vmi.nodeName);
  if (node === undefined || isToBeEmptied(turn, node) || vmi.evacuationNodeName === vmi.nodeName) return;
  const home = homeOf(turn, protection, vmi);
  if (home === undefined) return;
  if (home.readyAtMs > turn.now.monotonicMs) {
    turn.plan.lookAgain(home.readyAtMs);
    return;
  }
  if (whyNotMigratable(turn, vmi) !== undefined) return;
  const againAtMs = nextAttemptAtMs(turn, vmi, "Failback");
  if (turn.now.monotonicMs < againAtMs) {
    turn.plan.lookAgain(againAtMs);
    return;
  }
  if (!slots.take(vmi.nodeName)) return;
  turn.plan.add(migrationStep(turn, vmi, "Failback", home.selector));
}

interface Home {
  readonly selector: Readonly<Record<string, string>>;
  /** Monotonic time from which it may be gone to: its delay after it last became fit. */
  readonly readyAtMs: number;
}

/** Where the VM belongs: any fit node of `failback.nodeSelector`, or else the node it was displaced from. */
function homeOf(turn: Turn, protection: ProtectionFact, vmi: VMIFact): Home | undefined {
  const { nodeSelector, delayMs } = protection.failback;
  const displacedFrom = protection.status.displacedFrom?.node;
  const byLabels = Object.keys(nodeSelector).length > 0;
  let readyAtMs: number | undefined;
  for (const node of turn.snapshot.nodes.values()) {
    const isHome = byLabels ? hasLabels(node, nodeSelector) : node.name === displacedFrom;
    if (!isHome) continue;
    if (node.name === vmi.nodeName) return undefined;
    if (turn.hosts.get(node.name) !== true || !fits(turn, node, vmi)) continue;
    const atMs = node.placementChangedAtMs + delayMs;
    if (readyAtMs === undefined || atMs < readyAtMs) readyAtMs = atMs;
  }
  if (readyAtMs === undefined) return undefined;
  const hostname = turn.snapshot.nodes.get(displacedFrom ?? "")?.placement.labels["kubernetes.io/hostname"];
  if (byLabels) return { selector: nodeSelector, readyAtMs };
  return hostname === undefined ? undefined : { selector: { "kubernetes.io/hostname": hostname }, readyAtMs };
}

function hasLabels(node: NodeFact, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([key, value]) => node.placement.labels[key] === value);
}

function fits(turn: Turn, node: NodeFact, vmi: VMIFact): boolean {
  const vm = turn.snapshot.vms.get(vmi.key);
  return vm === undefined || satisfies(node.placement, vm.constraints);
}
