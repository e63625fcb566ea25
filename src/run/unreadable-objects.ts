// Tells, once each, which objects could not be read and are left out of every decision: after a downgrade, what a newer
// version wrote. Knows no kind.
import type { LogPort } from "../act/log-port.ts";

/** The part of a reflector that is needed. */
interface Readable {
  readonly name: string;
  readonly skipped: ReadonlyMap<string, string>;
}

/** A warning per object and reason; the rest is counted, lest a broken CRD fills the log. */
const MAX_TOLD = 200;

export class UnreadableObjects {
  readonly #log: LogPort;
  readonly #told = new Map<string, string>();

  constructor(log: LogPort) {
    this.#log = log;
  }

  /** Looks at what is unreadable now; what has become readable, and unreadable again, is told again. */
  tell(reflectors: readonly Readable[]): void {
    const now = new Set<string>();
    for (const { name, skipped } of reflectors) {
      for (const [object, reason] of skipped) {
        const key = `${name} ${object}`;
        now.add(key);
        if (this.#told.get(key) === reason || this.#told.size >= MAX_TOLD) continue;
        this.#told.set(key, reason);
        this.#log.warn(
          { source: name, object, reason },
          "an object cannot be read and is left out of every decision",
        );
      }
    }
    for (const key of this.#told.keys()) if (!now.has(key)) this.#told.delete(key);
  }
}
