// How a level's readiness stands on the Node object: one condition for each level. Writes and reads the same words.
import { z } from "zod";
import type { LevelReadiness, SeenState } from "../model/fencing-readiness.ts";

/** The condition's type is this and the level's name. */
const TYPE_PREFIX = "holdfast.dev/FencingReady-";
/** Longest message kept in a condition. */
const MAX_MESSAGE_CHARS = 400;
const MAX_LEVELS = 8;

/** Ends a message where a state was read: which, and by what the device can be known again. */
const SEEN = / \[seen (On|Off): ([0-9a-f]{12})\]$/;

/** A condition of a Node, as the API server takes it. */
export interface NodeCondition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
  readonly lastHeartbeatTime: string;
  readonly lastTransitionTime: string;
}

/** What is read of any Node's conditions; the rest is none of our business. */
export const nodeConditions = z
  .array(
    z.object({
      type: z.string(),
      status: z.string(),
      reason: z.string().optional(),
      message: z.string().optional(),
      lastTransitionTime: z.string().nullish(),
    }),
  )
  .nullish();

/** Renders a verdict; `at` is when it was reached, RFC 3339 in whole seconds. */
export function readinessCondition(readiness: LevelReadiness, at: string): NodeCondition {
  const { level, ready, reason, message, seen, since } = readiness;
  const tag = seen === undefined ? "" : ` [seen ${seen.state}: ${seen.device}]`;
  return {
    type: `${TYPE_PREFIX}${level}`,
    status: ready ? "True" : "False",
    reason,
    message: `${message.slice(0, MAX_MESSAGE_CHARS - tag.length)}${tag}`,
    lastHeartbeatTime: at,
    lastTransitionTime: since ?? at,
  };
}

/** The verdicts among a Node's conditions, in the order of their levels' names. */
export function readReadiness(conditions: z.output<typeof nodeConditions>): readonly LevelReadiness[] {
  const found: LevelReadiness[] = [];
  for (const condition of conditions ?? []) {
    if (!condition.type.startsWith(TYPE_PREFIX) || found.length >= MAX_LEVELS) continue;
    const message = condition.message ?? "";
    found.push({
      level: condition.type.slice(TYPE_PREFIX.length),
      ready: condition.status === "True",
      reason: condition.reason ?? "",
      message: message.replace(SEEN, ""),
      seen: seenIn(message),
      since: condition.lastTransitionTime ?? undefined,
    });
  }
  return found.sort((one, other) => (one.level < other.level ? -1 : 1));
}

function seenIn(message: string): SeenState | undefined {
  const [, state, device] = SEEN.exec(message) ?? [];
  return device === undefined ? undefined : { state: state === "On" ? "On" : "Off", device };
}
