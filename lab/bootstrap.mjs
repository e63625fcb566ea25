// Makes a fresh clone ready: installs the locked dependencies (Node 24 among them) when they are missing or stale.
// Plain JavaScript for whatever Node the machine has; every npm script that needs dependencies runs it first.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

const root = new URL("..", import.meta.url).pathname;
const stamp = `${root}node_modules/.holdfast-lock`;
const wanted = createHash("sha256")
  .update(readFileSync(`${root}package-lock.json`))
  .digest("hex");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  console.error("Installing the locked npm dependencies (about a minute, once) …");
  const started = Date.now();
  // `npm install --no-save`, not `npm ci`: the lock was written where other platforms’ optional packages cannot be
  // seen, and `npm ci` refuses such a lock; install obeys its versions and adds what the platform needs.
  const npm = spawnSync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: "inherit",
  });
  if (npm.status !== 0) {
    console.error(
      "npm install failed: see above. It needs an npm registry; set one with `npm config set registry URL`.",
    );
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
  console.error(`Dependencies installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}
