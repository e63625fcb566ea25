// A validation rule that is written once and enforced twice: by the API server as CEL, and by zod at run time.
import { z } from "zod";

/** One rule on the value it is attached to (`self` in CEL). */
export interface Rule<T> {
  /** The rule as CEL; the API server enforces it on every write. */
  readonly cel: string;
  /** What is allowed, in words that follow "Invalid value: "; the API server puts the field's path in front. */
  readonly message: string;
  /** The same rule in TypeScript. Left out only where zod cannot see what CEL sees: the old object (`oldSelf`). */
  readonly holds?: (value: T) => boolean;
  /** The field below this value that is to blame, so that the message points there. */
  readonly field?: readonly string[];
}

/** A rule as a CRD spells it. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** Keyword under which a schema carries its CEL rules, both in zod's metadata and in the CRD. */
export const CEL_KEYWORD = "x-kubernetes-validations";

/** The schema with one more rule. Rules add up, and survive `.default()`, `.describe()` and `.meta()`. */
export function withRule<S extends z.ZodType>(schema: S, rule: Rule<z.output<S>>): S {
  const cel: CelRule = {
    rule: rule.cel,
    message: rule.message,
    ...(rule.field && { fieldPath: `.${rule.field.join(".")}` }),
  };
  const known = (schema.meta()?.[CEL_KEYWORD] ?? []) as readonly CelRule[];
  const { holds } = rule;
  const checked = holds
    ? schema.check(z.refine(holds, { message: rule.message, path: [...(rule.field ?? [])] }))
    : schema;
  return checked.meta({ [CEL_KEYWORD]: [...known, cel] });
}

/** The text as a CEL string literal; JSON's escapes are a subset of CEL's. */
export function celString(text: string): string {
  return JSON.stringify(text);
}
