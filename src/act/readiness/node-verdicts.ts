// From checks to what stands on one node: a single passing failure takes no readiness away, and "Off" is held against a
// device only once the node has been heard since. Pure but for what it remembers between two checks.
import type { LevelReadiness, SeenState } from "../../model/fencing-readiness.ts";
import type { CheckResult } from "./check-result.ts";

/** What is known of the node besides its device's word. */
export interface NodeWords {
  readonly nowMs: number;
  /** RFC 3339, of now. */
  readonly at: string;
  /** Whether the node has renewed its Lease twice since, so that it surely lived after that moment. */
  readonly livedAfter: (atMs: number) => boolean;
}

/** `again`: nothing is concluded yet, look again soon. */
export type Verdict =
  | { readonly kind: "concluded"; readonly readiness: LevelReadiness }
  | { readonly kind: "again" };

export class NodeVerdicts {
  /** Levels that failed once in passing. */
  readonly #doubted = new Set<string>();
  /** When a level's device was first read Off, in a row. */
  readonly #offSinceMs = new Map<string, number>();
  readonly #lastReadyAt = new Map<string, string>();

  /** When the level was last found ready by this replica; RFC 3339. */
  lastReadyAt(level: string): string | undefined {
    return this.#lastReadyAt.get(level);
  }

  conclude(
    level: string,
    check: CheckResult,
    found: { readonly standing: LevelReadiness | undefined; readonly words: NodeWords },
  ): Verdict {
    const { standing, words } = found;
    if (check.kind === "off") {
      const sinceMs = this.#offSinceMs.get(level) ?? words.nowMs;
      this.#offSinceMs.set(level, sinceMs);
      if (!words.livedAfter(sinceMs)) return { kind: "again" };
      return this.#say(level, check, { standing, words, seen: seenBy("Off", check) });
    }
    if (check.device !== undefined) this.#offSinceMs.delete(level);
    if (check.kind === "ready") {
      this.#doubted.delete(level);
      this.#lastReadyAt.set(level, words.at);
      return this.#say(level, check, { standing, words, seen: seenBy("On", check) });
    }
    if (check.kind === "passing" && standing?.ready === true && !this.#doubted.has(level)) {
      this.#doubted.add(level);
      return { kind: "again" };
    }
    // A device that told no state takes nothing back of what it was last read as; these two have told something else.
    const retracts = check.reason === "WrongMachine" || check.reason === "PowerStateMixed";
    const kept = retracts ? undefined : standing?.seen;
    return this.#say(level, check, { standing, words, seen: seenBy("On", check) ?? kept });
  }

  #say(
    level: string,
    check: CheckResult,
    said: {
      readonly standing: LevelReadiness | undefined;
      readonly words: NodeWords;
      readonly seen: SeenState | undefined;
    },
  ): Verdict {
    const { standing, words, seen } = said;
    const ready = check.kind === "ready";
    if (!ready) this.#doubted.delete(level);
    const last = this.#lastReadyAt.get(level);
    const message = ready || last === undefined ? check.message : `${check.message}; last ready ${last}`;
    const since = standing?.ready === ready ? (standing.since ?? words.at) : words.at;
    return {
      kind: "concluded",
      readiness: { level, ready, reason: check.reason, message, seen, since },
    };
  }
}

function seenBy(state: SeenState["state"], { device }: CheckResult): SeenState | undefined {
  return device === undefined ? undefined : { state, device };
}
