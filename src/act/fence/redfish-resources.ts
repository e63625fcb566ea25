// Reads the Redfish resources that fencing needs, tolerant of everything else in them. Pure; sends nothing.
import { z } from "zod";
import type { PowerState, SystemIdentity } from "./fence-device.ts";

const text = z.string().min(1).optional().catch(undefined);
const link = z.object({ "@odata.id": z.string() }).optional().catch(undefined);

const serviceRoot = z.object({
  Systems: link,
  Links: z.object({ Sessions: link }).optional().catch(undefined),
  SessionService: link,
});

const collection = z.object({ Members: z.array(z.object({ "@odata.id": z.string() })) });

const resetAction = z.object({
  target: text,
  "ResetType@Redfish.AllowableValues": z.array(z.string()).optional().catch(undefined),
  "@Redfish.ActionInfo": text,
});

const computerSystem = z.object({
  "@odata.id": text,
  "@odata.type": text,
  PowerState: z.unknown().optional(),
  UUID: text,
  SerialNumber: text,
  HostName: text,
  Model: text,
  Actions: z
    .object({ "#ComputerSystem.Reset": resetAction.optional().catch(undefined) })
    .optional()
    .catch(undefined),
});

const actionInfo = z.object({
  Parameters: z.array(
    z.object({ Name: text, AllowableValues: z.array(z.string()).optional().catch(undefined) }),
  ),
});

const extendedInfo = z.array(
  z.object({ Message: text, MessageId: text, MessageArgs: z.array(z.unknown()).optional().catch(undefined) }),
);
const errorBody = z.object({
  error: z.object({
    message: text,
    code: text,
    "@Message.ExtendedInfo": extendedInfo.optional().catch(undefined),
  }),
});

export interface ServiceRoot {
  readonly systemsPath: string | undefined;
  /** Where sessions are created; undefined where the service names no session service. */
  readonly sessionsPath: string | undefined;
}

export interface ComputerSystem {
  readonly state: PowerState;
  readonly identity: SystemIdentity;
  readonly reset:
    | {
        readonly target: string;
        /** Reset types offered here; undefined where only the ActionInfo, if anything, says. */
        readonly types: readonly string[] | undefined;
        readonly actionInfo: string | undefined;
      }
    | undefined;
}

export function parseServiceRoot(body: unknown): ServiceRoot | undefined {
  const parsed = serviceRoot.safeParse(body);
  if (!parsed.success) return undefined;
  const root = parsed.data;
  const offersSessions = root.Links?.Sessions !== undefined || root.SessionService !== undefined;
  return {
    systemsPath: root.Systems?.["@odata.id"],
    sessionsPath: offersSessions
      ? (root.Links?.Sessions?.["@odata.id"] ?? "/redfish/v1/SessionService/Sessions")
      : undefined,
  };
}

/** The members' paths, or undefined where the body is no collection. */
export function parseMembers(body: unknown): readonly string[] | undefined {
  const parsed = collection.safeParse(body);
  return parsed.success ? parsed.data.Members.map((member) => member["@odata.id"]) : undefined;
}

/** Reads a ComputerSystem found at `path`; otherwise says what was found there. */
export function parseComputerSystem(body: unknown, path: string): ComputerSystem | string {
  const parsed = computerSystem.safeParse(body);
  if (!parsed.success) return "no resource";
  const system = parsed.data;
  const type = system["@odata.type"];
  if (type !== undefined && !type.startsWith("#ComputerSystem.")) return `a ${type}`;
  if (type === undefined && typeof system.PowerState !== "string") return "something without PowerState";
  const action = system.Actions?.["#ComputerSystem.Reset"];
  return {
    state: powerStateOf(system.PowerState),
    identity: {
      path: system["@odata.id"] ?? path,
      ...(system.UUID === undefined ? {} : { uuid: system.UUID }),
      ...(system.SerialNumber === undefined ? {} : { serialNumber: system.SerialNumber }),
      ...(system.HostName === undefined ? {} : { hostName: system.HostName }),
      ...(system.Model === undefined ? {} : { model: system.Model }),
    },
    reset:
      action?.target === undefined
        ? undefined
        : {
            target: action.target,
            types: action["ResetType@Redfish.AllowableValues"],
            actionInfo: action["@Redfish.ActionInfo"],
          },
  };
}

/** The reset types that an ActionInfo allows; undefined where it does not say. */
export function parseActionInfo(body: unknown): readonly string[] | undefined {
  const parsed = actionInfo.safeParse(body);
  if (!parsed.success) return undefined;
  return parsed.data.Parameters.find((parameter) => parameter.Name === "ResetType")?.AllowableValues;
}

/** A resource's own path, or undefined where the body is no resource. */
export function parseResourcePath(body: unknown): string | undefined {
  return link.parse(body)?.["@odata.id"];
}

/** What a Redfish error body says, in one line; undefined where it is none. Not yet free of secrets. */
export function parseErrorText(body: unknown): string | undefined {
  const parsed = errorBody.safeParse(body);
  if (!parsed.success) return undefined;
  const { error } = parsed.data;
  for (const info of error["@Message.ExtendedInfo"] ?? []) {
    const args = (info.MessageArgs ?? []).map(String).join(", ");
    const said =
      info.Message ?? (info.MessageId && args !== "" ? `${info.MessageId} (${args})` : info.MessageId);
    if (said !== undefined) return said;
  }
  return error.message ?? error.code;
}

function powerStateOf(value: unknown): PowerState {
  switch (value) {
    case "On":
    case "Off":
    case "PoweringOn":
    case "PoweringOff":
      return value;
    default:
      return "Unknown";
  }
}

/**
 * Chooses how to cut power. Only `ForceOff` cuts a machine whose operating system no longer answers:
 * `GracefulShutdown` and `PushPowerButton` ask it, restarts bring it back. Nothing advertised means that the standard's
 * own value is tried.
 */
export function chooseOffType(types: readonly string[] | undefined): { type: string } | { obstacle: string } {
  if (types === undefined || types.includes("ForceOff")) return { type: "ForceOff" };
  const offered = types.length === 0 ? "no reset type at all" : types.slice(0, 12).join(", ");
  return {
    obstacle: `the service offers no ForceOff, without which a hung node cannot be cut; it offers ${offered}`,
  };
}

export function chooseOnType(types: readonly string[] | undefined): { type: string } | { obstacle: string } {
  if (types === undefined || types.includes("On")) return { type: "On" };
  if (types.includes("ForceOn")) return { type: "ForceOn" };
  return {
    obstacle: `the service offers neither On nor ForceOn; it offers ${types.slice(0, 12).join(", ")}`,
  };
}
