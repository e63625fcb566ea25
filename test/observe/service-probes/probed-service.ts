// A service on loopback that behaves as a test says: echoes, drops, delays, dies, comes back elsewhere.
import { createSocket } from "node:dgram";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";

export interface ProbedService {
  readonly address: string;
  readonly port: number;
  /** What has come in: packets, connections or requests. */
  readonly received: () => number;
  /** Gone at once, open connections too. */
  die(): Promise<void>;
}

export interface Echo {
  /** Of the packet with this ordinal, from 0: undefined drops it, a number sends it back after so many milliseconds. */
  readonly delayMs?: (ordinal: number) => number | undefined;
  /** What is sent back instead of the packet. */
  readonly answer?: (packet: Buffer) => readonly Uint8Array[];
  readonly address?: string;
  readonly port?: number;
}

export async function udpEcho(echo: Echo = {}): Promise<ProbedService> {
  const { delayMs = () => 0, answer = (packet) => [packet], address = "127.64.0.1", port = 0 } = echo;
  const socket = createSocket("udp4");
  const timers = new Set<NodeJS.Timeout>();
  let received = 0;
  socket.on("message", (packet, from) => {
    const delay = delayMs(received);
    received += 1;
    if (delay === undefined) return;
    const send = (): void => {
      for (const message of answer(packet)) socket.send(message, from.port, from.address, () => {});
    };
    if (delay === 0) send();
    else timers.add(setTimeout(send, delay));
  });
  await new Promise<void>((resolve) => {
    socket.bind(port, address, resolve);
  });
  return {
    address,
    port: socket.address().port,
    received: () => received,
    die: async () => {
      for (const timer of timers) clearTimeout(timer);
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
    },
  };
}

export interface Listening {
  readonly address?: string;
  readonly port?: number;
  /** Answers HTTP; without it connections are accepted and nothing is said. */
  readonly http?: RequestListener;
}

export async function tcpService({
  address = "127.64.0.1",
  port = 0,
  http,
}: Listening = {}): Promise<ProbedService> {
  const sockets = new Set<Socket>();
  let received = 0;
  const server = http === undefined ? createTcpServer() : createHttpServer(http);
  server.on("connection", (socket: Socket) => {
    received += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => {
    server.listen(port, address, resolve);
  });
  return {
    address,
    port: (server.address() as AddressInfo).port,
    received: () => received,
    die: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.resetAndDestroy();
      }),
  };
}
