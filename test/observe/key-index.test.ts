import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Interner } from "../../src/observe/interner.ts";
import { KeyIndex } from "../../src/observe/key-index.ts";
import { OneKey } from "../../src/observe/one-key.ts";

const group = fc.option(fc.constantFrom("g1", "g2", "g3"), { nil: undefined });

it("an index holds what a map of sets would, whatever moves where", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), group)), (moves) => {
      const index = new KeyIndex();
      const where = new Map<string, string | undefined>();
      for (const [key, to] of moves) {
        index.move(key, where.get(key), to);
        where.set(key, to);
      }
      const expected = Map.groupBy(
        [...where].filter(([, to]) => to !== undefined),
        ([, to]) => to,
      );
      expect(index.groups.size).toBe(expected.size);
      for (const [to, members] of expected) {
        const held = index.groups.get(to ?? "");
        expect(held?.size).toBe(members.length);
        expect(new Set(held)).toEqual(new Set(members.map(([key]) => key)));
        for (const [key] of members) expect(held?.has(key)).toBe(true);
        expect(held?.has("other")).toBe(false);
      }
    }),
    { seed: 20_261_123, numRuns: 300 },
  );
});

it("a set of one can be read in every way in which a set can", () => {
  const one: ReadonlySet<string> = new OneKey("a");
  const set = new Set(["a"]);
  expect([...one]).toEqual([...set]);
  expect([...one.keys()]).toEqual([...set.keys()]);
  expect([...one.values()]).toEqual([...set.values()]);
  expect([...one.entries()]).toEqual([...set.entries()]);
  const told: string[] = [];
  one.forEach((value, key) => told.push(value, key));
  expect(told).toEqual(["a", "a"]);
});

it("interned strings are equal to what was given, also after more have come than are kept", () => {
  const interner = new Interner(4);
  const names = Array.from({ length: 100 }, (_, i) => `ns/vm-${i % 11}-ă`);
  expect(names.map((name) => interner.intern(name))).toEqual(names);
});
