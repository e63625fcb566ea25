// FencingTopology and NodeFencing -> their facts.
import { durationMs } from "../../api/duration.ts";
import { type FencingTopology, fencingTopology } from "../../api/fencing-topology.ts";
import { nodeFencing } from "../../api/node-fencing.ts";
import { DRILL_ANNOTATION } from "../../model/drill.ts";
import type {
  DeviceSettings,
  ExternalMethod,
  FenceAgentSettings,
  FencingFact,
  FencingLevel,
  FencingTopologyFact,
  LevelMethod,
  NamedDevice,
  RedfishSettings,
  SecretRef,
} from "../../model/fencing.ts";
import { readConfirmation } from "./confirmation.ts";
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
  const method = methodOf(level);
  // The schema ties the method to its settings; a level without them cannot be used.
  if (method === undefined) return [];
  return [
    {
      name: level.name,
      timeoutMs: durationMs(level.timeout),
      retries: level.retries,
      backoffMs: durationMs(level.backoff),
      ...method,
    },
  ];
}

function methodOf(level: Level): LevelMethod | undefined {
  switch (level.method) {
    case "Redfish":
    case "FenceAgent":
      return deviceOf(level.method, level);
    case "AllOf":
      return allOf(level.devices ?? []);
    case "Remediation":
    case "NetworkFence":
      return externalOf(level.method, level);
  }
}

function externalOf(method: ExternalMethod["method"], level: Level): LevelMethod | undefined {
  const { remediation, networkFence, acceptWeakProof = [] } = level;
  switch (method) {
    case "Remediation": {
      if (remediation === undefined) return undefined;
      const { apiVersion, kind, name, namespace } = remediation.templateRef;
      return { method, remediation: { template: { apiVersion, kind, name, namespace } }, acceptWeakProof };
    }
    case "NetworkFence": {
      if (networkFence === undefined) return undefined;
      const { networkFenceClassName, cidrs = [] } = networkFence;
      return { method, networkFence: { className: networkFenceClassName, cidrs }, acceptWeakProof };
    }
  }
}

/** A level that has lost one of its devices is no level: less than all of them proves nothing. */
function allOf(written: NonNullable<Level["devices"]>): LevelMethod | undefined {
  const devices = written.flatMap((device): readonly NamedDevice[] => {
    const settings = deviceOf(device.method, device);
    return settings === undefined ? [] : [{ name: device.name, ...settings }];
  });
  return devices.length < 2 || devices.length < written.length ? undefined : { method: "AllOf", devices };
}

type WrittenSettings = Pick<Level, "redfish" | "fenceAgent">;

function deviceOf(method: DeviceSettings["method"], settings: WrittenSettings): DeviceSettings | undefined {
  const { redfish, fenceAgent } = settings;
  switch (method) {
    case "Redfish":
      return redfish && { method, redfish: redfishOf(redfish) };
    case "FenceAgent":
      return fenceAgent && { method, fenceAgent: fenceAgentOf(fenceAgent) };
  }
}

function redfishOf(redfish: NonNullable<Level["redfish"]>): RedfishSettings {
  return {
    address: redfish.address,
    systemId: redfish.systemId,
    auth: redfish.auth,
    credentialsSecret: secretOf(redfish.credentialsSecretRef),
    caSecret: redfish.tls?.caSecretRef && secretKeyOf(redfish.tls.caSecretRef),
    insecureSkipVerify: redfish.tls?.insecureSkipVerify ?? false,
  };
}

function fenceAgentOf(fenceAgent: NonNullable<Level["fenceAgent"]>): FenceAgentSettings {
  return {
    agent: fenceAgent.agent,
    parameters: fenceAgent.parameters,
    parametersSecret: fenceAgent.parametersSecretRef && secretOf(fenceAgent.parametersSecretRef),
    caSecret: fenceAgent.tls && secretKeyOf(fenceAgent.tls.caSecretRef),
  };
}

function secretOf(ref: { readonly name: string; readonly namespace?: string }): SecretRef {
  return { name: ref.name, namespace: ref.namespace };
}

function secretKeyOf(ref: { readonly name: string; readonly namespace?: string; readonly key: string }) {
  return { ...secretOf(ref), key: ref.key };
}

/** Reads a NodeFencing. One without a status has been intended and not begun. */
export function readFencing(raw: unknown, context: ReadingContext<FencingFact>): Reading<FencingFact> {
  return readWith(nodeFencing.stored, raw, ({ metadata, spec, status }) => {
    const before = context.previous?.uid === metadata.uid ? context.previous : undefined;
    const confirmation = readConfirmation(metadata.annotations, raw);
    const drill = metadata.annotations[DRILL_ANNOTATION];
    return {
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      nodeName: spec.nodeName,
      nodeUID: spec.nodeUID,
      bootID: spec.bootID,
      topology: spec.topology,
      ...(spec.reason === "Requested" ? { requested: true as const } : {}),
      ...(drill === undefined ? {} : { drill }),
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
      ...(confirmation === undefined ? {} : { confirmation }),
      changedAtMs:
        before?.resourceVersion === metadata.resourceVersion ? before.changedAtMs : context.seenAtMs,
      provenAtMs: status?.proof === undefined ? undefined : (before?.provenAtMs ?? context.seenAtMs),
    };
  });
}
