// Holdfast's own objects as they stand, for the demo's timeline and checks.
import { setTimeout as sleep } from "node:timers/promises";
import type { HAVirtualMachine } from "../../src/api/ha-virtual-machine.ts";
import type { NodeFencing } from "../../src/api/node-fencing.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { Mirror } from "../nodes/mirror.ts";
import type { KubernetesObject } from "../nodes/objects.ts";

export type Havm = HAVirtualMachine & KubernetesObject;
export type Fencing = NodeFencing & KubernetesObject;

const RETRY_MS = 500;
const ROOT = "/apis/holdfast.dev/v1alpha1";

/** Follows HAVirtualMachines (by `namespace/name`) and NodeFencings (by name), and tells of each change. */
export class HoldfastView {
  readonly protections: Mirror<Havm>;
  readonly fencings: Mirror<Fencing>;

  constructor(
    admin: ApiTransport,
    told: {
      readonly protection: (now: Havm, before: Havm | undefined) => void;
      readonly fencing: (now: Fencing, before: Fencing | undefined) => void;
    },
  ) {
    this.protections = follow(admin, "havirtualmachines", told.protection);
    this.fencings = follow(admin, "nodefencings", told.fencing);
  }

  stop(): void {
    this.protections.stop();
    this.fencings.stop();
  }
}

function follow<T extends KubernetesObject>(
  admin: ApiTransport,
  plural: string,
  changed: (now: T, before: T | undefined) => void,
): Mirror<T> {
  return new Mirror<T>(admin, {
    path: `${ROOT}/${plural}`,
    pause: () => sleep(RETRY_MS),
    listener: { changed, deleted: () => undefined },
  });
}
