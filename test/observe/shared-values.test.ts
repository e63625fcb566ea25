import { expect, it } from "vitest";
import { SharedValues } from "../../src/observe/facts/shared-values.ts";

it("answers with the first of all equal values", () => {
  const values = new SharedValues();
  const first = { rules: ["a"], count: 1 };
  expect(values.share(first)).toBe(first);
  expect(values.share({ rules: ["a"], count: 1 })).toBe(first);
  expect(values.share({ rules: ["a"], count: 2 })).not.toBe(first);
});

it("keeps what is asked for again, and lets go of the rest", () => {
  const values = new SharedValues();
  const kept = values.share({ kept: true });
  const gone = values.share({ gone: true });
  for (let i = 0; i < 120_000; i++) {
    values.share({ i });
    if (i % 10_000 === 0) values.share({ kept: true });
  }
  expect(values.share({ kept: true })).toBe(kept);
  expect(values.share({ gone: true })).not.toBe(gone);
});
