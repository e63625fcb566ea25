// The fault proxy's way to the real API server. Passes the client's identity on, as an aggregating front proxy does it.
import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import type { ControlPlane } from "../control-plane/start.ts";

/** The way to the real API server, as the client's own user. */
export class Upstream {
  #server: URL;
  /** Vouches for users by header; a token speaks for itself and must come without a client certificate. */
  #agents: { readonly vouching: Agent; readonly plain: Agent };

  constructor(server: string, agents: { readonly vouching: Agent; readonly plain: Agent }) {
    this.#server = new URL(server);
    this.#agents = agents;
  }

  static async to(controlPlane: ControlPlane): Promise<Upstream> {
    const pki = (name: string) => readFile(join(controlPlane.directory, "pki", name), "utf8");
    const [cert, key] = [await pki("front-proxy-client.crt"), await pki("front-proxy-client.key")];
    const common = { keepAlive: true, ca: controlPlane.caPem };
    return new Upstream(controlPlane.server, {
      vouching: new Agent({ ...common, cert, key }),
      plain: new Agent(common),
    });
  }

  /** Forwards; resolves with the answer's head, or undefined where the server cannot be reached or the client left. */
  forward(request: IncomingMessage, response: ServerResponse): Promise<IncomingMessage | undefined> {
    const identity = identityHeaders(request);
    return new Promise((resolve) => {
      const forwarded = httpsRequest({
        agent: identity ? this.#agents.vouching : this.#agents.plain,
        host: this.#server.hostname,
        port: this.#server.port,
        method: request.method,
        path: request.url,
        headers: { ...endToEnd(request.headers), ...identity, host: this.#server.host },
      });
      forwarded.once("response", resolve);
      forwarded.once("error", () => resolve(undefined));
      response.once("close", () => forwarded.destroy());
      request.pipe(forwarded);
    });
  }

  close(): void {
    this.#agents.vouching.destroy();
    this.#agents.plain.destroy();
  }
}

/** Who the client's certificate says it is; undefined where it came without one. */
export function subjectOf(request: IncomingMessage): { user: string; groups: string[] } | undefined {
  if (!(request.socket instanceof TLSSocket)) return undefined;
  const subject: Partial<Record<"CN" | "O", string | string[]>> | undefined =
    request.socket.getPeerCertificate().subject;
  if (subject?.CN === undefined) return undefined;
  return { user: String(subject.CN), groups: [subject.O ?? []].flat() };
}

/** Headers by which the front proxy names the user; undefined where the request brings a token. */
function identityHeaders(request: IncomingMessage): Record<string, string | string[]> | undefined {
  const subject = request.headers.authorization === undefined ? subjectOf(request) : undefined;
  if (!subject) return undefined;
  const groups = [...subject.groups, "system:authenticated"];
  return { "x-remote-user": subject.user, "x-remote-group": groups };
}

/** Headers without those that belong to one hop. */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _, "transfer-encoding": __, "keep-alive": ___, ...rest } = headers;
  return rest;
}
