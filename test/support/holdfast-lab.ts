// A lab with Holdfast's kinds on it: what an administrator does to it, what the oracle and the API server say of it, and
// waiting for either. Knows no replicas.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Cluster } from "../../lab/cluster.ts";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { findAssetFolder } from "../../lab/control-plane/asset-folders.ts";
import { type Fencing, type Havm, HoldfastView } from "../../lab/demo/holdfast-view.ts";
import type { Bmcs } from "../../lab/holdfast/bmcs.ts";
import { expectOk } from "../../lab/kubevirt/calls.ts";
import type { SimulatedNode } from "../../lab/nodes/simulated-node.ts";

/** Longest wait for something that takes seconds on a free machine. */
export const LONG_MS = 60_000;

export class HoldfastLab {
  readonly cluster: Cluster;
  readonly bmcs: Bmcs;
  readonly view: HoldfastView;

  constructor(cluster: Cluster, bmcs: Bmcs) {
    this.cluster = cluster;
    this.bmcs = bmcs;
    const nothing = () => undefined;
    this.view = new HoldfastView(cluster.controlPlane.admin, { protection: nothing, fencing: nothing });
  }

  get admin() {
    return this.cluster.controlPlane.admin;
  }

  node(name: string): SimulatedNode {
    return this.cluster.fleet.node(name);
  }

  async cordon(node: string, cordoned = true): Promise<void> {
    await this.patch(`/api/v1/nodes/${node}`, { spec: { unschedulable: cordoned ? true : null } });
  }

  /** Merges `change` into an object, as an administrator. */
  async patch(path: string, change: object): Promise<void> {
    const contentType = "application/merge-patch+json";
    expectOk(await this.admin.request({ method: "PATCH", path, contentType, body: change }), `patch ${path}`);
  }

  async remove(path: string): Promise<void> {
    expectOk(await this.admin.request({ method: "DELETE", path }), `delete ${path}`);
  }

  async list<T>(path: string): Promise<readonly T[]> {
    const listed = await this.admin.request<{ readonly items: readonly T[] }>({ method: "GET", path });
    return expectOk(listed, `list ${path}`).items;
  }

  /** Runs kubectl as cluster administrator; throws with its words when it fails. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const kubectl = join(findAssetFolder(process.env)?.directory ?? "", "kubectl");
    const { stdout } = await promisify(execFile)(kubectl, [
      `--kubeconfig=${this.cluster.controlPlane.kubeconfigPath}`,
      ...args,
    ]);
    return stdout;
  }

  /** The node whose guest of that VM runs, by the oracle. */
  nodeOf(vmKey: string): string | undefined {
    return this.cluster.oracle.running(vmKey)[0]?.node;
  }

  /** Waits until one guest of each VM is up, by the oracle, on a node other than `except`. */
  async untilUp(vmKeys: readonly string[], except?: string, deadlineMs: number = LONG_MS): Promise<void> {
    await waitFor(
      `${vmKeys.join(", ")} up${except === undefined ? "" : ` elsewhere than ${except}`}`,
      (saw) => {
        const missing = vmKeys.filter((key) => {
          const [run] = this.cluster.oracle.running(key);
          const ready = this.cluster.view.vmis.get(key)?.status?.phase === "Running";
          return !ready || run?.upAtMs === undefined || run.node === except;
        });
        saw(missing.map((key) => [key, this.nodeOf(key), this.view.protections.get(key)?.status?.failover]));
        return missing.length === 0 ? true : undefined;
      },
      deadlineMs,
    );
  }

  /** Waits until each VM has been started anew so many times in all, and is up. Its node may be back by then and have it. */
  async untilRestarted(vmKeys: readonly string[], times = 1, deadlineMs: number = LONG_MS): Promise<void> {
    const { oracle } = this.cluster;
    await waitFor(
      `${vmKeys.join(", ")} restarted`,
      (saw) => {
        const missing = vmKeys.filter(
          (key) => oracle.history(key).filter(({ began }) => began === "boot").length <= times,
        );
        saw(missing.map((key) => [key, this.nodeOf(key), this.view.protections.get(key)?.status?.failover]));
        return missing.length === 0 ? true : undefined;
      },
      deadlineMs,
    );
    await this.untilUp(vmKeys);
  }

  /** Waits until the HAVirtualMachine satisfies `holds`. */
  untilPromise(
    key: string,
    what: string,
    holds: (havm: Havm) => boolean,
    deadlineMs: number = LONG_MS,
  ): Promise<Havm> {
    return waitFor(
      `HAVirtualMachine ${key}: ${what}`,
      (saw) => {
        const havm = this.view.protections.get(key);
        saw(havm?.status);
        return havm !== undefined && holds(havm) ? havm : undefined;
      },
      deadlineMs,
    );
  }

  /** Waits until a condition of the HAVirtualMachine has that status and, where said, that reason. */
  untilCondition(key: string, type: string, status: string, reason?: string): Promise<Havm> {
    return this.untilPromise(key, `${type}=${status} ${reason ?? ""}`, (havm) => {
      const condition = conditionOf(havm, type);
      return condition?.status === status && (reason === undefined || condition.reason === reason);
    });
  }

  /** Ledgers of one node, the oldest first. */
  fencings(node: string): readonly Fencing[] {
    return [...this.view.fencings.values()]
      .filter(({ spec }) => spec.nodeName === node)
      .sort((a, b) => (a.spec.detectedAt < b.spec.detectedAt ? -1 : 1));
  }

  /** Waits until the newest ledger of the node satisfies `holds`. */
  untilFencing(
    node: string,
    what: string,
    holds: (fencing: Fencing) => boolean,
    deadlineMs: number = LONG_MS,
  ): Promise<Fencing> {
    return waitFor(
      `NodeFencing of ${node}: ${what}`,
      (saw) => {
        const fencing = this.fencings(node).at(-1);
        saw(fencing?.status);
        return fencing !== undefined && holds(fencing) ? fencing : undefined;
      },
      deadlineMs,
    );
  }

  /** Waits until the newest ledger of the node is closed as returned, and the node takes pods again. */
  async untilReturned(node: string): Promise<Fencing> {
    const fencing = await this.untilFencing(node, "Returned", ({ status }) => status?.phase === "Returned");
    await waitFor(`${node} is free of taints`, (saw) => {
      const taints = this.cluster.view.nodes.get(node)?.spec?.taints ?? [];
      saw(taints);
      return taints.length === 0 ? true : undefined;
    });
    return fencing;
  }
}

/**
 * The attempts of a ledger that were made. One whose start was written and never heard of, since a machine under load had
 * redialled meanwhile, asked nothing of any device and is closed as Abandoned.
 */
export function attemptsMade(fencing: Fencing | undefined) {
  return (fencing?.status?.attempts ?? []).filter(({ outcome }) => outcome !== "Abandoned");
}

/** A condition of an HAVirtualMachine, or undefined. */
export function conditionOf(havm: Havm | undefined, type: string) {
  return havm?.status?.conditions?.find((condition) => condition.type === type);
}
