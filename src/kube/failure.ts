// Turns an HTTP answer or a thrown error into the one ApiFailure type.
import type { ApiFailure, ApiFailureKind } from "./transport.ts";

const MAX_MESSAGE_CHARS = 1_000;

/** The answer is larger than we are willing to hold. */
export class BodyTooLarge extends Error {}

interface StatusBody {
  readonly message?: unknown;
  readonly reason?: unknown;
}

/** Reads a non-2xx answer. `AlreadyExists` and `Conflict` share status 409 and are told apart by `Status.reason`. */
export function failureOf(
  method: string,
  status: number,
  text: string,
  retryAfterMs: number | undefined,
): ApiFailure {
  const body = parseStatus(text);
  const message = typeof body.message === "string" ? body.message : text || `HTTP ${status}`;
  return {
    ok: false,
    kind: kindOf(method, status, body.reason),
    status,
    message: message.slice(0, MAX_MESSAGE_CHARS),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function kindOf(method: string, status: number, reason: unknown): ApiFailureKind {
  if (status === 409)
    return reason === "AlreadyExists" || (reason === undefined && method === "POST")
      ? "alreadyExists"
      : "conflict";
  if (status === 404) return "notFound";
  if (status === 410) return "gone";
  if (status === 400 || status === 422) return "invalid";
  if (status === 401 || status === 403) return "denied";
  if (status === 429) return "throttled";
  if (status >= 500) return "serverError";
  return "unexpected";
}

function parseStatus(text: string): StatusBody {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? body : {};
  } catch {
    return {};
  }
}

/** Reads an exception thrown while calling. */
export function failureOfThrown(
  error: unknown,
  call: { readonly deadlineMs: number; readonly timedOut: boolean; readonly aborted: boolean },
): ApiFailure {
  const fail = (kind: ApiFailureKind, message: string): ApiFailure => ({
    ok: false,
    kind,
    status: undefined,
    message: message.slice(0, MAX_MESSAGE_CHARS),
  });
  if (call.aborted) return fail("aborted", "the call was given up");
  if (call.timedOut) return fail("timeout", `no answer within ${call.deadlineMs} ms`);
  // Without the parser's own message: it quotes the input, which may be a Secret.
  if (error instanceof SyntaxError) return fail("unexpected", "the answer is not JSON");
  if (error instanceof BodyTooLarge) return fail("tooLarge", error.message);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.includes("TIMEOUT")) return fail("timeout", `no connection: ${String(error)}`);
  return fail("unreachable", error instanceof Error ? error.message || code : String(error));
}
