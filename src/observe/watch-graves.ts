// Remembers what was removed on our own word, so that late news of it is not believed. Knows no facts.
import { compareResourceVersions, type ObjectIdentity } from "./watch-event.ts";

/** Most entries of each sort; beyond it the oldest is forgotten. */
const MAX_GRAVES = 4_096;

interface Floor {
  /** News of the key up to this resourceVersion is late news. */
  readonly resourceVersion: string;
  readonly list: number;
}

/**
 * Two memories: UIDs, whose last resourceVersion nobody told us; and per key the newest state we held, since older lives
 * of the same name may still be under way too. Each entry carries the number of the list begun last: what a later list
 * shows is alive, whatever we were told.
 */
export class WatchGraves {
  #uids = new Map<string, number>();
  #floors = new Map<string, Floor>();

  /** Nothing about this UID is believed any more. */
  bury(uid: string, list: number): void {
    remember(this.#uids, uid, list);
  }

  /** Nothing about the key at or below this resourceVersion is news any more. */
  setFloor(key: string, floor: Floor): void {
    remember(this.#floors, key, floor);
  }

  /** Whether this state of an object comes too late. `list`: the number of the list that shows it, if one does. */
  refuses(id: ObjectIdentity, list: number | undefined): boolean {
    const buried = this.#uids.get(id.uid);
    if (buried !== undefined) {
      if (list === undefined || buried >= list) return true;
      this.#uids.delete(id.uid);
    }
    const floor = this.#floors.get(id.key);
    if (floor === undefined) return false;
    if (list !== undefined && floor.list < list) return false;
    return (compareResourceVersions(id.resourceVersion, floor.resourceVersion) ?? 1) <= 0;
  }

  /** The watch itself told the end of this UID; no older news can follow. */
  settle(uid: string): void {
    this.#uids.delete(uid);
  }

  /** ResourceVersions mean nothing any more. */
  forgetOrder(): void {
    this.#floors.clear();
  }

  /** A list has been taken: what was removed before it began needs no memory any more. */
  sweep(list: number): void {
    for (const [uid, buried] of this.#uids) if (buried < list) this.#uids.delete(uid);
    for (const [key, floor] of this.#floors) if (floor.list < list) this.#floors.delete(key);
  }
}

/** Puts an entry last, and drops the first where there are too many. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MAX_GRAVES) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
