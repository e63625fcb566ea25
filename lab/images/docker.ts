// A Docker daemon to build and run images with: the one that answers, or one that we start where we may. Knows no image.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** Either a daemon, or why there is none. */
export type DockerOutcome =
  | { readonly ok: true; readonly stop: () => Promise<void> }
  | { readonly ok: false; readonly why: string };

const START_DEADLINE_MS = 60_000;
const ASK_DEADLINE_MS = 10_000;
const BUILD_DEADLINE_MS = 20 * 60_000;
const OUTPUT_LIMIT_BYTES = 32 * 1024 * 1024;
const PAUSE_MS = 500;

/** Runs the docker command; throws with its words when it fails. */
export async function docker(args: readonly string[], deadlineMs = BUILD_DEADLINE_MS): Promise<string> {
  const { stdout } = await promisify(execFile)("docker", args, {
    timeout: deadlineMs,
    maxBuffer: OUTPUT_LIMIT_BYTES,
    // The classic builder takes base images that only this machine has, and needs no plug-in.
    env: { ...process.env, DOCKER_BUILDKIT: "0" },
  });
  return stdout;
}

/** Finds a daemon, or starts one as root, which `stop` ends again. */
export async function provideDocker(): Promise<DockerOutcome> {
  const refused = await refusal();
  if (refused === undefined) return { ok: true, stop: async () => undefined };
  if (process.getuid?.() !== 0) return { ok: false, why: `${refused}; only root may start a daemon` };
  const folder = mkdtempSync(join(tmpdir(), "holdfast-dockerd-"));
  const log = openSync(join(folder, "log"), "a");
  const daemon = spawn("dockerd", [], { stdio: ["ignore", log, log], detached: true });
  const failed = new Promise<string>((resolve) => {
    daemon.once("error", (error) => resolve(error.message));
    daemon.once("exit", (code) => resolve(`dockerd ended with code ${code}, see ${folder}/log`));
  });
  const startedMs = performance.now();
  while (performance.now() - startedMs < START_DEADLINE_MS) {
    const ended = await Promise.race([failed, sleep(PAUSE_MS)]);
    if (typeof ended === "string") return { ok: false, why: ended };
    if ((await refusal()) === undefined) {
      return {
        ok: true,
        stop: async () => {
          daemon.kill("SIGTERM");
          await failed;
        },
      };
    }
  }
  daemon.kill("SIGKILL");
  return { ok: false, why: `dockerd did not answer within ${START_DEADLINE_MS / 1000} s, see ${folder}/log` };
}

async function refusal(): Promise<string | undefined> {
  return docker(["info"], ASK_DEADLINE_MS).then(
    () => undefined,
    (error: Error) => error.message.split("\n")[1] ?? error.message,
  );
}

/** Names of `images` that are neither here nor can be pulled. */
export async function missingImages(images: readonly string[]): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const image of images) {
    const here = await docker(["image", "inspect", image], ASK_DEADLINE_MS).then(Boolean, () => false);
    if (!here && !(await docker(["pull", "--quiet", image]).then(Boolean, () => false))) missing.push(image);
  }
  return missing;
}
