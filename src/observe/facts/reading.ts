// How a raw object becomes a fact: what every reader gets, and what it answers. Tolerant of what we do not read, strict in
// what we do: an object we cannot read is skipped with the reason, never guessed at.
import { z } from "zod";
import { objectKey, sharedName } from "../object-key.ts";

/** What a reader knows beside the object itself. */
export interface ReadingContext<F> {
  /** The fact held so far for this key; undefined at first sight. */
  readonly previous: F | undefined;
  /** Monotonic time at which this version of the object reached us. */
  readonly seenAtMs: number;
  /** Wall time of the same moment. */
  readonly seenAtWallMs: number;
}

export type Reading<F> =
  | { readonly ok: true; readonly fact: F }
  | { readonly ok: false; readonly reason: string };

/** Metadata as every Kubernetes object has it, as far as we read it. */
export const metadata = z.object({
  name: z.string().min(1),
  namespace: z.string().optional(),
  uid: z.string().min(1),
  resourceVersion: z.string().default(""),
  generation: z.number().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  ownerReferences: z
    .array(
      z.object({ kind: z.string(), name: z.string(), uid: z.string(), controller: z.boolean().optional() }),
    )
    .optional(),
});

export type Metadata = z.output<typeof metadata>;

/** `namespace/name`, or the name alone for cluster-scoped objects. */
export function keyOf(meta: Metadata): string {
  return objectKey(meta.namespace, meta.name);
}

/** A node's name as one string object; an empty one names none. */
export function nodeNameOf(name: string | undefined): string | undefined {
  return name === undefined || name === "" ? undefined : sharedName(name);
}

/** Reads `raw` by `schema` and turns it into a fact; a refusal names each field, what was found and what is needed. */
export function readWith<S extends z.ZodType, F>(
  schema: S,
  raw: unknown,
  toFact: (value: z.output<S>) => F,
): Reading<F> {
  const parsed = parsedOnce(schema, raw);
  if (parsed.success) return { ok: true, fact: toFact(parsed.data) };
  const problems = parsed.error.issues
    .slice(0, MAX_PROBLEMS_NAMED)
    .map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  return { ok: false, reason: problems.join("; ") };
}

const MAX_PROBLEMS_NAMED = 6;

const parsedObjects = new WeakMap<z.ZodType, WeakMap<object, unknown>>();

/**
 * What cannot change reads the same for everybody: the replicas of a simulated cluster are handed the same frozen objects.
 * What comes off a wire is never frozen.
 */
function parsedOnce<S extends z.ZodType>(schema: S, raw: unknown): z.ZodSafeParseResult<z.output<S>> {
  if (typeof raw !== "object" || raw === null || !Object.isFrozen(raw)) return schema.safeParse(raw);
  let known = parsedObjects.get(schema);
  if (known === undefined) parsedObjects.set(schema, (known = new WeakMap()));
  const before = known.get(raw) as z.ZodSafeParseResult<z.output<S>> | undefined;
  if (before !== undefined) return before;
  const parsed = schema.safeParse(raw);
  known.set(raw, parsed);
  return parsed;
}

/** Milliseconds of an RFC 3339 time, or undefined where there is none or it cannot be read. */
export function wallMsOfTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
