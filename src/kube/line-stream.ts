// Splits the body of a watch into parsed JSON lines. Knows nothing of Kubernetes.
import type { Dispatcher } from "undici";
import { type ApiStream, StreamBroken } from "./transport.ts";

/** Longest single line of a watch; an object larger than etcd's own limit cannot exist. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** The body as a stream of parsed lines; see `ApiStream` for how it ends. */
export function lineStream(body: Dispatcher.ResponseData["body"]): ApiStream {
  let closed = false;
  // Closing before the first line is asked for must not surface as an unhandled error.
  body.on("error", () => undefined);
  async function* lines(): AsyncGenerator {
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    try {
      for await (const raw of body) {
        let chunk = raw as Buffer;
        for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10)) {
          const head = chunk.subarray(0, end);
          chunk = chunk.subarray(end + 1);
          const line = pending.length === 0 ? head : Buffer.concat([...pending, head]);
          pending = [];
          pendingBytes = 0;
          if (closed) return;
          if (line.length > 0) yield parseLine(line);
        }
        if (chunk.length > 0) {
          pending.push(chunk);
          pendingBytes += chunk.length;
          if (pendingBytes > MAX_LINE_BYTES)
            throw new StreamBroken(`a line is longer than ${MAX_LINE_BYTES} bytes`);
        }
      }
      if (pendingBytes > 0) throw new StreamBroken("the stream ended in the middle of a line");
    } catch (error) {
      if (closed) return;
      throw error instanceof StreamBroken ? error : new StreamBroken(String(error), { cause: error });
    } finally {
      body.destroy();
    }
  }
  return {
    lines: lines(),
    close: () => {
      closed = true;
      body.destroy();
    },
  };
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString("utf8"));
  } catch {
    // The parser's own message quotes the input, which may be a Secret.
    throw new StreamBroken(`a line of ${line.length} bytes is not JSON`);
  }
}
