// What one guest says to the network: UDP echo, and HTTP with a file to transfer. Told when to answer and when to be silent.
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { labTime } from "../lab-time.ts";
import { GUEST_PORTS, TRANSFER_PATH } from "./guest-address.ts";

/** The speed of a guest's network card: 100 Mbit/s, as in the experiment that drills repeat. */
export const LINK_BYTES_PER_SECOND = 12_500_000;
const SEND_EVERY_MS = 20;
/** All probes' packets share one socket; a lab on a busy machine reads it late. */
const UDP_RECEIVE_BYTES = 1024 * 1024;
const FILE_BYTES = 1_000_000_000;
/** Never more in memory for one transfer than this, however slow its reader. */
const CHUNK = Buffer.alloc(1_000_000);

/**
 * Guarantees: while silent nothing is answered and nothing new accepted, but connections stay, as a paused guest's do.
 * Errors: an address that cannot be had is thrown on the event loop and ends the lab; nothing could be measured without it.
 */
export class AnsweringGuest {
  readonly #address: string;
  readonly #connections = new Set<Socket>();
  #udp: UdpSocket | undefined;
  #http: Server | undefined;

  constructor(address: string) {
    this.#address = address;
  }

  get answers(): boolean {
    return this.#http !== undefined;
  }

  answer(): void {
    if (this.answers) return;
    const udp = createSocket({ type: "udp4", recvBufferSize: UDP_RECEIVE_BYTES });
    udp.on("message", (packet, from) => udp.send(packet, from.port, from.address, () => {}));
    udp.bind(GUEST_PORTS.udpEcho, this.#address);
    this.#udp = udp;
    const http = createServer((request, response) => this.#serve(request, response));
    http.on("connection", (socket) => {
      this.#connections.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#connections.delete(socket));
    });
    http.listen(GUEST_PORTS.http, this.#address);
    this.#http = http;
  }

  fallSilent(): void {
    this.#udp?.close();
    this.#udp = undefined;
    this.#http?.close();
    this.#http = undefined;
  }

  /** An orderly shutdown says goodbye on every connection. A machine without power does not: its peers find out by themselves. */
  end(orderly: boolean): void {
    this.fallSilent();
    for (const socket of this.#connections) {
      if (orderly) socket.destroy();
      else socket.pause();
    }
  }

  /** Nobody is left to find out anything. */
  close(): void {
    this.fallSilent();
    for (const socket of this.#connections) socket.destroy();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.url?.startsWith(TRANSFER_PATH) !== true) {
      response.end("up\n");
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    if (from >= FILE_BYTES) {
      response.writeHead(416).end();
      return;
    }
    const length = { "content-length": String(FILE_BYTES - from) };
    if (request.headers.range === undefined) response.writeHead(200, length);
    else
      response.writeHead(206, {
        ...length,
        "content-range": `bytes ${from}-${FILE_BYTES - 1}/${FILE_BYTES}`,
      });
    this.#send(response, FILE_BYTES - from);
  }

  #send(response: ServerResponse, bytes: number): void {
    let leftBytes = bytes;
    let lastMs = labTime.nowMs();
    const send = (): void => {
      if (response.destroyed) return;
      const nowMs = labTime.nowMs();
      const byRate = Math.floor(((nowMs - lastMs) / 1_000) * LINK_BYTES_PER_SECOND);
      lastMs = nowMs;
      // What could not be sent while silent is not made up for: the link is not faster afterwards.
      if (this.answers && !response.writableNeedDrain) {
        const now = Math.min(byRate, leftBytes, CHUNK.length);
        leftBytes -= now;
        response.write(CHUNK.subarray(0, now));
      }
      if (leftBytes === 0) response.end();
      else labTime.after(SEND_EVERY_MS, send, "idle");
    };
    send();
  }
}
