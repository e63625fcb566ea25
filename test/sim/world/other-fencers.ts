// Other people's controllers that fence: a remediation operator and CSI-Addons, the very stand-ins of the integration tests,
// each with its bad days. They are there only in histories whose plan speaks of them.
import {
  type AgentEnd,
  REMEDIATION_API_VERSION,
  REMEDIATOR_NAMESPACE,
  StandInRemediator,
} from "../../support/stand-in-remediator.ts";
import { StandInCsiAddons } from "../../support/stand-in-csi-addons.ts";
import { resourceNamed } from "../api/resources.ts";
import type { SimConnection } from "../api/connection.ts";
import type { MachinePower } from "./machine-power.ts";
import type { Chance } from "./random.ts";
import type { SimTime } from "./sim-time.ts";
import type { RemediatorFault, StorageFencerFault, WorldPlan } from "./world-plan.ts";
import type { World } from "./world.ts";

export const REMEDIATION_TEMPLATE = "power";
export const STORAGE_CLASS = "ceph";
/** They look again after a change, and after this long without one. */
const LOOK_AFTER_MS = 20;
const LOOK_EVERY_MS = 2_000;
const AGENT_MS = { from: 500, to: 5_000 } as const;
const SLOW_AGENT_MS = { from: 30_000, to: 200_000 } as const;
const TELLS_LATE_MS = { from: 15_000, to: 60_000 } as const;
const AGENT_REBOOT_MS = 3_000;
const SLOW_STORAGE_MS = { from: 10_000, to: 60_000 } as const;

export interface OtherFencers {
  readonly remediator: Remediator | undefined;
  readonly storage: StorageFencer | undefined;
}

interface Parts {
  readonly transport: SimConnection;
  readonly time: SimTime;
  readonly chance: Chance;
}

/** Who else fences in this history. */
export function otherFencers(world: World, parts: (name: string) => Parts): OtherFencers {
  const { plan } = world;
  return {
    remediator: hasRemediator(plan) ? new Remediator(world, parts("remediator")) : undefined,
    storage: levelsUse(plan, "networkFence") ? new StorageFencer(world, parts("csi-addons")) : undefined,
  };
}

function hasRemediator(plan: WorldPlan): boolean {
  return levelsUse(plan, "remediation") || plan.healthCheckAfterMs !== undefined;
}

function levelsUse({ topology }: WorldPlan, method: string): boolean {
  return topology.levels?.some((level) => level.method === method) === true;
}

/** A remediation operator whose agent really switches machines. */
export class Remediator {
  fault: RemediatorFault | undefined;
  readonly controller: StandInRemediator;
  readonly #machines: ReadonlyMap<string, MachinePower>;
  readonly #parts: Parts;
  readonly #reboots: boolean;

  constructor(world: World, parts: Parts) {
    this.#machines = world.machines;
    this.#parts = parts;
    this.#reboots = parts.chance.chance(0.5);
    const far = `${REMEDIATION_API_VERSION}/fenceagentsremediations`;
    this.controller = new StandInRemediator(parts.transport, REMEDIATOR_NAMESPACE, lookingAt(world, far));
    this.controller.fence = (node, signal) => this.#fence(node, signal);
  }

  become(fault: RemediatorFault | undefined): void {
    this.fault = fault;
    this.controller.running = fault !== "down";
  }

  async #fence(node: string, signal: AbortSignal): Promise<AgentEnd> {
    const { fault } = this;
    const { chance } = this.#parts;
    const { from, to } = fault === "slow" ? SLOW_AGENT_MS : AGENT_MS;
    await this.#passes(chance.between(from, to));
    // One that was called off has gone, unless its request was at the device already.
    if (fault === "failing" || (signal.aborted && chance.chance(0.5))) return "failed";
    const machine = this.#machines.get(node);
    await machine?.bmc.off();
    if (this.#reboots) this.#parts.time.schedule(AGENT_REBOOT_MS, () => void machine?.bmc.on());
    if (fault === "tellsLate") await this.#passes(chance.between(TELLS_LATE_MS.from, TELLS_LATE_MS.to));
    return fault === "actsAndFails" || signal.aborted ? "failed" : "done";
  }

  #passes(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.time.schedule(ms, resolve);
    });
  }
}

/** CSI-Addons before a storage that really refuses addresses. */
export class StorageFencer {
  fault: StorageFencerFault | undefined;
  readonly controller: StandInCsiAddons;
  readonly #parts: Parts;

  constructor(world: World, parts: Parts) {
    this.#parts = parts;
    const fences = "csiaddons.openshift.io/v1alpha1/networkfences";
    this.controller = new StandInCsiAddons(parts.transport, lookingAt(world, fences));
    this.controller.operate = () => this.#operate();
    this.controller.onOperation = () => world.noticeStorage();
  }

  become(fault: StorageFencerFault | undefined): void {
    this.fault = fault;
    this.controller.running = fault !== "down";
  }

  tellAddress(node: string, address: string): void {
    void this.controller.tellClient(node, STORAGE_CLASS, `${address}/32`);
  }

  refuses(address: string): boolean {
    return this.controller.refused.has(`${address}/32`);
  }

  async #operate(): Promise<string | undefined> {
    if (this.fault === "failing")
      return "rpc error: code = Internal desc = failed to add client to the blocklist";
    const { time, chance } = this.#parts;
    if (this.fault === "slow")
      await new Promise<void>((resolve) => {
        time.schedule(chance.between(SLOW_STORAGE_MS.from, SLOW_STORAGE_MS.to), resolve);
      });
    return undefined;
  }
}

/** What the administrator has installed for them. */
export async function installOtherFencers(world: World): Promise<void> {
  const { remediator, storage } = world.others;
  await remediator?.controller.run(REMEDIATION_TEMPLATE);
  if (storage === undefined) return;
  for (const { name, profile } of world.fleet.nodes)
    await storage.controller.tellClient(name, STORAGE_CLASS, `${profile.internalIP}/32`);
  storage.controller.run();
}

/** Namespaces that they live in, where there are any. */
export function namespacesOfOthers(plan: WorldPlan): readonly string[] {
  return hasRemediator(plan) ? [REMEDIATOR_NAMESPACE, "medik8s-leases"] : [];
}

/** Settles soon after the next change of a collection, or after a while. */
function lookingAt({ server, time }: World, collection: string): () => Promise<void> {
  let wake = (): void => undefined;
  let changed = false;
  server.store.onChange(resourceNamed(collection), () => {
    changed = true;
    wake();
  });
  return () =>
    new Promise((resolve) => {
      let cancel = time.schedule(LOOK_EVERY_MS, () => done());
      const done = (): void => {
        wake = () => undefined;
        changed = false;
        resolve();
      };
      wake = () => {
        wake = () => undefined;
        cancel();
        cancel = time.schedule(LOOK_AFTER_MS, done);
      };
      if (changed) wake();
    });
}
