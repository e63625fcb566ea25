// How a broken promise is told: where it was found, how to see it again, and what was broken when.
import type { Violation } from "./check/checks.ts";

export interface Failure {
  readonly seed: number;
  readonly commit: string;
  readonly violations: readonly Violation[];
}

/** For people; the first line names the seed, the commit and the command that tells the story. */
export function failureText({ seed, commit, violations }: Failure): string {
  const head = `FAILED seed ${seed} at commit ${commit}: npm run sim -- --seed ${seed} --trace`;
  const broken = violations.map(
    ({ check, atMs, message }) => `  ${check}, at ${(atMs / 1_000).toFixed(3)} s: ${message}`,
  );
  return [head, ...broken].join("\n");
}
