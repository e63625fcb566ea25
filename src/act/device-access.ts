// From a fencing level to a device that can be asked: credentials, certificates and the node itself, all read anew.
import { z } from "zod";
import { renderTemplate } from "../api/node-template.ts";
import type { Clock } from "../model/clock.ts";
import type { FencingLevel, RedfishSettings, SecretKeyRef } from "../model/fencing.ts";
import type { AttemptEnd } from "./fencing-attempt.ts";
import type { FenceDevice, SystemIdentity } from "./fence/fence-device.ts";
import type { RedfishAccess } from "./fence/redfish-access.ts";
import { RedfishService } from "./fence/redfish.ts";
import { compareSystemUUID } from "./fence/system-identity.ts";
import type { FreshNode, FreshNodes } from "./fresh-nodes.ts";
import { type Caller, type Effect, type EffectFailure, send } from "./guarded-request.ts";
import { corePath } from "./resource-path.ts";

/** How to reach one node's device; one member for each method. */
type DeviceAccess = { readonly method: "Redfish"; readonly redfish: RedfishAccess };

export type OpenDevice = (access: DeviceAccess, clock: Clock) => FenceDevice;

/** Opens the real device. Nothing is sent before it is asked something. */
export const openDevice: OpenDevice = (access, clock) => new RedfishService(access.redfish, { clock }).open();

/** What readies a level for use on one node. */
export interface AccessSource extends Caller {
  readonly nodes: FreshNodes;
  readonly namespace: string;
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

const secretData = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** Reads everything that the level needs to reach this node's device, concurrently and nothing from memory. */
export async function readAccess(
  source: AccessSource,
  level: FencingLevel,
  nodeName: string,
): Promise<ReadiedAccess | NoAccess> {
  const { redfish } = level;
  const [node, credentials, ca] = await Promise.all([
    source.nodes.read(nodeName),
    readSecret(source, redfish.credentialsSecret),
    redfish.caSecret === undefined ? undefined : readSecret(source, redfish.caSecret),
  ]);
  if (!node.ok) return noNode(nodeName, node);
  if (!credentials.ok) return noSecret(credentials);
  if (ca !== undefined && !ca.ok) return noSecret(ca);
  const caPem = redfish.caSecret === undefined ? undefined : caOf(redfish.caSecret, ca?.value ?? {});
  if (caPem !== undefined && "end" in caPem) return caPem;
  return redfishAccess(redfish, node.value, { secret: credentials.value, caPem: caPem?.pem });
}

/**
 * Says why the machine that answers is not the node meant: the SMBIOS UUID that the device tells differs from the one
 * the kubelet reports. Where either tells none, nothing speaks against it.
 */
export function wrongSystem(identity: SystemIdentity, node: FreshNode): string | undefined {
  if (compareSystemUUID(identity.uuid, node.systemUUID) !== "different") return undefined;
  return `the device speaks of system UUID ${identity.uuid}, while ${node.name} reports ${node.systemUUID}: the address leads to another machine`;
}

function redfishAccess(
  settings: RedfishSettings,
  node: FreshNode,
  parts: { readonly secret: Readonly<Record<string, string>>; readonly caPem: string | undefined },
): ReadiedAccess | NoAccess {
  const address = renderTemplate(settings.address, node);
  if (!address.ok)
    return misconfigured(`address needs ${address.missing.join(", ")}, which ${node.name} has not`);
  const systemId = settings.systemId === undefined ? undefined : renderTemplate(settings.systemId, node);
  if (systemId?.ok === false) {
    return misconfigured(`systemId needs ${systemId.missing.join(", ")}, which ${node.name} has not`);
  }
  const username = oneLine(parts.secret["username"]);
  const password = oneLine(parts.secret["password"]);
  if (username === "" || password === "") {
    return misconfigured(
      `Secret ${settings.credentialsSecret.name} must hold the keys username and password`,
    );
  }
  const redfish: RedfishAccess = {
    address: address.value,
    ...(systemId === undefined ? {} : { systemId: systemId.value }),
    username,
    password,
    ...(parts.caPem === undefined ? {} : { caPem: parts.caPem }),
    insecureSkipVerify: settings.insecureSkipVerify,
    auth: settings.auth,
  };
  return { ok: true, access: { method: "Redfish", redfish }, node };
}

/** A Secret made from a file ends in the file's last line break, which no BMC has in its password. */
function oneLine(value: string | undefined): string {
  return (value ?? "").replace(/\r?\n$/, "");
}

async function readSecret(
  source: AccessSource,
  ref: { readonly name: string; readonly namespace: string | undefined },
): Promise<Effect<Readonly<Record<string, string>>>> {
  const namespace = ref.namespace ?? source.namespace;
  const read = await send<unknown>(source, { method: "GET", path: corePath(namespace, "secrets", ref.name) });
  if (!read.ok) return { ...read, message: `Secret ${namespace}/${ref.name}: ${read.message}` };
  const parsed = secretData.safeParse(read.value);
  const data = parsed.success ? parsed.data.data : {};
  const texts = Object.entries(data).map(([key, value]) => [
    key,
    Buffer.from(value, "base64").toString("utf8"),
  ]);
  return { ok: true, value: Object.fromEntries(texts) as Record<string, string> };
}

function caOf(
  ref: SecretKeyRef,
  secret: Readonly<Record<string, string>>,
): { readonly pem: string } | NoAccess {
  const pem = secret[ref.key];
  return pem ? { pem } : misconfigured(`Secret ${ref.name} has no key ${ref.key}`);
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

function misconfigured(answer: string): NoAccess {
  return { ok: false, end: { outcome: "Misconfigured", answer } };
}
