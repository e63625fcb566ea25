// Whether one level could fence one node now: what a harmless check found while the node was alive, and since when.

/** A state that was read while the node was alive: what vouches for, or against, a later "already off". */
export interface SeenState {
  readonly state: "On" | "Off";
  /** Names the device and the machine behind it; without a secret. */
  readonly device: string;
}

export interface LevelReadiness {
  /** The level of the topology. */
  readonly level: string;
  readonly ready: boolean;
  /** One of api's readiness reasons, as it was written; a later version may know more of them. */
  readonly reason: string;
  readonly message: string;
  /** What was last read of the living node, and by which device; undefined where nothing ever was. */
  readonly seen: SeenState | undefined;
  /** RFC 3339; when `ready` last changed. */
  readonly since: string | undefined;
}

/** Whether two verdicts mean the same. Messages may differ: a device words one failure in many ways. */
export function sameReadiness(one: LevelReadiness, other: LevelReadiness): boolean {
  return (
    one.level === other.level &&
    one.ready === other.ready &&
    one.reason === other.reason &&
    one.seen?.state === other.seen?.state &&
    one.seen?.device === other.seen?.device
  );
}

/**
 * Why a node could not be fenced now, in one sentence; undefined while any of its levels is ready or not yet checked:
 * what nobody has looked at is not called broken.
 */
export function whyNotFenceable(
  levels: readonly { readonly name: string }[],
  readiness: readonly LevelReadiness[],
): string | undefined {
  const found = levels.map(({ name }) => readiness.find(({ level }) => level === name));
  if (found.length === 0 || found.some((one) => one === undefined || one.ready)) return undefined;
  return found.map((one) => `${one?.level}: ${one?.message}`).join("; ");
}
