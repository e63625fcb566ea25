import { describe, expect, it } from "vitest";
import { readConfirmation } from "../../src/observe/facts/confirmation.ts";

const OFF = "holdfast.dev/confirm-off";
const BY = "holdfast.dev/confirm-off-by";

function written(manager: string, time: string | undefined, ...annotations: readonly string[]) {
  const owned = Object.fromEntries(annotations.map((name) => [`f:${name}`, {}]));
  const entry = { manager, operation: "Update", fieldsV1: { "f:metadata": { "f:annotations": owned } } };
  return time === undefined ? entry : { ...entry, time };
}

const object = (...managedFields: readonly object[]) => ({ metadata: { managedFields } });

describe("a person's word on a NodeFencing", () => {
  it("is not there without its annotation, whoever else annotated it", () => {
    expect(readConfirmation({}, object())).toBeUndefined();
    expect(readConfirmation({ [BY]: "ada" }, object())).toBeUndefined();
  });

  it("is read with who, when, and by which manager the boot ID was written last", () => {
    const raw = object(
      written("kubectl-annotate", "2026-11-22T10:00:00Z", OFF, BY),
      written("kubectl-edit", "2026-11-22T10:05:00Z", OFF),
      written("somebody", "2026-11-22T10:09:00Z", "example.com/note"),
      { manager: "holdfast", operation: "Apply", subresource: "status", fieldsV1: { "f:status": {} } },
    );
    expect(readConfirmation({ [OFF]: " boot-1\n", [BY]: "ada" }, raw)).toEqual({
      bootID: "boot-1",
      by: "ada",
      writtenAt: "2026-11-22T10:05:00Z",
      manager: "kubectl-edit",
    });
  });

  it.each([
    ["no managed fields", {}],
    ["managed fields of a shape nobody knows", { metadata: { managedFields: "?" } }],
    ["an entry without a time", object(written("m", undefined, OFF))],
  ])("is still read where the object has %s", (_what, raw) => {
    expect(readConfirmation({ [OFF]: "boot-1" }, raw)).toMatchObject({ bootID: "boot-1", by: "" });
  });

  it("is kept in bounds", () => {
    const word = readConfirmation({ [OFF]: "x".repeat(10_000), [BY]: "y".repeat(10_000) }, {});
    expect(word?.bootID).toHaveLength(128);
    expect(word?.by).toHaveLength(128);
  });
});
