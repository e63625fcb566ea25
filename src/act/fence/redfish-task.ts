// Follows the task that a Redfish service hands out with 202 instead of an answer, until it says how the reset went.
// What it says is an answer like any other: power is known only from the state read back.
import { z } from "zod";
import type { Clock } from "../../model/clock.ts";
import { type CallDeadline, pause } from "./call-deadline.ts";
import type { DeviceAnswer } from "./fence-device.ts";
import { pathWithin } from "./redfish-access.ts";
import type { RedfishConversation } from "./redfish-conversation.ts";
import { isSuccess, jsonOf, resetAnswerOf } from "./redfish-failure.ts";
import type { RedfishAnswer } from "./redfish-http.ts";
import { parseErrorText } from "./redfish-resources.ts";

/** Between two looks at a task, unless it names a time. */
const POLL_MS = 500;
/** Longest pause taken at a task's word, lest a failed one go unnoticed. */
const POLL_MAX_MS = 5_000;

/** States of a task that has failed; it may have acted before. */
const FAILED: ReadonlySet<string> = new Set([
  "Exception",
  "Killed",
  "Cancelled",
  "Cancelling",
  "Interrupted",
]);
const SUCCEEDED = "Completed";

const task = z.object({
  "@odata.id": z.string().optional().catch(undefined),
  TaskMonitor: z.string().optional().catch(undefined),
  TaskState: z.string().optional().catch(undefined),
  TaskStatus: z.string().optional().catch(undefined),
  Messages: z
    .array(z.object({ Message: z.string().optional().catch(undefined) }))
    .optional()
    .catch(undefined),
});

/**
 * The answer that the task ends in. A task that is gone, that cannot be read or that has not ended by the deadline leaves it
 * at what 202 said: the service will do it.
 */
export async function followTask(
  accepted: RedfishAnswer,
  conversation: RedfishConversation,
  parts: { readonly deadline: CallDeadline; readonly clock: Clock },
): Promise<DeviceAnswer> {
  const { deadline, clock } = parts;
  const path = monitorOf(accepted, conversation);
  if (path === undefined) return resetAnswerOf(accepted);
  let waitMs = accepted.retryAfterMs ?? POLL_MS;
  while (!deadline.signal.aborted) {
    await pause(clock, Math.min(POLL_MAX_MS, waitMs), deadline.signal);
    if (deadline.signal.aborted) break;
    const answer = await conversation.send({ method: "GET", path }, deadline);
    if (!answer.ok) break;
    waitMs = answer.retryAfterMs ?? POLL_MS;
    const ended = endOf(answer, path);
    if (ended === "running") continue;
    return ended ?? resetAnswerOf(accepted);
  }
  return resetAnswerOf(accepted);
}

/** Where to ask: the header, else what the body names; nowhere outside the service. */
function monitorOf(accepted: RedfishAnswer, conversation: RedfishConversation): string | undefined {
  const body = task.safeParse(jsonOf(accepted)).data;
  const link = accepted.location ?? body?.TaskMonitor ?? body?.["@odata.id"];
  return link === undefined ? undefined : pathWithin(conversation.http.origin, link);
}

/** Undefined: the service forgot the task, or tells nothing of it. */
function endOf(answer: RedfishAnswer, path: string): DeviceAnswer | "running" | undefined {
  const { status } = answer;
  const body = task.safeParse(jsonOf(answer)).data;
  const state = body?.TaskState;
  if (state !== undefined && FAILED.has(state)) {
    const said = body?.Messages?.find((one) => one.Message !== undefined)?.Message;
    return { kind: "faulty", message: [`task ${path}: ${state}`, said].filter(Boolean).join(": ") };
  }
  if (status === 202) return "running";
  if (status === 404 || status === 410 || status === 401) return undefined;
  // A monitor that has done answers as the request itself would have; a task says so in its state.
  if (!isSuccess(status)) return resetAnswerOf(answer);
  if (state !== undefined && state !== SUCCEEDED) return "running";
  const said = parseErrorText(jsonOf(answer));
  return { kind: "accepted", message: [`HTTP 202: task ${path} completed`, said].filter(Boolean).join(": ") };
}
