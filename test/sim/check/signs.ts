// What the API server has been told of each node, and when: the renewals of its Lease, virt-handler's heartbeats. The truth
// that no replica can know better than. Judges nothing.
import { objectIn } from "../api/json.ts";
import type { Change } from "../api/store.ts";
import type { LeaseObject } from "../kubernetes/controller-ports.ts";
import type { World } from "../world/world.ts";

const NODE_LEASES = "kube-node-lease";
/** A shorter one takes no renewal from a kubelet that tries again; three calls of the leader missed, and some slack. */
const NOTICED_OUTAGE_MS = 10_000;
/** Renewals remembered of each node. */
const MAX_RENEWALS = 20;

/** A sign of life, when it came, and how long the API server had been at work until then. */
export interface Sign {
  readonly value: string;
  readonly atMs: number;
  readonly workedMs: number;
}

export class Signs {
  readonly #world: World;
  readonly #renewals = new Map<string, Sign[]>();
  readonly #beats = new Map<string, Sign>();
  #workedMs = 0;
  #lookedAtMs = 0;
  #wasAtWork = true;
  #stoppedAtMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** After every step of the world: counts the time in which kubelets could be heard. */
  look(): void {
    const { time, backbone } = this.#world;
    const isAtWork = backbone.state === "well";
    if (this.#wasAtWork) this.#workedMs += time.nowMs - this.#lookedAtMs;
    else if (isAtWork && time.nowMs - this.#stoppedAtMs < NOTICED_OUTAGE_MS)
      this.#workedMs += time.nowMs - this.#stoppedAtMs;
    if (this.#wasAtWork && !isAtWork) this.#stoppedAtMs = time.nowMs;
    this.#lookedAtMs = time.nowMs;
    this.#wasAtWork = isAtWork;
  }

  changed({ type, object }: Change): void {
    const { name, namespace } = object.metadata;
    if (type === "DELETED") return;
    if (object.kind === "Node") {
      const value = objectIn(object.metadata, "annotations")["kubevirt.io/heartbeat"];
      if (typeof value === "string" && value !== this.#beats.get(name)?.value)
        this.#beats.set(name, this.#sign(value));
    } else if (object.kind === "Lease" && namespace === NODE_LEASES) {
      const value = (object as unknown as LeaseObject).spec?.renewTime ?? "";
      const known = this.#renewals.get(name) ?? [];
      if (value === "" || value === known.at(-1)?.value) return;
      known.push(this.#sign(value));
      if (known.length > MAX_RENEWALS) known.shift();
      this.#renewals.set(name, known);
    }
  }

  /** Oldest first. */
  renewals(node: string): readonly Sign[] {
    return this.#renewals.get(node) ?? [];
  }

  heartbeat(node: string): Sign | undefined {
    return this.#beats.get(node);
  }

  /** How long ago, outages of the API server not counted: nobody could be heard in them. */
  hearableSinceMs(sign: Sign): number {
    return this.#now() - sign.workedMs;
  }

  #now(): number {
    return this.#workedMs + (this.#wasAtWork ? this.#world.time.nowMs - this.#lookedAtMs : 0);
  }

  #sign(value: string): Sign {
    return { value, atMs: this.#world.time.nowMs, workedMs: this.#now() };
  }
}
