// The attach/detach controller: attaches what pods on a node need, detaches what they no longer do; from a node that is not
// healthy only after six minutes, or at once where it is out of service. The attacher itself is the lab's.
import { CSI_DRIVER } from "../../../lab/storage/csi-driver.ts";
import { resourceNamed } from "../api/resources.ts";
import {
  type ControllerPorts,
  isOver,
  isReady,
  merge,
  type NodeObject,
  nodesOf,
  onChanges,
  type PodObject,
  podsOf,
  write,
} from "./controller-ports.ts";

const USER = "attachdetach-controller";
const LOOK_AFTER_MS = 100;
const LOOK_EVERY_MS = 5_000;
/** `maxWaitForUnmountDuration`. */
const MAX_WAIT_FOR_UNMOUNT_MS = 360_000;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
const ATTACHMENTS = resourceNamed("storage.k8s.io/v1/volumeattachments");
const CLAIMS = resourceNamed("v1/persistentvolumeclaims");
const PATH = "/apis/storage.k8s.io/v1/volumeattachments";

interface Attachment {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string; readonly source: { readonly persistentVolumeName: string } };
  readonly status?: { readonly attached?: boolean };
}

interface Claim {
  readonly spec: { readonly volumeName?: string; readonly accessModes?: readonly string[] };
}

/** Keeps VolumeAttachments and `volumesAttached` as pods need them. */
export function startAttachDetach(ports: ControllerPorts): void {
  const unwantedSinceMs = new Map<string, number>();
  onChanges(
    ports,
    {
      resources: ["v1/pods", "v1/nodes", "storage.k8s.io/v1/volumeattachments"],
      afterMs: LOOK_AFTER_MS,
      everyMs: LOOK_EVERY_MS,
    },
    async () => {
      const attachments = ports.server.store.list(ATTACHMENTS) as unknown as readonly Attachment[];
      const nodes = new Map(nodesOf(ports).map((node) => [node.metadata.name, node]));
      const wanted = wantedBy(ports, podsOf(ports));
      for (const { metadata, spec } of attachments) {
        const place = placeOf(spec.source.persistentVolumeName, spec.nodeName);
        if (wanted.has(place)) unwantedSinceMs.delete(place);
        else if (metadata.deletionTimestamp === undefined) {
          const sinceMs = unwantedSinceMs.get(place) ?? ports.time.nowMs;
          unwantedSinceMs.set(place, sinceMs);
          if (
            mayDetach(nodes.get(spec.nodeName), spec.source.persistentVolumeName, ports.time.nowMs - sinceMs)
          )
            await write(ports, USER, { method: "DELETE", path: `${PATH}/${metadata.name}` });
        }
      }
      for (const [place, { volume, node, shared }] of wanted) {
        const standing = attachments.filter(({ spec }) => spec.source.persistentVolumeName === volume);
        if (standing.some(({ spec }) => placeOf(volume, spec.nodeName) === place)) continue;
        if (standing.length > 0 && !shared) continue;
        await write(ports, USER, {
          method: "POST",
          path: PATH,
          body: {
            metadata: { name: `csi-${volume}-${node}` },
            spec: { attacher: CSI_DRIVER, nodeName: node, source: { persistentVolumeName: volume } },
          },
        });
      }
      for (const node of nodes.values()) await report(ports, node);
    },
  );
}

function placeOf(volume: string, node: string): string {
  return `${volume} on ${node}`;
}

function volumeId(volume: string): string {
  return `kubernetes.io/csi/${CSI_DRIVER}^${volume}`;
}

function wantedBy(ports: ControllerPorts, pods: readonly PodObject[]) {
  const wanted = new Map<string, { volume: string; node: string; shared: boolean }>();
  for (const pod of pods) {
    const { nodeName, volumes = [] } = pod.spec;
    if (nodeName === undefined || isOver(pod)) continue;
    for (const { persistentVolumeClaim } of volumes) {
      if (persistentVolumeClaim === undefined) continue;
      const claim = ports.server.store.get(CLAIMS, pod.metadata.namespace, persistentVolumeClaim.claimName)
        ?.object as Claim | undefined;
      const volume = claim?.spec.volumeName;
      if (volume === undefined) continue;
      const shared = claim?.spec.accessModes?.includes("ReadWriteMany") === true;
      wanted.set(placeOf(volume, nodeName), { volume, node: nodeName, shared });
    }
  }
  return wanted;
}

function mayDetach(node: NodeObject | undefined, volume: string, unwantedMs: number): boolean {
  if (node === undefined) return true;
  if (node.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) === true) return true;
  if (!(node.status?.volumesInUse ?? []).includes(volumeId(volume))) return true;
  return unwantedMs >= MAX_WAIT_FOR_UNMOUNT_MS && !isReady(node);
}

async function report(ports: ControllerPorts, node: NodeObject): Promise<void> {
  const { name } = node.metadata;
  const attachments = ports.server.store.list(ATTACHMENTS) as unknown as readonly Attachment[];
  const attached = attachments
    .filter(({ spec, status }) => spec.nodeName === name && status?.attached === true)
    .map(({ spec }) => ({ name: volumeId(spec.source.persistentVolumeName), devicePath: "" }));
  const known = node.status?.volumesAttached ?? [];
  if (attached.map((one) => one.name).join() === known.map((one) => one.name).join()) return;
  await merge(ports, USER, `/api/v1/nodes/${name}/status`, { status: { volumesAttached: attached } });
}
