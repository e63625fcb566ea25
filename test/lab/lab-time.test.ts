import { afterEach, expect, it } from "vitest";
import { labTime, sleep, useLabTime } from "../../lab/lab-time.ts";
import { timestamp } from "../../lab/nodes/objects.ts";

afterEach(() => useLabTime(undefined));

it("what runs in the lab lives in the time and chance of a simulation while there is one", async () => {
  useLabTime({
    nowMs: () => 5_000,
    wallMs: () => 5_000,
    after: (_delayMs, wake) => {
      wake();
      return () => undefined;
    },
    random: () => 0.25,
    uuid: () => "one",
  });
  await sleep(1_000_000);
  expect([labTime.random(), labTime.uuid(), timestamp()]).toEqual([0.25, "one", "1970-01-01T00:00:05Z"]);
});
