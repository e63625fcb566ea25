// Keeps secrets out of what is written. Knows the names secrets go by and their usual forms; knows no particular secret.
import { stdSerializers } from "pino";

/** What stands where a secret stood. */
export const REDACTED = "[redacted]";

/** Names of secrets, however they are spelt: `bearerToken`, `BMC_PASSWORD`, `proxy-authorization`; not `secretName`. */
const SECRET_KEY =
  /(?:password|passwd|passphrase|token|secret|authorization|credentials?|privatekey|apikey|cookie)$/;

/** Deeper than this nothing is shown: it is cut off, so that a circle or a whole Kubernetes object cannot fill a log line. */
const MAX_DEPTH = 8;

/** An HTTP credential, and the user information of a URL, inside any text. */
const SECRET_TEXTS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/\b(Bearer|Basic)\s+[\w.~+/-]{16,}=*/gi, `$1 ${REDACTED}`],
  [/(:\/\/[^\s/"@:]*:)[^\s/"@]+@/g, `$1${REDACTED}@`],
];

/** A copy without the values of secret keys, at any depth; errors become plain objects on the way. */
export function redact(value: unknown, depth = 0): unknown {
  if (value instanceof Error) return redact({ ...stdSerializers.err(value) }, depth);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "[too deep]";
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isSecretKey(key) ? REDACTED : redact(inner, depth + 1),
    ]),
  );
}

/** Blanks what looks like a credential in a finished line, wherever it came from. */
export function scrub(text: string): string {
  return SECRET_TEXTS.reduce(
    (scrubbed, [pattern, replacement]) => scrubbed.replace(pattern, replacement),
    text,
  );
}

function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key.toLowerCase().replaceAll(/[-_.]/g, ""));
}
