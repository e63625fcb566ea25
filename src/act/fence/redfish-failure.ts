// Turns what HTTP brought into the words of a fence device. Pure.
import type { DeviceAnswer, DeviceFailure, DeviceFailureKind } from "./fence-device.ts";
import type { RedfishAnswer, RedfishHttpFailure } from "./redfish-http.ts";
import { parseErrorText } from "./redfish-resources.ts";

/** A failure, and whether the request may have reached the service all the same. */
export interface SendFailure extends DeviceFailure {
  readonly mayHaveArrived: boolean;
}

const KIND_OF: Readonly<Record<RedfishHttpFailure["kind"], DeviceFailureKind>> = {
  timeout: "timeout",
  aborted: "aborted",
  unreachable: "unreachable",
  untrusted: "untrusted",
  broken: "unreachable",
  tooLarge: "faulty",
  misdirected: "misconfigured",
};

const ARRIVED: ReadonlySet<RedfishHttpFailure["kind"]> = new Set([
  "timeout",
  "aborted",
  "broken",
  "tooLarge",
]);

export function failureOfHttp(failure: RedfishHttpFailure): SendFailure {
  return {
    ok: false,
    kind: KIND_OF[failure.kind],
    message: failure.message,
    mayHaveArrived: ARRIVED.has(failure.kind),
  };
}

export function deviceFailure(kind: DeviceFailureKind, message: string): SendFailure {
  return { ok: false, kind, message, mayHaveArrived: false };
}

/** Reads an answer that is not a success; `what` names the request for people. */
export function failureOfAnswer(answer: RedfishAnswer, what: string): SendFailure {
  const retry = answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs };
  return { ...deviceFailure(failureKindOf(answer.status), `${what}: ${wordsOf(answer)}`), ...retry };
}

function failureKindOf(status: number): DeviceFailureKind {
  if (status === 401 || status === 403) return "denied";
  if (status === 404) return "misconfigured";
  return isBusy(status) ? "busy" : "faulty";
}

/** What the service answered to a reset; see `DeviceAnswerKind` for what each kind means. */
export function resetAnswerOf(answer: RedfishAnswer): DeviceAnswer {
  const { status } = answer;
  const message = wordsOf(answer);
  if (isSuccess(status)) return { kind: "accepted", message };
  if (status === 401 || status === 403) return { kind: "denied", message };
  if (isBusy(status)) {
    return {
      kind: "busy",
      message,
      ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
    };
  }
  // 501 says that nothing was done; after any other error of its own the service may have acted.
  return { kind: status >= 500 && status !== 501 ? "faulty" : "refused", message };
}

/** A request that failed before, or while, it was sent. */
export function unsentAnswerOf(failure: SendFailure): DeviceAnswer {
  const { kind, message } = failure;
  if (failure.mayHaveArrived) return { kind: "noAnswer", message };
  const retry = failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs };
  if (kind === "timeout" || kind === "aborted" || kind === "faulty") {
    return { kind: "unreachable", message: `not sent: ${message}` };
  }
  return { kind, message, ...retry };
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function isBusy(status: number): boolean {
  return status === 503 || status === 429;
}

/** The body as JSON, or undefined where it is none: some BMCs answer with their web page. */
export function jsonOf(answer: RedfishAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    return undefined;
  }
}

/** Status and the service's own words. A body that is not a Redfish error stays out: it may be anything. */
function wordsOf(answer: RedfishAnswer): string {
  const said = parseErrorText(jsonOf(answer));
  const task = answer.status === 202 && answer.location !== undefined ? `task ${answer.location}` : undefined;
  return [`HTTP ${answer.status}`, said ?? task].filter((part) => part !== undefined).join(": ");
}
