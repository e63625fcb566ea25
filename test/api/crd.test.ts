import { describe, expect, it } from "vitest";
import { z } from "zod";
import { customResourceDefinition, NotStructural, structuralSchema } from "../../src/api/crd.ts";
import { duration } from "../../src/api/duration.ts";
import { haVirtualMachine } from "../../src/api/ha-virtual-machine.ts";
import { labelPairs } from "../../src/api/label-selector.ts";
import { keyedList } from "../../src/api/list.ts";
import { withRule } from "../../src/api/rule.ts";
import { count, text } from "../../src/api/scalar.ts";
import { timestamp } from "../../src/api/timestamp.ts";

const named = z.object({ name: text(63).meta({ description: "A name." }) });

/** An object whose one field is `schema`, described. */
const holding = (schema: z.ZodType) => z.object({ field: schema.meta({ description: "A field." }) });

interface Tree {
  readonly name: string;
  readonly children: readonly Tree[];
}
const tree: z.ZodType<Tree> = z.object({
  name: text(10).meta({ description: "A name." }),
  get children() {
    return z.array(tree).max(2).meta({ description: "The branches.", "x-kubernetes-list-type": "atomic" });
  },
});

describe("what is not structural is refused with its path", () => {
  const cases: readonly { what: string; schema: z.ZodType; says: RegExp }[] = [
    { what: "a union", schema: holding(z.union([text(3), count()])), says: /^Kind\.field: a union/ },
    {
      what: "a discriminated union",
      schema: holding(
        z.discriminatedUnion("type", [
          z.object({ type: z.literal("a").meta({ description: "A." }) }),
          z.object({ type: z.literal("b").meta({ description: "B." }) }),
        ]),
      ),
      says: /^Kind\.field: a union/,
    },
    {
      what: "an intersection",
      schema: holding(z.intersection(text(3), count())),
      says: /^Kind\.field: an intersection/,
    },
    {
      what: "a string with two patterns",
      schema: holding(z.string().max(9).regex(/a/).regex(/b/)),
      says: /^Kind\.field: an intersection.*one pattern/,
    },
    { what: "a tuple", schema: holding(z.tuple([count(), count()])), says: /^Kind\.field: a tuple/ },
    {
      what: "a strict object",
      schema: holding(z.strictObject({ name: text(3).meta({ description: "A name." }) })),
      says: /^Kind\.field: strict and loose objects/,
    },
    {
      what: "a loose object",
      schema: holding(z.looseObject({ name: text(3).meta({ description: "A name." }) })),
      says: /^Kind\.field: strict and loose objects/,
    },
    { what: "recursion", schema: holding(tree), says: /recursion/ },
    { what: "null", schema: holding(text(3).nullable()), says: /^Kind\.field: (null|a union)/ },
    { what: "anything at all", schema: holding(z.unknown()), says: /^Kind\.field: type undefined/ },
    { what: "a float", schema: holding(z.number().min(0).max(1)), says: /^Kind\.field: type "number"/ },
    {
      what: "a map with constrained keys",
      schema: holding(z.record(z.string().max(3), text(3)).meta({ maxProperties: 2 })),
      says: /^Kind\.field: keys of a map/,
    },
    {
      what: "a format that the API server reads otherwise",
      schema: holding(z.email().max(99)),
      says: /^Kind\.field: format "email"/,
    },
    {
      what: "look-around in a pattern",
      schema: holding(
        z
          .string()
          .max(9)
          .regex(/^(?!x)a/),
      ),
      says: /^Kind\.field: the pattern uses look-around/,
    },
    {
      what: "a bound that JSON Schema knows and OpenAPI does not",
      schema: holding(z.int().min(0).gt(3)),
      says: /^Kind\.field: keyword exclusiveMinimum/,
    },
    {
      what: "a string without an end",
      schema: holding(z.string()),
      says: /^Kind\.field: a string needs maxLength/,
    },
    {
      what: "a number without a beginning",
      schema: holding(z.int()),
      says: /^Kind\.field: an integer needs a minimum/,
    },
    {
      what: "a list without an end",
      schema: holding(z.array(named)),
      says: /^Kind\.field: a list needs maxItems/,
    },
    {
      what: "a list that does not say how it merges",
      schema: holding(z.array(named).max(3)),
      says: /^Kind\.field: a list needs a merge type/,
    },
    {
      what: "a map without an end",
      schema: holding(z.record(z.string(), text(3))),
      says: /^Kind\.field: a map needs maxProperties/,
    },
    {
      what: "a field without a description",
      schema: z.object({ inner: z.object({ field: count() }).meta({ description: "Inner." }) }),
      says: /^Kind\.inner\.field: a field needs a description/,
    },
    {
      what: "a field without a description inside a list",
      schema: holding(keyedList(z.object({ name: text(3) }), { keys: ["name"], max: 3 })),
      says: /^Kind\.field\[\]\.name: a field needs a description/,
    },
    {
      what: "a value that JSON cannot hold",
      schema: holding(z.date()),
      says: /Date cannot be represented/,
    },
  ];
  it.each(cases)("refuses $what", ({ schema, says }) => {
    expect(() => structuralSchema(schema, "Kind")).toThrow(says);
  });

  it("calls its refusal by name, so that a caller can tell it from a bug", () => {
    expect(() => structuralSchema(holding(z.string()), "Kind")).toThrow(NotStructural);
  });
});

describe("what is structural is written as Kubernetes spells it", () => {
  const fieldOf = (schema: z.ZodType) =>
    (structuralSchema(holding(schema), "Kind")["properties"] as Record<string, unknown>)["field"];

  it("leaves out the bounds that only say what a safe integer is", () => {
    expect(fieldOf(count())).toEqual({ description: "A field.", type: "integer", minimum: 0 });
  });

  it("keeps real bounds and the default, and does not require a field that has one", () => {
    const schema = structuralSchema(holding(z.int().min(1).max(5).default(3)), "Kind");
    expect(schema).toEqual({
      type: "object",
      properties: {
        field: { description: "A field.", type: "integer", default: 3, minimum: 1, maximum: 5 },
      },
    });
  });

  it("requires a field that has neither a default nor leave to be missing", () => {
    expect(structuralSchema(named, "Kind")["required"]).toEqual(["name"]);
    expect(structuralSchema(holding(text(3).exactOptional()), "Kind")["required"]).toBeUndefined();
  });

  it("gives a time its format and a pattern that a person can read", () => {
    const field = fieldOf(timestamp()) as { format: string; pattern: string };
    expect(field.format).toBe("date-time");
    expect(field.pattern.length).toBeLessThan(100);
  });

  it("writes rules as CEL, in the order in which they were attached", () => {
    const schema = withRule(withRule(text(9), { cel: "self != 'a'", message: "not a" }), {
      cel: "self != 'b'",
      message: "not b",
    });
    expect(fieldOf(schema.default("c"))).toEqual({
      description: "A field.",
      type: "string",
      default: "c",
      maxLength: 9,
      "x-kubernetes-validations": [
        { rule: "self != 'a'", message: "not a" },
        { rule: "self != 'b'", message: "not b" },
      ],
    });
  });

  it("names the field to blame of a rule on an object", () => {
    const schema = withRule(named, { cel: "self.name != 'a'", message: "not a", field: ["name"] });
    expect(fieldOf(schema)).toMatchObject({
      "x-kubernetes-validations": [{ rule: "self.name != 'a'", message: "not a", fieldPath: ".name" }],
    });
  });

  it("writes keyed lists with their keys, and maps with their values", () => {
    expect(fieldOf(keyedList(named, { keys: ["name"], min: 1, max: 3 }))).toMatchObject({
      type: "array",
      minItems: 1,
      maxItems: 3,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
    });
    expect(fieldOf(labelPairs(2))).toMatchObject({
      type: "object",
      maxProperties: 2,
      additionalProperties: { type: "string", maxLength: 63 },
    });
  });

  it("writes durations with their bounds in CEL", () => {
    expect(JSON.stringify(fieldOf(duration({ min: "1s", max: "1h" })))).toContain(
      String.raw`duration(self) <= duration(\"1h\")`,
    );
  });
});

describe("the CustomResourceDefinition around a schema", () => {
  const crd = customResourceDefinition(haVirtualMachine) as {
    metadata: { name: string };
    spec: { names: object; scope: string; versions: { subresources: object; schema: object }[] };
  };

  it("is named after plural and group, and belongs to the category holdfast alone", () => {
    expect(crd.metadata.name).toBe("havirtualmachines.holdfast.dev");
    expect(crd.spec.names).toMatchObject({ shortNames: ["havm", "havms"], categories: ["holdfast"] });
    expect(crd.spec.scope).toBe("Namespaced");
  });

  it("has one version, with a status of its own and rules at the root", () => {
    expect(crd.spec.versions).toHaveLength(1);
    expect(crd.spec.versions[0]).toMatchObject({
      name: "v1alpha1",
      served: true,
      storage: true,
      subresources: { status: {} },
      schema: { openAPIV3Schema: { "x-kubernetes-validations": [{ fieldPath: ".spec.dependsOn" }] } },
    });
  });
});
