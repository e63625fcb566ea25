// The facts of one collection and the rules by which they may change: never backwards in resourceVersion, never a
// dead object again. Knows neither connections nor time beyond what it is handed.
import { compareResourceVersions, identityOf, type ObjectIdentity } from "./watch-event.ts";
import { WatchGraves } from "./watch-graves.ts";

/** A fact, or why the object could not be read. */
export type ParseResult<F> = { readonly fact: F } | { readonly skip: string };

/**
 * Reads a raw object into a fact, once, at the edge. `previous` is the fact held so far of the same object (same UID), for
 * telling when we saw a value change; returning `previous` itself says that nothing we read has changed, and no one is told.
 */
export type ParseObject<F> = (
  raw: unknown,
  context: { readonly previous: F | undefined; readonly seenAtMs: number },
) => ParseResult<F>;

/** Told of a change, after the store changed. Must not throw: that would be our own bug, and ends the process. */
export type ChangeListener<F> = (key: string, before: F | undefined, after: F | undefined) => void;

/** Which state of an object is held. */
export interface HeldVersion {
  readonly resourceVersion: string;
  readonly uid: string;
}

interface Held extends HeldVersion {
  /** Number of the last list that showed the object. */
  list: number;
}

/** Where a raw object came from. `read`: an answer to a request of our own, which may overtake the watch or lag behind it. */
export type Origin = "list" | "event" | "read";

const MAX_REASON_CHARS = 200;
/** Under this key `skipped` keeps objects whose very metadata could not be read. */
export const UNIDENTIFIED = "(unidentified)";

/**
 * Guarantees: an object's resourceVersion never falls; a UID once removed never returns, except by a list begun after
 * the removal; another UID under the same key is told as removal, then addition.
 * Assumptions: resourceVersions of one collection compare as decimal integers; where they do not, the last writer wins.
 * Caveats: of our own writes only those that match the collection's selectors may be applied.
 */
export class WatchStore<F> {
  readonly facts = new Map<string, F>();
  /** Objects that could not be read, with the reason. The fact read last, if any, stays in `facts`. */
  readonly skipped = new Map<string, string>();
  skips = 0;
  /** The store shows every change up to this resourceVersion: where a watch resumes. */
  progress: string | undefined;
  /** Newest resourceVersion in any word of the server, and what it was when the list begun last was asked for. */
  #newest: string | undefined;
  #listMustReach: string | undefined;
  #held = new Map<string, Held>();
  #graves = new WatchGraves();
  #list = 0;
  #parse: ParseObject<F>;
  #onChange: ChangeListener<F> | undefined;

  constructor(parse: ParseObject<F>, onChange: ChangeListener<F> | undefined) {
    this.#parse = parse;
    this.#onChange = onChange;
  }

  versionOf(key: string): HeldVersion | undefined {
    return this.#held.get(key);
  }

  /** Whether the list begun last is no consistent read: the server had told us of later states before we asked. */
  isStaleList(resourceVersion: string): boolean {
    return isOlder(resourceVersion, this.#listMustReach);
  }

  /** Begins a list. Call it before the first page is asked for: what is removed from then on may still be on its pages. */
  beginList(): void {
    this.#list++;
    this.#listMustReach = this.#newest;
    this.skipped.delete(UNIDENTIFIED);
  }

  /** Ends the list begun last: what it did not show is gone, unless it is younger than the list. */
  finishList(resourceVersion: string): void {
    for (const [key, held] of this.#held) {
      if (held.list !== this.#list && !isYounger(held, resourceVersion)) this.#remove(key);
    }
    this.#graves.sweep(this.#list);
    this.progress = resourceVersion;
    this.#saw(resourceVersion);
  }

  /** Forgets all order, so that the next list counts whatever its resourceVersion: etcd was restored from a backup. */
  forgetOrder(): void {
    this.progress = undefined;
    this.#newest = undefined;
    this.#listMustReach = undefined;
    this.#graves.forgetOrder();
    for (const [key, held] of this.#held) this.#held.set(key, { ...held, resourceVersion: "" });
  }

  /** Takes an object as a list, an event or a read showed it. Returns its fact where one is held afterwards. */
  put(raw: unknown, origin: Origin, seenAtMs: number): F | undefined {
    const id = identityOf(raw);
    if (id === undefined) {
      this.#skip(UNIDENTIFIED, "metadata without name, uid or resourceVersion");
      return undefined;
    }
    this.#saw(id.resourceVersion);
    if (this.#isWanted(id, origin)) this.#accept(raw, id, seenAtMs);
    const held = this.#held.get(id.key);
    if (held !== undefined && origin === "list") held.list = this.#list;
    return this.facts.get(id.key);
  }

  /** Takes a DELETED event. */
  delete(raw: unknown): void {
    const id = identityOf(raw);
    if (id === undefined) return this.#skip(UNIDENTIFIED, "a deletion without name, uid or resourceVersion");
    this.#graves.settle(id.uid);
    if (isOlder(id.resourceVersion, this.progress)) return;
    const held = this.#held.get(id.key);
    if (held === undefined) return;
    const order = compareResourceVersions(held.resourceVersion, id.resourceVersion);
    if ((order ?? (held.uid === id.uid ? 0 : 1)) <= 0) this.#remove(id.key);
  }

  /** Takes the word of a read at `resourceVersion` that no such object exists. */
  absent(key: string, resourceVersion: string): void {
    this.#saw(resourceVersion);
    const held = this.#held.get(key);
    if (held === undefined || isYounger(held, resourceVersion)) return;
    this.bury(key, held.uid);
    this.#graves.setFloor(key, { resourceVersion, list: this.#list });
  }

  /** Carries `progress` on; it never falls. */
  advance(resourceVersion: string): void {
    if (isOlder(resourceVersion, this.progress)) return;
    this.progress = resourceVersion;
    this.#saw(resourceVersion);
  }

  /** Carries `progress` on to what an event's object says, where it says anything. */
  advanceTo(raw: unknown): void {
    const id = identityOf(raw);
    if (id !== undefined) this.advance(id.resourceVersion);
  }

  /** Removes an object on our own word, and refuses late news of it. */
  bury(key: string, uid: string): void {
    this.#graves.bury(uid, this.#list);
    const held = this.#held.get(key);
    if (held?.uid !== uid) return;
    this.#graves.setFloor(key, { resourceVersion: held.resourceVersion, list: this.#list });
    this.#remove(key);
  }

  #saw(resourceVersion: string): void {
    if (!isOlder(resourceVersion, this.#newest)) this.#newest = resourceVersion;
  }

  #isWanted(id: ObjectIdentity, origin: Origin): boolean {
    if (this.#graves.refuses(id, origin === "list" ? this.#list : undefined)) return false;
    const held = this.#held.get(id.key);
    if (held !== undefined)
      return (compareResourceVersions(id.resourceVersion, held.resourceVersion) ?? 1) > 0;
    // Not held although the store shows everything up to a later state: it has been deleted since.
    if (origin === "list" || this.progress === undefined) return true;
    return (compareResourceVersions(id.resourceVersion, this.progress) ?? 1) > 0;
  }

  #accept(raw: unknown, id: ObjectIdentity, seenAtMs: number): void {
    const before = this.#held.get(id.key);
    if (before !== undefined && before.uid !== id.uid) this.#remove(id.key);
    const previous = this.facts.get(id.key);
    const list = before?.list ?? 0;
    this.#held.set(id.key, { resourceVersion: id.resourceVersion, uid: id.uid, list });
    const result = this.#read(raw, previous, seenAtMs);
    if ("skip" in result) return this.#skip(id.key, result.skip);
    this.skipped.delete(id.key);
    if (result.fact === previous && previous !== undefined) return;
    this.facts.set(id.key, result.fact);
    this.#onChange?.(id.key, previous, result.fact);
  }

  #read(raw: unknown, previous: F | undefined, seenAtMs: number): ParseResult<F> {
    try {
      return this.#parse(raw, { previous, seenAtMs });
    } catch (error) {
      // One poisoned object must not end every replica in turn; it shows up in `skipped` instead.
      return { skip: `the parser failed: ${String(error)}` };
    }
  }

  #remove(key: string): void {
    this.#held.delete(key);
    this.skipped.delete(key);
    const before = this.facts.get(key);
    if (before === undefined) return;
    this.facts.delete(key);
    this.#onChange?.(key, before, undefined);
  }

  #skip(key: string, reason: string): void {
    this.skips++;
    this.skipped.set(key, reason.slice(0, MAX_REASON_CHARS));
  }
}

function isYounger(held: HeldVersion, resourceVersion: string): boolean {
  return (compareResourceVersions(held.resourceVersion, resourceVersion) ?? -1) > 0;
}

function isOlder(resourceVersion: string, than: string | undefined): boolean {
  return than !== undefined && (compareResourceVersions(resourceVersion, than) ?? 0) < 0;
}
