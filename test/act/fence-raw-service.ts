// An HTTPS server that answers exactly what a test says: for the oddities of real BMCs that the lab BMC does not have.
import { createServer, type ServerOptions } from "node:https";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { certificate } from "./fence-redfish-rig.ts";

export interface RawAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a text as it is. */
  readonly body?: object | string;
}

/** `METHOD /path` to an answer, or to what makes one from the request. */
export type Routes = Readonly<Record<string, RawAnswer | ((request: IncomingMessage) => RawAnswer)>>;

export interface RawService {
  readonly address: string;
  /** `METHOD /path` of each request, in order, with the credentials' form where there were any. */
  readonly seen: string[];
  readonly stop: () => Promise<void>;
}

export const SYSTEM_PATH = "/redfish/v1/Systems/1";
export const RESET_PATH = `${SYSTEM_PATH}/Actions/ComputerSystem.Reset`;

export function systemBody(changes: object = {}): object {
  return {
    "@odata.id": SYSTEM_PATH,
    "@odata.type": "#ComputerSystem.v1_5_0.ComputerSystem",
    PowerState: "On",
    UUID: "00112233-4455-6677-8899-aabbccddeeff",
    Actions: {
      "#ComputerSystem.Reset": {
        target: RESET_PATH,
        "ResetType@Redfish.AllowableValues": ["On", "ForceOff"],
      },
    },
    ...changes,
  };
}

export async function startRawService(routes: Routes, tls: ServerOptions = {}): Promise<RawService> {
  const seen: string[] = [];
  const server = createServer(
    { cert: certificate.certPem, key: certificate.keyPem, ...tls },
    (request, response) => {
      const { authorization, "x-auth-token": token } = request.headers;
      const credentials =
        authorization !== undefined ? " Basic" : token !== undefined ? ` ${String(token)}` : "";
      const key = `${request.method} ${request.url}`;
      seen.push(key + credentials);
      request.resume();
      request.on("end", () => {
        const route = routes[key];
        const answer = typeof route === "function" ? route(request) : route;
        const { status = answer === undefined ? 404 : 200, headers = {}, body } = answer ?? {};
        response.writeHead(status, headers);
        response.end(typeof body === "object" ? JSON.stringify(body) : body);
      });
    },
  );
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
