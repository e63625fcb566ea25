// Who may talk to a lab BMC: Basic credentials and sessions with tokens.
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { SESSIONS } from "./bmc-resources.ts";

/** As on real BMCs, whose few sessions run out when clients leave theirs behind. */
const SESSIONS_MAX = 8;

export class BmcCredentials {
  readonly username: string;
  #password: string;
  #sessions = new Map<string, string>();
  #created = 0;

  constructor(username: string, password: string) {
    this.username = username;
    this.#password = password;
  }

  get sessionPaths(): readonly string[] {
    return [...this.#sessions.values()];
  }

  matches(username: unknown, password: unknown): boolean {
    return username === this.username && password === this.#password;
  }

  admits(headers: IncomingHttpHeaders): boolean {
    const token = headers["x-auth-token"];
    if (typeof token === "string") return this.#sessions.has(token);
    const basic = /^Basic (.+)$/i.exec(headers.authorization ?? "")?.[1];
    return basic !== undefined && this.#isBasic(Buffer.from(basic, "base64").toString("utf8"));
  }

  /** A new session, or undefined where there are too many. */
  open(): { readonly token: string; readonly path: string } | undefined {
    if (this.#sessions.size >= SESSIONS_MAX) return undefined;
    const token = randomBytes(16).toString("hex");
    const path = `${SESSIONS}/${++this.#created}`;
    this.#sessions.set(token, path);
    return { token, path };
  }

  /** Whether there was such a session. */
  close(path: string): boolean {
    for (const [token, known] of this.#sessions) if (known === path) return this.#sessions.delete(token);
    return false;
  }

  expireAll(): void {
    this.#sessions.clear();
  }

  #isBasic(pair: string): boolean {
    const colon = pair.indexOf(":");
    return colon >= 0 && this.matches(pair.slice(0, colon), pair.slice(colon + 1));
  }
}
