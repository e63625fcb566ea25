import { describe, expect, it } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { KeyedQueue } from "../../lab/nodes/keyed-queue.ts";

const tick = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("KeyedQueue", () => {
  it("runs a key once more, however often it was marked while it ran", async () => {
    let runs = 0;
    const queue = new KeyedQueue(async () => {
      runs += 1;
      await tick(10);
    });
    for (let mark = 0; mark < 5; mark += 1) queue.mark("a");
    await tick(40);
    expect(runs).toBe(2);
  });

  it("does not let one key wait for another", async () => {
    const done: string[] = [];
    const queue = new KeyedQueue(async (key) => {
      await tick(key === "slow" ? 30 : 1);
      done.push(key);
    });
    queue.mark("slow");
    queue.mark("fast");
    await tick(50);
    expect(done).toEqual(["fast", "slow"]);
  });
});

describe("waitFor", () => {
  it("answers with what the look found", async () => {
    let looks = 0;
    expect(await waitFor("three looks", () => ((looks += 1) === 3 ? looks : undefined))).toBe(3);
  });

  it("says what it saw last when the time is up", async () => {
    const waiting = waitFor(
      "the node is Ready",
      (saw) => {
        saw({ ready: "Unknown" });
        return undefined;
      },
      30,
    );
    await expect(waiting).rejects.toThrow(
      'the node is Ready: not within 30 ms; last seen: {"ready":"Unknown"}',
    );
  });
});
