// A simulated external-attacher: does what kube-controller-manager's VolumeAttachments ask, after the time a storage array takes.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { KeyedQueue } from "../nodes/keyed-queue.ts";
import { Lifeline } from "../nodes/lifeline.ts";
import { Mirror } from "../nodes/mirror.ts";
import type { KubernetesObject } from "../nodes/objects.ts";
import { CSI_DRIVER } from "./csi-driver.ts";

interface VolumeAttachment extends KubernetesObject {
  readonly spec: { readonly attacher: string; readonly nodeName: string };
  readonly status?: { readonly attached: boolean };
}

export interface AttacherOptions {
  /** Speaks as `ATTACHER_IDENTITY`; closed by its owner. */
  readonly transport: ApiTransport;
  readonly attachMs: number;
  readonly detachMs: number;
}

/** Delays of the measurements in `kubevirt-measured.md`. */
export const ATTACHER_DELAYS = { attachMs: 100, detachMs: 100 } as const;

const PATH = "/apis/storage.k8s.io/v1/volumeattachments";
const FINALIZER = `external-attacher/${CSI_DRIVER.replaceAll(".", "-")}`;
const RETRY_MS = 200;

/** Attaches and detaches until the returned function is called. One VolumeAttachment never waits for another. */
export function startAttacher(options: AttacherOptions): () => void {
  const life = new Lifeline();
  const queue = new KeyedQueue(async (name) => {
    const attachment = mirror.get(name);
    if (attachment?.spec.attacher !== CSI_DRIVER) return;
    if (!(await serve(attachment, options, life))) life.after(RETRY_MS, () => queue.mark(name));
  });
  const mirror = new Mirror<VolumeAttachment>(options.transport, {
    path: PATH,
    pause: () => life.sleep(RETRY_MS),
    listener: {
      changed: ({ metadata }) => queue.mark(metadata.name),
      deleted: () => undefined,
    },
  });
  return () => {
    mirror.stop();
    life.end();
  };
}

/** False where a write failed and has to be repeated. */
async function serve(
  attachment: VolumeAttachment,
  { transport, attachMs, detachMs }: AttacherOptions,
  life: Lifeline,
): Promise<boolean> {
  const { name, deletionTimestamp, finalizers = [], resourceVersion } = attachment.metadata;
  const patch = (path: string, body: object) =>
    transport.request({
      method: "PATCH",
      path,
      contentType: "application/merge-patch+json",
      body,
    });
  if (deletionTimestamp !== undefined) {
    if (!finalizers.includes(FINALIZER)) return true;
    await life.sleep(detachMs);
    const left = finalizers.filter((finalizer) => finalizer !== FINALIZER);
    const outcome = await patch(`${PATH}/${name}`, {
      metadata: { finalizers: left, resourceVersion },
    });
    return outcome.ok || outcome.kind === "notFound";
  }
  if (!finalizers.includes(FINALIZER)) {
    const outcome = await patch(`${PATH}/${name}`, {
      metadata: { finalizers: [...finalizers, FINALIZER], resourceVersion },
    });
    // The watch brings the new version, and with it the next step.
    return outcome.ok;
  }
  if (attachment.status?.attached) return true;
  await life.sleep(attachMs);
  const outcome = await patch(`${PATH}/${name}/status`, { status: { attached: true } });
  return outcome.ok || outcome.kind === "notFound";
}
