// How the simulated Kubernetes controllers see and change the cluster: at the store's side of the network, at once. Their
// own slowness is in their delays. Shapes only.
import type { ApiRequest } from "../../../src/kube/transport.ts";
import { resourceNamed } from "../api/resources.ts";
import type { SimApiServer } from "../api/server.ts";
import type { Answer } from "../api/stored.ts";
import type { Chance } from "../world/random.ts";
import type { SimTime } from "../world/sim-time.ts";

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly ownerReferences?: readonly { readonly uid: string; readonly controller?: boolean }[];
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
  readonly timeAdded?: string;
}

export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
  readonly tolerationSeconds?: number;
}

interface Expression {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

export interface NodeTerm {
  readonly matchExpressions?: readonly Expression[];
}

interface AntiAffinityTerm {
  readonly labelSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
}

export interface PodObject {
  readonly metadata: Metadata;
  readonly spec: {
    readonly nodeName?: string;
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly tolerations?: readonly Toleration[];
    readonly volumes?: readonly { readonly persistentVolumeClaim?: { readonly claimName: string } }[];
    readonly affinity?: {
      readonly nodeAffinity?: {
        readonly requiredDuringSchedulingIgnoredDuringExecution?: {
          readonly nodeSelectorTerms?: readonly NodeTerm[];
        };
        readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
          readonly weight: number;
          readonly preference: NodeTerm;
        }[];
      };
      readonly podAntiAffinity?: {
        readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly AntiAffinityTerm[];
      };
    };
  };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly Condition[];
  };
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface NodeObject {
  readonly metadata: Metadata;
  readonly spec?: { readonly taints?: readonly Taint[]; readonly unschedulable?: boolean };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly volumesInUse?: readonly string[];
    readonly volumesAttached?: readonly { readonly name: string; readonly devicePath: string }[];
    readonly nodeInfo?: { readonly bootID?: string };
  };
}

export interface LeaseObject {
  readonly metadata: Metadata;
  readonly spec?: {
    readonly renewTime?: string;
    readonly holderIdentity?: string;
    readonly leaseTransitions?: number;
  };
}

export interface ControllerPorts {
  readonly time: SimTime;
  readonly chance: Chance;
  readonly server: SimApiServer;
  /** Controllers stand still while the API server cannot be reached. */
  readonly reachable: () => boolean;
}

const NODES = resourceNamed("v1/nodes");
const PODS = resourceNamed("v1/pods");

export function nodesOf({ server }: ControllerPorts): readonly NodeObject[] {
  return server.store.list(NODES);
}

export function podsOf({ server }: ControllerPorts): readonly PodObject[] {
  return server.store.list(PODS) as unknown as readonly PodObject[];
}

/** Every `everyMs`, with a little jitter, while the API server can be reached. */
export function repeatedly(ports: ControllerPorts, everyMs: number, look: () => Promise<void> | void): void {
  const again = async () => {
    if (ports.reachable()) await look();
    ports.time.schedule(everyMs * ports.chance.between(0.95, 1.05), () => void again());
  };
  ports.time.schedule(everyMs * ports.chance.next(), () => void again());
}

/** Soon after changes of a collection, and `everyMs` after the last look at the latest. */
export function onChanges(
  ports: ControllerPorts,
  { resources, afterMs, everyMs }: { resources: readonly string[]; afterMs: number; everyMs: number },
  look: () => Promise<void> | void,
): void {
  let cancel: (() => void) | undefined;
  let dueMs = Number.POSITIVE_INFINITY;
  let busy = false;
  let again = false;
  const run = async () => {
    dueMs = Number.POSITIVE_INFINITY;
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    if (ports.reachable()) await look();
    busy = false;
    arm(again ? afterMs : everyMs);
    again = false;
  };
  const arm = (delayMs: number) => {
    if (ports.time.nowMs + delayMs >= dueMs) return;
    cancel?.();
    dueMs = ports.time.nowMs + delayMs;
    cancel = ports.time.schedule(delayMs, () => void run());
  };
  for (const name of resources) ports.server.store.onChange(resourceNamed(name), () => arm(afterMs));
  arm(everyMs);
}

/** A write as one of Kubernetes' own; its refusal is an answer like another. */
export function write(
  ports: ControllerPorts,
  user: string,
  request: ApiRequest & { readonly body?: unknown },
): Promise<Answer> {
  return ports.server.handle(request, `system:${user}`);
}

export function merge(ports: ControllerPorts, user: string, path: string, body: object): Promise<Answer> {
  return write(ports, user, {
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body,
  });
}

export function podPath({ metadata }: PodObject): string {
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
}

export function isReady(node: NodeObject): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

export function isOver(pod: PodObject): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

export function tolerates(pod: PodObject, taint: Taint): Toleration | undefined {
  return pod.spec.tolerations?.find(
    (one) =>
      (one.effect === undefined || one.effect === taint.effect) &&
      (one.key === undefined ||
        (one.key === taint.key && (one.operator === "Exists" || (one.value ?? "") === (taint.value ?? "")))),
  );
}
