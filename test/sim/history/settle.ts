// How a world comes to the point where a story may begin: VMs made, replicas started, everything running.
import { guestComplaints } from "../check/wellness.ts";
import { createVM } from "../world/install.ts";
import type { World } from "../world/world.ts";

const SETTLE_LIMIT_MS = 180_000;
const LOOK_MS = 2_000;
const VMS_AT_MS = 8_000;

/** Lets the world come up, within three virtual minutes. Gives back what is still amiss then; `failed` ends it early. */
export async function settle(world: World, failed: () => boolean): Promise<readonly string[]> {
  const { time, plan } = world;
  time.schedule(VMS_AT_MS, () => {
    for (const vm of plan.vms) void createVM(world, vm);
  });
  for (const replica of world.replicas)
    time.schedule(world.chance.between(100, 5_000), () => replica.start());
  await until(world, {
    limitMs: SETTLE_LIMIT_MS,
    done: () => time.nowMs > VMS_AT_MS && guestComplaints(world).length === 0,
    failed,
  });
  return guestComplaints(world);
}

/** Lets time pass until `done`, looked at every two virtual seconds, or until the limit. */
export async function until(
  world: World,
  {
    limitMs,
    done,
    failed,
  }: { readonly limitMs: number; readonly done: () => boolean; readonly failed: () => boolean },
): Promise<void> {
  const { time } = world;
  const endMs = time.nowMs + limitMs;
  while (time.nowMs < endMs) {
    await time.run(Math.min(endMs, time.nowMs + LOOK_MS), failed);
    if (failed() || done()) return;
  }
}
