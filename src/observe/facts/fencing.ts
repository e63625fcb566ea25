// FencingTopology and NodeFencing -> their facts.
import { durationMs } from "../../api/duration.ts";
import { type FencingTopology, fencingTopology } from "../../api/fencing-topology.ts";
import { nodeFencing } from "../../api/node-fencing.ts";
import type { FencingFact, FencingLevel, FencingTopologyFact } from "../../model/fencing.ts";
import { type Reading, type ReadingContext, readWith } from "./reading.ts";

type Level = FencingTopology["spec"]["levels"][number];

/** Reads a FencingTopology with its status. */
export function readTopology(raw: unknown): Reading<FencingTopologyFact> {
  return readWith(fencingTopology.stored, raw, ({ metadata, spec, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    precedence: spec.precedence,
    nodeSelector: spec.nodeSelector,
    afterFencing: spec.afterFencing,
    levels: spec.levels.flatMap(levelOf),
    status: { ...status, conditions: status?.conditions ?? [] },
  }));
}

function levelOf(level: Level): readonly FencingLevel[] {
  const { redfish } = level;
  // The schema ties the method to its settings; a level without them cannot be used.
  if (redfish === undefined) return [];
  return [
    {
      name: level.name,
      method: level.method,
      timeoutMs: durationMs(level.timeout),
      retries: level.retries,
      backoffMs: durationMs(level.backoff),
      redfish: {
        address: redfish.address,
        systemId: redfish.systemId,
        auth: redfish.auth,
        credentialsSecret: {
          name: redfish.credentialsSecretRef.name,
          namespace: redfish.credentialsSecretRef.namespace,
        },
        caSecret:
          redfish.tls?.caSecretRef === undefined
            ? undefined
            : {
                name: redfish.tls.caSecretRef.name,
                namespace: redfish.tls.caSecretRef.namespace,
                key: redfish.tls.caSecretRef.key,
              },
        insecureSkipVerify: redfish.tls?.insecureSkipVerify ?? false,
      },
    },
  ];
}

/** Reads a NodeFencing. One without a status has been intended and not begun. */
export function readFencing(raw: unknown, context: ReadingContext<FencingFact>): Reading<FencingFact> {
  return readWith(nodeFencing.stored, raw, ({ metadata, spec, status }) => {
    const before = context.previous?.uid === metadata.uid ? context.previous : undefined;
    return {
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      nodeName: spec.nodeName,
      nodeUID: spec.nodeUID,
      bootID: spec.bootID,
      topology: spec.topology,
      detectedAt: spec.detectedAt,
      lastSeenAt: spec.lastSeenAt,
      status: {
        phase: "Pending" as const,
        epoch: 0,
        ...status,
        attempts: status?.attempts ?? [],
        releasedVMs: status?.releasedVMs ?? [],
        conditions: status?.conditions ?? [],
      },
      changedAtMs:
        before?.resourceVersion === metadata.resourceVersion ? before.changedAtMs : context.seenAtMs,
      provenAtMs: status?.proof === undefined ? undefined : (before?.provenAtMs ?? context.seenAtMs),
    };
  });
}
