// virt-handler's sign of life on its Node: heartbeat annotation, schedulable label, and the node labeller's labels.
import { labTime } from "../lab-time.ts";
import type { NodeDelays } from "./delays.ts";
import type { Lifeline } from "./lifeline.ts";
import type { ApiDoor } from "./node-link.ts";
import { type NodeProfile, virtHandlerLabels } from "./node-profile.ts";
import { timestamp } from "./objects.ts";

export interface HeartbeatOptions {
  readonly profile: NodeProfile;
  readonly door: ApiDoor;
  readonly life: Lifeline;
  readonly delays: NodeDelays;
}

/** Beats until the process ends. A failed beat is not repeated before the next one is due, as in virt-handler. */
export async function keepHeartbeat(options: HeartbeatOptions): Promise<never> {
  const { profile, life, delays, door } = options;
  // virt-handler's first beat meets the Node before its kubelet does, now and then; the real one restarts over it.
  while (!(await beat(profile, door, virtHandlerLabels(profile)))) await life.sleep(delays.retryMs);
  for (;;) {
    await life.sleep(delays.heartbeatMs * (1 + labTime.random() * delays.heartbeatJitter));
    await beat(profile, door, {});
  }
}

/** The farewell of a virt-handler that is stopped in good order. */
export async function labelUnschedulable(profile: NodeProfile, door: ApiDoor): Promise<void> {
  await patch(profile, door, { "kubevirt.io/schedulable": "false" });
}

function beat(profile: NodeProfile, door: ApiDoor, labels: Record<string, string>): Promise<boolean> {
  return patch(profile, door, { ...labels, "kubevirt.io/schedulable": "true" });
}

async function patch(profile: NodeProfile, door: ApiDoor, labels: Record<string, string>): Promise<boolean> {
  const outcome = await door.request({
    method: "PATCH",
    path: `/api/v1/nodes/${profile.name}`,
    contentType: "application/merge-patch+json",
    body: { metadata: { labels, annotations: { "kubevirt.io/heartbeat": timestamp() } } },
  });
  return outcome.ok;
}
