// What can go wrong with one request, and doing it. Knows HTTP and the lines of a watch; knows no sockets below.
import type { IncomingMessage, ServerResponse } from "node:http";

/** A request as rules see it. */
export interface ProxiedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
  /** Common name of the client's certificate; empty where it came with a token. */
  readonly user: string;
}

/** How a watch is cut: the connection resets, ends cleanly, ends inside a line, or expires with an in-stream 410. */
export type WatchCut = "reset" | "end" | "truncate" | "expire";

export type RequestFault =
  /** Answered here with a Status of this code; the server never sees the request. */
  | { readonly kind: "answer"; readonly status: number; readonly retryAfterSeconds?: number }
  /** Forwarded only after a while. */
  | { readonly kind: "delay"; readonly delayMs: number }
  /** Neither forwarded nor answered. */
  | { readonly kind: "silence" }
  /** Forwarded and carried out, but the connection is reset instead of the answer: the caller cannot know. */
  | { readonly kind: "loseAnswer" }
  /** A watch ends after so many lines. */
  | { readonly kind: "cut"; readonly afterEvents: number; readonly how: WatchCut };

const REASONS: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** Answers as an API server would. */
export function answerStatus(
  response: ServerResponse,
  fault: { readonly status: number; readonly retryAfterSeconds?: number },
): void {
  response.writeHead(fault.status, {
    "content-type": "application/json",
    ...(fault.retryAfterSeconds === undefined ? {} : { "retry-after": String(fault.retryAfterSeconds) }),
  });
  response.end(JSON.stringify(statusOf(fault.status)));
}

/** Passes a watch on line by line and cuts it where the fault says. */
export function cutWatch(
  upstream: IncomingMessage,
  response: ServerResponse,
  fault: { readonly afterEvents: number; readonly how: WatchCut },
): void {
  let pending = Buffer.alloc(0);
  let passed = 0;
  const cut = (nextLine: Buffer) => {
    upstream.destroy();
    if (fault.how === "reset") response.destroy();
    else if (fault.how === "truncate") response.end(nextLine.subarray(0, Math.ceil(nextLine.length / 2)));
    else if (fault.how === "expire")
      response.end(`${JSON.stringify({ type: "ERROR", object: statusOf(410) })}\n`);
    else response.end();
  };
  // Only a truncation needs another line; the others strike as soon as they are due.
  const isDue = () => passed >= fault.afterEvents && fault.how !== "truncate";
  upstream.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      const line = pending.subarray(0, end + 1);
      pending = pending.subarray(end + 1);
      if (passed >= fault.afterEvents) return cut(line);
      response.write(line);
      passed++;
      if (isDue()) return cut(line);
    }
    return undefined;
  });
  upstream.on("end", () => response.end());
  upstream.on("error", () => response.destroy());
  response.flushHeaders();
  if (isDue()) cut(Buffer.alloc(0));
}

function statusOf(code: number) {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `injected by the fault proxy: ${code}`,
    reason: REASONS[code] ?? "Unknown",
    code,
  };
}
