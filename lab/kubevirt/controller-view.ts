// Everything the stand-in's controllers see: one informer per resource, and the cluster-wide settings.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { Informer } from "./informer.ts";
import { KUBEVIRT_API } from "./names.ts";
import {
  controllerUidOf,
  type EvictionStrategy,
  type KubeObject,
  type Migration,
  type Node,
  type PersistentVolumeClaim,
  type Pod,
  type VirtualMachine,
  type VirtualMachineInstance,
} from "./objects.ts";

/** The cluster-wide settings object. */
interface KubeVirtObject extends KubeObject {
  spec?: { configuration?: { evictionStrategy?: EvictionStrategy; migrations?: Partial<MigrationSettings> } };
}

interface MigrationSettings {
  readonly parallelMigrationsPerCluster: number;
  readonly parallelOutboundMigrationsPerNode: number;
  readonly nodeDrainTaintKey: string;
}

/** Defaults of KubeVirt pkg/virt-config/virt-config.go (facts 1). */
const MIGRATION_DEFAULTS: MigrationSettings = {
  parallelMigrationsPerCluster: 5,
  parallelOutboundMigrationsPerNode: 2,
  nodeDrainTaintKey: "kubevirt.io/drain",
};

/** Cluster-wide settings, defaults filled in. */
export interface Settings extends MigrationSettings {
  readonly evictionStrategy: EvictionStrategy;
}

export class ControllerView {
  readonly vms: Informer<VirtualMachine>;
  readonly vmis: Informer<VirtualMachineInstance>;
  readonly migrations: Informer<Migration>;
  /** Indexed by the UID of the controlling owner. */
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly #kubeVirts: Informer<KubeVirtObject>;

  constructor(api: ApiTransport) {
    const withStatus = <T extends { status: object }>(object: T): T =>
      (object as { status?: object }).status === undefined ? { ...object, status: {} } : object;
    this.vms = new Informer<VirtualMachine>(api, {
      path: `${KUBEVIRT_API}/virtualmachines`,
      complete: withStatus,
    });
    this.vmis = new Informer<VirtualMachineInstance>(api, {
      path: `${KUBEVIRT_API}/virtualmachineinstances`,
      complete: withStatus,
    });
    this.migrations = new Informer<Migration>(api, {
      path: `${KUBEVIRT_API}/virtualmachineinstancemigrations`,
      complete: withStatus,
      indexBy: vmiKeyOf,
    });
    this.pods = new Informer<Pod>(api, { path: "/api/v1/pods", indexBy: controllerUidOf });
    this.nodes = new Informer(api, { path: "/api/v1/nodes" });
    this.claims = new Informer(api, { path: "/api/v1/persistentvolumeclaims" });
    this.#kubeVirts = new Informer(api, { path: `${KUBEVIRT_API}/kubevirts` });
  }

  /** Resolves when every first list is in. */
  async start(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.start()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()));
  }

  /** The pods this VMI controls: launchers, a migration's target included; hotplug pods belong to their launcher. */
  podsOf(vmi: VirtualMachineInstance): Pod[] {
    return this.pods.indexed(vmi.metadata.uid);
  }

  /** Migrations that name the VMI of this key, finished ones included. */
  migrationsOf(vmiKey: string): Migration[] {
    return this.migrations.indexed(vmiKey);
  }

  settings(): Settings {
    const configuration = this.#kubeVirts.list()[0]?.spec?.configuration;
    return {
      evictionStrategy: configuration?.evictionStrategy ?? "None",
      ...MIGRATION_DEFAULTS,
      ...configuration?.migrations,
    };
  }

  #all(): { start(): Promise<void>; stop(): Promise<void> }[] {
    return [this.vms, this.vmis, this.migrations, this.pods, this.nodes, this.claims, this.#kubeVirts];
  }
}

/** `namespace/name` of the VMI a migration is about. */
export function vmiKeyOf(migration: Migration): string {
  return `${migration.metadata.namespace}/${migration.spec.vmiName}`;
}
