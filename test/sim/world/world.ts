// The whole simulated cluster in one object: API server, Kubernetes' and KubeVirt's controllers, nodes, BMCs, replicas, and
// the oracle. It is built from a plan and lives in virtual time; what befalls it comes from outside (acts.ts).
import { systemUUID } from "../../../lab/bmc/bmc-resources.ts";
import { createVirtController, type VirtController } from "../../../lab/kubevirt/stand-in.ts";
import { SERVICE_ACCOUNTS, serviceAccountUser } from "../../../lab/kubevirt/names.ts";
import { useLabTime } from "../../../lab/lab-time.ts";
import { Fleet } from "../../../lab/nodes/fleet.ts";
import { Oracle } from "../../../lab/oracle/oracle.ts";
import { ATTACHER_DELAYS, startAttacher } from "../../../lab/storage/attacher.ts";
import { CSI_DRIVER } from "../../../lab/storage/csi-driver.ts";
import { type Backbone, clearLink, type Link, SimConnection, type ServerState } from "../api/connection.ts";
import { SimApiServer } from "../api/server.ts";
import { startAttachDetach } from "../kubernetes/attach-detach.ts";
import type { ControllerPorts } from "../kubernetes/controller-ports.ts";
import { startOwnerGC, startPodGC } from "../kubernetes/garbage.ts";
import { startNodeLifecycle } from "../kubernetes/node-lifecycle.ts";
import { startScheduler } from "../kubernetes/scheduler.ts";
import { startNodeHealthCheck } from "../kubernetes/node-health-check.ts";
import { outletName, SimBmc } from "./bmc.ts";
import { install, startVirtHandlerPods } from "./install.ts";
import { MachinePower } from "./machine-power.ts";
import { otherFencers, type OtherFencers, REMEDIATION_TEMPLATE } from "./other-fencers.ts";
import { Planes } from "./planes.ts";
import { announceVmNetwork, probeSettings, simProbe } from "./probes.ts";
import { Chance } from "./random.ts";
import { Replica, type ReplicaEvents } from "./replica.ts";
import { BEGAN_WALL_MS, SimTime } from "./sim-time.ts";
import type { NodePlan, WorldPlan } from "./world-plan.ts";

/** A stand-in for kubelets' ordinary delays, quick where slowness proves nothing. */
const NODE_DELAYS = { guestBootMs: 3_000, preCopyMs: 4_000, nodeBootMs: 25_000, retryMs: 1_000 } as const;
/** KubeVirt's client is throttled in reality; here order is what counts. */
const VMI_WRITE_COST_MS = 2;
const LAB_DELAY_MS = { from: 0.2, to: 3 } as const;

export class World {
  readonly plan: WorldPlan;
  readonly time = new SimTime();
  readonly server: SimApiServer;
  readonly backbone: Backbone;
  readonly oracle = new Oracle();
  readonly fleet: Fleet;
  readonly planes: Planes;
  /** What feeds each node. */
  readonly machines: ReadonlyMap<string, MachinePower>;
  readonly others: OtherFencers;
  isHealthCheckPaused = false;
  /** Told when the storage has come to serve other nodes than before. */
  readonly onStorageChange = new Set<() => void>();
  /** Every fence device: BMCs by their node, outlets by `outletName`. */
  readonly bmcs: ReadonlyMap<string, SimBmc>;
  readonly replicas: readonly Replica[];
  readonly virtController: VirtController;
  readonly chance: Chance;
  readonly #nodeLinks = new Map<string, Link[]>();

  constructor(plan: WorldPlan, seed: number, events: ReplicaEvents) {
    this.plan = plan;
    const { time } = this;
    this.chance = new Chance(seed, "world");
    useLabTime(time.labTime(this.chance.stream("lab")));
    this.server = new SimApiServer({
      chance: this.chance.stream("server"),
      wallMs: () => BEGAN_WALL_MS + time.nowMs,
    });
    this.backbone = { time, server: this.server, state: "well", watches: new Set() };
    install(this);
    const virtApi = this.connect(serviceAccountUser(SERVICE_ACCOUNTS.api), clearLink());
    this.virtController = createVirtController(
      this.connect(serviceAccountUser(SERVICE_ACCOUNTS.controller), this.#labLink("virt-controller")),
      { vmiWriteCostMs: VMI_WRITE_COST_MS },
    );
    this.server.serveVirtApi({ api: virtApi, settings: () => this.virtController.view.settings() });
    void this.virtController.view.start();
    startAttacher({
      transport: this.connect("system:serviceaccount:lab-storage:csi-attacher", this.#labLink("attacher")),
      ...ATTACHER_DELAYS,
    });
    this.#startControllers();
    this.planes = new Planes((plane) => (plane === "storage" ? this.noticeStorage() : undefined));
    this.fleet = new Fleet({
      connect: (identity, userAgent) => this.connect(identity.user, this.#nodeLink(userAgent)),
      connected: (one, other) =>
        !this.planes.isCut("vmNetwork", one) && !this.planes.isCut("vmNetwork", other),
      kubeletVersion: "v1.36.0",
      witness: this.oracle,
      csiDrivers: [CSI_DRIVER],
      delays: NODE_DELAYS,
    });
    for (const { name, labels = {} } of plan.nodes) this.fleet.add({ name, labels });
    this.machines = new Map(
      plan.nodes.map(({ name, outlets = 0 }) => [
        name,
        new MachinePower(this.fleet.node(name).power, outlets),
      ]),
    );
    const bmcs = new Map(plan.nodes.flatMap((node) => this.#devicesOf(node)));
    this.bmcs = bmcs;
    this.others = otherFencers(this, (name) => ({
      transport: this.connect(`system:serviceaccount:others:${name}`, this.#labLink(name)),
      time,
      chance: this.chance.stream(name),
    }));
    announceVmNetwork(this);
    this.replicas = plan.replicas.map(
      (replica) =>
        new Replica({
          plan: replica,
          backbone: this.backbone,
          chance: this.chance.stream(replica.name),
          bmcs,
          policy: plan.policy,
          readiness: plan.readiness,
          probe: probeSettings(plan),
          probeConnection: (of) => simProbe(this, of, replica.on),
          events,
        }),
    );
  }

  /** Cuts one direction between a node and the API server, or opens both. */
  setNodeLink(node: string, cuts: Pick<Link, "cutOut" | "cutBack">): void {
    for (const link of this.#nodeLinks.get(node) ?? []) Object.assign(link, cuts);
    if (!cuts.cutBack) this.resumeWatches();
  }

  /** Whether the node's network to the API server is cut, in either direction. */
  isCutFromApi(node: string): boolean {
    const [link] = this.#nodeLinks.get(node) ?? [];
    return this.fleet.node(node).isCutFromApi || link?.cutOut === true || link?.cutBack === true;
  }

  /** Whether the storage serves the node: it reaches it, and is not refused there. */
  isServedByStorage(name: string): boolean {
    const { internalIP } = this.fleet.node(name).profile;
    return !this.planes.isCut("storage", name) && this.others.storage?.refuses(internalIP) !== true;
  }

  /** Nodes notice what the storage does for them now. */
  noticeStorage(): void {
    for (const node of this.fleet.nodes) {
      if (this.isServedByStorage(node.name)) node.healStorage();
      else node.cutStorage();
    }
    for (const tell of this.onStorageChange) tell();
  }

  /** A client of the API server. */
  connect(user: string, link: Link): SimConnection {
    return new SimConnection({ backbone: this.backbone, user, link });
  }

  replica(name: string): Replica {
    const replica = this.replicas.find((one) => one.name === name);
    if (replica === undefined) throw new Error(`no replica ${name}`);
    return replica;
  }

  setServerState(state: ServerState): void {
    this.backbone.state = state;
    if (state === "refusing")
      for (const watch of Array.from(this.backbone.watches)) watch.breakOff("the API server is gone");
    if (state === "well") this.resumeWatches();
  }

  /** What watches held while their way was cut is delivered now. */
  resumeWatches(): void {
    for (const watch of this.backbone.watches) watch.resumeDelivery();
  }

  end(): void {
    for (const replica of this.replicas) replica.crash();
    this.time.end();
    useLabTime(undefined);
  }

  #devicesOf({ name, bmc = {} }: NodePlan): [string, SimBmc][] {
    const { behind = name, isNamed = true } = bmc;
    const machine = this.#machine(behind);
    const board = new SimBmc(name, {
      power: machine.bmc,
      uuid: isNamed ? systemUUID(behind) : undefined,
      isThere: () => machine.isFed && !this.planes.isCut("bmc", name),
      time: this.time,
      chance: this.chance.stream(`bmc ${name}`),
    });
    const outlets = this.#machine(name).outlets.map((power, at): [string, SimBmc] => [
      outletName(name, at),
      new SimBmc(name, {
        power,
        uuid: undefined,
        isThere: () => !this.planes.isCut("bmc", name),
        time: this.time,
        chance: this.chance.stream(`outlet ${at} of ${name}`),
      }),
    ]);
    return [[name, board], ...outlets];
  }

  #machine(name: string): MachinePower {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`no node ${name} in the plan`);
    return machine;
  }

  #nodeLink(userAgent: string): Link {
    const link = this.#labLink(userAgent);
    const [, node = ""] = userAgent.split("/");
    this.#nodeLinks.set(node, [...(this.#nodeLinks.get(node) ?? []), link]);
    return link;
  }

  #labLink(name: string): Link {
    const chance = this.chance.stream(`link ${name}`);
    return { ...clearLink(), delayMs: () => chance.between(LAB_DELAY_MS.from, LAB_DELAY_MS.to) };
  }

  #startControllers(): void {
    const ports: ControllerPorts = {
      time: this.time,
      chance: this.chance.stream("controllers"),
      server: this.server,
      reachable: () => this.backbone.state === "well",
    };
    const room = new Map(this.plan.nodes.map((node) => [node.name, node.room]));
    // Besides its launchers a node has a virt-handler.
    startScheduler(ports, { room: (node) => (room.get(node) ?? 0) + 1 });
    startNodeLifecycle(ports);
    startPodGC(ports);
    startOwnerGC(ports);
    startAttachDetach(ports);
    startVirtHandlerPods(ports);
    const { healthCheckAfterMs } = this.plan;
    if (healthCheckAfterMs !== undefined)
      startNodeHealthCheck(ports, {
        unhealthyMs: healthCheckAfterMs,
        isPaused: () => this.isHealthCheckPaused,
        template: REMEDIATION_TEMPLATE,
      });
  }
}
