// How each act of a script changes the world, and how it is undone. One act knows nothing of another.
import { UNREADY_ANNOTATION } from "../../../lab/nodes/node-profile.ts";
import { objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { Interception } from "../api/server.ts";
import { failure } from "../api/stored.ts";
import { type LeaseObject } from "../kubernetes/controller-ports.ts";
import { ask, askHoldfast } from "./admin.ts";
import { outletName } from "./bmc.ts";
import { createVM } from "./install.ts";
import { typeKubectl } from "./kubectl.ts";
import { HOLDFAST_NAMESPACE, HOLDFAST_USER, LEASE_NAME } from "./replica.ts";
import { annotate, touchVM } from "./vm-acts.ts";
import type { Act } from "./world-plan.ts";
import type { World } from "./world.ts";

/** Mends what an act did; harmless where nothing is left to mend. */
export type Undo = () => void;

const NOTHING: Undo = () => undefined;
const REBOOT_MS = 2_000;
const CRASHED_MS = 8_000;
const PODS = resourceNamed("v1/pods");
const LEASES = resourceNamed("coordination.k8s.io/v1/leases");

/** Does it now. */
export function perform(world: World, act: Act): Undo {
  switch (act.kind) {
    case "powerCut":
    case "breakDown":
    case "hang":
    case "cutNodeApi":
    case "killKubelet":
    case "killVirtHandler":
    case "reboot":
    case "foreignReboot":
    case "powerOn":
      return failNode(world, act);
    case "deleteNode":
      ask(world, "DELETE", `/api/v1/nodes/${act.node}`);
      return NOTHING;
    case "confirmOff":
    case "requestFencing":
    case "disarm":
      return askHoldfast(world, act);
    case "cordon":
    case "drain":
      return cordon(world, act.node, act.kind === "drain");
    case "notReady":
      return annotate(world, `/api/v1/nodes/${act.node}`, [UNREADY_ANNOTATION, act.because]);
    case "bmc": {
      const bmc = world.bmcs.get(act.outlet === undefined ? act.node : outletName(act.node, act.outlet));
      if (bmc !== undefined) bmc.fault = act.fault;
      return () => bmc?.heal();
    }
    case "cutPlane":
      return world.planes.cut(act.plane, act.nodes);
    case "remediator":
    case "storageFencer":
    case "storageClient":
    case "pauseHealthCheck":
      return troubleOthers(world, act);
    case "editVM":
    case "deleteVMI":
    case "editPromise":
    case "deletePromise":
    case "untaint":
    case "deleteLedger":
    case "editTopology":
      typeKubectl(world, act);
      return NOTHING;
    case "cutReplica":
    case "cutReplicaFromBmcs":
    case "freeze":
    case "breakWatches":
    case "repeatWatches":
    case "slowReplica":
    case "staleWatches":
    case "crash":
    case "wallClockJump":
      return failReplica(world, act);
    case "apiServer":
      world.setServerState(act.state);
      return () => world.setServerState("well");
    case "compact":
      world.server.store.compact();
      for (const watch of Array.from(world.backbone.watches)) watch.breakOff("the API server was restarted");
      return NOTHING;
    case "refuseWrites":
      return refuseWrites(world, act);
    case "quota":
      return fillQuota(world, act.namespace);
    case "createVM":
      void createVM(world, act.vm);
      return NOTHING;
    case "deleteVM":
    case "migrateVM":
    case "stopVM":
    case "restartVM":
    case "deletePod":
    case "forceDeletePod":
    case "failProbe":
    case "startVM":
    case "pauseVM":
      return touchVM(world, act);
    case "deleteLeaderLease":
      ask(
        world,
        "DELETE",
        `/apis/coordination.k8s.io/v1/namespaces/${HOLDFAST_NAMESPACE}/leases/${LEASE_NAME}`,
      );
      return NOTHING;
  }
}

type NodeAct = Extract<
  Act,
  {
    readonly kind:
      | "powerCut"
      | "breakDown"
      | "hang"
      | "cutNodeApi"
      | "killKubelet"
      | "killVirtHandler"
      | "reboot"
      | "foreignReboot"
      | "powerOn";
  }
>;

function failNode(world: World, act: NodeAct): Undo {
  const node = world.fleet.node(act.node);
  const guests = world.replicas.filter((_, at) => world.plan.replicas[at]?.on === act.node);
  const powerOn = () => {
    void world.machines.get(act.node)?.switchOn();
    for (const replica of guests) world.time.schedule(CRASHED_MS, () => replica.start());
  };
  switch (act.kind) {
    case "powerCut":
      void node.power.off();
      for (const replica of guests) replica.crash();
      return powerOn;
    case "breakDown":
      void world.machines.get(act.node)?.breakDown();
      for (const replica of guests) replica.crash();
      return () => {
        world.machines.get(act.node)?.repair();
        powerOn();
      };
    case "reboot":
    case "foreignReboot":
      void node.power.off();
      for (const replica of guests) replica.crash();
      world.time.schedule(REBOOT_MS, powerOn);
      return NOTHING;
    case "hang": {
      node.hang();
      for (const replica of guests) replica.freeze(act);
      return () => {
        node.resume();
        for (const replica of guests) replica.thaw(act);
      };
    }
    case "cutNodeApi": {
      const { way = "both" } = act;
      const cuts = { cutOut: way !== "back", cutBack: way !== "out" };
      if (way === "both") node.cutApi();
      else world.setNodeLink(act.node, cuts);
      for (const { link } of guests) Object.assign(link, cuts);
      return () => {
        node.healApi();
        world.setNodeLink(act.node, { cutOut: false, cutBack: false });
        for (const { link } of guests) Object.assign(link, { cutOut: false, cutBack: false });
        world.resumeWatches();
      };
    }
    case "killKubelet":
      node.killKubelet();
      return () => node.startKubelet();
    case "killVirtHandler":
      node.killVirtHandler();
      return () => node.startVirtHandler();
    case "powerOn":
      powerOn();
      return NOTHING;
  }
}

type ReplicaAct = Extract<Act, { readonly replica: string }>;

function failReplica(world: World, act: ReplicaAct): Undo {
  const replica = world.replica(act.replica);
  switch (act.kind) {
    case "cutReplica": {
      const { link } = replica;
      if (act.way !== "back") link.cutOut = true;
      if (act.way !== "out") link.cutBack = true;
      return () => {
        Object.assign(link, { cutOut: false, cutBack: false });
        world.resumeWatches();
      };
    }
    case "cutReplicaFromBmcs":
      replica.bmcCut = true;
      return () => {
        replica.bmcCut = false;
      };
    case "freeze":
      replica.freeze(act);
      return () => replica.thaw(act);
    case "breakWatches":
      replica.breakConnections();
      return NOTHING;
    case "repeatWatches":
      replica.repeatsWatches = true;
      return () => {
        replica.repeatsWatches = false;
      };
    case "slowReplica":
      replica.extraDelayMs = act.delayMs;
      return () => {
        replica.extraDelayMs = 0;
      };
    case "staleWatches":
      replica.watchLagMs = act.delayMs;
      replica.laggingPlural = act.plural;
      return () => {
        replica.watchLagMs = 0;
        replica.watchesLateUntilMs = world.time.nowMs + act.delayMs;
      };
    case "crash": {
      const restart = () => world.time.schedule(CRASHED_MS, () => replica.start());
      replica.crashAfterWrites = { left: act.writesLeft, when: act.when, restart };
      return () => {
        replica.crashAfterWrites = undefined;
        replica.start();
      };
    }
    case "wallClockJump":
      replica.wallJumpMs += act.byMs;
      return NOTHING;
  }
}

function cordon(world: World, node: string, evicts: boolean): Undo {
  const path = `/api/v1/nodes/${node}`;
  ask(world, "PATCH", path, { spec: { unschedulable: true } });
  if (evicts) evictAll(world, node);
  return () => ask(world, "PATCH", path, { spec: { unschedulable: null } });
}

/** As `kubectl drain` does, once. */
function evictAll(world: World, node: string): void {
  for (const { metadata, ...pod } of world.server.store.list(PODS)) {
    const labels = objectIn(metadata, "labels");
    if (objectIn(pod, "spec")["nodeName"] !== node || labels["kubevirt.io"] !== "virt-launcher") continue;
    const { name, namespace } = metadata;
    ask(world, "POST", `/api/v1/namespaces/${textOf(namespace)}/pods/${name}/eviction`, {
      metadata: { name, namespace: namespace ?? null },
    });
  }
}

type Refusing = Extract<Act, { readonly kind: "refuseWrites" }>;

function refuseWrites(world: World, { plural, status, whose = "ours" }: Refusing): Undo {
  const refusal: Interception = (request, user) =>
    (whose === "everybody" || user.startsWith(HOLDFAST_USER)) &&
    request.method !== "GET" &&
    (plural === "all" || request.path.includes(`/${plural}`))
      ? failure(status, "", status === 403 ? "exceeded quota" : "the server is not able to take this now")
      : undefined;
  world.server.interceptions.add(refusal);
  return () => world.server.interceptions.delete(refusal);
}

/** The quota's admission refuses pods whoever makes them, and nothing else. */
function fillQuota(world: World, namespace: string): Undo {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const refusal: Interception = (request) =>
    request.method === "POST" && request.path === path
      ? failure(
          403,
          "Forbidden",
          "pods is forbidden: exceeded quota: pods, requested: pods=1, limited: pods=0",
        )
      : undefined;
  world.server.interceptions.add(refusal);
  return () => world.server.interceptions.delete(refusal);
}

type OthersAct = Extract<
  Act,
  { readonly kind: "remediator" | "storageFencer" | "storageClient" | "pauseHealthCheck" }
>;

function troubleOthers(world: World, act: OthersAct): Undo {
  const { remediator, storage } = world.others;
  switch (act.kind) {
    case "remediator":
      remediator?.become(act.fault);
      return () => remediator?.become(undefined);
    case "storageFencer":
      storage?.become(act.fault);
      return () => storage?.become(undefined);
    case "storageClient":
      storage?.tellAddress(act.node, world.fleet.node(act.tellsAddressOf).profile.internalIP);
      return NOTHING;
    case "pauseHealthCheck":
      world.isHealthCheckPaused = true;
      return () => {
        world.isHealthCheckPaused = false;
      };
  }
}

/** Who holds the leader's Lease, as stored; undefined while nobody does. */
export function leaderOf(world: World): { readonly holder: string; readonly epoch: number } | undefined {
  const lease = world.server.store.get(LEASES, HOLDFAST_NAMESPACE, LEASE_NAME)?.object as unknown as
    | LeaseObject
    | undefined;
  const holder = lease?.spec?.holderIdentity ?? "";
  return holder === "" ? undefined : { holder, epoch: lease?.spec?.leaseTransitions ?? 0 };
}
