// Finds the ComputerSystem to cut at a Redfish service. Never guesses: a wrong system is a healthy node shot.
import type { CallDeadline } from "./call-deadline.ts";
import { STANDARD_SYSTEMS, pathWithin } from "./redfish-access.ts";
import type { RedfishConversation } from "./redfish-conversation.ts";
import { deviceFailure, failureOfAnswer, isSuccess, jsonOf, type SendFailure } from "./redfish-failure.ts";
import { learnRoot } from "./redfish-login.ts";
import { parseMembers } from "./redfish-resources.ts";

/** Members of a collection that an error names. */
const NAMED_MEMBERS_MAX = 10;

/** The path that the settings name; else, and only then, the path of the service's one and only system. */
export async function findSystemPath(
  conversation: RedfishConversation,
  deadline: CallDeadline,
): Promise<string | SendFailure> {
  const settled = conversation.namedSystem ?? conversation.learned.systemPath;
  if (settled !== undefined) return settled;
  const listed = await listSystems(conversation, deadline);
  if (!listed.ok) return listed;
  const [only, ...others] = listed.paths;
  if (only === undefined) return deviceFailure("faulty", "the service lists no system, or none yet");
  if (others.length > 0) {
    const count = listed.paths.length;
    return deviceFailure(
      "misconfigured",
      `the service has ${count} systems, so systemId must name one: ${wordsOf(listed.paths)}`,
    );
  }
  const path = pathWithin(conversation.http.origin, only);
  if (path === undefined)
    return deviceFailure("misconfigured", "the service's only system is at another origin");
  conversation.learned.systemPath = path;
  return path;
}

/**
 * What a 404 at a system's path means: a service that lists other systems is wrongly addressed; one that lists none, or
 * this very one, may still be starting.
 */
export async function explainMissing(
  conversation: RedfishConversation,
  path: string,
  deadline: CallDeadline,
): Promise<SendFailure> {
  delete conversation.learned.systemPath;
  const listed = await listSystems(conversation, deadline);
  const paths = listed.ok ? listed.paths.map((link) => pathWithin(conversation.http.origin, link)) : [];
  if (!listed.ok || paths.length === 0 || paths.includes(path)) {
    return deviceFailure("faulty", `the service answers 404 to ${path}, and lists no other system`);
  }
  return deviceFailure("misconfigured", `the service has no system ${path}; it has ${wordsOf(listed.paths)}`);
}

async function listSystems(
  conversation: RedfishConversation,
  deadline: CallDeadline,
): Promise<{ readonly ok: true; readonly paths: readonly string[] } | SendFailure> {
  if (conversation.learned.systemsPath === undefined) {
    const failure = await learnRoot(conversation, deadline);
    if (failure !== undefined) return { ...failure, mayHaveArrived: false };
  }
  const path = conversation.learned.systemsPath ?? STANDARD_SYSTEMS;
  const answer = await conversation.send({ method: "GET", path }, deadline);
  if (!answer.ok) return answer;
  if (!isSuccess(answer.status)) return failureOfAnswer(answer, path);
  const paths = parseMembers(jsonOf(answer));
  return paths === undefined
    ? deviceFailure("faulty", `${path} does not answer as a collection`)
    : { ok: true, paths };
}

function wordsOf(members: readonly string[]): string {
  const named = members.slice(0, NAMED_MEMBERS_MAX).join(", ");
  return members.length > NAMED_MEMBERS_MAX ? `${named}, …` : named;
}
