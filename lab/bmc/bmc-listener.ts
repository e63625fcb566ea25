// A TLS port that can refuse connections or take them and say nothing. Knows HTTP only as what is served on it.
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { RequestListener } from "node:http";
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net";
import { findFreePort } from "../control-plane/free-port.ts";

export interface ListenerOptions {
  readonly host: string;
  readonly certificate: { readonly certPem: string; readonly keyPem: string };
  /** Whether a connection made now is taken without a word. */
  readonly isMute: () => boolean;
  readonly onRequest: RequestListener;
}

/** TCP is accepted by us and handed to TLS, so that silence can begin before the handshake. */
export class BmcListener {
  readonly port: number;
  #options: ListenerOptions;
  #https: HttpsServer;
  #tcp: TcpServer | undefined;
  #sockets = new Set<Socket>();

  private constructor(port: number, options: ListenerOptions) {
    this.port = port;
    this.#options = options;
    this.#https = createHttpsServer(
      { cert: options.certificate.certPem, key: options.certificate.keyPem, keepAliveTimeout: 30_000 },
      options.onRequest,
    );
    // A client that breaks off a handshake is its own affair.
    this.#https.on("tlsClientError", () => undefined);
  }

  static async open(options: ListenerOptions): Promise<BmcListener> {
    const listener = new BmcListener(await findFreePort(), options);
    await listener.listen();
    return listener;
  }

  /** Begins to accept connections, on the same port every time; does nothing where it does so already. */
  async listen(): Promise<void> {
    if (this.#tcp !== undefined) return;
    const tcp = createTcpServer((socket) => this.#accept(socket));
    this.#tcp = tcp;
    await new Promise<void>((resolve, reject) => {
      tcp.once("error", reject);
      tcp.listen(this.port, this.#options.host, resolve);
    });
  }

  /** Refuses connections from now on and breaks the open ones. */
  async refuse(): Promise<void> {
    const tcp = this.#tcp;
    this.#tcp = undefined;
    const closed = new Promise<void>((resolve) => {
      if (tcp === undefined) resolve();
      else tcp.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => undefined);
    if (this.#options.isMute()) socket.resume();
    else this.#https.emit("connection", socket);
  }
}
