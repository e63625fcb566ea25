// What direct probes of a node have come to, network by network. Ages are ours; an answer is a sign of life of its host.

/** One network on which a node is probed, and how it has answered. */
export interface PathProbe {
  /** Where its address comes from: `InternalIP`, or the key of an annotation. */
  readonly network: string;
  /** Monotonic time of the last answer; undefined while it has never answered us: then its silence means nothing. */
  readonly answeredAtMs: number | undefined;
  /** Monotonic time of the first failure since that answer; undefined while the last probe was answered. */
  readonly silentSinceMs: number | undefined;
  /** Failures in a row. */
  readonly failures: number;
}

/** `answers`: on all networks that ever did. `some`: on some of them. `silent`: on none. `unknown`: none ever did, or not asked lately. */
export type ProbeState = "answers" | "some" | "silent" | "unknown";

/** Failures in a row that make a network silent; one may be a lost packet. */
export const SILENT_AFTER_FAILURES = 2;

/**
 * Whether some network was not asked often enough yet to know that it does not answer: who has just begun to probe knows
 * nothing of a host that may be well.
 */
export function isStillAsked(paths: readonly PathProbe[] = []): boolean {
  return paths.some(
    ({ answeredAtMs, failures }) => answeredAtMs === undefined && failures < SILENT_AFTER_FAILURES,
  );
}

/**
 * The networks together. With `trustMs` an answer must be that young to count, and an older one counts as unknown; a node
 * that is not suspect is probed rarely, so no age is asked of its answers.
 */
export function probeStateOf(
  paths: readonly PathProbe[] | undefined,
  nowMs: number,
  trustMs = Number.POSITIVE_INFINITY,
): ProbeState {
  let answering = 0;
  let silent = 0;
  for (const { answeredAtMs, failures } of paths ?? []) {
    if (answeredAtMs === undefined) continue;
    if (failures >= SILENT_AFTER_FAILURES) silent += 1;
    else if (nowMs - answeredAtMs <= trustMs) answering += 1;
  }
  if (answering > 0) return silent > 0 ? "some" : "answers";
  return silent > 0 ? "silent" : "unknown";
}
