// Other people's words without the secrets of the object they are about: templates may hold passwords, and servers and
// controllers repeat what they refuse. Pure.

/** Parts of names under which a fence agent's parameters hold what nobody may see. */
const SECRET_NAME = /pass|secret|token|communit|credential|login|user|key/i;
/** Shorter values are no secrets, and taking them out would leave no text. */
const MIN_SECRET_CHARS = 3;
/** Depth to which a spec is searched; parameters of agents stand at the second and third. */
const MAX_DEPTH = 8;

/** The text with every value that stands under such a name in `spec`, at any depth, taken out. */
export function withoutSecrets(text: string, spec: unknown): string {
  return (
    secretsIn(spec, false, 0)
      // The longest first: one may be part of another.
      .toSorted((a, b) => b.length - a.length)
      .reduce((said, secret) => said.replaceAll(secret, "***"), text)
  );
}

function secretsIn(value: unknown, isSecret: boolean, depth: number): readonly string[] {
  if (typeof value === "string") return isSecret && value.length >= MIN_SECRET_CHARS ? [value] : [];
  if (typeof value !== "object" || value === null || depth >= MAX_DEPTH) return [];
  return Object.entries(value).flatMap(([name, one]) =>
    secretsIn(one, isSecret || SECRET_NAME.test(name), depth + 1),
  );
}
