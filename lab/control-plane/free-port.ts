// Finds loopback ports for servers that cannot be handed a socket. Knows nothing of who listens there.
import { createServer } from "node:net";

// Below every system's ephemeral range and below the NodePort range: a server that stops and starts again on its port
// must not find it taken by somebody's outgoing connection.
const FIRST_PORT = 14_000;
const PORT_COUNT = 15_000;
const ATTEMPTS = 200;

const given = new Set<number>();

/** A loopback port nobody listens on; never given twice by this process. Errors: throws where none is found. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free loopback port found in ${ATTEMPTS} tries from ${FIRST_PORT} upwards`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
