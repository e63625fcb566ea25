// From a fencing level to a device that can be asked: credentials, certificates and the node itself, all read anew.
import { renderTemplate } from "../api/node-template.ts";
import type {
  DeviceSettings,
  FenceAgentSettings,
  PowerMethod,
  RedfishSettings,
  SecretKeyRef,
  SecretRef,
} from "../model/fencing.ts";
import type { AttemptEnd } from "./fencing-attempt.ts";
import type { FenceAgentAccess } from "./fence/fence-agent-access.ts";
import type { SystemIdentity } from "./fence/fence-device.ts";
import type { RedfishAccess } from "./fence/redfish-access.ts";
import { compareSystemUUID } from "./fence/system-identity.ts";
import type { FreshNode, FreshNodes } from "./fresh-nodes.ts";
import type { EffectFailure } from "./guarded-request.ts";
import { oneLine, SecretReader, type SecretSource } from "./secret-reader.ts";

/**
 * What a value may be that is partly a node's own: kubelets may change annotations, agents paste values into the command
 * lines of other programs, and cut every machine of a list.
 */
const PLAIN_WORD = /^[A-Za-z0-9/[][-A-Za-z0-9._:/@+=%~[\]]*$/;

/** How to reach one device of one node; one member for each method. */
type SingleAccess =
  | { readonly method: "Redfish"; readonly redfish: RedfishAccess }
  | { readonly method: "FenceAgent"; readonly fenceAgent: FenceAgentAccess };

/** How to reach what cuts one node: one device, or several that only count together. */
export type DeviceAccess =
  | SingleAccess
  | { readonly method: "AllOf"; readonly devices: readonly (SingleAccess & { readonly name: string })[] };

/** What readies a level for use on one node. */
export interface AccessSource extends SecretSource {
  readonly nodes: Pick<FreshNodes, "read">;
}

export interface ReadiedAccess {
  readonly ok: true;
  readonly access: DeviceAccess;
  readonly node: FreshNode;
}

/** Why the device cannot be asked. `failure`: where a request failed, so that a lost leadership can be told apart. */
export interface NoAccess {
  readonly ok: false;
  readonly end: AttemptEnd;
  readonly failure?: EffectFailure;
}

/** Everything that was read for one level and one node. */
interface Readings {
  readonly node: FreshNode;
  readonly secrets: SecretReader;
}

/** Reads everything that the level needs to reach this node's device, concurrently and nothing from memory. */
export async function readAccess(
  source: AccessSource,
  level: PowerMethod,
  nodeName: string,
): Promise<ReadiedAccess | NoAccess> {
  const secrets = new SecretReader(source);
  const [node, secretFailure] = await Promise.all([
    source.nodes.read(nodeName),
    secrets.readAll(secretsOf(level)),
  ]);
  if (!node.ok) return noNode(nodeName, node);
  if (secretFailure !== undefined) return noSecret(secretFailure);
  const access = accessOf(level, { node: node.value, secrets });
  return "ok" in access ? access : { ok: true, access, node: node.value };
}

/**
 * Says why the machine that answers is not the node meant: the SMBIOS UUID that the device tells differs from the one
 * the kubelet reports. Where either tells none, nothing speaks against it.
 */
export function wrongSystem(identity: SystemIdentity, node: FreshNode): string | undefined {
  if (compareSystemUUID(identity.uuid, node.systemUUID) !== "different") return undefined;
  return `the device speaks of system UUID ${identity.uuid}, while ${node.name} reports ${node.systemUUID}: the address leads to another machine`;
}

/** The Secrets that a level needs. */
export function secretsOf(level: PowerMethod): readonly SecretRef[] {
  const refs = (settings: DeviceSettings): readonly (SecretRef | undefined)[] =>
    settings.method === "Redfish"
      ? [settings.redfish.credentialsSecret, settings.redfish.caSecret]
      : [settings.fenceAgent.parametersSecret, settings.fenceAgent.caSecret];
  const all = level.method === "AllOf" ? level.devices.flatMap(refs) : refs(level);
  return all.filter((ref) => ref !== undefined);
}

function accessOf(level: PowerMethod, readings: Readings): DeviceAccess | NoAccess {
  if (level.method !== "AllOf") return singleAccess(level, readings);
  const devices: (SingleAccess & { readonly name: string })[] = [];
  for (const device of level.devices) {
    const access = singleAccess(device, readings);
    if ("ok" in access) {
      const answer = `device ${device.name}: ${access.end.answer}`;
      return { ...access, end: { ...access.end, answer } };
    }
    devices.push({ ...access, name: device.name });
  }
  return { method: "AllOf", devices };
}

function singleAccess(settings: DeviceSettings, readings: Readings): SingleAccess | NoAccess {
  switch (settings.method) {
    case "Redfish":
      return redfishAccess(settings.redfish, readings);
    case "FenceAgent":
      return fenceAgentAccess(settings.fenceAgent, readings);
  }
}

function redfishAccess(settings: RedfishSettings, { node, secrets }: Readings): SingleAccess | NoAccess {
  const address = renderTemplate(settings.address, node);
  if (!address.ok) return lacking("address", address.missing, node);
  const systemId = settings.systemId === undefined ? undefined : renderTemplate(settings.systemId, node);
  if (systemId?.ok === false) return lacking("systemId", systemId.missing, node);
  const credentials = secrets.valuesOf(settings.credentialsSecret);
  const username = oneLine(credentials["username"]);
  const password = oneLine(credentials["password"]);
  if (username === "" || password === "") {
    return misconfigured(
      `Secret ${settings.credentialsSecret.name} must hold the keys username and password`,
    );
  }
  const ca = caOf(settings.caSecret, secrets);
  if ("ok" in ca) return ca;
  const redfish: RedfishAccess = {
    address: address.value,
    ...(systemId === undefined ? {} : { systemId: systemId.value }),
    username,
    password,
    ...ca,
    insecureSkipVerify: settings.insecureSkipVerify,
    auth: settings.auth,
  };
  return { method: "Redfish", redfish };
}

function fenceAgentAccess(
  settings: FenceAgentSettings,
  { node, secrets }: Readings,
): SingleAccess | NoAccess {
  const parameters: Record<string, string> = {};
  for (const [name, template] of Object.entries(settings.parameters)) {
    const rendered = renderTemplate(template, node);
    if (!rendered.ok) return lacking(`parameter ${name}`, rendered.missing, node);
    if (rendered.value !== template && !PLAIN_WORD.test(rendered.value)) {
      return misconfigured(
        `parameter ${name} of ${node.name} would be ${JSON.stringify(rendered.value)}: what a node's labels and annotations give may hold letters, digits and -._:/@+=%~[] only, since agents make command lines of it and take a comma for a second machine`,
      );
    }
    parameters[name] = rendered.value;
  }
  const ca = caOf(settings.caSecret, secrets);
  if ("ok" in ca) return ca;
  const secret = settings.parametersSecret === undefined ? {} : secrets.valuesOf(settings.parametersSecret);
  const secretParameters = Object.fromEntries(
    Object.entries(secret).map(([name, value]) => [name, oneLine(value)]),
  );
  return {
    method: "FenceAgent",
    fenceAgent: { agent: settings.agent, parameters, secretParameters, ...ca },
  };
}

function caOf(ref: SecretKeyRef | undefined, secrets: SecretReader): { readonly caPem?: string } | NoAccess {
  if (ref === undefined) return {};
  const caPem = secrets.valuesOf(ref)[ref.key];
  return caPem ? { caPem } : misconfigured(`Secret ${ref.name} has no key ${ref.key}`);
}

function noNode(nodeName: string, failure: EffectFailure): NoAccess {
  const answer =
    failure.kind === "notFound"
      ? `the Node object of ${nodeName} is gone, so nothing says which machine it was`
      : `${nodeName} could not be read: ${failure.message}`;
  return { ok: false, end: { outcome: "Abandoned", answer }, failure };
}

function noSecret(failure: EffectFailure): NoAccess {
  const needsAPerson = failure.kind === "notFound" || failure.kind === "denied" || failure.kind === "invalid";
  const outcome = needsAPerson ? "Misconfigured" : "Abandoned";
  return { ok: false, end: { outcome, answer: failure.message }, failure };
}

function lacking(what: string, missing: readonly string[], node: FreshNode): NoAccess {
  return misconfigured(`${what} needs ${missing.join(", ")}, which ${node.name} has not`);
}

function misconfigured(answer: string): NoAccess {
  return { ok: false, end: { outcome: "Misconfigured", answer } };
}
