import { describe, expect, it } from "vitest";
import { outcomeOf, RETRY_AFTER_MS } from "../../src/act/outcome.ts";
import type { ApiFailureKind } from "../../src/kube/transport.ts";

const TABLE: Readonly<Record<ApiFailureKind, string>> = {
  conflict: "conflict",
  notFound: "conflict",
  alreadyExists: "unchanged",
  gone: "retry",
  throttled: "retry",
  timeout: "retry",
  unreachable: "retry",
  serverError: "retry",
  invalid: "refused",
  denied: "refused",
  tooLarge: "refused",
  unexpected: "refused",
  aborted: "stale",
};

describe("a failed request", () => {
  for (const [kind, outcome] of Object.entries(TABLE)) {
    it(`of kind ${kind} ends its step as ${outcome}, with the server's words`, () => {
      const failure = { ok: false, kind: kind as ApiFailureKind, status: 403, message: "its words" } as const;
      expect(outcomeOf(failure)).toMatchObject({ outcome, detail: "its words" });
    });
  }

  it("for want of a valid token is tried again, since tokens are renewed by themselves", () => {
    expect(outcomeOf({ ok: false, kind: "denied", status: 401, message: "" }).outcome).toBe("retry");
  });

  it("is tried again when the server asks for it, or a second later", () => {
    const throttled = { ok: false, kind: "throttled", status: 429, message: "" } as const;
    expect(outcomeOf({ ...throttled, retryAfterMs: 5_000 }).retryAfterMs).toBe(5_000);
    expect(outcomeOf(throttled).retryAfterMs).toBe(RETRY_AFTER_MS);
  });

  it("that was never sent is stale", () => {
    expect(outcomeOf({ ok: false, kind: "stale", status: undefined, message: "" }).outcome).toBe("stale");
  });
});
