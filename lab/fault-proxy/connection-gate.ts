// A TCP relay whose connections can be reset, ended, held still, lost or slowed at run time. Sees bytes, knows no HTTP.
import { connect, createServer, type Server, type Socket } from "node:net";

/** What happens to bytes and to new connections. `lost` connections stay mute for ever, as when a machine dies. */
export type GateMode = "open" | "stalled" | "losing" | "refusing";

/** How slowly answers are let through. */
export interface Trickle {
  readonly bytes: number;
  readonly everyMs: number;
}

interface Pair {
  readonly client: Socket;
  readonly inner: Socket;
  lost: boolean;
}

/** One listening port in front of `innerPort`, both on loopback. */
export class ConnectionGate {
  /** Applies to answers that begin to arrive from now on. */
  trickle: Trickle | undefined;
  #innerPort: number;
  #port = 0;
  #server: Server | undefined;
  #pairs = new Set<Pair>();
  #mode: GateMode = "open";

  constructor(innerPort: number) {
    this.#innerPort = innerPort;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Listens; always on the same port once it has one. */
  async listen(): Promise<void> {
    if (this.#server) return;
    const server = createServer((client) => this.#accept(client));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
    this.#server = server;
  }

  async setMode(mode: GateMode): Promise<void> {
    this.#mode = mode;
    if (mode === "refusing") {
      // Does not wait for the open connections, which go on.
      this.#server?.close();
      this.#server = undefined;
    } else {
      await this.listen();
    }
    for (const pair of this.#pairs) this.#apply(pair);
  }

  /** Ends every connection: `reset` with RST, `end` with FIN. */
  endAll(how: "reset" | "end"): void {
    for (const pair of this.#pairs) {
      if (how === "reset") pair.client.resetAndDestroy();
      else pair.client.end();
      pair.inner.destroy();
    }
  }

  async close(): Promise<void> {
    this.endAll("reset");
    const server = this.#server;
    this.#server = undefined;
    if (server)
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
  }

  #accept(client: Socket): void {
    const inner = connect(this.#innerPort, "127.0.0.1");
    const pair: Pair = { client, inner, lost: false };
    this.#pairs.add(pair);
    client.setNoDelay(true);
    inner.setNoDelay(true);
    const forget = () => {
      this.#pairs.delete(pair);
      client.destroy();
      inner.destroy();
    };
    // A reset arrives as an error first; the close that follows is what counts.
    client.on("error", () => undefined).on("close", forget);
    inner.on("error", () => undefined).on("close", () => this.#afterInnerClosed(pair));
    client.on("data", (chunk) => {
      if (!inner.write(chunk)) client.pause();
    });
    inner.on("drain", () => this.#apply(pair));
    inner.on("data", (chunk) => void this.#forward(pair, chunk));
    this.#apply(pair);
  }

  #afterInnerClosed(pair: Pair): void {
    if (pair.lost) return;
    pair.client.end();
  }

  async #forward(pair: Pair, chunk: Buffer): Promise<void> {
    const trickle = this.trickle;
    if (!trickle) {
      pair.client.write(chunk);
      return;
    }
    pair.inner.pause();
    for (let from = 0; from < chunk.length && !pair.client.destroyed; from += trickle.bytes) {
      pair.client.write(chunk.subarray(from, from + trickle.bytes));
      await new Promise((resolve) => {
        setTimeout(resolve, trickle.everyMs);
      });
    }
    this.#apply(pair);
  }

  #apply(pair: Pair): void {
    if (this.#mode === "losing") pair.lost = true;
    if (pair.lost || this.#mode === "stalled") {
      pair.client.pause();
      pair.inner.pause();
    } else {
      pair.client.resume();
      pair.inner.resume();
    }
  }
}
