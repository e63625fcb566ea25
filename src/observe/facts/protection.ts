// HAVirtualMachine and HAVirtualMachinePolicy -> ProtectionFact and OptInPolicyFact, in domain values (milliseconds, keys).
import { z } from "zod";
import { availabilityRuleOf } from "../../api/availability-rule.ts";
import { durationMs } from "../../api/duration.ts";
import { haVirtualMachine, type HAVirtualMachine } from "../../api/ha-virtual-machine.ts";
import { haVirtualMachinePolicy } from "../../api/ha-virtual-machine-policy.ts";
import { NODE_LOSS_OPT_IN_LABEL, NODE_LOSS_OPT_IN_VALUE } from "../../model/drill.ts";
import type {
  OptInPolicyFact,
  ProtectionFact,
  ProtectionRules,
  ProtectionStatus,
} from "../../model/protection.ts";
import { objectKey, sharedName } from "../object-key.ts";
import { nodeNameOf, type Reading, readWith, wallMsOfTime } from "./reading.ts";
import { SharedValues } from "./shared-values.ts";

const values = new SharedValues();

/** Label on HAVirtualMachines that a policy had made: the policy's name. */
export const POLICY_LABEL = "holdfast.dev/policy";
/** Annotation beside it: the generation of the policy it was made from. */
export const POLICY_GENERATION_ANNOTATION = "holdfast.dev/policy-generation";

type Rules = Pick<
  HAVirtualMachine["spec"],
  "priority" | "evacuation" | "failover" | "failback" | "availability"
>;

function rulesOf(spec: Rules): ProtectionRules {
  return {
    priority: spec.priority,
    evacuation: values.share({
      strategy: spec.evacuation.strategy,
      targetSelector: spec.evacuation.targetSelector ?? {},
      timeoutMs: durationMs(spec.evacuation.timeout),
    }),
    failover: values.share({
      enabled: spec.failover.enabled,
      restartOnce: spec.failover.restartOnce,
      startManual: spec.failover.startManual,
      maxRestarts: spec.failover.maxRestarts,
      restartWindowMs: durationMs(spec.failover.restartWindow),
    }),
    failback: values.share({
      policy: spec.failback.policy,
      delayMs: durationMs(spec.failback.delay),
      nodeSelector: spec.failback.nodeSelector ?? {},
    }),
    availability: values.share(availabilityRuleOf(spec.availability)),
  };
}

/** Reads an HAVirtualMachine with its status. */
export function readProtection(raw: unknown): Reading<ProtectionFact> {
  return readWith(haVirtualMachine.stored, raw, (object) => {
    const { metadata, spec, status } = object;
    const namespace = metadata.namespace ?? "";
    const generation = Number(metadata.annotations[POLICY_GENERATION_ANNOTATION]);
    return {
      ...rulesOf(spec),
      key: objectKey(namespace, metadata.name),
      namespace: sharedName(namespace),
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      generation: metadata.generation,
      createdAtWallMs: wallMsOfTime(metadata.creationTimestamp) ?? 0,
      vmKey: objectKey(namespace, spec.virtualMachineName),
      vmName: spec.virtualMachineName,
      dependsOn: values.share(
        (spec.dependsOn ?? []).map((dependency) => ({
          name: dependency.name,
          condition: dependency.condition,
          timeoutMs: durationMs(dependency.timeout),
        })),
      ),
      madeByPolicy: metadata.labels[POLICY_LABEL],
      policyGeneration: Number.isInteger(generation) ? generation : undefined,
      ...(metadata.labels[NODE_LOSS_OPT_IN_LABEL] === NODE_LOSS_OPT_IN_VALUE
        ? { mayBeLostInDrill: true as const }
        : {}),
      deleting: metadata.deletionTimestamp !== undefined,
      status: statusOf(status),
    };
  });
}

const NO_STATUS: ProtectionStatus = { conditions: [], outages: [] };

function statusOf(status: HAVirtualMachine["status"]): ProtectionStatus {
  if (status === undefined) return NO_STATUS;
  const { availability, candidates, conditions = [], node, outages } = status;
  const nodeName = nodeNameOf(node);
  return {
    ...status,
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(candidates === undefined ? {} : { candidates: values.share(candidates) }),
    conditions: conditions.map((condition) => values.share(condition)),
    outages: outages === undefined || outages.length === 0 ? NO_STATUS.outages : outages,
    ...(availability === undefined ? {} : { availability: values.share(availability) }),
  };
}

/** Reads an HAVirtualMachinePolicy with its status. */
export function readPolicy(raw: unknown): Reading<OptInPolicyFact> {
  return readWith(haVirtualMachinePolicy.stored, raw, ({ metadata, spec, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    precedence: spec.precedence,
    namespaceSelector: spec.namespaceSelector ?? {},
    selector: spec.selector,
    rules: rulesOf(spec.template),
    template: spec.template,
    deleting: metadata.deletionTimestamp !== undefined,
    status: { ...status, conditions: status?.conditions ?? [] },
  }));
}

const namespaceObject = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()).optional() }),
});

/** Reads a Namespace's labels. */
export function readNamespace(raw: unknown): Reading<Readonly<Record<string, string>>> {
  return readWith(namespaceObject, raw, (namespace) => namespace.metadata.labels ?? {});
}
