// What a script does to its world, as sentences.
import type { Act } from "../world/world-plan.ts";

/** What happens now. */
export function actText(act: Act): string {
  switch (act.kind) {
    case "powerCut":
      return `${act.node} loses its power`;
    case "breakDown":
      return `${act.node} breaks down and cannot be switched on`;
    case "hang":
      return `${act.node} hangs: guests stand still and hold their disks`;
    case "cutNodeApi":
      return `${act.node} is cut off from the API server${WAY_TEXTS[act.way ?? "both"]}; its guests run on`;
    case "cutPlane":
      return `${act.nodes.join(", ")} ${act.nodes.length === 1 ? "is" : "are"} cut off from the ${PLANE_TEXTS[act.plane]}`;
    case "remediator":
      return `the remediation operator is ${act.fault}`;
    case "storageFencer":
      return `CSI-Addons is ${act.fault}`;
    case "storageClient":
      return `the storage tells the address of ${act.tellsAddressOf} where it is asked for that of ${act.node}`;
    case "pauseHealthCheck":
      return "somebody asks NodeHealthCheck to pause";
    case "untaint":
      return `somebody takes all taints off ${act.node}`;
    case "deleteLedger":
      return `somebody deletes the ledger of ${act.node}`;
    case "editTopology":
      return "somebody edits the FencingTopology";
    case "quota":
      return `the quota for pods in ${act.namespace} is used up`;
    case "killKubelet":
      return `the kubelet of ${act.node} dies`;
    case "killVirtHandler":
      return `virt-handler of ${act.node} stops doing anything`;
    case "reboot":
    case "foreignReboot":
      return `somebody resets ${act.node}`;
    case "powerOn":
      return `somebody switches ${act.node} on`;
    case "cordon":
      return `somebody cordons ${act.node}`;
    case "drain":
      return `somebody drains ${act.node}`;
    case "deleteNode":
      return `somebody deletes the Node object of ${act.node}`;
    case "bmc":
      return `${act.outlet === undefined ? "the BMC" : `outlet ${act.outlet}`} of ${act.node} is ${BMC_TEXTS[act.fault]}`;
    case "confirmOff":
      return `${act.by} confirms that ${act.node} is off`;
    case "requestFencing":
      return `${act.by} asks for ${act.node} to be fenced`;
    case "disarm":
      return `somebody disarms fencing: ${act.reason}`;
    case "apiServer":
      return `the API server is ${act.state}`;
    case "compact":
      return "the API server is restarted and has forgotten its history";
    case "refuseWrites": {
      const whose = act.whose === "everybody" ? "everybody's" : "our";
      const what = act.plural === "all" ? "writes" : `writes of ${act.plural}`;
      return `${whose} ${what} are refused with ${act.status}`;
    }
    case "notReady":
      return `the kubelet of ${act.node} says that it is not Ready: ${act.because}`;
    case "createVM":
      return `somebody creates ${act.vm.namespace}/${act.vm.name}`;
    case "deleteLeaderLease":
      return "somebody deletes the leader's Lease";
    default:
      return "vm" in act ? vmText(act) : replicaText(act);
  }
}

/** What ends now. */
export function undoneText(act: Act): string {
  if (act.kind === "powerCut") return `${act.node} gets its power back`;
  if (act.kind === "breakDown") return `${act.node} is repaired and switched on`;
  if (act.kind === "cordon" || act.kind === "drain") return `somebody uncordons ${act.node}`;
  if (act.kind === "pauseVM") return `somebody resumes ${act.vm}`;
  if (act.kind === "stopVM") return `somebody starts ${act.vm}`;
  return `no longer: ${actText(act)}`;
}

const WAY_TEXTS = { both: "", out: ", on the way out", back: ", on the way back" } as const;
const PLANE_TEXTS = { vmNetwork: "VM network", storage: "storage", bmc: "network of its BMC" } as const;

const BMC_TEXTS = {
  unreachable: "not to be reached",
  slow: "very slow",
  deaf: "deaf: it agrees and does nothing",
  erringButActing: "confused: it answers with errors and acts",
  refusing: "refusing everything",
  denied: "refusing our password",
  lateOff: "slow to act: it agrees and cuts power 45 s later",
  unknownState: "unsure: it does not know the power state",
  saysOffOnce: "lying once: it agrees, does nothing, and says Off for one reading",
  saysOff: "lying: it does nothing and says Off",
  restoresPower: "set to restore power: what it cuts comes back after 7 s",
} as const;

function vmText(act: Extract<Act, { readonly vm: string }>): string {
  if (act.kind === "failProbe") return `the readiness probe of ${act.vm} fails; its guest runs`;
  const texts = {
    deleteVM: "deletes",
    migrateVM: "migrates",
    stopVM: "stops",
    restartVM: "restarts",
    deletePod: "deletes the pod of",
    forceDeletePod: "deletes, by force, the pod of",
    pauseVM: "pauses",
    startVM: "starts",
    editVM: "edits the template of",
    deleteVMI: "deletes the instance of",
    editPromise: "edits the promise of",
    deletePromise: "deletes the promise of",
  } as const;
  return `somebody ${texts[act.kind]} ${act.vm}`;
}

function replicaText(act: Extract<Act, { readonly replica: string }>): string {
  const { replica } = act;
  switch (act.kind) {
    case "cutReplica": {
      return `${replica} is cut off from the API server${WAY_TEXTS[act.way]}`;
    }
    case "cutReplicaFromBmcs":
      return `${replica} is cut off from the BMCs`;
    case "freeze":
      return `${replica} stands still`;
    case "breakWatches":
      return `the connections of ${replica} break`;
    case "repeatWatches":
      return `watches of ${replica} tell many things twice`;
    case "slowReplica":
      return `requests of ${replica} take up to ${act.delayMs / 1_000} s`;
    case "staleWatches":
      return `watches of ${replica}${act.plural === undefined ? "" : ` for ${act.plural}`} lag by ${act.delayMs / 1_000} s`;
    case "crash":
      return `${replica} will crash ${act.when} its write number ${act.writesLeft + 1}`;
    case "wallClockJump":
      return `the wall clock of ${replica} jumps by ${act.byMs / 1_000} s`;
  }
}
