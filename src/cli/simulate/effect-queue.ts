// What will happen in a virtual cluster, and when. One thing per key is under way at a time.
import type { VirtualCluster } from "./virtual-cluster.ts";

/** Effects fall on this grid, so that a hundred VMs do not make a thousand turns. */
const GRID_MS = 100;

interface Effect {
  readonly atMs: number;
  readonly key: string;
  readonly happen: () => void;
}

export class EffectQueue {
  readonly #cluster: VirtualCluster;
  #effects: Effect[] = [];

  constructor(cluster: VirtualCluster) {
    this.#cluster = cluster;
  }

  /** When the next thing happens; undefined where nothing more will by itself. */
  get nextAtMs(): number | undefined {
    return this.#effects.length === 0 ? undefined : Math.min(...this.#effects.map(({ atMs }) => atMs));
  }

  /** False where something of that key is under way already. */
  after(delayMs: number, key: string, happen: () => void): boolean {
    if (this.#effects.some((effect) => effect.key === key)) return false;
    const { elapsedMs, startedMs } = this.#cluster;
    const atMs = startedMs + Math.ceil((elapsedMs + Math.max(1, delayMs)) / GRID_MS) * GRID_MS;
    this.#effects.push({ atMs, key, happen });
    return true;
  }

  /** Lets everything happen that is due; how many things that were. */
  happenDue(): number {
    const { nowMs } = this.#cluster;
    const due = this.#effects.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
    this.#effects = this.#effects.filter(({ atMs }) => atMs > nowMs);
    for (const effect of due) effect.happen();
    return due.length;
  }
}
