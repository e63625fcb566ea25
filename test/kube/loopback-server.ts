// A small API server on loopback whose answers a test scripts, over TLS or plain, counting connections.
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface LoopbackServer {
  readonly url: string;
  readonly kubeConfig: KubeConfig;
  /** Connections ever accepted, and those open now. */
  accepted: number;
  readonly open: Set<Socket>;
  handler: Handler;
  /** A KubeConfig for the same server with these user settings. */
  configFor(user: Record<string, unknown>): KubeConfig;
  close(): Promise<void>;
}

/** Plain HTTP, or TLS with an authority of its own. */
export async function startLoopbackServer(options: { readonly tls: boolean }): Promise<LoopbackServer> {
  const authority = createCertificateAuthority("loopback");
  const handle: Handler = (request, response) => loopback.handler(request, response);
  const server = options.tls ? createTlsServer(tlsOptions(authority), handle) : createPlainServer(handle);
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    loopback.accepted++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const url = `${options.tls ? "https" : "http"}://127.0.0.1:${port}`;
  const configFor = (user: Record<string, unknown>) => {
    const kubeConfig = new KubeConfig();
    const cluster = options.tls
      ? {
          name: "loopback",
          server: url,
          caData: Buffer.from(authority.certPem).toString("base64"),
          skipTLSVerify: false,
        }
      : { name: "loopback", server: url, skipTLSVerify: true };
    kubeConfig.loadFromClusterAndUser(cluster, { name: "test", ...user });
    return kubeConfig;
  };
  const loopback: LoopbackServer = {
    url,
    kubeConfig: configFor({ token: "secret-token" }),
    accepted: 0,
    open,
    handler: (_request, response) => response.end("{}"),
    configFor,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
  return loopback;
}

function tlsOptions(authority: ReturnType<typeof createCertificateAuthority>) {
  const { certPem, keyPem } = authority.issue({
    commonName: "loopback",
    hosts: ["127.0.0.1"],
    usages: ["serverAuth"],
  });
  // Go's servers prefer HTTP/2 wherever a client offers it; so must this one, to show that none is offered.
  return { cert: certPem, key: keyPem, ALPNProtocols: ["h2", "http/1.1"] };
}
