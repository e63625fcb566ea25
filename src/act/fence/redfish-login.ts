// Credentials for one conversation with a Redfish service: a session that is always given back, or Basic.
import type { Clock } from "../../model/clock.ts";
import { CallDeadline, unlessAborted } from "./call-deadline.ts";
import type { DeviceFailure } from "./fence-device.ts";
import { type RedfishAccess, SERVICE_ROOT, pathWithin } from "./redfish-access.ts";
import { deviceFailure, failureOfAnswer, failureOfHttp, isSuccess, jsonOf } from "./redfish-failure.ts";
import type { RedfishAnswer, RedfishHttp } from "./redfish-http.ts";
import type { Redactor } from "./redaction.ts";
import { parseErrorText, parseResourcePath, parseServiceRoot } from "./redfish-resources.ts";

/** Longest login, its look at the service root included. It outlives an impatient reading, which the next one joins. */
const LOGIN_DEADLINE_MS = 15_000;

/** What a service has told about itself; kept between conversations, so that the next one asks less. */
export interface LearnedService {
  /** Null: the service has no sessions. Undefined: not asked yet. */
  sessionsPath?: string | null;
  systemsPath?: string;
  /** The only system, where the settings name none. */
  systemPath?: string;
  readonly resetTypes: Map<string, readonly string[]>;
}

/** Headers that carry the credentials. */
export interface Credentials {
  readonly ok: true;
  readonly headers: Readonly<Record<string, string>>;
}

export interface LoginParts {
  readonly http: RedfishHttp;
  readonly access: RedfishAccess;
  readonly clock: Clock;
  readonly learned: LearnedService;
  readonly redactor: Redactor;
}

/**
 * Guarantees: one login at a time; a session that was created is deleted by `end`, or forgotten once the service calls
 * it expired. Caveats: a session whose creation was answered after we had stopped listening is left to the service's own
 * session timeout.
 */
export class RedfishLogin {
  #parts: LoginParts;
  #current: Credentials | undefined;
  #sessionPath: string | undefined;
  #underWay: Promise<Credentials | DeviceFailure> | undefined;

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  async credentials(deadline: CallDeadline): Promise<Credentials | DeviceFailure> {
    if (this.#current !== undefined) return this.#current;
    this.#underWay ??= this.#logIn().finally(() => {
      this.#underWay = undefined;
    });
    const late = deviceFailure("timeout", `no login within ${deadline.deadlineMs} ms`);
    return unlessAborted(this.#underWay, deadline.signal, late);
  }

  /** The service rejected these credentials. True where a new login may help: a session can expire, a password cannot. */
  expire(rejected: Credentials): boolean {
    const wasSession = rejected.headers["x-auth-token"] !== undefined;
    if (wasSession && this.#current === rejected) {
      this.#current = undefined;
      this.#sessionPath = undefined;
    }
    return wasSession;
  }

  /** Deletes the session. Whether that worked is of no use to anybody: the service's own time-out is the remedy. */
  async end(deadline: CallDeadline): Promise<void> {
    if (this.#underWay !== undefined) await unlessAborted(this.#underWay, deadline.signal, undefined);
    const { headers } = this.#current ?? {};
    const path = this.#sessionPath;
    this.#current = undefined;
    this.#sessionPath = undefined;
    if (headers !== undefined && path !== undefined) {
      await this.#parts.http.send({ method: "DELETE", path, headers }, deadline);
    }
  }

  async #logIn(): Promise<Credentials | DeviceFailure> {
    const deadline = new CallDeadline(this.#parts.clock, { deadlineMs: LOGIN_DEADLINE_MS });
    try {
      const credentials = await this.#obtain(deadline);
      if (credentials.ok) this.#current = credentials;
      return credentials;
    } finally {
      deadline.end();
    }
  }

  async #obtain(deadline: CallDeadline): Promise<Credentials | DeviceFailure> {
    const { access, learned } = this.#parts;
    if (access.auth === "Basic") return this.#basic();
    if (learned.sessionsPath === undefined) {
      const failure = await learnRoot(this.#parts, deadline);
      if (failure !== undefined) return failure;
    }
    if (typeof learned.sessionsPath === "string") return this.#openSession(learned.sessionsPath, deadline);
    return access.auth === "Session"
      ? deviceFailure("misconfigured", "the service offers no sessions: set auth to Auto or Basic")
      : this.#basic();
  }

  #basic(): Credentials {
    const { username, password } = this.#parts.access;
    const encoded = Buffer.from(`${username}:${password}`).toString("base64");
    return { ok: true, headers: { authorization: `Basic ${encoded}` } };
  }

  async #openSession(path: string, deadline: CallDeadline): Promise<Credentials | DeviceFailure> {
    const { access, http, learned, redactor } = this.#parts;
    const body = { UserName: access.username, Password: access.password };
    const answer = await http.send({ method: "POST", path, body }, deadline);
    if (!answer.ok) return failureOfHttp(answer);
    if (isSuccess(answer.status) && answer.token !== undefined) {
      redactor.add(answer.token);
      const session = answer.location ?? parseResourcePath(jsonOf(answer));
      this.#sessionPath = session === undefined ? undefined : pathWithin(http.origin, session);
      return { ok: true, headers: { "x-auth-token": answer.token } };
    }
    if (saysDenied(answer)) {
      return deviceFailure("denied", `login refused: ${failureOfAnswer(answer, "session").message}`);
    }
    if (access.auth === "Session") return failureOfAnswer(answer, "creating a session");
    // No such service after all, no free session left, or no token given: Basic may still open the door.
    if ([404, 405, 501].includes(answer.status)) learned.sessionsPath = null;
    return this.#basic();
  }
}

/** Reads the service root, which needs no credentials, into `learned`; says what prevented it. */
export async function learnRoot(
  parts: Pick<LoginParts, "http" | "learned">,
  deadline: CallDeadline,
): Promise<DeviceFailure | undefined> {
  const { http, learned } = parts;
  const answer = await http.send({ method: "GET", path: SERVICE_ROOT }, deadline);
  if (!answer.ok) return failureOfHttp(answer);
  // A root behind a login breaks the standard; the session service then is where the standard has it.
  const closed = answer.status === 401 || answer.status === 403;
  if (!closed && !isSuccess(answer.status)) return failureOfAnswer(answer, `service root ${SERVICE_ROOT}`);
  const root = closed ? undefined : parseServiceRoot(jsonOf(answer));
  if (!closed && root === undefined) {
    return deviceFailure("faulty", `${SERVICE_ROOT} does not answer as a Redfish service root`);
  }
  const sessionsPath = closed ? "/redfish/v1/SessionService/Sessions" : root?.sessionsPath;
  learned.sessionsPath = sessionsPath === undefined ? null : (pathWithin(http.origin, sessionsPath) ?? null);
  const systemsPath = root?.systemsPath && pathWithin(http.origin, root.systemsPath);
  if (systemsPath) learned.systemsPath = systemsPath;
  return undefined;
}

/** Wrong credentials are 401 by the standard; iLO answers 400 with a message id of its own. */
function saysDenied(answer: RedfishAnswer): boolean {
  if (answer.status === 401 || answer.status === 403) return true;
  return answer.status === 400 && /unauthori[sz]ed/i.test(parseErrorText(jsonOf(answer)) ?? "");
}
