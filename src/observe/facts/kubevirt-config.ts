// The KubeVirt object -> the few settings that bind us; KubeVirt's own defaults where it says nothing.
import { z } from "zod";
import { DEFAULT_KUBEVIRT_CONFIG, type KubeVirtConfig } from "../../model/virtual-machine.ts";
import { type Reading, readWith } from "./reading.ts";

const kubeVirtObject = z.object({
  spec: z
    .object({
      configuration: z
        .object({
          evictionStrategy: z.string().nullish(),
          migrations: z
            .object({
              parallelMigrationsPerCluster: z.number().int().positive().nullish(),
              parallelOutboundMigrationsPerNode: z.number().int().positive().nullish(),
              nodeDrainTaintKey: z.string().nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
});

/** Reads the KubeVirt object's configuration. */
export function readKubeVirtConfig(raw: unknown): Reading<KubeVirtConfig> {
  return readWith(kubeVirtObject, raw, (object) => {
    const configuration = object.spec?.configuration;
    const migrations = configuration?.migrations;
    return {
      parallelMigrationsPerCluster:
        migrations?.parallelMigrationsPerCluster ?? DEFAULT_KUBEVIRT_CONFIG.parallelMigrationsPerCluster,
      parallelOutboundMigrationsPerNode:
        migrations?.parallelOutboundMigrationsPerNode ??
        DEFAULT_KUBEVIRT_CONFIG.parallelOutboundMigrationsPerNode,
      nodeDrainTaintKey: migrations?.nodeDrainTaintKey ?? DEFAULT_KUBEVIRT_CONFIG.nodeDrainTaintKey,
      evictionStrategy: configuration?.evictionStrategy ?? DEFAULT_KUBEVIRT_CONFIG.evictionStrategy,
    };
  });
}
