import { describe, expect, it } from "vitest";
import { labelPairs, labelSelector } from "../../src/api/label-selector.ts";
import { selectorMatches } from "../../src/model/label-selector.ts";

describe("a label selector", () => {
  const labels = { tier: "db", "example.com/zone": "a", empty: "" };

  it.each([
    [{}, true],
    [{ matchLabels: {} }, true],
    [{ matchLabels: { tier: "db" } }, true],
    [{ matchLabels: { tier: "web" } }, false],
    [{ matchLabels: { tier: "db", missing: "x" } }, false],
    [{ matchLabels: { empty: "" } }, true],
    [{ matchExpressions: [{ key: "tier", operator: "In", values: ["web", "db"] }] }, true],
    [{ matchExpressions: [{ key: "tier", operator: "In", values: ["web"] }] }, false],
    [{ matchExpressions: [{ key: "missing", operator: "In", values: ["web"] }] }, false],
    [{ matchExpressions: [{ key: "tier", operator: "NotIn", values: ["web"] }] }, true],
    [{ matchExpressions: [{ key: "tier", operator: "NotIn", values: ["db"] }] }, false],
    [{ matchExpressions: [{ key: "missing", operator: "NotIn", values: ["db"] }] }, true],
    [{ matchExpressions: [{ key: "example.com/zone", operator: "Exists" }] }, true],
    [{ matchExpressions: [{ key: "missing", operator: "Exists" }] }, false],
    [{ matchExpressions: [{ key: "missing", operator: "DoesNotExist" }] }, true],
    [{ matchExpressions: [{ key: "empty", operator: "DoesNotExist" }] }, false],
    [
      {
        matchLabels: { tier: "db" },
        matchExpressions: [
          { key: "empty", operator: "Exists" },
          { key: "gpu", operator: "Exists" },
        ],
      },
      false,
    ],
  ])("%j on a labelled object: %s", (selector, matches) => {
    const parsed = labelSelector().parse(selector);
    expect(selectorMatches(parsed, labels)).toBe(matches);
  });
});

describe("label pairs", () => {
  const pairs = labelPairs(2);

  it.each([
    { a: "b" },
    { "kubernetes.io/arch": "amd64" },
    { A: "" },
    { "a.b-c/D_e.f": "x_Y-z.1" },
    { ["a".repeat(63)]: "b".repeat(63) },
    {},
  ])("take %j", (labels) => {
    expect(pairs.safeParse(labels).success).toBe(true);
  });

  it.each([
    { "": "b" },
    { "a b": "c" },
    { a: "b c" },
    { a: "-b" },
    { a: 1 },
    { "A.com/x": "y" },
    { "/x": "y" },
    { "a//x": "y" },
    { ["a".repeat(64)]: "b" },
    { a: "b".repeat(64) },
    { a: "1", b: "2", c: "3" },
    ["a"],
  ])("refuse %j", (labels) => {
    expect(pairs.safeParse(labels).success).toBe(false);
  });
});
