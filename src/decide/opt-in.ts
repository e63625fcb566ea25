// HAVirtualMachinePolicy: an HAVirtualMachine for every VM that labels select and nobody protects by hand, kept like its
// template, and removed when nothing selects the VM any more.
import { selectorMatches } from "../model/label-selector.ts";
import type { OptInPolicyFact, ProtectionFact } from "../model/protection.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { VMFact } from "../model/virtual-machine.ts";
import { conditionsOf } from "./condition.ts";
import { sameData } from "../model/equal.ts";
import { derivedName } from "./text.ts";
import type { Turn } from "./turn.ts";

/** Steps for the VMs that changed, or for all when the rules did. */
export function decideOptIns(turn: Turn): void {
  const { snapshot } = turn;
  const policies = [...snapshot.policies.values()]
    .filter((policy) => !policy.deleting)
    .sort((a, b) => b.precedence - a.precedence || (a.name < b.name ? -1 : 1));
  const all = snapshot.changes.everything || snapshot.changes.rules;
  const keys = all ? snapshot.vms.keys() : snapshot.changes.vmKeys;
  for (const key of keys) {
    const vm = snapshot.vms.get(key);
    if (vm !== undefined && !vm.deleting) decideOptIn(turn, vm, policyFor(snapshot, policies, vm));
  }
  if (all || snapshot.changes.vmKeys.size > 0) decidePolicyStatuses(turn, policies);
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
  if (policy !== undefined && !byHand) {
    const current = made[0];
    const upToDate = current?.madeByPolicy === policy.name && current.policyGeneration === policy.generation;
    if (!upToDate) turn.plan.add(applyStep(turn, vm, policy, current));
    return;
  }
  for (const protection of made) {
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
  } as const;
}

function decidePolicyStatuses(turn: Turn, policies: readonly OptInPolicyFact[]): void {
  if (policies.length === 0) return;
  const counts = new Map<string, { selected: number; protectedVMs: number }>();
  for (const protection of turn.snapshot.protections.values()) {
    if (protection.madeByPolicy === undefined) continue;
    const count = counts.get(protection.madeByPolicy) ?? { selected: 0, protectedVMs: 0 };
    count.selected += 1;
    const isProtected = protection.status.conditions.some(
      (one) => one.type === "Protected" && one.status === "True",
    );
    if (isProtected) count.protectedVMs += 1;
    counts.set(protection.madeByPolicy, count);
  }
  for (const policy of policies) {
    const { selected, protectedVMs } = counts.get(policy.name) ?? { selected: 0, protectedVMs: 0 };
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
