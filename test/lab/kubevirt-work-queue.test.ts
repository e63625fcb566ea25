import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { Pace } from "../../lab/kubevirt/pace.ts";
import { WorkQueue } from "../../lab/kubevirt/work-queue.ts";

function recording(workers: number, work: (key: string) => Promise<void> = async () => undefined) {
  const seen: string[] = [];
  let most = 0;
  let busy = 0;
  const queue = new WorkQueue({
    workers,
    onFailure: () => undefined,
    process: async (key) => {
      busy += 1;
      most = Math.max(most, busy);
      seen.push(key);
      try {
        await work(key);
      } finally {
        busy -= 1;
      }
    },
  });
  return { queue, seen, most: () => most };
}

it("processes a key that was marked many times while it waited or ran only once more", async () => {
  const { queue, seen } = recording(1, () => sleep(5));
  for (let index = 0; index < 5; index++) queue.add("a");
  await sleep(30);
  expect(seen).toEqual(["a", "a"]);
  await queue.stop();
});

it("never runs more keys at once than it has workers, and takes the important ones first", async () => {
  const { queue, seen, most } = recording(2, () => sleep(5));
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  queue.add("urgent", 100);
  await sleep(50);
  expect(most()).toBe(2);
  expect(seen).toEqual(["a", "b", "urgent", "c", "d"]);
  await queue.stop();
});

it("tries a failed key again, later and later", async () => {
  const atMs: number[] = [];
  const { queue } = recording(1, async () => {
    atMs.push(performance.now());
    if (atMs.length < 4) throw new Error("not yet");
  });
  queue.add("a");
  await sleep(120);
  expect(atMs).toHaveLength(4);
  const pauses = atMs.slice(1).map((ms, index) => ms - (atMs[index] ?? 0));
  expect(pauses[2]).toBeGreaterThan(pauses[0] ?? 0);
  await queue.stop();
});

it("does nothing after stop, and stop waits for what is under way", async () => {
  let done = false;
  const { queue, seen } = recording(1, async () => {
    await sleep(20);
    done = true;
  });
  queue.add("a");
  queue.addAfter("b", 1);
  await queue.stop();
  expect(done).toBe(true);
  await sleep(10);
  expect(seen).toEqual(["a"]);
});

it("a pace lets calls through one by one and holds nobody up when there is no queue", async () => {
  const pace = new Pace(10);
  const startedMs = performance.now();
  await pace.turn();
  expect(performance.now() - startedMs).toBeLessThan(9);
  await Promise.all([pace.turn(), pace.turn(), pace.turn()]);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(26);
});
