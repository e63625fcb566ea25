// The small bounded values that fields are made of. Every string and number of our kinds comes from here or duration.ts,
// so that nothing in the API is unbounded (CEL's cost is estimated from the bounds).
import { z } from "zod";
import { celString, withRule } from "./rule.ts";

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;

/** Longest DNS-1123 subdomain, hence the longest name of most objects. */
const MAX_SUBDOMAIN_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;
/** Longest UID or boot ID we take. Kubernetes calls both opaque; in practice they are UUIDs of 36 characters. */
const MAX_IDENTIFIER_LENGTH = 128;

/** Free text of at most `maxLength` characters: code points as the API server counts them, not UTF-16 units. */
export function text(maxLength: number) {
  return z
    .string()
    .refine((value) => value.length <= maxLength || Array.from(value).length <= maxLength, {
      message: `must hold at most ${maxLength} characters`,
    })
    .meta({ maxLength });
}

/** ASCII text that matches `pattern` as a whole; `message` says in words what is allowed. */
export function matching(pattern: RegExp, options: { readonly maxLength: number; readonly message: string }) {
  return withRule(z.string().max(options.maxLength), {
    cel: `self.matches(${celString(pattern.source)})`,
    message: options.message,
    holds: (value) => pattern.test(value),
  });
}

/** Name of an object whose kind asks for a DNS-1123 subdomain, as most do. */
export function objectName(maxLength = MAX_SUBDOMAIN_LENGTH) {
  return matching(new RegExp(`^${SUBDOMAIN}$`), {
    maxLength,
    message: `must be a DNS-1123 subdomain of at most ${maxLength} characters: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit`,
  });
}

/** Name of a namespace, or of an entry in a list: a DNS-1123 label. */
export function labelName() {
  return matching(new RegExp(`^${LABEL}$`), {
    maxLength: MAX_LABEL_LENGTH,
    message:
      "must be a DNS-1123 label of at most 63 characters: lower-case letters, digits and '-', beginning and ending with a letter or digit",
  });
}

/** A UID or boot ID: opaque, never empty. */
export function identifier() {
  return z.string().min(1).max(MAX_IDENTIFIER_LENGTH);
}

/** A whole number that counts or numbers something. */
export function count(max: number = Number.MAX_SAFE_INTEGER) {
  return z.int().min(0).max(max);
}
