// Schemas for kubeconform, taken from a running API server: exactly what that server knows, our own kinds included.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiTransport } from "../../src/kube/transport.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly "x-kubernetes-group-version-kind"?: readonly {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  }[];
  readonly [name: string]: unknown;
}

/** What kubeconform is told with -schema-location. */
export function schemaLocation(directory: string): string {
  return join(directory, "{{ .ResourceKind }}{{ .KindSuffix }}.json");
}

/** Writes a schema file per kind into `directory`; answers how many. Strict: unknown fields are mistakes. */
export async function writeSchemas(admin: ApiTransport, directory: string): Promise<number> {
  const got = await admin.request<{ definitions: Record<string, Schema> }>({
    method: "GET",
    path: "/openapi/v2",
  });
  if (!got.ok) throw new Error(`the API server gives no OpenAPI document: ${got.message}`);
  mkdirSync(directory, { recursive: true });
  const definitions = Object.fromEntries(
    Object.entries(got.value.definitions).map(([name, schema]) => [name, strict(schema)]),
  );
  writeFileSync(join(directory, "definitions.json"), JSON.stringify({ definitions }));
  let count = 0;
  for (const [name, schema] of Object.entries(got.value.definitions)) {
    for (const { group, version, kind } of schema["x-kubernetes-group-version-kind"] ?? []) {
      const [short = ""] = group.split(".");
      const suffix = short === "" ? version : `${short}-${version}`;
      const file = join(directory, `${kind.toLowerCase()}-${suffix}.json`);
      writeFileSync(file, JSON.stringify({ $ref: `definitions.json#/definitions/${name}` }));
      count += 1;
    }
  }
  return count;
}

/** OpenAPI as JSON Schema: numbers where the server takes either, and nothing besides the properties that are named. */
function strict(schema: Schema): Schema {
  if (schema.format === "int-or-string") return { oneOf: [{ type: "string" }, { type: "integer" }] };
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, key === "properties" ? value : strictValue(value)]),
  );
  if (schema.properties === undefined) return copy;
  const properties = Object.fromEntries(
    Object.entries(schema.properties).map(([name, inner]) => [name, strict(inner)]),
  );
  const open = schema["x-kubernetes-preserve-unknown-fields"] === true || "additionalProperties" in schema;
  return { ...copy, properties, ...(open ? {} : { additionalProperties: false }) };
}

function strictValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strictValue);
  return typeof value === "object" && value !== null ? strict(value as Schema) : value;
}
