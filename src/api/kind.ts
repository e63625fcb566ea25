// What one of our kinds is: its names, its schemas and its columns. Knows nothing of how a CRD is written (crd.ts).
import { z } from "zod";
import type { Rule } from "./rule.ts";
import { withRule } from "./rule.ts";

export const GROUP = "holdfast.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description: string;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
}

export interface KindNames {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
}

interface KindOptions<Spec extends z.ZodObject, Status extends z.ZodObject> extends KindNames {
  /** What the kind is for; the first thing `kubectl explain` says. */
  readonly description: string;
  readonly columns: readonly Column[];
  /** Fields that `--field-selector` may name. */
  readonly selectableFields?: readonly string[];
  readonly spec: Spec;
  readonly status: Status;
  /** Rules that need more than one of metadata, spec and status. */
  readonly rules?: readonly Rule<{
    readonly metadata: { readonly name: string };
    readonly spec: z.output<Spec>;
    readonly status?: z.output<Status>;
  }>[];
}

/** What the API server keeps about an object it stores, as far as we read it. */
const storedMetadata = z.object({
  name: z.string(),
  namespace: z.string().exactOptional(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.int().default(0),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().exactOptional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});

/** What a person or program writes to have an object made. */
const writtenMetadata = z.object({
  name: z.string(),
  namespace: z.string().exactOptional(),
  labels: z.record(z.string(), z.string()).exactOptional(),
  annotations: z.record(z.string(), z.string()).exactOptional(),
});

/**
 * Defines a kind. `stored` reads an object as the API server returns it, with every default filled in; `manifest` reads
 * one as somebody wrote it. Both drop unknown fields, as the API server does, and refuse what it refuses.
 */
export function defineKind<Spec extends z.ZodObject, Status extends z.ZodObject>(
  options: KindOptions<Spec, Status>,
) {
  const { spec, status, rules = [] } = options;
  const body = {
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(options.kind),
    spec,
    status: status.exactOptional(),
  };
  return {
    ...options,
    rules,
    stored: withRules(z.object({ ...body, metadata: storedMetadata }), rules),
    manifest: withRules(z.object({ ...body, metadata: writtenMetadata }), rules),
  };
}

/** Any of our kinds, where only its description matters. */
export type KindDefinition = Omit<KindOptions<z.ZodObject, z.ZodObject>, "rules"> & {
  readonly stored: z.ZodType;
  readonly manifest: z.ZodType;
};

/** Path of the collection on the API server; of all namespaces where a namespaced kind is given none. */
export function collectionPath(kind: Pick<KindNames, "plural" | "scope">, namespace?: string): string {
  const within = kind.scope === "Namespaced" && namespace !== undefined ? `/namespaces/${namespace}` : "";
  return `/apis/${API_VERSION}${within}/${kind.plural}`;
}

function withRules<S extends z.ZodType>(schema: S, rules: readonly unknown[]): S {
  // The rules were typed against the same spec and status that the schema is made of.
  return (rules as readonly Rule<z.output<S>>[]).reduce((checked, rule) => withRule(checked, rule), schema);
}
