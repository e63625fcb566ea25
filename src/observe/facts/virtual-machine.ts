// VirtualMachine -> VMFact: run strategy, labels, and what it asks of a node.
import { z } from "zod";
import type {
  NodeSelectorRequirement,
  PlacementConstraints,
  RunStrategy,
  Toleration,
  VMFact,
} from "../../model/virtual-machine.ts";
import { SharedValues } from "./shared-values.ts";
import { sharedName } from "../object-key.ts";
import { keyOf, metadata, type Reading, readWith } from "./reading.ts";

const requirement = z.object({
  key: z.string(),
  operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
  values: z.array(z.string()).nullish(),
});

const podPlacement = z.object({
  nodeSelector: z.record(z.string(), z.string()).nullish(),
  affinity: z
    .object({
      nodeAffinity: z
        .object({
          requiredDuringSchedulingIgnoredDuringExecution: z
            .object({
              nodeSelectorTerms: z.array(z.object({ matchExpressions: z.array(requirement).nullish() })),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
  tolerations: z
    .array(
      z.object({
        key: z.string().optional(),
        operator: z.string().optional(),
        value: z.string().optional(),
        effect: z.string().optional(),
      }),
    )
    .nullish(),
});

const vmObject = z.object({
  metadata,
  spec: z.object({
    runStrategy: z
      .enum(["Always", "RerunOnFailure", "Manual", "Once", "Halted", "WaitAsReceiver"])
      .optional(),
    running: z.boolean().nullish(),
    template: z.object({ spec: podPlacement.optional() }).nullish(),
  }),
  status: z.object({ printableStatus: z.string().optional() }).nullish(),
});

/** Reads VirtualMachines; VMs that ask the same of a node share one `PlacementConstraints`. */
export class VMReader {
  #constraints = new Map<string, PlacementConstraints>();
  #values = new SharedValues();

  read(raw: unknown): Reading<VMFact> {
    return readWith(vmObject, raw, (vm) => ({
      key: keyOf(vm.metadata),
      namespace: sharedName(vm.metadata.namespace ?? ""),
      name: vm.metadata.name,
      uid: vm.metadata.uid,
      runStrategy: vm.spec.runStrategy ?? legacyStrategy(vm.spec.running),
      labels: this.#values.share(vm.metadata.labels ?? {}),
      constraints: this.#intern(vm.spec.template?.spec),
      printableStatus:
        vm.status?.printableStatus === undefined ? undefined : sharedName(vm.status.printableStatus),
      deleting: vm.metadata.deletionTimestamp !== undefined,
    }));
  }

  #intern(spec: z.output<typeof podPlacement> | undefined): PlacementConstraints {
    const terms =
      spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
    const asked = {
      nodeSelector: spec?.nodeSelector ?? {},
      affinityTerms: terms.map((term) => (term.matchExpressions ?? []).map(toRequirement)),
      tolerations: (spec?.tolerations ?? []).map(toToleration),
    };
    const key = JSON.stringify([
      Object.entries(asked.nodeSelector).sort(([a], [b]) => (a < b ? -1 : 1)),
      asked.affinityTerms,
      asked.tolerations,
    ]);
    const known = this.#constraints.get(key);
    if (known !== undefined) return known;
    const constraints = { key, ...asked };
    this.#constraints.set(key, constraints);
    return constraints;
  }
}

/** The deprecated `running` field: true is Always, false is Halted (KubeVirt types.go). */
function legacyStrategy(running: boolean | null | undefined): RunStrategy {
  return running === true ? "Always" : "Halted";
}

function toRequirement(raw: z.output<typeof requirement>): NodeSelectorRequirement {
  return { key: raw.key, operator: raw.operator, values: raw.values ?? [] };
}

function toToleration(raw: {
  readonly key?: string | undefined;
  readonly operator?: string | undefined;
  readonly value?: string | undefined;
  readonly effect?: string | undefined;
}): Toleration {
  return {
    key: raw.key === "" ? undefined : raw.key,
    operator: raw.operator === "Exists" ? "Exists" : "Equal",
    value: raw.value,
    effect: raw.effect === "" ? undefined : raw.effect,
  };
}
