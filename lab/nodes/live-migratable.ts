// virt-handler's judgement whether a running VMI can be live-migrated. Pure; the rules of its `calculateLiveMigrationCondition`.
import type { Condition } from "./objects.ts";
import type { Vmi, Volume } from "./vmi.ts";

const BRIDGE_ANNOTATION = "kubevirt.io/allow-pod-bridge-network-live-migration";

/** The two conditions and the method; `BlockMigration` where local disks would have to be copied. */
export interface Migratability {
  readonly conditions: readonly Condition[];
  readonly method: "LiveMigration" | "BlockMigration";
}

/** Judges by the VMI alone, for virt-handler may not read claims: their access modes are in `status.volumeStatus`. */
export function judgeMigratability(vmi: Vmi): Migratability {
  const volumes = vmi.spec.volumes ?? [];
  const unshared = volumes.map((volume) => unsharedClaim(vmi, volume)).find((message) => message);
  const local = volumes.some((volume) => isWritableLocal(vmi, volume));
  const refusal = unmigratableInterface(vmi) ?? (unshared && ["DisksNotLiveMigratable", unshared]);
  const conditions: Condition[] = [
    refusal
      ? { type: "LiveMigratable", status: "False", reason: refusal[0] ?? "", message: refusal[1] ?? "" }
      : { type: "LiveMigratable", status: "True" },
    { type: "StorageLiveMigratable", status: "True" },
  ].map((condition) => ({ ...condition, lastProbeTime: null, lastTransitionTime: null }) as Condition);
  return { conditions, method: local || unshared ? "BlockMigration" : "LiveMigration" };
}

function unsharedClaim(vmi: Vmi, volume: Volume): string | undefined {
  const claim = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name;
  if (claim === undefined) return undefined;
  const info = vmi.status?.volumeStatus?.find(({ name }) => name === volume.name)?.persistentVolumeClaimInfo;
  const demand = "live migration requires that all PVCs must be shared (using ReadWriteMany access mode)";
  if (!info) return `cannot migrate VMI: Unable to determine if PVC ${claim} is shared, ${demand}`;
  if (info.accessModes?.includes("ReadWriteMany")) return undefined;
  return `cannot migrate VMI: PVC ${claim} is not shared, ${demand}`;
}

function isWritableLocal(vmi: Vmi, volume: Volume): boolean {
  if (volume.persistentVolumeClaim ?? volume.dataVolume) return false;
  const disk = vmi.spec.domain?.devices?.disks?.find(({ name }) => name === volume.name);
  return !(disk?.disk?.readonly === true || (disk?.cdrom && disk.cdrom.readonly !== false));
}

function unmigratableInterface(vmi: Vmi): readonly string[] | undefined {
  const podNetwork = vmi.spec.networks?.find(({ pod }) => pod);
  const bound = vmi.spec.domain?.devices?.interfaces?.find(({ name }) => name === podNetwork?.name);
  if (!bound?.bridge || vmi.metadata.annotations?.[BRIDGE_ANNOTATION] !== undefined) return undefined;
  return [
    "InterfaceNotLiveMigratable",
    "cannot migrate VMI which does not use masquerade, bridge with kubevirt.io/allow-pod-bridge-network-live-migration VM annotation or a migratable plugin to connect to the pod network",
  ];
}
