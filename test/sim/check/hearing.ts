// Whether a replica hears what happens when it happens: one that is fed late cannot know, and is judged by less.
import type { World } from "../world/world.ts";

/** As long as a Lease that was heard late makes its node look alive. */
const LATE_WORD_COUNTS_MS = 30_000;

/** `by`: the replica's process, or the user as which it writes. */
export function hearsInTime({ replicas, time }: World, by: string): boolean {
  const replica = replicas.find(({ name }) => by.startsWith(`${name}_`) || by.includes(`:${name}_`));
  if (replica === undefined || replica.extraDelayMs > 0 || replica.watchLagMs > 0) return false;
  return time.nowMs >= replica.watchesLateUntilMs + LATE_WORD_COUNTS_MS;
}
