// Two processes provide the binaries at once: one works, the other waits, and the dead hold nothing up.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { takeAssetLock } from "../../lab/control-plane/asset-lock.ts";
import { scratchFolder } from "./scratch-folder.ts";

const nobodyWaits = () => {
  throw new Error("there is nobody to wait for");
};

describe("the lock on the asset cache", () => {
  it("is held by one at a time, and says who holds it to those who wait", async () => {
    const path = join(scratchFolder(), "lock");
    const first = await takeAssetLock(path, nobodyWaits);
    const waitedFor: string[] = [];
    let taken = false;
    const second = takeAssetLock(path, (owner) => waitedFor.push(owner)).then((lock) => {
      taken = true;
      return lock;
    });
    await sleep(100);
    expect(taken).toBe(false);
    expect(waitedFor).toEqual([`${process.pid} on ${hostname()}`]);
    await first.release();
    await (await second).release();
    expect(existsSync(path)).toBe(false);
  });

  it("is taken over from a process that is gone", async () => {
    const directory = scratchFolder();
    const path = join(directory, "lock");
    const dead = spawn("true");
    await once(dead, "exit");
    writeFileSync(path, `${dead.pid} on ${hostname()}`);
    const lock = await takeAssetLock(path, nobodyWaits);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid} on ${hostname()}`);
    expect(readdirSync(directory)).toEqual(["lock"]);
    await lock.release();
  });

  it("is not taken from another host whose process ids mean nothing here", async () => {
    const path = join(scratchFolder(), "lock");
    const dead = spawn("true");
    await once(dead, "exit");
    writeFileSync(path, `${dead.pid} on another-host`);
    const owners: string[] = [];
    const waiting = takeAssetLock(path, (owner) => owners.push(owner));
    await sleep(100);
    expect(owners).toEqual([`${dead.pid} on another-host`]);
    writeFileSync(path, `${dead.pid} on ${hostname()}`);
    await (await waiting).release();
  });

  it("goes to exactly one of many who find the same dead owner at once", async () => {
    const path = join(scratchFolder(), "lock");
    const dead = spawn("true");
    await once(dead, "exit");
    writeFileSync(path, `${dead.pid} on ${hostname()}`);
    let holders = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const lock = await takeAssetLock(path, () => undefined);
        holders += 1;
        most = Math.max(most, holders);
        await sleep(20);
        holders -= 1;
        await lock.release();
      }),
    );
    expect(most).toBe(1);
  });
});
