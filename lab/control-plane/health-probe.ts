// Asks a loopback server whether it is ready. One question, one deadline, no memory.
import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";

const PROBE_DEADLINE_MS = 2_000;

/** True when `url` answers 200. Anything else, a refused connection and silence included, is false. */
export function isHealthy(url: string, caPem: string): Promise<boolean> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(PROBE_DEADLINE_MS);
    const request = url.startsWith("https:")
      ? httpsGet(url, { ca: caPem, signal, agent: false })
      : httpGet(url, { signal, agent: false });
    request.once("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once("error", () => resolve(false));
  });
}
