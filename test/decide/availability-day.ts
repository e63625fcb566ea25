// One VM's day in virtual time, told by what happens at which time; turns are taken after each event.
import { type AvailabilityRule, DEFAULT_AVAILABILITY_RULE } from "../../src/model/availability.ts";
import type { ProtectionStatus } from "../../src/model/protection.ts";
import { figuresAt } from "../../src/model/sla.ts";
import type { VMIFact } from "../../src/model/virtual-machine.ts";
import { attempt, type Cluster, threeNodes } from "./builder.ts";
import { LiveWorld } from "./live-world.ts";

export const DAY = Date.UTC(2026, 10, 22);
export const SECOND = 1_000;
/** A time of that day, or with its date; UTC. */
export const at = (time: string): number =>
  Date.parse(time.includes("T") ? `${time}Z` : `2026-11-22T${time}Z`);
export const HOME = "n1";

/** 99.9 percent and a declared window at three. */
export const RULE: AvailabilityRule = {
  ...DEFAULT_AVAILABILITY_RULE,
  objective: 0.999,
  maintenance: { once: [{ fromMs: at("15:00:00"), toMs: at("15:10:00") }], weekly: [] },
};

export class Day {
  world: LiveWorld;
  readonly cluster: Cluster;
  node = HOME;
  readonly #rule: AvailabilityRule;
  #vmis = 1;

  /** Up since shortly before it begins; `vmi`: what else is true of the first instance. */
  constructor(rule: AvailabilityRule = RULE, fromMs: number = DAY, vmi: Partial<VMIFact> = {}) {
    this.#rule = rule;
    const upMs = fromMs - 5_000;
    this.cluster = threeNodes().vm("a", {
      on: HOME,
      vmi: { createdAtWallMs: fromMs - 9_000, readyAtWallMs: upMs, readyChangedAtWallMs: upMs, ...vmi },
      protection: { availability: rule },
    });
    this.world = new LiveWorld(this.cluster);
    this.world.wallMs = fromMs;
    this.world.settle();
  }

  until(time: string, silent: readonly string[] = []): this {
    this.world.pass(at(time) - this.world.wallMs, silent).settle();
    return this;
  }

  ready(ready: boolean): this {
    this.world.vmi("ns/a", { ready, readyChangedAtWallMs: this.world.wallMs }).settle();
    return this;
  }

  cordon(cordoned: boolean): this {
    this.cluster.node(HOME, { cordoned });
    this.world.renew(HOME).settle();
    return this;
  }

  gone(): this {
    this.world.vmi("ns/a", undefined).settle();
    return this;
  }

  /** A new instance, ready at that time. */
  comesUp(node: string, createdMs: number, readyMs: number, more: Partial<VMIFact> = {}): this {
    this.node = node;
    this.#vmis += 1;
    const up = {
      uid: `vmi-a-${this.#vmis}`,
      phase: "Running" as const,
      nodeName: node,
      ready: true,
      paused: undefined,
      createdAtWallMs: createdMs,
      scheduledAtWallMs: createdMs,
      runningAtWallMs: createdMs,
      readyAtWallMs: readyMs,
      readyChangedAtWallMs: readyMs,
      ...more,
    };
    if (!this.cluster.vmis.has("ns/a")) this.cluster.vm("spare", { on: node, vmi: {}, unprotected: true });
    const model = this.cluster.vmis.get("ns/a") ?? this.cluster.vmis.get("ns/spare");
    if (model === undefined) throw new Error("no model");
    this.cluster.vmis.set("ns/a", { ...model, key: "ns/a", name: "a", deleting: false });
    this.world.newVMI("ns/a", up).settle();
    return this;
  }

  /** Nobody watches until then; another replica takes over and finds the world as it is. */
  blindUntil(time: string, meanwhile: () => void = () => undefined): this {
    const gap = { fromMs: this.world.wallMs, toMs: at(time) };
    const { nowMs } = this.world;
    meanwhile();
    this.cluster.unobserved = [...this.cluster.unobserved, gap];
    const next = new LiveWorld(this.cluster);
    next.nowMs = nowMs;
    next.wallMs = gap.fromMs;
    this.world = next.pass(gap.toMs - gap.fromMs);
    next.settle();
    return this;
  }

  get status(): ProtectionStatus {
    const status = this.cluster.protections.get("ns/a")?.status;
    if (status === undefined) throw new Error("no HAVirtualMachine");
    return status;
  }

  get figures() {
    const { availability } = this.status;
    if (availability === undefined) throw new Error("no account");
    const counting = { rule: this.#rule, unobserved: this.cluster.unobserved };
    return figuresAt(availability, this.world.wallMs, counting);
  }

  loseNode(): this {
    const lost = this.node;
    this.world.pass(13 * SECOND, [lost]).settle();
    this.world.pass(10 * SECOND, [lost]).settle();
    const name = [...this.cluster.fencings.keys()].at(-1) ?? "";
    const fencing = this.cluster.fencings.get(name);
    if (fencing === undefined) throw new Error("no fencing was opened");
    const observedAt = new Date(this.world.wallMs).toISOString();
    const proof = { type: "PowerOff" as const, bootID: fencing.bootID, observedAt, detail: "off" };
    this.world.fencing(name, {
      status: { ...fencing.status, phase: "Fenced", proof, attempts: [attempt({ outcome: "PoweredOff" })] },
      provenAtMs: this.world.nowMs,
    });
    this.world.settle();
    return this;
  }
}
