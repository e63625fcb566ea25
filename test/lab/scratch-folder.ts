// Folders that live as long as one test, and binaries that only pretend.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { BINARIES } from "../../lab/control-plane/versions.ts";

/** A new folder, removed when the test that asked for it is over. */
export function scratchFolder(): string {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Puts an executable file for each name into `directory`. */
export function writeBinaries(directory: string, names: readonly string[] = BINARIES): string {
  mkdirSync(directory, { recursive: true });
  for (const name of names) writeScript(join(directory, name), "exit 0");
  return directory;
}

/** Writes an executable shell script. */
export function writeScript(path: string, body: string): string {
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}
