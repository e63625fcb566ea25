// An object that cannot be read is named once, with the reason, and again only when something has changed.
import { expect, test } from "vitest";
import { UnreadableObjects } from "../../src/run/unreadable-objects.ts";

function rig() {
  const told: unknown[] = [];
  const objects = new UnreadableObjects({
    info: () => undefined,
    warn: ({ source, object, reason }) => told.push([source, object, reason]),
  });
  const tell = (skipped: Readonly<Record<string, string>>) =>
    objects.tell([{ name: "topologies", skipped: new Map(Object.entries(skipped)) }]);
  return { told, tell };
}

test("it is told once, and anew for another reason", () => {
  const { told, tell } = rig();
  tell({ a: "method: unknown" });
  tell({ a: "method: unknown" });
  expect(told).toEqual([["topologies", "a", "method: unknown"]]);
  tell({ a: "levels: missing" });
  expect(told).toHaveLength(2);
});

test("what became readable in between is told again", () => {
  const { told, tell } = rig();
  tell({ a: "method: unknown" });
  tell({});
  tell({ a: "method: unknown" });
  expect(told).toHaveLength(2);
});

test("a flood of them is cut off", () => {
  const { told, tell } = rig();
  tell(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`o-${i}`, "broken"])));
  expect(told).toHaveLength(200);
});
