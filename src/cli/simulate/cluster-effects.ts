// How a cluster answers what the operator does: devices prove, KubeVirt restarts and migrates, the scheduler places. Times
// are those measured on real controllers, or the scenario's own.
import { derivedName } from "../../decide/text.ts";
import { OUR_TAINT_VALUE, OUT_OF_SERVICE_TAINT } from "../../model/node.ts";
import type { NodeVerdict } from "../../model/node-verdict.ts";
import type { CreateMigrationStep, FenceStep, OpenFencingStep, Step } from "../../model/plan.ts";
import type { MigrationFact, VMIFact } from "../../model/virtual-machine.ts";
import { EffectQueue } from "./effect-queue.ts";
import { openLedger, proveOff, writeLedger } from "./ledger-effects.ts";
import type { Scenario, StoryEvent } from "./scenario.ts";
import type { Scheduler } from "./scheduler.ts";
import type { VirtualCluster } from "./virtual-cluster.ts";

/** From the delete of a launcher pod to its end. */
const POD_GONE_MS = 300;
/** KubeVirt's workers take so long for each VM that they start again (100 VMs: 27 s). */
const RESTART_PACE_MS = 270;
const RESTART_MS = 700;
const SCHEDULE_MS = 300;
const MIGRATION_BASE_MS = 5_000;
/** Memory copied per second by a live migration on a 10 Gbit/s network, roughly. */
const MIGRATION_BYTES_PER_MS = 1_000_000;
const SHUTDOWN_MS = 10_000;
/** A device that was only read is not read again sooner. */
const LOOK_PERIOD_MS = 30_000;
/** Takes the steps of a plan and makes their consequences happen, each at its time. */
export class ClusterEffects {
  readonly story: StoryEvent[] = [];
  /** Why the scheduler found no place, by VM; the last word counts. */
  readonly unplaced = new Map<string, string>();
  /** Order in which VMs were let go or set moving. */
  readonly order = new Map<string, number>();
  verdicts: ReadonlyMap<string, NodeVerdict> = new Map();
  readonly #cluster: VirtualCluster;
  readonly #scheduler: Scheduler;
  readonly #scenario: Scenario;
  readonly #queue: EffectQueue;
  #nextStartMs = 0;
  #numbers = 0;

  constructor(cluster: VirtualCluster, scheduler: Scheduler, scenario: Scenario) {
    this.#cluster = cluster;
    this.#scheduler = scheduler;
    this.#scenario = scenario;
    this.#queue = new EffectQueue(cluster);
  }

  /** When the next thing happens; undefined where nothing more will by itself. */
  get nextAtMs(): number | undefined {
    return this.#queue.nextAtMs;
  }

  /** Lets everything happen that is due. */
  happenDue(): void {
    if (this.#queue.happenDue() === 0) return;
    for (const vmKey of this.unplaced.keys()) this.#place(vmKey);
  }

  /** Answers one step; true where it changed something, or will. Steps that concern nobody here are passed over. */
  take(step: Step): boolean {
    switch (step.kind) {
      case "OpenFencing":
        return this.#open(step);
      case "Fence":
        return this.#fence(step);
      case "WriteFencing":
        writeLedger(this.#cluster, step.fencing, step.status);
        return true;
      case "Taint":
        this.#cluster.taint(step.node, {
          key: OUT_OF_SERVICE_TAINT,
          value: OUR_TAINT_VALUE,
          effect: "NoSchedule",
        });
        this.tell(step.node, "tainted out-of-service");
        return true;
      case "Release":
        return this.#release(
          step.vmKey,
          step.pods.map(({ namespace, name }) => `${namespace}/${name}`),
        );
      case "StartVM":
      case "DeleteVMI":
        return this.#after(RESTART_MS, `start/${step.vmKey}`, () => this.#newInstance(step.vmKey));
      case "RestartVM":
        return this.#restart(step.vmKey);
      case "CreateMigration":
        return this.#migrate(step);
      case "WriteProtection":
        this.#cluster.setProtection(step.protection.key, { ...step.protection, status: step.status });
        return false;
      default:
        return false;
    }
  }

  tell(about: string, what: string): void {
    this.story.push({ afterMs: this.#cluster.elapsedMs, about, what });
  }

  #after(delayMs: number, key: string, happen: () => void): boolean {
    return this.#queue.after(delayMs, key, happen);
  }

  #open(step: OpenFencingStep): boolean {
    openLedger(this.#cluster, step);
    this.tell(step.node, `judged lost; NodeFencing opened, by ${step.topology}`);
    return true;
  }

  #fence(step: FenceStep): boolean {
    const { nodeName } = step.fencing;
    const off = !this.#scenario.stillOn;
    if (!off && !step.mayPowerOff)
      return this.#after(LOOK_PERIOD_MS, `look/${nodeName}`, () => undefined) && false;
    return this.#after(this.#scenario.fenceMs, `fence/${nodeName}`, () => {
      if (!proveOff(this.#cluster, step, off)) return;
      this.tell(nodeName, `proven off with level ${step.level.name}${off ? " (it has no power)" : ""}`);
    });
  }

  #release(vmKey: string, pods: readonly string[]): boolean {
    return this.#after(POD_GONE_MS, `release/${vmKey}`, () => {
      for (const pod of pods) {
        this.#cluster.setPod(pod, undefined);
        this.#scheduler.free(pod);
      }
      this.#failMigrations(vmKey);
      const number = this.order.size + 1;
      if (!this.order.has(vmKey)) this.order.set(vmKey, number);
      this.tell(vmKey, "released");
      const vmi = this.#cluster.vmis.get(vmKey);
      const vm = this.#cluster.base.vms.get(vmKey);
      if (vmi === undefined) return;
      const again = vm?.runStrategy === "Always" || vm?.runStrategy === "RerunOnFailure";
      if (!again) {
        // KubeVirt leaves a Manual or Once VM as it is; the operator sees that its instance has failed.
        this.#cluster.setVMI(vmKey, { ...vmi, phase: "Failed", ready: false });
        return;
      }
      const { nowMs } = this.#cluster;
      this.#nextStartMs = Math.max(this.#nextStartMs + RESTART_PACE_MS, nowMs + RESTART_MS);
      this.#after(this.#nextStartMs - nowMs, `start/${vmKey}`, () => this.#newInstance(vmKey));
    });
  }

  /** KubeVirt fails a migration whose instance has ended. */
  #failMigrations(vmKey: string): void {
    const { nowMs: finishedAtMs } = this.#cluster;
    for (const [key, migration] of this.#cluster.migrations) {
      if (migration.vmiKey !== vmKey || migration.finished) continue;
      this.#cluster.setMigration(key, { ...migration, phase: "Failed", finished: true, finishedAtMs });
    }
  }

  #newInstance(vmKey: string): void {
    const before = this.#cluster.vmis.get(vmKey);
    const [namespace = "", name = ""] = vmKey.split("/");
    const number = ++this.#numbers;
    this.#cluster.setVMI(vmKey, undefined);
    const blank = { scheduledAtWallMs: undefined, runningAtWallMs: undefined, readyAtWallMs: undefined };
    if (before === undefined) return;
    const uid = `simulated-${number}`;
    this.#cluster.setVMI(vmKey, {
      ...before,
      ...blank,
      uid,
      phase: "Scheduling",
      nodeName: undefined,
      ready: false,
      migration: undefined,
      deleting: false,
      firstSeenMs: this.#cluster.nowMs,
    });
    const pod = derivedName("virt-launcher", name, uid);
    this.#cluster.setPod(`${namespace}/${pod}`, {
      key: `${namespace}/${pod}`,
      namespace,
      name: pod,
      uid: `pod-${uid}`,
      kind: "launcher",
      nodeName: undefined,
      vmKey,
      vmiUID: uid,
      finished: false,
      deleting: false,
      unschedulable: undefined,
    });
    this.unplaced.set(vmKey, "not yet placed");
    this.#place(vmKey);
  }

  #place(vmKey: string): void {
    const vm = this.#cluster.base.vms.get(vmKey);
    const vmi = this.#cluster.vmis.get(vmKey);
    const pod = this.#cluster.podsOf(vmKey).find(({ vmiUID }) => vmiUID === vmi?.uid);
    if (vm === undefined || vmi === undefined || pod === undefined) return;
    const placed = this.#scheduler.place(this.#cluster, this.verdicts, {
      vmKey,
      constraints: vm.constraints,
    });
    if (!placed.ok) {
      if (this.unplaced.get(vmKey) !== placed.why) this.tell(vmKey, `finds no place: ${placed.why}`);
      this.unplaced.set(vmKey, placed.why);
      if (pod.unschedulable === undefined)
        this.#cluster.setPod(pod.key, { ...pod, unschedulable: placed.why });
      return;
    }
    this.unplaced.delete(vmKey);
    this.#scheduler.hold(pod.key, placed.node, vmKey);
    this.#cluster.setPod(pod.key, { ...pod, nodeName: placed.node, unschedulable: undefined });
    this.tell(vmKey, `goes to ${placed.node}`);
    this.#after(SCHEDULE_MS, `placed/${vmKey}`, () =>
      this.#reach(vmKey, vmi.uid, {
        phase: "Scheduled",
        nodeName: placed.node,
        scheduledAtWallMs: this.#cluster.wallMs,
      }),
    );
    this.#after(SCHEDULE_MS + this.#bootMs(vmKey), `boot/${vmKey}`, () => {
      const at = this.#cluster.wallMs;
      this.#reach(vmKey, vmi.uid, { phase: "Running", ready: true, runningAtWallMs: at, readyAtWallMs: at });
      this.tell(vmKey, `up on ${placed.node}`);
    });
  }

  #reach(vmKey: string, uid: string, change: Partial<VMIFact>): void {
    const vmi = this.#cluster.vmis.get(vmKey);
    if (vmi?.uid === uid) this.#cluster.setVMI(vmKey, { ...vmi, ...change });
  }

  /** What the VM itself took last time, from its start to Ready. */
  #bootMs(vmKey: string): number {
    for (const protection of this.#cluster.protections.values()) {
      if (protection.vmKey !== vmKey) continue;
      const [last] = protection.status.outages;
      const tookMs = Date.parse(last?.readyAt ?? "") - Date.parse(last?.scheduledAt ?? "");
      if (tookMs > 0) return tookMs;
    }
    return this.#scenario.bootMs;
  }

  #restart(vmKey: string): boolean {
    return this.#after(SHUTDOWN_MS, `start/${vmKey}`, () => {
      for (const pod of this.#cluster.podsOf(vmKey)) {
        this.#cluster.setPod(pod.key, undefined);
        this.#scheduler.free(pod.key);
      }
      if (!this.order.has(vmKey)) this.order.set(vmKey, this.order.size + 1);
      this.tell(vmKey, "shut down, to be started elsewhere");
      this.#newInstance(vmKey);
    });
  }

  #migrate(step: CreateMigrationStep): boolean {
    const { vmKey, name } = step;
    const [namespace = ""] = vmKey.split("/");
    const key = `${namespace}/${name}`;
    const vm = this.#cluster.base.vms.get(vmKey);
    const vmi = this.#cluster.vmis.get(vmKey);
    if (vm === undefined || vmi === undefined || this.#cluster.migrations.get(key)?.finished === false)
      return false;
    const { constraints } = vm;
    const { targetSelector } = step;
    const asked = { vmKey, constraints, targetSelector, except: vmi.nodeName };
    const placed = this.#scheduler.place(this.#cluster, this.verdicts, asked);
    const fact = {
      key,
      namespace,
      name,
      uid: `simulated-${++this.#numbers}`,
      vmiKey: vmKey,
      phase: "Running",
      finished: false,
      succeeded: false,
      purpose: step.purpose,
      forVMI: step.vmiUID,
      deleting: false,
      createdAtWallMs: this.#cluster.wallMs,
      firstSeenMs: this.#cluster.nowMs,
      finishedAtMs: undefined,
      failureReason: undefined,
    };
    this.#cluster.setMigration(key, fact);
    if (this.#cluster.silent.has(vmi.nodeName ?? "")) {
      // Nobody is there to send the guest: the migration stands until its source is given up.
      this.tell(vmKey, `live migration cannot begin: ${vmi.nodeName ?? ""} is gone`);
      return false;
    }
    if (!placed.ok) {
      if (this.unplaced.get(vmKey) !== placed.why) this.tell(vmKey, `cannot leave: ${placed.why}`);
      this.unplaced.set(vmKey, placed.why);
      this.#after(step.unschedulableTimeoutSeconds * 1000, `migrate/${vmKey}`, () =>
        this.#cluster.setMigration(key, {
          ...fact,
          phase: "Failed",
          finished: true,
          finishedAtMs: this.#cluster.nowMs,
        }),
      );
      return false;
    }
    this.unplaced.delete(vmKey);
    if (!this.order.has(vmKey)) this.order.set(vmKey, this.order.size + 1);
    this.tell(vmKey, `live migration to ${placed.node} begins`);
    return this.#send(fact, placed.node);
  }

  /** Migrations that were under way at the beginning go on, or fail where their target is lost. */
  resume(): void {
    for (const fact of this.#cluster.migrations.values()) {
      const { vmiKey: vmKey } = fact;
      const { nodeName: source, migration } = this.#cluster.vmis.get(vmKey) ?? {};
      const vm = this.#cluster.base.vms.get(vmKey);
      if (fact.finished || !vm || source === undefined || this.#cluster.silent.has(source)) continue;
      // After the first turn, which tells how nodes are.
      this.#after(1, `resume/${fact.key}`, () => {
        if (this.#cluster.silent.has(migration?.targetNode ?? "")) return this.#failMigrations(vmKey);
        const asked = { vmKey, constraints: vm.constraints, except: source };
        const placed = this.#scheduler.place(this.#cluster, this.verdicts, asked);
        const target = migration?.targetNode ?? (placed.ok ? placed.node : undefined);
        if (target === undefined) this.#failMigrations(vmKey);
        else this.#send(fact, target);
      });
    }
  }

  #send(fact: MigrationFact, node: string): boolean {
    const { key, vmiKey: vmKey } = fact;
    this.#scheduler.hold(key, node, vmKey);
    const memory = this.#scheduler.asks(vmKey)["memory"] ?? 0;
    return this.#after(MIGRATION_BASE_MS + memory / MIGRATION_BYTES_PER_MS, `migrate/${vmKey}`, () => {
      const finishedAtMs = this.#cluster.nowMs;
      const ended = { phase: "Succeeded", finished: true, succeeded: true, finishedAtMs };
      this.#cluster.setMigration(key, { ...fact, ...ended });
      this.#arrive(vmKey, node);
    });
  }

  #arrive(vmKey: string, node: string): void {
    const vmi = this.#cluster.vmis.get(vmKey);
    if (vmi === undefined) return;
    for (const pod of this.#cluster.podsOf(vmKey)) {
      this.#scheduler.free(pod.key);
      this.#cluster.setPod(pod.key, { ...pod, nodeName: node });
    }
    this.#cluster.setVMI(vmKey, { ...vmi, nodeName: node });
    this.tell(vmKey, `runs on ${node}`);
  }
}
