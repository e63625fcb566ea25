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
import { SimBmc } from "./bmc.ts";
import { install, startVirtHandlerPods } from "./install.ts";
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
  readonly bmcs: ReadonlyMap<string, SimBmc>;
  readonly replicas: readonly Replica[];
  readonly virtController: VirtController;
  readonly chance: Chance;

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
    this.fleet = new Fleet({
      connect: (identity, userAgent) => this.connect(identity.user, this.#labLink(userAgent)),
      kubeletVersion: "v1.36.0",
      witness: this.oracle,
      csiDrivers: [CSI_DRIVER],
      delays: NODE_DELAYS,
    });
    for (const { name, labels = {} } of plan.nodes) this.fleet.add({ name, labels });
    const bmcs = new Map(plan.nodes.map(({ name, bmc }) => [name, this.#bmcOf(name, bmc)]));
    this.bmcs = bmcs;
    this.replicas = plan.replicas.map(
      (replica) =>
        new Replica({
          plan: replica,
          backbone: this.backbone,
          chance: this.chance.stream(replica.name),
          bmcs,
          policy: plan.policy,
          readiness: plan.readiness,
          events,
        }),
    );
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

  #bmcOf(name: string, { behind = name, isNamed = true }: NodePlan["bmc"] = {}): SimBmc {
    return new SimBmc(name, {
      power: this.fleet.node(behind).power,
      uuid: isNamed ? systemUUID(behind) : undefined,
      time: this.time,
      chance: this.chance.stream(`bmc ${name}`),
    });
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
  }
}
