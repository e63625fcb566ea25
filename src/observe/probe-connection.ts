// One probe of one address: is there a host that answers? Whatever it answers, an answer is a sign of life.
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "../model/clock.ts";

export interface ProbeRequest {
  /** An IP address. Names are not looked up: a name server that is away is no dead node. */
  readonly address: string;
  readonly port: number;
  readonly method: "tcp" | "https";
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * How a host took it, within the deadline. `answered`: it accepted, with `https` by going through the handshake: a proxy
 * on the way accepts for hosts that are dead. `refused`: somebody said no, most likely the host's own kernel.
 */
export type ProbeAnswer = "answered" | "refused" | "silent";

/** Never fails. */
export type ProbeConnection = (request: ProbeRequest) => Promise<ProbeAnswer>;

/**
 * Opens a connection and closes it. No certificate is checked, and nothing is said that a stranger might not read: only
 * whether somebody is there counts.
 */
export const probeConnection: ProbeConnection = (request) =>
  new Promise((resolve) => {
    const { address, port, method, deadlineMs, signal, clock } = request;
    if (isIP(address) === 0 || signal.aborted) return resolve("silent");
    const socket: Socket =
      method === "https"
        ? connectTls({ host: address, port, rejectUnauthorized: false })
        : connect({ host: address, port });
    const end = (answer: ProbeAnswer): void => {
      cancel();
      signal.removeEventListener("abort", giveUp);
      socket.destroy();
      resolve(answer);
    };
    const giveUp = (): void => end("silent");
    const cancel = clock.schedule(deadlineMs, giveUp);
    signal.addEventListener("abort", giveUp, { once: true });
    socket.on(method === "https" ? "secureConnect" : "connect", () => end("answered"));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ECONNREFUSED" ? "refused" : "silent"),
    );
    socket.on("close", giveUp);
  });
