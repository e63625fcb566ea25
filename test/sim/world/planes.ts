// The networks of a cluster beside the one to the API server, node by node: the VMs', the storage's, the BMCs'. Knows which
// are cut and tells of it; what follows from that is for those who use them.
import type { Undo } from "./acts.ts";
import type { PlaneName } from "./world-plan.ts";

/** Cuts that overlap are each taken back by themselves. */
export class Planes {
  readonly #cuts = new Map<string, number>();
  readonly #onChange: (plane: PlaneName, node: string) => void;

  constructor(onChange: (plane: PlaneName, node: string) => void) {
    this.#onChange = onChange;
  }

  isCut(plane: PlaneName, node: string): boolean {
    return (this.#cuts.get(`${plane}/${node}`) ?? 0) > 0;
  }

  /** Cuts the nodes off from the plane. */
  cut(plane: PlaneName, nodes: readonly string[]): Undo {
    for (const node of nodes) this.#add(plane, node, 1);
    let isHealed = false;
    return () => {
      if (isHealed) return;
      isHealed = true;
      for (const node of nodes) this.#add(plane, node, -1);
    };
  }

  #add(plane: PlaneName, node: string, change: 1 | -1): void {
    const key = `${plane}/${node}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + change);
    this.#onChange(plane, node);
  }
}
