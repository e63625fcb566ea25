// One procedure's conversation with a Redfish service: kept connections, one login, credentials on every request.
import type { Clock } from "../../model/clock.ts";
import { CallDeadline } from "./call-deadline.ts";
import type { Redactor } from "./redaction.ts";
import { namedSystemPath, type RedfishAccess } from "./redfish-access.ts";
import { failureOfHttp, type SendFailure } from "./redfish-failure.ts";
import { type RedfishAnswer, RedfishHttp, type RedfishRequest } from "./redfish-http.ts";
import { type LearnedService, RedfishLogin } from "./redfish-login.ts";

/** Bound of `end`: deleting the session may take this long, and not longer. */
const END_DEADLINE_MS = 2_000;

export interface ConversationParts {
  readonly origin: string;
  readonly access: RedfishAccess;
  readonly clock: Clock;
  readonly learned: LearnedService;
  readonly redactor: Redactor;
}

export class RedfishConversation {
  readonly http: RedfishHttp;
  /** The system that the settings name. The settings themselves are kept out of sight: they hold the password. */
  readonly namedSystem: string | undefined;
  readonly learned: LearnedService;
  #clock: Clock;
  #login: RedfishLogin;

  constructor(parts: ConversationParts) {
    this.http = new RedfishHttp(parts.origin, parts.access);
    this.namedSystem = namedSystemPath(parts.access);
    this.learned = parts.learned;
    this.#clock = parts.clock;
    this.#login = new RedfishLogin({ ...parts, http: this.http });
  }

  /** Sends with credentials; where a session has expired, once more with a new one. */
  async send(request: RedfishRequest, deadline: CallDeadline): Promise<RedfishAnswer | SendFailure> {
    for (let renewed = false; ; renewed = true) {
      const credentials = await this.#login.credentials(deadline);
      if (!credentials.ok) return { ...credentials, mayHaveArrived: false };
      const answer = await this.http.send({ ...request, headers: credentials.headers }, deadline);
      if (!answer.ok) return failureOfHttp(answer);
      if (answer.status !== 401 || renewed || !this.#login.expire(credentials)) return answer;
    }
  }

  /** Gives session and connections back, in bounded time; never fails. */
  async end(): Promise<void> {
    const deadline = new CallDeadline(this.#clock, { deadlineMs: END_DEADLINE_MS });
    await this.#login.end(deadline);
    deadline.end();
    await this.http.close();
  }
}
