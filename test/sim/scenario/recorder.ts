// Writes down what happens in a scenario, as it happens: from the API server's changes, the operator's log and the machines
// themselves. Judges nothing.
import { isObject, listIn, objectIn, textOf } from "../api/json.ts";
import type { Change } from "../api/store.ts";
import type { StoredObject } from "../api/stored.ts";
import { HOLDFAST_USER } from "../world/replica.ts";
import type { World } from "../world/world.ts";
import type { Occurrence, RefusalFact, RefusedStep } from "./facts.ts";

type Told = Omit<Occurrence, "atMs">;

export class Recorder {
  readonly events: Occurrence[] = [];
  readonly powerCuts: { atMs: number; node: string; replica: string }[] = [];
  readonly refusedSteps: RefusedStep[] = [];
  readonly #refusals = new Map<string, RefusalFact>();
  readonly #world: () => World;
  readonly #power = new Map<string, string>();
  /** Virtual time at which the script begins; nothing before it is told. */
  #beganMs: number | undefined;

  constructor(world: () => World) {
    this.#world = world;
  }

  get refusals(): readonly RefusalFact[] {
    return [...this.#refusals.values()];
  }

  begin(): void {
    const { time, fleet } = this.#world();
    this.#beganMs = time.nowMs;
    for (const node of fleet.nodes) this.#power.set(node.name, node.power.read());
  }

  /** Times of events count from here. */
  get beganMs(): number {
    return this.#beganMs ?? 0;
  }

  tell(told: Told): void {
    if (this.#beganMs !== undefined) this.events.push({ atMs: this.#sinceMs(), ...told });
  }

  /** After every step of the world: machines tell nobody that they lost their power. */
  look(): void {
    if (this.#beganMs === undefined) return;
    for (const { name, power } of this.#world().fleet.nodes) {
      const state = power.read();
      if (state === this.#power.get(name)) continue;
      this.#power.set(name, state);
      this.tell({
        kind: "power",
        node: name,
        text: state === "On" ? `${name} has power and boots` : `${name} is without power`,
      });
    }
  }

  shot(life: string, node: string): void {
    if (this.#beganMs === undefined) return;
    const replica = replicaOf(life);
    this.powerCuts.push({ atMs: this.#sinceMs(), node, replica });
    this.tell({
      kind: "shot",
      node,
      replica,
      text: `${replica} asks a fence device to cut the power of ${node}`,
    });
  }

  log(life: string, message: string, fields: object): void {
    const replica = replicaOf(life);
    const said = fields as Readonly<Record<string, unknown>>;
    if (said["verdict"] !== undefined)
      return this.tell({
        kind: "verdict",
        replica,
        node: textOf(said["node"]),
        text: `${message.replace(/^node /, "")}, judges ${replica}`,
      });
    if (said["about"] !== undefined && said["reason"] !== undefined)
      return this.#refused(replica, textOf(said["about"]), { reason: textOf(said["reason"]), message });
    if (message === "leading" || message === "no longer leading") {
      const why = said["why"] === undefined ? "" : `: ${textOf(said["why"])}`;
      return this.tell({
        kind: "leader",
        replica,
        text: `${replica} ${message === "leading" ? "leads" : "leads no longer"}${why}`,
      });
    }
    const kind = said["step"] !== undefined && said["outcome"] !== undefined ? "step" : "device";
    if (said["outcome"] === "refused" && this.#beganMs !== undefined)
      this.refusedSteps.push({
        atMs: this.#sinceMs(),
        replica,
        step: textOf(said["step"]),
        why: textOf(said["detail"]),
      });
    return this.tell({ kind, replica, text: `${message} ${JSON.stringify(fields)}` });
  }

  #refused(replica: string, about: string, { reason, message }: { reason: string; message: string }): void {
    if (this.#beganMs === undefined) return;
    const key = `${about} ${reason}`;
    const known = this.#refusals.get(key);
    this.#refusals.set(
      key,
      known === undefined
        ? { about, reason, message, firstAtMs: this.#sinceMs(), times: 1 }
        : { ...known, times: known.times + 1 },
    );
    if (known === undefined || known.message !== message)
      this.tell({
        kind: "refusal",
        replica,
        reason,
        text: `${replica} holds (${reason}, ${about}): ${message}`,
      });
  }

  changed({ object, before, type, by }: Change): void {
    if (this.#beganMs === undefined) return;
    switch (object.kind) {
      case "Node":
        return this.#nodeChanged(object, type === "DELETED" ? undefined : before, type);
      case "NodeFencing":
        return this.#fencingChanged(object, before);
      case "Pod":
        if (type === "DELETED" && by.startsWith(HOLDFAST_USER)) this.#podReleased(object, by);
        return;
      case "VirtualMachineInstanceMigration": {
        const phase = textOf(objectIn(object, "status")["phase"]);
        if (phase === textOf(objectIn(before, "status")["phase"]) || phase === "" || type === "DELETED")
          return;
        if (phase !== "Running" && phase !== "Succeeded" && phase !== "Failed") return;
        const vm = `${textOf(object.metadata["namespace"])}/${textOf(objectIn(object, "spec")["vmiName"])}`;
        return this.tell({ kind: "migration", vm, text: `a migration of ${vm}: ${phase}` });
      }
      case "HAVirtualMachine":
        return this.#promiseChanged(object, before);
      default:
    }
  }

  #podReleased(pod: StoredObject, by: string): void {
    const name = textOf(objectIn(pod.metadata, "labels")["vm.kubevirt.io/name"]);
    const vm = `${textOf(pod.metadata["namespace"])}/${name}`;
    const node = textOf(objectIn(pod, "spec")["nodeName"]);
    const replica = replicaOf(by.split(":").at(-1) ?? "");
    this.tell({
      kind: "release",
      vm,
      node,
      replica,
      text: `${replica} releases ${vm} from ${node}`,
    });
  }

  #nodeChanged(node: StoredObject, before: StoredObject | undefined, type: Change["type"]): void {
    const { name } = node.metadata;
    if (type === "DELETED")
      return this.tell({ kind: "node", node: name, text: `the Node object of ${name} is gone` });
    const ready = readyOf(node);
    if (before !== undefined && ready !== readyOf(before))
      this.tell({ kind: "node", node: name, text: `Kubernetes says Ready ${ready} of ${name}` });
    const [had, has] = [taintsOf(before), taintsOf(node)];
    // Kubernetes' own taints follow from Ready, which is told.
    for (const taint of has)
      if (!had.includes(taint) && isTelling(taint))
        this.tell({ kind: "taint", node: name, text: `${name} is tainted ${taint}` });
    for (const taint of had)
      if (!has.includes(taint) && isTelling(taint))
        this.tell({ kind: "taint", node: name, text: `${name} is rid of ${taint}` });
  }

  #fencingChanged(fencing: StoredObject, before: StoredObject | undefined): void {
    const node = textOf(objectIn(fencing, "spec")["nodeName"]);
    const status = objectIn(fencing, "status");
    const old = objectIn(before, "status");
    const tell = (text: string) => this.tell({ kind: "fencing", node, text });
    if (before === undefined)
      tell(`fencing of ${node} is on record (${textOf(objectIn(fencing, "spec")["reason"])})`);
    const attempts = attemptsOf(fencing);
    const known = new Set(attemptsOf(before));
    for (const attempt of attempts) if (!known.has(attempt)) tell(`fencing of ${node}, ${attempt}`);
    const proof = objectIn(status, "proof")["type"];
    if (proof !== undefined && objectIn(old, "proof")["type"] === undefined)
      tell(`it is proven that this life of ${node} is over: ${textOf(proof)}`);
    const phase = textOf(status["phase"]);
    const message = textOf(status["message"]);
    if (phase !== "" && phase !== textOf(old["phase"]))
      tell(`fencing of ${node}: ${phase}${phase === "Aborted" && message !== "" ? `, ${message}` : ""}`);
  }

  #promiseChanged(promise: StoredObject, before: StoredObject | undefined): void {
    const vm = `${textOf(promise.metadata["namespace"])}/${promise.metadata.name}`;
    const blocked = blockedBy(promise);
    if (blocked !== undefined && blocked !== blockedBy(before))
      this.tell({ kind: "promise", vm, text: `${vm} waits: ${blocked}` });
    for (const type of ["Available", "Protected", "Migratable", "Restartable"]) {
      const now = conditionOf(promise, type);
      const was = conditionOf(before, type);
      if (
        now !== undefined &&
        was !== undefined &&
        `${now.status}${now.reason}` !== `${was.status}${was.reason}` &&
        now.status !== "Unknown"
      )
        this.tell({
          kind: "promise",
          vm,
          reason: now.reason ?? "",
          text: `${vm} is told ${type} ${now.status} (${now.reason})`,
        });
    }
  }

  #sinceMs(): number {
    return this.#world().time.nowMs - this.beganMs;
  }
}

/** `replica-1_2`, its second life, is replica-1 to a reader. */
export function replicaOf(life: string): string {
  return life.replace(/_\d+$/, "");
}

export function readyOf(node: StoredObject): string {
  const conditions = listIn(objectIn(node, "status"), "conditions");
  const ready = conditions.find((one) => isObject(one) && one["type"] === "Ready");
  return textOf(isObject(ready) ? ready["status"] : undefined);
}

export function taintsOf(node: StoredObject | undefined): readonly string[] {
  return listIn(objectIn(node, "spec"), "taints").map((taint) =>
    isObject(taint) ? `${textOf(taint["key"])}:${textOf(taint["effect"])}` : "",
  );
}

function isTelling(taint: string): boolean {
  return taint.startsWith("node.kubernetes.io/out-of-service") || taint.startsWith("holdfast.dev/");
}

/** One line for each attempt of a ledger. */
export function attemptsOf(fencing: StoredObject | undefined): readonly string[] {
  return listIn(objectIn(fencing, "status"), "attempts").flatMap((attempt) =>
    isObject(attempt)
      ? [
          `attempt ${textOf(attempt["number"])} by ${textOf(attempt["level"])}: ${textOf(attempt["outcome"])}${attempt["answer"] === undefined ? "" : ` (${textOf(attempt["answer"])})`}`,
        ]
      : [],
  );
}

function blockedBy(promise: StoredObject | undefined): string | undefined {
  const failover = objectIn(objectIn(promise, "status"), "failover");
  return failover["phase"] === "Blocked" ? textOf(failover["message"]) : undefined;
}

function conditionOf(promise: StoredObject | undefined, type: string) {
  const conditions = listIn(objectIn(promise, "status"), "conditions") as readonly {
    readonly type?: string;
    readonly status?: string;
    readonly reason?: string;
  }[];
  return conditions.find((one) => one.type === type);
}
