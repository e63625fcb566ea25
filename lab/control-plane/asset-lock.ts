// Lets one process at a time provide the binaries. Guards work, not correctness: the cache is filled by one atomic
// rename, so that even two holders could only do the same work twice.
import { randomBytes } from "node:crypto";
import { link, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Held until released; touched now and then, so that others see a living owner. */
export interface AssetLock {
  release(): Promise<void>;
}

/** How often the owner touches its lock. */
const TOUCH_EVERY_MS = 5_000;
/** After how long a lock that we watched counts as abandoned, by our own clock: a slept laptop must not look like it. */
const STALE_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 500;
/** Removing an abandoned lock takes a millisecond; who takes this long has died over it. */
const BREAKING_STALE_AFTER_MS = 10_000;
const BREAKING_PAUSE_MS = 10;

/**
 * Takes the lock file `path`, waiting for as long as its owner lives. A lock is taken over when its owner is a process
 * of this host that is gone, or when nobody touched it while we watched (an owner in another container, a reused pid).
 * `onWait` hears the owner at each look.
 */
export async function takeAssetLock(path: string, onWait: (owner: string) => void): Promise<AssetLock> {
  // A link makes the file appear with its content; whoever sees the lock can read the owner.
  const own = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const name = `${process.pid} on ${hostname()}`;
  await writeFile(own, name);
  let watched = { touch: "", sinceMs: 0 };
  try {
    while (!(await linked(own, path))) {
      const owner = await readOwner(path);
      if (owner === undefined) continue;
      const touch = `${owner.name} ${owner.touchedMs}`;
      if (touch !== watched.touch) watched = { touch, sinceMs: performance.now() };
      if (isGone(owner.name) || performance.now() - watched.sinceMs > STALE_AFTER_MS) {
        await breakLock(path, owner.name);
      } else {
        onWait(owner.name);
        await sleep(LOOK_EVERY_MS);
      }
    }
  } finally {
    await rm(own, { force: true });
  }
  const touching = setInterval(() => {
    const now = new Date();
    // A lock that was taken from us cannot be touched; the atomic rename at the end covers that.
    utimes(path, now, now).catch(() => undefined);
  }, TOUCH_EVERY_MS).unref();
  return {
    release: async () => {
      clearInterval(touching);
      await removeLockOf(path, name);
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readOwner(path: string): Promise<{ name: string; touchedMs: number } | undefined> {
  try {
    return { name: await readFile(path, "utf8"), touchedMs: (await stat(path)).mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Removes the lock of `staleOwner`. Several may have judged it stale at once, and the slowest must not remove the lock
 * that the fastest has taken since; so they come one at a time and look again.
 */
async function breakLock(path: string, staleOwner: string): Promise<void> {
  const breaking = `${path}.breaking`;
  try {
    await writeFile(breaking, "", { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const ageMs = await stat(breaking).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (ageMs > BREAKING_STALE_AFTER_MS) await rm(breaking, { force: true });
    await sleep(BREAKING_PAUSE_MS);
    return;
  }
  try {
    await removeLockOf(path, staleOwner);
  } finally {
    await rm(breaking, { force: true });
  }
}

async function removeLockOf(path: string, owner: string): Promise<void> {
  if ((await readOwner(path))?.name === owner) await rm(path, { force: true });
}

/** True only when it is certain: another host's (or container's) pids mean nothing here. */
function isGone(owner: string): boolean {
  const [pid, , host] = owner.split(" ");
  if (host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
