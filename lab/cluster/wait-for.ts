// Waiting in tests and demos, with a deadline, and with a useful word when it passes.
import { setTimeout as sleep } from "node:timers/promises";

/** Looks once; undefined means not yet. Tells `saw` what it found instead, for the message of a time-out. */
export type Look<T> = (saw: (state: unknown) => void) => Promise<T | undefined> | T | undefined;

export const DEFAULT_WAIT_MS = 30_000;
const LOOK_EVERY_MS = 20;
const MAX_SEEN_CHARS = 2_000;

/**
 * Looks until something is there, and returns it. Errors: throws after `deadlineMs` with the description and what was
 * seen last, since "timed out" alone has never helped anybody.
 */
export async function waitFor<T>(
  description: string,
  look: Look<T>,
  deadlineMs: number = DEFAULT_WAIT_MS,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  let seen: unknown = "nothing";
  for (;;) {
    const value = await look((state) => {
      seen = state;
    });
    if (value !== undefined) return value;
    if (performance.now() >= endMs) {
      const last = typeof seen === "string" ? seen : JSON.stringify(seen);
      throw new Error(
        `${description}: not within ${deadlineMs} ms; last seen: ${last?.slice(0, MAX_SEEN_CHARS)}`,
      );
    }
    await sleep(LOOK_EVERY_MS);
  }
}
