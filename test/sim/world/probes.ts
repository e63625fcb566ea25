// How a replica reaches nodes directly, beside the API server: over the nodes' own addresses and over the VM network.
import { objectIn } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { ProbeSettings } from "../../../src/observe/node-prober.ts";
import type { ProbeAnswer, ProbeConnection } from "../../../src/observe/probe-connection.ts";
import { ask } from "./admin.ts";
import type { Replica } from "./replica.ts";
import type { WorldPlan } from "./world-plan.ts";
import type { World } from "./world.ts";

export const VM_NETWORK_ANNOTATION = "example.com/vm-network-address";
const NODES = resourceNamed("v1/nodes");
const PROBE_PERIOD_MS = 10_000;
const ROUND_TRIP_MS = { from: 0.5, to: 20 } as const;

/** The operator's settings for it; undefined where nodes are not probed. */
export function probeSettings({ probes }: WorldPlan): ProbeSettings | undefined {
  if (probes === undefined) return undefined;
  return {
    method: "https",
    port: 10_250,
    periodMs: PROBE_PERIOD_MS,
    addresses: probes.map((network) =>
      network === "InternalIP" ? { kind: "InternalIP" } : { kind: "annotation", key: VM_NETWORK_ANNOTATION },
    ),
  };
}

/** An address of a node on the VM network. */
export function vmNetworkAddress(index: number): string {
  return `10.77.${index >> 8}.${index & 255}`;
}

/** The administrator writes each node's address on the VM network onto it, as soon as the node is there. */
export function announceVmNetwork(world: World): void {
  if (world.plan.probes?.includes("vmNetwork") !== true) return;
  world.server.store.onChange(NODES, ({ type, object }) => {
    const node = world.fleet.nodes.find(({ name }) => name === object.metadata.name);
    if (type === "DELETED" || node === undefined) return;
    if (objectIn(object.metadata, "annotations")[VM_NETWORK_ANNOTATION] !== undefined) return;
    world.time.schedule(0, () =>
      ask(world, "PATCH", `/api/v1/nodes/${node.name}`, {
        metadata: { annotations: { [VM_NETWORK_ANNOTATION]: vmNetworkAddress(node.profile.index) } },
      }),
    );
  });
}

/** One probe by that replica, over the networks as they are just then. */
export function simProbe(world: World, replica: Replica, on: string | undefined): ProbeConnection {
  const chance = world.chance.stream(`probes of ${replica.name}`);
  return ({ address, deadlineMs, signal }) =>
    new Promise<ProbeAnswer>((resolve) => {
      const end = (answer: ProbeAnswer) => {
        cancel();
        signal.removeEventListener("abort", giveUp);
        resolve(answer);
      };
      const giveUp = () => end("silent");
      const cancel = world.time.schedule(deadlineMs, giveUp);
      signal.addEventListener("abort", giveUp, { once: true });
      world.time.schedule(chance.between(ROUND_TRIP_MS.from, ROUND_TRIP_MS.to), () => {
        const answer = answerOf(world, { address, replica, on });
        if (answer !== "silent") end(answer);
      });
    });
}

function answerOf(
  world: World,
  { address, replica, on }: { address: string; replica: Replica; on: string | undefined },
): ProbeAnswer {
  const node = world.fleet.nodes.find(
    ({ profile }) => profile.internalIP === address || vmNetworkAddress(profile.index) === address,
  );
  if (node === undefined || node.state !== "running") return "silent";
  if (node.name !== on) {
    const isCut =
      node.profile.internalIP === address
        ? replica.link.cutOut || replica.link.cutBack || world.isCutFromApi(node.name)
        : world.planes.isCut("vmNetwork", node.name) ||
          (on !== undefined && world.planes.isCut("vmNetwork", on));
    if (isCut) return "silent";
  }
  // Whose kubelet is dead refuses by its kernel.
  return node.isKubeletRunning ? "answered" : "refused";
}
