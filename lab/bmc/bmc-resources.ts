// The Redfish documents of a one-machine BMC. Knows their form, not how they are served.
import { createHash } from "node:crypto";

export const ROOT = "/redfish/v1";
export const SYSTEMS = `${ROOT}/Systems`;
export const SESSION_SERVICE = `${ROOT}/SessionService`;
export const SESSIONS = `${SESSION_SERVICE}/Sessions`;

export const RESET_TYPES = [
  "On",
  "ForceOn",
  "ForceOff",
  "ForceRestart",
  "GracefulShutdown",
  "GracefulRestart",
];

export interface MachineDescription {
  readonly node: string;
  readonly systemPath: string;
  readonly resetTypes: readonly string[];
  readonly resetTypesIn: "Action" | "ActionInfo";
}

const systemUUIDs = new Map<string, string>();

export function systemUUID(node: string): string {
  let uuid = systemUUIDs.get(node);
  if (uuid === undefined) systemUUIDs.set(node, (uuid = uuidOf(node)));
  return uuid;
}

function uuidOf(node: string): string {
  const hex = createHash("sha256").update(`holdfast lab machine ${node}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export function serviceRoot(node: string, options: { readonly sessions: boolean }): object {
  return {
    "@odata.id": `${ROOT}/`,
    "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
    Id: "RootService",
    Name: `BMC of ${node}`,
    RedfishVersion: "1.20.0",
    Systems: { "@odata.id": SYSTEMS },
    ...(options.sessions
      ? { SessionService: { "@odata.id": SESSION_SERVICE }, Links: { Sessions: { "@odata.id": SESSIONS } } }
      : { Links: {} }),
  };
}

export function sessionService(): object {
  return {
    "@odata.id": SESSION_SERVICE,
    "@odata.type": "#SessionService.v1_1_9.SessionService",
    Id: "SessionService",
    Name: "Session Service",
    ServiceEnabled: true,
    SessionTimeout: 1800,
    Sessions: { "@odata.id": SESSIONS },
  };
}

export function session(path: string, username: string): object {
  return {
    "@odata.id": path,
    "@odata.type": "#Session.v1_7_1.Session",
    Id: path.slice(path.lastIndexOf("/") + 1),
    Name: "User Session",
    UserName: username,
  };
}

export function collection(path: string, type: string, members: readonly string[]): object {
  return {
    "@odata.id": path,
    "@odata.type": `#${type}.${type}`,
    Name: type,
    "Members@odata.count": members.length,
    Members: members.map((member) => ({ "@odata.id": member })),
  };
}

export function computerSystem(
  machine: MachineDescription,
  now: { readonly powerState: string; readonly lastResetTime: string },
): object {
  const types =
    machine.resetTypesIn === "Action"
      ? { "ResetType@Redfish.AllowableValues": machine.resetTypes }
      : { "@Redfish.ActionInfo": `${machine.systemPath}/ResetActionInfo` };
  return {
    "@odata.id": machine.systemPath,
    "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
    Id: machine.systemPath.slice(machine.systemPath.lastIndexOf("/") + 1),
    Name: machine.node,
    SystemType: "Physical",
    Manufacturer: "Holdfast lab",
    Model: "Simulated node",
    SerialNumber: `LAB-${machine.node}`,
    UUID: systemUUID(machine.node),
    HostName: machine.node,
    PowerState: now.powerState,
    LastResetTime: now.lastResetTime,
    Status: { State: "Enabled", Health: "OK" },
    Actions: {
      "#ComputerSystem.Reset": { target: `${machine.systemPath}/Actions/ComputerSystem.Reset`, ...types },
    },
  };
}

export function resetActionInfo(machine: MachineDescription): object {
  return {
    "@odata.id": `${machine.systemPath}/ResetActionInfo`,
    "@odata.type": "#ActionInfo.v1_4_2.ActionInfo",
    Id: "ResetActionInfo",
    Name: "Reset Action Info",
    Parameters: [
      { Name: "ResetType", Required: true, DataType: "String", AllowableValues: machine.resetTypes },
    ],
  };
}

export function errorBody(messageId: string, message: string): object {
  return {
    error: {
      code: "Base.1.18.GeneralError",
      message: "A general error has occurred. See ExtendedInfo for more information.",
      "@Message.ExtendedInfo": [
        {
          "@odata.type": "#Message.v1_2_0.Message",
          MessageId: `Base.1.18.${messageId}`,
          Message: message,
          MessageSeverity: "Critical",
          Resolution: "None.",
        },
      ],
    },
  };
}

export function etagOf(document: object): string {
  return `W/"${createHash("sha256").update(JSON.stringify(document)).digest("hex").slice(0, 16)}"`;
}
