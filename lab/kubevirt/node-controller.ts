// Notices virt-handlers that have gone silent: takes their node out of scheduling and fails VMIs whose pods are not alive.
// Origin: KubeVirt pkg/virt-controller/watch/node/node.go (facts 2.2).
import { labTime } from "../lab-time.ts";
import type { ControllerView } from "./controller-view.ts";
import { ANNOTATION, LABEL } from "./names.ts";
import { isPodDown } from "./object-state.ts";
import type { Node, Pod, VirtualMachineInstance } from "./objects.ts";
import { WorkQueue } from "./work-queue.ts";
import type { Writes } from "./writes.ts";

/** Default of `--node-controller-threads`. */
const WORKERS = 3;

export interface NodeControllerOptions {
  /** A heartbeat older than this counts as silence; 5 minutes in KubeVirt. */
  readonly heartbeatTimeoutMs: number;
  /** How often a node is looked at without any change; 1 minute in KubeVirt. */
  readonly recheckMs: number;
  readonly onFailure: (key: string, error: unknown) => void;
}

export class NodeController {
  readonly #view: ControllerView;
  readonly #writes: Writes;
  readonly #options: NodeControllerOptions;
  readonly #queue: WorkQueue;
  /** Nodes with a look ahead of them, so that every change does not start another rhythm. */
  readonly #lookAhead = new Set<string>();

  constructor(view: ControllerView, writes: Writes, options: NodeControllerOptions) {
    this.#view = view;
    this.#writes = writes;
    this.#options = options;
    const { onFailure } = options;
    this.#queue = new WorkQueue({ workers: WORKERS, process: (name) => this.#process(name), onFailure });
    view.nodes.onChange((after, before) => {
      const node = after ?? before;
      if (node) this.#queue.add(node.metadata.name);
    });
    view.vmis.onChange((after) => {
      if (after?.status.nodeName) this.#queue.add(after.status.nodeName);
    });
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  async #process(name: string): Promise<void> {
    const node = this.#view.nodes.get(name);
    if (this.#isSilent(node)) {
      if (node?.metadata.labels?.[LABEL.schedulable] === "true") {
        await this.#writes.labelNode(name, { [LABEL.schedulable]: "false" });
      }
      for (const vmi of this.#orphansOn(name)) await this.#fail(vmi);
    }
    if (node) this.#lookAgain(name);
  }

  #lookAgain(name: string): void {
    if (this.#lookAhead.has(name)) return;
    this.#lookAhead.add(name);
    const look = () => {
      this.#lookAhead.delete(name);
      this.#queue.add(name);
    };
    labTime.after(this.#options.recheckMs, look, "idle");
  }

  /** A node without the annotation counts as responsive, a Node object that is gone does not. */
  #isSilent(node: Node | undefined): boolean {
    if (!node) return true;
    const heartbeat = node.metadata.annotations?.[ANNOTATION.heartbeat];
    return (
      heartbeat !== undefined && Date.parse(heartbeat) < labTime.wallMs() - this.#options.heartbeatTimeoutMs
    );
  }

  /** A Terminating pod whose last word was "running" counts as alive: its VMI stays Running for ever (facts 2.2). */
  #orphansOn(nodeName: string): VirtualMachineInstance[] {
    return this.#view.vmis
      .list()
      .filter((vmi) => vmi.metadata.labels?.[LABEL.nodeName] === nodeName)
      .filter((vmi) => vmi.status.phase === "Running" || vmi.status.phase === "Scheduled")
      .filter((vmi) => !this.#view.podsOf(vmi).some((pod) => pod.spec.nodeName === nodeName && isAlive(pod)));
  }

  async #fail(vmi: VirtualMachineInstance): Promise<void> {
    await this.#writes.patchVmi(vmi, [
      { op: "replace", path: "/status/phase", value: "Failed" },
      { op: "add", path: "/status/reason", value: "NodeUnresponsive" },
    ]);
  }
}

function isAlive(pod: Pod): boolean {
  const statuses = pod.status?.containerStatuses ?? [];
  const allTerminated =
    statuses.length > 0 && statuses.every((status) => status.state?.terminated !== undefined);
  return !isPodDown(pod) && !allTerminated;
}
