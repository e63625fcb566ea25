// The sockets of service probes. Knows how to ask once, of whom it is told; when to ask, and how long to wait, is not its
// business. Nothing is sent that a stranger might not read, and no more is read than is counted.
import { createSocket, type Socket } from "node:dgram";
import { request } from "node:http";
import { connect, isIPv6 } from "node:net";

export interface Target {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
}

export interface UdpDoor {
  /** Sends one packet; what cannot be sent is lost without a word, as on the way. */
  send(message: Uint8Array, target: Target): void;
  close(): void;
}

export interface DownloadRequest extends Target {
  readonly path: string;
  /** First byte wanted. */
  readonly fromByte: number;
  readonly signal: AbortSignal;
  /** The server sends from the beginning whatever was asked. */
  readonly onRestart: () => void;
  readonly onBytes: (count: number) => void;
}

/** `refused`: a status that is no content. `broken`: no connection, or it ended early. */
export type DownloadEnd = "complete" | "refused" | "broken";

/** How probes reach the network. Nothing here fails, and everything ends by its signal. */
export interface ProbeNetwork {
  openUdp(received: (message: Uint8Array) => void): UdpDoor;
  /** Whether a TCP connection came about. It is closed at once. */
  connect(target: Target & { readonly signal: AbortSignal }): Promise<boolean>;
  /** The status of a GET; undefined where no answer came. The body is not read. */
  get(target: Target & { readonly path: string; readonly signal: AbortSignal }): Promise<number | undefined>;
  download(wanted: DownloadRequest): Promise<DownloadEnd>;
}

/** Longest head of an HTTP answer that is read. */
const MAX_HEADER_BYTES = 16 * 1024;

/** Room for the answers to a thousand packets a second while this process is busy for a moment; each takes some 800 bytes. */
const UDP_RECEIVE_BYTES = 1024 * 1024;

const USER_AGENT = "holdfast-drill";

/** The machine's network. */
export const realProbeNetwork: ProbeNetwork = { openUdp, connect: tryConnect, get, download };

function openUdp(received: (message: Uint8Array) => void): UdpDoor {
  const sockets = new Map<"udp4" | "udp6", Socket>();
  let closed = false;
  const socketFor = (address: string): Socket => {
    const family = isIPv6(address) ? "udp6" : "udp4";
    const known = sockets.get(family);
    if (known !== undefined) return known;
    const socket = createSocket({ type: family, recvBufferSize: UDP_RECEIVE_BYTES });
    sockets.set(family, socket);
    socket.on("message", received);
    socket.on("error", () => {
      // It may have been the last thing the socket said; the next packet opens another.
      if (sockets.get(family) === socket) sockets.delete(family);
      socket.close();
    });
    return socket;
  };
  return {
    send: (message, { address, port }) => {
      if (!closed) socketFor(address).send(message, port, address, () => {});
    },
    close: () => {
      closed = true;
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
    },
  };
}

function tryConnect(target: Target & { readonly signal: AbortSignal }): Promise<boolean> {
  const { address, port, signal } = target;
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (connected: boolean): void => {
      signal.removeEventListener("abort", giveUp);
      // A reset, so that thousands of questions leave no closed connections behind on either side.
      socket.resetAndDestroy();
      resolve(connected);
    };
    const giveUp = (): void => end(false);
    socket.on("connect", () => end(true));
    socket.on("error", giveUp);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
  });
}

function get(
  target: Target & { readonly path: string; readonly signal: AbortSignal },
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = open(target, {});
    asked.on("response", (response) => {
      resolve(response.statusCode);
      response.destroy();
    });
    asked.on("error", () => resolve(undefined));
    asked.on("close", () => resolve(undefined));
    asked.end();
  });
}

function download(wanted: DownloadRequest): Promise<DownloadEnd> {
  const { fromByte, onRestart, onBytes } = wanted;
  return new Promise((resolve) => {
    const asked = open(wanted, fromByte > 0 ? { range: `bytes=${fromByte}-` } : {});
    asked.on("response", (response) => {
      const { statusCode = 0, headers } = response;
      const continues = statusCode === 206 && headers["content-range"]?.startsWith(`bytes ${fromByte}-`);
      if (statusCode !== 200 && !continues) {
        resolve("refused");
        response.destroy();
        return;
      }
      if (fromByte > 0 && !continues) onRestart();
      response.on("data", (chunk: Buffer) => onBytes(chunk.length));
      response.on("end", () => resolve(response.complete ? "complete" : "broken"));
      response.on("error", () => resolve("broken"));
      response.on("close", () => resolve("broken"));
    });
    asked.on("error", () => resolve("broken"));
    asked.on("close", () => resolve("broken"));
    asked.end();
  });
}

/** A connection of its own for each: one that is kept would show that it was there once, not that the service is. */
function open(
  { address, port, path, signal }: Target & { readonly path: string; readonly signal: AbortSignal },
  headers: Readonly<Record<string, string>>,
): ReturnType<typeof request> {
  return request({
    host: address,
    port,
    // Node throws at characters that cannot travel.
    path: path.toWellFormed().replace(/[^\x21-\x7e]/gu, encodeURIComponent),
    agent: false,
    signal,
    maxHeaderSize: MAX_HEADER_BYTES,
    headers: { ...headers, "user-agent": USER_AGENT, connection: "close" },
  });
}
