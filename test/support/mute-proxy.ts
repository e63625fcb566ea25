// A TCP proxy that can play the network's worst tricks: connections that stay open and say nothing, and a cut cable.
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class MuteProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #muted = new Set<Socket>();
  #swallowNew = false;
  /** Connections accepted so far. */
  accepted = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(targetPort: number): Promise<MuteProxy> {
    const server = createServer();
    const proxy = new MuteProxy(server);
    server.on("connection", (client) => proxy.#serve(client, targetPort));
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What is connected stays open and goes silent, as when a peer lost its power; new connections work. */
  muteOpenConnections(): void {
    for (const pair of this.#pairs) for (const socket of pair) this.#muted.add(socket);
  }

  /** Nothing gets through any more, on old connections or new. */
  cut(): void {
    this.#swallowNew = true;
    this.muteOpenConnections();
  }

  /** New connections work again; the muted ones stay mute. */
  mend(): void {
    this.#swallowNew = false;
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #serve(client: Socket, targetPort: number): void {
    this.accepted += 1;
    const target = connect(targetPort, "127.0.0.1");
    const pair = [client, target] as const;
    this.#pairs.add(pair);
    if (this.#swallowNew) for (const socket of pair) this.#muted.add(socket);
    const forward = (from: Socket, to: Socket): void => {
      from.on("data", (chunk) => {
        if (!this.#muted.has(from)) to.write(chunk);
      });
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(pair);
        this.#muted.delete(from);
        to.destroy();
      });
    };
    forward(client, target);
    forward(target, client);
  }
}
