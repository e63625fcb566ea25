// Makes a lab whole again after a test: nodes up and unmarked, BMCs in order, nothing of the test's objects left.
import { waitFor } from "../../lab/cluster/wait-for.ts";
import type { SimulatedNode } from "../../lab/nodes/simulated-node.ts";
import { type HoldfastLab, LONG_MS } from "./holdfast-lab.ts";

const HOLDFAST = "/apis/holdfast.dev/v1alpha1";
const KUBEVIRT = "/apis/kubevirt.io/v1";

/** Heals the lab. No replica may be running, lest it sees a disaster in it. */
export async function healLab(lab: HoldfastLab): Promise<void> {
  await Promise.all(lab.cluster.fleet.nodes.map((node) => healNode(lab, node)));
  const remove = (path: string) => lab.admin.request({ method: "DELETE", path });
  for (const { metadata } of lab.view.protections.values())
    await remove(`${HOLDFAST}/namespaces/${metadata.namespace}/havirtualmachines/${metadata.name}`);
  for (const { metadata } of lab.cluster.view.vms.values())
    await remove(`${KUBEVIRT}/namespaces/${metadata.namespace}/virtualmachines/${metadata.name}`);
  await remove(`${HOLDFAST}/nodefencings`);
  await remove(`${HOLDFAST}/havirtualmachinepolicies`);
  await waitFor(
    "the lab is whole again",
    (saw) => {
      const broken = lab.cluster.fleet.nodes.filter((node) => !isWhole(lab, node)).map(({ name }) => name);
      const guests = lab.cluster.oracle.running().map(({ vm }) => vm);
      saw({ broken, guests });
      return broken.length === 0 && guests.length === 0 ? true : undefined;
    },
    LONG_MS,
  );
}

async function healNode(lab: HoldfastLab, node: SimulatedNode): Promise<void> {
  await lab.bmcs.of(node.name).faults.clear();
  node.healApi();
  if (node.state === "hung") await node.power.off();
  if (node.state === "off") await node.power.on();
  node.startKubelet();
  node.startVirtHandler();
  await lab.patch(`/api/v1/nodes/${node.name}`, { spec: { unschedulable: null, taints: null } });
}

/** Ready under its present boot ID, free of taints, and taking VMs. */
function isWhole(lab: HoldfastLab, { name, bootID }: SimulatedNode): boolean {
  const node = lab.cluster.view.nodes.get(name);
  const ready = node?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return (
    ready === "True" &&
    node?.status?.nodeInfo?.["bootID"] === bootID &&
    (node?.spec?.taints ?? []).length === 0 &&
    node?.metadata.labels?.["kubevirt.io/schedulable"] === "true"
  );
}
