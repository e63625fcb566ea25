// Prometheus' own programs, from Debian's packages: unpacked beside the other assets, never installed.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const PACKAGES = ["prometheus", "prometheus-alertmanager"] as const;
const DOWNLOAD_DEADLINE_MS = 120_000;

/** A program with the arguments that come before one's own. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly alertmanager: Command;
  readonly promtool: string;
}

export type Provided =
  | { readonly ok: true; readonly programs: PrometheusPrograms }
  | { readonly ok: false; readonly why: string };

/** The programs: from PATH, from the cache, or fetched with apt-get where there is one. */
export async function providePrometheus(): Promise<Provided> {
  const onPath = process.env["PATH"]
    ?.split(":")
    .find((folder) =>
      ["prometheus", "prometheus-alertmanager", "promtool"].every((name) => existsSync(join(folder, name))),
    );
  if (onPath !== undefined) return { ok: true, programs: programsIn(onPath) };
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "holdfast", "prometheus");
  const folder = join(cache, "usr", "bin");
  if (!existsSync(join(folder, "promtool"))) {
    const problem = await fetchInto(cache);
    if (problem !== undefined) return { ok: false, why: problem };
  }
  const programs = programsIn(folder);
  const alertmanager = withOwnShare(join(cache, "usr", "share"), programs.alertmanager.program);
  return { ok: true, programs: { ...programs, alertmanager } };
}

function programsIn(folder: string): PrometheusPrograms {
  return {
    prometheus: join(folder, "prometheus"),
    alertmanager: { program: join(folder, "prometheus-alertmanager"), args: [] },
    promtool: join(folder, "promtool"),
  };
}

/**
 * Debian's Alertmanager reads its templates from /usr/share, wherever it lies itself: it is shown the unpacked package's
 * in a mount namespace of its own, so that nothing of this machine is changed.
 */
function withOwnShare(share: string, program: string): Command {
  const script = 'mount --bind "$0" /usr/share && exec "$@"';
  const args = ["--user", "--map-root-user", "--mount", "sh", "-c", script, share, program];
  return { program: "unshare", args };
}

async function fetchInto(cache: string): Promise<string | undefined> {
  mkdirSync(dirname(cache), { recursive: true });
  // Beside the cache, so that it can be moved there as a whole.
  const folder = mkdtempSync(`${cache}-`);
  try {
    const options = { cwd: folder, timeout: DOWNLOAD_DEADLINE_MS };
    await run("apt-get", ["download", ...PACKAGES], options);
    const unpacked = join(folder, "unpacked");
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".deb")))
      await run("dpkg-deb", ["-x", join(folder, file), unpacked], options);
    // Another test may have been first.
    if (!existsSync(cache)) renameSync(unpacked, cache);
    return undefined;
  } catch (error) {
    return `Prometheus' Debian packages could not be had: ${String(error).slice(0, 300)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
