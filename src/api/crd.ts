// Writes a kind down as a CustomResourceDefinition. Its heart is a rewriter from zod's JSON Schema to a structural
// schema, which throws on whatever Kubernetes would not take or would take to mean something else.
import { z } from "zod";
import { GROUP, type KindDefinition, VERSION } from "./kind.ts";
import { CEL_KEYWORD, type CelRule } from "./rule.ts";

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** A schema that Kubernetes would not take; the message says where and why. Always a mistake in src/api/. */
export class NotStructural extends Error {
  constructor(where: string, why: string) {
    super(`${where}: ${why}`);
    this.name = "NotStructural";
  }
}

/** JSON Schema keywords per type that a structural schema may hold, in the order in which they are written. */
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties", "maxProperties", "x-kubernetes-map-type"],
  array: ["minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "items"],
  string: ["format", "enum", "minLength", "maxLength", "pattern"],
  integer: ["minimum", "maximum"],
  boolean: [],
};

/** Keywords of every type; `propertyNames` and `const` are rewritten, the rest goes through. */
const COMMON_KEYWORDS = ["type", "description", "default", CEL_KEYWORD];

const REFUSED: Readonly<Record<string, string>> = {
  anyOf: "a union is not structural; use one flat object with optional members tied by a rule",
  oneOf: "a union is not structural; use one flat object with optional members tied by a rule",
  allOf: "an intersection is not structural; write one object, and at most one pattern per string",
  not: "negation is not structural; write a rule",
  $ref: "recursion is not structural",
  $defs: "recursion is not structural",
  prefixItems: "a tuple is not structural; use an object",
};

/** Patterns that Go's regular expressions (RE2) cannot run: look-around and back references. */
const NOT_RE2 = /\(\?[=!<]|\\[1-9]|\\k</;

/**
 * The structural schema of a zod schema: what the API server stores, so the input side (defaults not yet filled in).
 * Throws NotStructural on unions, tuples, strict and loose objects, recursion, null, floats, fields without a
 * description, and anything without a bound; `where` is the path that messages begin with.
 */
export function structuralSchema(schema: z.ZodType, where: string): JsonObject {
  return rewrite(z.toJSONSchema(schema, { io: "input" }) as JsonObject, where);
}

function rewrite(schema: JsonObject, where: string): JsonObject {
  for (const [keyword, why] of Object.entries(REFUSED)) {
    if (keyword in schema) throw new NotStructural(where, why);
  }
  const type = schema["type"];
  if (Array.isArray(type))
    throw new NotStructural(where, "null is not a value of ours; make the field optional");
  const keywords = typeof type === "string" ? KEYWORDS[type] : undefined;
  if (keywords === undefined)
    throw new NotStructural(where, `type ${JSON.stringify(type)} is not one we store`);

  const prepared = dropNoise(schema, where);
  const allowed = [...COMMON_KEYWORDS, ...keywords];
  const stray = Object.keys(prepared).find((keyword) => !allowed.includes(keyword));
  if (stray !== undefined)
    throw new NotStructural(where, `keyword ${stray} has no place in type ${JSON.stringify(type)}`);

  checkBounds(prepared, where);
  const inner = rewriteInner(prepared, where);
  const written: Record<string, Json> = {};
  for (const keyword of ["description", "type", "default", ...keywords, CEL_KEYWORD]) {
    const value = inner[keyword] ?? prepared[keyword];
    if (value !== undefined) written[keyword] = value;
  }
  return written;
}

/** Turns zod's own turns of phrase into Kubernetes' (`const`), and drops what says nothing (±2^53, at least 0 items). */
function dropNoise(schema: JsonObject, where: string): JsonObject {
  const { $schema: _dialect, propertyNames, const: constant, ...rest } = schema;
  const kept: Record<string, Json> = { ...rest };
  if (propertyNames !== undefined && JSON.stringify(propertyNames) !== '{"type":"string"}') {
    throw new NotStructural(where, "keys of a map cannot be constrained; write a rule");
  }
  if (constant !== undefined) kept["enum"] = [constant];
  if (kept["minItems"] === 0) delete kept["minItems"];
  if (kept["type"] === "integer") {
    if (kept["minimum"] === Number.MIN_SAFE_INTEGER) delete kept["minimum"];
    if (kept["maximum"] === Number.MAX_SAFE_INTEGER) delete kept["maximum"];
  }
  return kept;
}

/** CEL's cost is estimated from these bounds, and memory and etcd are protected by them. */
function checkBounds(schema: JsonObject, where: string): void {
  switch (schema["type"]) {
    case "string": {
      const bounded = "maxLength" in schema || "enum" in schema || schema["format"] === "date-time";
      if (!bounded) throw new NotStructural(where, "a string needs maxLength");
      const { format, pattern } = schema;
      if (format !== undefined && format !== "date-time") {
        throw new NotStructural(
          where,
          `format ${JSON.stringify(format)} is not one the API server checks alike`,
        );
      }
      if (typeof pattern === "string" && NOT_RE2.test(pattern)) {
        throw new NotStructural(where, "the pattern uses look-around or back references, which RE2 has not");
      }
      return;
    }
    case "integer":
      if (schema["minimum"] === undefined) throw new NotStructural(where, "an integer needs a minimum");
      return;
    case "array":
      if (schema["maxItems"] === undefined) throw new NotStructural(where, "a list needs maxItems");
      if (schema["x-kubernetes-list-type"] === undefined) {
        throw new NotStructural(where, "a list needs a merge type; use keyedList or atomicList");
      }
      return;
    case "object":
      if (schema["additionalProperties"] === undefined) return;
      if (schema["properties"] !== undefined || !isObject(schema["additionalProperties"])) {
        throw new NotStructural(
          where,
          "strict and loose objects are not structural; the API server prunes by itself",
        );
      }
      if (schema["maxProperties"] === undefined) throw new NotStructural(where, "a map needs maxProperties");
      return;
    default:
  }
}

function rewriteInner(schema: JsonObject, where: string): Record<string, Json> {
  const { properties, additionalProperties, items } = schema;
  const inner: Record<string, Json> = {};
  if (isObject(items)) inner["items"] = rewrite(items, `${where}[]`);
  if (isObject(additionalProperties)) {
    inner["additionalProperties"] = rewrite(additionalProperties, `${where}{}`);
  }
  if (isObject(properties)) {
    inner["properties"] = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name,
        rewriteProperty(property, `${where}.${name}`),
      ]),
    );
  }
  return inner;
}

function rewriteProperty(property: Json, where: string): JsonObject {
  if (!isObject(property)) throw new NotStructural(where, "a field needs a schema");
  if (typeof property["description"] !== "string") {
    throw new NotStructural(where, "a field needs a description, or kubectl explain has nothing to say");
  }
  return rewrite(property, where);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The CustomResourceDefinition of a kind, ready to be applied. Throws NotStructural where the kind cannot be one. */
export function customResourceDefinition(kind: KindDefinition): JsonObject {
  const { plural, singular, scope, shortNames } = kind;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular,
        shortNames: [...shortNames],
        categories: ["holdfast"],
      },
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          ...(kind.selectableFields && {
            selectableFields: kind.selectableFields.map((jsonPath) => ({ jsonPath })),
          }),
          additionalPrinterColumns: kind.columns.map(({ wide, ...column }) => ({
            ...column,
            ...(wide === true && { priority: 1 }),
          })),
          schema: { openAPIV3Schema: rootSchema(kind) },
        },
      ],
    },
  };
}

function rootSchema(kind: KindDefinition): JsonObject {
  const rules = (kind.manifest.meta()?.[CEL_KEYWORD] ?? []) as readonly CelRule[];
  return {
    description: kind.description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: {
        type: "string",
        description: `The version of this object's schema: ${GROUP}/${VERSION}.`,
      },
      kind: { type: "string", description: `The kind of this object: ${kind.kind}.` },
      metadata: { type: "object" },
      spec: structuralSchema(kind.spec, `${kind.kind}.spec`),
      status: structuralSchema(kind.status, `${kind.kind}.status`),
    },
    ...(rules.length > 0 && { [CEL_KEYWORD]: rules.map((rule) => ({ ...rule })) }),
  };
}
