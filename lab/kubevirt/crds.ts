// The stand-in's own CustomResourceDefinitions: right names, scopes and status subresources, schemas that keep everything.
// KubeVirt's real ones validate each member; nothing here depends on that.
import type { Crd } from "./installation.ts";

interface Column {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly priority?: number;
}

interface Resource {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly Column[];
  /** The VMI has none: its status is written with the object (facts 1). */
  readonly statusSubresource: boolean;
}

const condition = (type: string) => `.status.conditions[?(@.type=='${type}')].status`;
const AGE: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const RESOURCES: readonly Resource[] = [
  {
    kind: "VirtualMachine",
    plural: "virtualmachines",
    shortNames: ["vm", "vms"],
    columns: [
      AGE,
      { name: "Status", type: "string", jsonPath: ".status.printableStatus" },
      { name: "Ready", type: "string", jsonPath: condition("Ready") },
    ],
    statusSubresource: true,
  },
  {
    kind: "VirtualMachineInstance",
    plural: "virtualmachineinstances",
    shortNames: ["vmi", "vmis"],
    columns: [
      AGE,
      { name: "Phase", type: "string", jsonPath: ".status.phase" },
      { name: "IP", type: "string", jsonPath: ".status.interfaces[0].ipAddress" },
      { name: "NodeName", type: "string", jsonPath: ".status.nodeName" },
      { name: "Ready", type: "string", jsonPath: condition("Ready") },
      { name: "Live-Migratable", type: "string", jsonPath: condition("LiveMigratable"), priority: 1 },
      { name: "Paused", type: "string", jsonPath: condition("Paused"), priority: 1 },
    ],
    statusSubresource: false,
  },
  {
    kind: "VirtualMachineInstanceMigration",
    plural: "virtualmachineinstancemigrations",
    shortNames: ["vmim", "vmims"],
    columns: [
      { name: "Phase", type: "string", jsonPath: ".status.phase" },
      { name: "VMI", type: "string", jsonPath: ".spec.vmiName" },
    ],
    statusSubresource: true,
  },
  {
    kind: "KubeVirt",
    plural: "kubevirts",
    shortNames: ["kv", "kvs"],
    columns: [AGE, { name: "Phase", type: "string", jsonPath: ".status.phase" }],
    statusSubresource: true,
  },
];

/** The CRDs, ready to be created. */
export function standInCrds(): Crd[] {
  return RESOURCES.map(crdOf);
}

function crdOf(resource: Resource): Crd {
  const free = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const version = {
    name: "v1",
    served: true,
    storage: true,
    additionalPrinterColumns: resource.columns,
    schema: {
      openAPIV3Schema: {
        type: "object",
        required: ["spec"],
        properties: {
          apiVersion: { type: "string" },
          kind: { type: "string" },
          metadata: { type: "object" },
          spec: free,
          status: free,
        },
      },
    },
    ...(resource.statusSubresource ? { subresources: { status: {} } } : {}),
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${resource.plural}.kubevirt.io` },
    spec: {
      group: "kubevirt.io",
      scope: "Namespaced",
      names: {
        kind: resource.kind,
        plural: resource.plural,
        singular: resource.kind.toLowerCase(),
        shortNames: resource.shortNames,
        categories: ["all"],
      },
      versions: [version],
    },
  };
}
