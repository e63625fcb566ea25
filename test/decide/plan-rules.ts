// What no plan may ever hold, whatever the world looks like: checked on the snapshot it was made from, independently of how
// decide arrives at it.
import { expect } from "vitest";
import type { DecisionPolicy } from "../../src/model/decision-policy.ts";
import { selectorMatches } from "../../src/model/label-selector.ts";
import { isOutOfService } from "../../src/model/node.ts";
import type { Plan, Step } from "../../src/model/plan.ts";
import { releasesByForce } from "../../src/model/proof.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";

type Of<K extends Step["kind"]> = Extract<Step, { kind: K }>;

/** Nodes that a FencingDisarm covers whose end is not on record. */
function disarmed(snapshot: Snapshot): ReadonlySet<string> {
  const found = new Set<string>();
  for (const disarm of snapshot.disarms.values()) {
    const active = disarm.status.conditions.find(({ type }) => type === "Active");
    if (active?.status === "False" && active.observedGeneration === disarm.generation) continue;
    for (const { name, placement } of snapshot.nodes.values())
      if (selectorMatches(disarm.nodeSelector, placement.labels)) found.add(name);
  }
  return found;
}

/** Fails the test where the plan breaks a rule. */
export function expectLawful(plan: Plan, snapshot: Snapshot, policy: DecisionPolicy, nowMs: number): void {
  const perVM = new Map<string, number>();
  const held = disarmed(snapshot);
  for (const step of plan.steps) {
    if (step.kind === "Release") expectProof(step, snapshot);
    if (step.kind === "Taint") expectProof(step, snapshot);
    if (step.kind === "Fence" && step.mayPowerOff) expectSilence(step, snapshot, policy, nowMs);
    if (step.kind === "ConfirmOff") expectWord(step, plan, snapshot);
    if (step.kind === "OpenFencing") expect(held, "not disarmed").not.toContain(step.node);
    if (step.kind === "PowerOn" || (step.kind === "Fence" && step.mayPowerOff))
      expect(held, "not disarmed").not.toContain(step.fencing.nodeName);
    if (step.kind === "DeleteVMI") expect(snapshot.vmis.get(step.vmKey)?.phase).toBe("Failed");
    if (step.kind === "StartVM") expect(snapshot.vms.get(step.vmKey)?.runStrategy).toBe("Manual");
    if (step.kind !== "CreateMigration") continue;
    perVM.set(step.vmKey, (perVM.get(step.vmKey) ?? 0) + 1);
    expect(perVM.get(step.vmKey), "one migration per VM").toBe(1);
    for (const migration of snapshot.migrations.values())
      expect(migration.vmiKey !== step.vmKey || migration.finished, "none beside another").toBe(true);
  }
  expectLimits(plan, snapshot, policy);
}

/** A proof that stands in the ledger, for the incarnation that the node still is, and a taint before the first delete. */
function expectProof(step: Of<"Release"> | Of<"Taint">, snapshot: Snapshot): void {
  const fencing = snapshot.fencings.get(step.proof.fencing);
  const node = snapshot.nodes.get(step.proof.nodeName);
  const proof = fencing?.status.proof;
  expect(proof?.bootID).toBe(step.proof.bootID);
  expect(proof !== undefined && releasesByForce(proof), "a proof that releases by force").toBe(true);
  expect(fencing).toMatchObject({ nodeName: step.proof.nodeName, bootID: step.proof.bootID });
  expect(["Returned", "Aborted"]).not.toContain(fencing?.status.phase);
  if (node !== undefined) {
    expect(node.bootID).toBe(step.proof.bootID);
    expect(node.uid).toBe(step.proof.nodeUID);
  }
  if (step.kind === "Taint") return;
  expect(node === undefined || isOutOfService(node), "tainted before the first delete").toBe(true);
  for (const { namespace, name, uid } of step.pods) {
    const pod = snapshot.pods.get(`${namespace}/${name}`);
    expect(pod).toMatchObject({ uid, nodeName: step.proof.nodeName, vmKey: step.vmKey });
  }
}

function expectSilence(step: Of<"Fence">, snapshot: Snapshot, policy: DecisionPolicy, nowMs: number): void {
  const { nodeName, bootID } = step.fencing;
  const node = snapshot.nodes.get(nodeName);
  const renewal = snapshot.leases.get(nodeName)?.renewal;
  expect(step.fencing.status.proof).toBeUndefined();
  if (step.fencing.requested === true) {
    // A person asked: the incarnation must be the one that was named, nothing more.
    if (node !== undefined) expect([node.uid, node.bootID ?? bootID]).toEqual([step.fencing.nodeUID, bootID]);
    return;
  }
  if (node === undefined) return;
  expect(node.bootID === undefined || node.bootID === bootID, "the incarnation meant").toBe(true);
  if (renewal === undefined) expect(node.ready).toBe("Unknown");
  else {
    const since = Math.max(renewal.changedAtMs, snapshot.contact.unbrokenSinceMs);
    expect(nowMs - since, "silent for as long as it takes").toBeGreaterThanOrEqual(policy.nodeLostAfterMs);
    expect(snapshot.leaseAsOfMs(nodeName) - since, "and told so").toBeGreaterThanOrEqual(
      policy.nodeLostAfterMs,
    );
  }
}

/** A person's word about that very incarnation, on an unproven ledger, for a node that is lost. */
function expectWord({ fencing, confirmation }: Of<"ConfirmOff">, plan: Plan, snapshot: Snapshot): void {
  const ledger = snapshot.fencings.get(fencing.name);
  expect(ledger?.confirmation).toEqual(confirmation);
  expect(ledger?.bootID).toBe(confirmation.bootID);
  expect(confirmation.by).not.toBe("");
  expect(ledger?.status.proof).toBeUndefined();
  if (!snapshot.nodes.has(fencing.nodeName)) return;
  expect(plan.verdicts.get(fencing.nodeName)?.kind).toBe("lost");
  expect(snapshot.nodes.get(fencing.nodeName)?.bootID ?? confirmation.bootID).toBe(confirmation.bootID);
}

function expectLimits(plan: Plan, snapshot: Snapshot, policy: DecisionPolicy): void {
  const count = (kind: Step["kind"]): number => plan.steps.filter((step) => step.kind === kind).length;
  const storm = plan.refusals.some(({ message }) => message.includes("nodes are lost at once"));
  // What is opened in a storm only reads power states.
  if (!storm) expect(count("OpenFencing")).toBeLessThanOrEqual(policy.maxConcurrentFencings);
  const created = plan.steps.filter((step): step is Of<"CreateMigration"> => step.kind === "CreateMigration");
  const under = snapshot.index.unfinishedMigrations.size;
  if (created.length > 0)
    expect(created.length + under).toBeLessThanOrEqual(snapshot.kubeVirt.parallelMigrationsPerCluster);
  const outbound = new Map<string, number>();
  for (const { vmKey } of created) {
    const node = snapshot.vmis.get(vmKey)?.nodeName ?? "";
    outbound.set(node, (outbound.get(node) ?? 0) + 1);
  }
  for (const number of outbound.values())
    expect(number).toBeLessThanOrEqual(snapshot.kubeVirt.parallelOutboundMigrationsPerNode);
  // A storm holds every shot, not only the next.
  const requested = new Set<string>();
  for (const fencing of snapshot.fencings.values())
    if (fencing.requested === true) requested.add(`node/${fencing.nodeName}`);
  const held = plan.refusals.some(({ reason, about }) => reason === "StormHold" && !requested.has(about));
  const shots = plan.steps.some((step) => step.kind === "Fence" && step.mayPowerOff);
  expect(held && shots, "no shot in a storm").toBe(false);
}
