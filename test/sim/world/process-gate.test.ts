import { expect, it } from "vitest";
import { frozenGate, scheduleBehind } from "./process-gate.ts";
import { SimTime } from "./sim-time.ts";

it("a timer that was due in a pause and is called off when the process goes on does not fire", async () => {
  const time = new SimTime();
  const gate = frozenGate(time);
  const fired: string[] = [];
  const timer = (name: string) =>
    scheduleBehind(gate, time, { delayMs: 1_000, wake: () => fired.push(name) });
  const callOff = timer("called off");
  timer("left to fire");
  gate.freeze();
  await time.run(5_000);
  expect(fired).toEqual([]);
  gate.thaw();
  callOff();
  await time.run(6_000);
  expect(fired).toEqual(["left to fire"]);
});
