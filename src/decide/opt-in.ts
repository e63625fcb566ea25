// HAVirtualMachinePolicy: an HAVirtualMachine for every VM that labels select and nobody protects by hand, kept like its
// template, and removed when nothing selects the VM any more.
import { selectorMatches } from "../model/label-selector.ts";
import type { OptInPolicyFact, ProtectionFact } from "../model/protection.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { VMFact } from "../model/virtual-machine.ts";
import { conditionsOf } from "./condition.ts";
import { sameData } from "../model/equal.ts";
import { vmEvents } from "./event.ts";
import { derivedName } from "./text.ts";
import { protectionOf, type Turn } from "./turn.ts";

/** Steps for the VMs that changed, or for all when the rules did. */
export function decideOptIns(turn: Turn): void {
  const { snapshot } = turn;
  const policies = [...snapshot.policies.values()]
    .filter((policy) => !policy.deleting)
    .sort((a, b) => b.precedence - a.precedence || (a.name < b.name ? -1 : 1));
  for (const key of vmsToLookAt(snapshot)) {
    const vm = snapshot.vms.get(key);
    if (vm !== undefined && !vm.deleting) decideOptIn(turn, vm, policyFor(snapshot, policies, vm));
  }
  decidePolicyStatuses(turn, policies);
}

function vmsToLookAt(snapshot: Snapshot): Iterable<string> {
  const { last, changes } = snapshot;
  if (last === undefined || changes.everything || changes.rules) return snapshot.vms.keys();
  return new Set([...changes.vmKeys, ...last.unwritten]);
}

function policyFor(
  snapshot: Snapshot,
  policies: readonly OptInPolicyFact[],
  vm: VMFact,
): OptInPolicyFact | undefined {
  const namespaceLabels = snapshot.namespaces.get(vm.namespace) ?? {};
  return policies.find(
    (policy) =>
      selectorMatches(policy.namespaceSelector, namespaceLabels) &&
      selectorMatches(policy.selector, vm.labels),
  );
}

function decideOptIn(turn: Turn, vm: VMFact, policy: OptInPolicyFact | undefined): void {
  const existing: ProtectionFact[] = [];
  for (const key of turn.snapshot.index.protectionsByVM.get(vm.key) ?? []) {
    const protection = turn.snapshot.protections.get(key);
    if (protection !== undefined && !protection.deleting) existing.push(protection);
  }
  const byHand = existing.some((protection) => protection.madeByPolicy === undefined);
  const made = existing.filter((protection) => protection.madeByPolicy !== undefined);
  const wanted = policy !== undefined && !byHand ? policy : undefined;
  const current = wanted === undefined ? undefined : protectionOf(turn.snapshot, vm.key);
  if (wanted !== undefined) {
    const upToDate = current?.madeByPolicy === wanted.name && current.policyGeneration === wanted.generation;
    if (!upToDate) turn.plan.add(applyStep(turn, vm, wanted, current));
  }
  for (const protection of made) {
    if (protection === current) continue;
    // A failover under way is finished first: withdrawing the promise must not strand the VM half-way.
    if (protection.status.failover !== undefined) continue;
    turn.plan.add({
      kind: "DeleteProtection",
      namespace: protection.namespace,
      name: protection.name,
      uid: protection.uid,
    });
  }
}

function applyStep(turn: Turn, vm: VMFact, policy: OptInPolicyFact, current: ProtectionFact | undefined) {
  const taken = turn.snapshot.protections.get(vm.key);
  const free = taken === undefined || taken.vmKey === vm.key;
  return {
    kind: "ApplyProtection",
    policy,
    namespace: vm.namespace,
    name: current?.name ?? (free ? vm.name : derivedName("havm", vm.name, vm.uid)),
    vmName: vm.name,
    vmUID: vm.uid,
    events: current === undefined ? vmEvents(turn, vm.key, createdBy(policy)) : [],
  } as const;
}

function createdBy({ name }: OptInPolicyFact) {
  const message = `HAVirtualMachinePolicy ${name} selects it, so an HAVirtualMachine is made for it`;
  return { type: "Normal", reason: "ProtectionCreated", message } as const;
}

function decidePolicyStatuses(turn: Turn, policies: readonly OptInPolicyFact[]): void {
  // Counted as they will be when all is settled: else every VM of a lost node would have the policy's status rewritten.
  const moving = policies.length > 0 && isMoving(turn);
  for (const policy of policies) {
    const counted = turn.snapshot.index.madeByPolicy.get(policy.name) ?? NONE_MADE;
    const { selected = 0, protectedVMs = 0 } =
      moving && policy.status.observedGeneration === policy.generation ? policy.status : counted;
    const status = {
      observedGeneration: policy.generation,
      selected,
      protectedVMs,
      conditions: conditionsOf(
        [
          selected > 0
            ? { type: "Accepted", status: "True", reason: "Selected", message: "" }
            : {
                type: "Accepted",
                status: "False",
                reason: "SelectsNothing",
                message:
                  "no VirtualMachine matches spec.selector and spec.namespaceSelector without being protected already",
              },
        ],
        policy.status.conditions,
        turn.now.wallMs,
        policy.generation,
      ),
    };
    if (sameData(status, policy.status)) continue;
    turn.plan.add({
      kind: "WriteSummary",
      resource: "havirtualmachinepolicies",
      name: policy.name,
      resourceVersion: policy.resourceVersion,
      status,
    });
  }
}

const NONE_MADE = { selected: 0, protectedVMs: 0 };

/** With more statuses than this still to be written, the counts are about to change again. */
const MANY_UNWRITTEN = 20;

/** Whether a VM is on its way up after a loss (what is blocked may stay so for long and does not count), or many are made. */
function isMoving(turn: Turn): boolean {
  const { last } = turn.snapshot;
  if ((last?.unwritten.size ?? 0) + (last?.postponed.size ?? 0) > MANY_UNWRITTEN) return true;
  for (const key of turn.snapshot.index.unsettled) {
    if (turn.snapshot.protections.get(key)?.status.failover?.phase === "Recovering") return true;
  }
  return false;
}
