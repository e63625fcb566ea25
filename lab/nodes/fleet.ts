// All simulated nodes of one cluster, and the network between them.
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { Identity } from "../control-plane/start.ts";
import type { GuestAddress } from "../guests/guest-address.ts";
import { SERVICE_ACCOUNT_GROUPS, SERVICE_ACCOUNTS, serviceAccountUser } from "../kubevirt/names.ts";
import type { GuestWitness } from "../oracle/witness.ts";
import { MEASURED_DELAYS, type NodeDelays } from "./delays.ts";
import { defaultProfile, type NodeProfile } from "./node-profile.ts";
import { SimulatedNode } from "./simulated-node.ts";

export interface FleetOptions {
  /** Opens connections of their own to an API server, real or simulated; `userAgent` is `PROGRAM/NODE`. */
  readonly connect: (identity: Identity, userAgent: string) => ApiTransport;
  /** Version the kubelets report. */
  readonly kubeletVersion: string;
  readonly witness: GuestWitness;
  readonly delays?: Partial<NodeDelays>;
  readonly csiDrivers?: readonly string[];
  /** Where a guest is to be found on the pod network; its pod's own address unless said. */
  readonly guestAddress?: GuestAddress;
  /** Whether packets pass between two nodes on the network that migrations use; always, where it is left out. */
  readonly connected?: (one: string, other: string) => boolean;
}

/** Without the extra that binds it to a node: a client certificate cannot carry one. */
const HANDLER_IDENTITY = {
  user: serviceAccountUser(SERVICE_ACCOUNTS.handler),
  groups: SERVICE_ACCOUNT_GROUPS,
};

/** Nodes by name; each speaks to the API server over connections of its own. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #delays: NodeDelays;
  readonly #nodes = new Map<string, SimulatedNode>();
  #nextIndex = 1;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#delays = { ...MEASURED_DELAYS, ...options.delays };
  }

  get nodes(): readonly SimulatedNode[] {
    return [...this.#nodes.values()];
  }

  /** Errors: throws for a name that is not in the fleet, which is a mistake of the caller. */
  node(name: string): SimulatedNode {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`no node ${name} in the fleet: it has ${[...this.#nodes.keys()].join(", ")}`);
    return node;
  }

  /** Adds a node, powered on and booted at once. Unsaid members of `profile` are those of a node of ordinary size. */
  add(profile: Partial<Omit<NodeProfile, "index">> = {}): SimulatedNode {
    const { connect, kubeletVersion, witness, csiDrivers = [], guestAddress } = this.#options;
    const { connected = () => true } = this.#options;
    const whole = { ...defaultProfile(this.#nextIndex, kubeletVersion), ...profile };
    if (this.#nodes.has(whole.name)) throw new Error(`the fleet has a node ${whole.name} already`);
    this.#nextIndex += 1;
    const kubelet = { user: `system:node:${whole.name}`, groups: ["system:nodes"] };
    const node = new SimulatedNode({
      profile: whole,
      delays: this.#delays,
      witness,
      csiDrivers,
      ...(guestAddress === undefined ? {} : { guestAddress }),
      peers: {
        waitingLauncher: (nodeName, vmiUid) =>
          connected(whole.name, nodeName) ? this.#nodes.get(nodeName)?.waitingLauncher(vmiUid) : undefined,
        reaches: (nodeName) => connected(whole.name, nodeName),
      },
      kubeletTransport: connect(kubelet, `kubelet/${whole.name}`),
      handlerTransport: connect(HANDLER_IDENTITY, `virt-handler/${whole.name}`),
    });
    this.#nodes.set(whole.name, node);
    node.startAtOnce();
    return node;
  }

  /** Powers everything off and closes all connections. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }
}
